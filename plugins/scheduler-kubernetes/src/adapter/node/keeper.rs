//! Keeps the nodes' objects: creates them, writes what has changed, renews leases, and keeps cordons equal on both
//! sides, and moves pods off nodes that the pool drains. A node's object is never deleted because something here begins anew: only when the pool itself, asked
//! for it, no longer has the node.

use super::drain;
use super::object::{Extra, created, stale_labels, stale_status};
use super::taints;
use crate::adapter::book::Book;
use crate::adapter::names::{self, AGREED_ANNOTATION, MANAGER, OWN_LABEL};
use crate::adapter::port::doors::Doors;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node as KubeNode;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use plenum_contract::pool::Pool;
use plenum_model::ids::{NodeId, SchedulerId};
use plenum_model::node::{Liveness, Node, Scheduling};
use plenum_sdk::mirror::Mirror;
use plenum_sdk::time::Clock;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The least time between two looks at all nodes.
const LOOK: Duration = Duration::from_millis(500);
/// How often they are looked at though nothing has changed.
const IDLE: Duration = Duration::from_secs(2);
/// How often a lease is renewed; it lasts four times as long.
const RENEW: Duration = Duration::from_secs(10);
const LEASE_SECONDS: u32 = 40;
const LEASES: &str = "kube-node-lease";
/// Taints of nodes that are not heard of.
const NOT_READY: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
/// How often objects of nodes that are gone are looked for.
const CLEAN: Duration = Duration::from_secs(60);

/// What the keeper works with.
pub struct Keeper {
    /// The API.
    pub client: Client,
    /// What the API has told.
    pub book: Arc<Book>,
    /// What the pool has told.
    pub mirror: Mirror,
    /// Cordons, and whether a node is really gone.
    pub pool: Arc<dyn Pool>,
    /// The nodes' ports.
    pub doors: Doors,
    /// Whose nodes they are.
    pub scheduler: SchedulerId,
    /// The runtime that runs pods.
    pub runtime: String,
    /// The address all nodes are reached under, if not each under its own.
    pub address: Option<String>,
    /// A taint for new nodes.
    pub taint: Option<String>,
    /// The time.
    pub clock: Clock,
}

impl Keeper {
    /// Works until cancelled.
    pub async fn run(self, cancelled: CancellationToken) {
        let mut changes = self.mirror.changes();
        let mut renewed: BTreeMap<NodeId, Instant> = BTreeMap::new();
        let mut cleaned = Instant::now();
        loop {
            changes.borrow_and_update();
            tokio::select! {
                () = cancelled.cancelled() => return,
                () = self.look(&mut renewed) => {}
            }
            if cleaned.elapsed() >= CLEAN {
                cleaned = Instant::now();
                self.clean().await;
            }
            let idle = async {
                let news = tokio::time::timeout(IDLE, changes.changed()).await;
                if news.is_ok() {
                    tokio::time::sleep(LOOK).await;
                }
            };
            tokio::select! {
                () = cancelled.cancelled() => return,
                () = idle => {}
            }
        }
    }

    async fn look(&self, renewed: &mut BTreeMap<NodeId, Instant>) {
        let nodes: Vec<Arc<Node>> = self.mirror.read(|o| {
            if o.is_synced() {
                o.nodes().cloned().collect()
            } else {
                Vec::new()
            }
        });
        if !self.book.read(super::super::book::Pages::is_whole) {
            return;
        }
        for node in nodes {
            let id = &node.facts.id;
            if let Err(error) = self.keep(&node).await {
                tracing::warn!(node = %id, %error, "the node's object is not as it should be; tried again");
            }
            let due = renewed.get(id).is_none_or(|at| at.elapsed() >= RENEW);
            if due && node.liveness == Liveness::Ready {
                match self.renew(&node).await {
                    Ok(()) => drop(renewed.insert(id.clone(), Instant::now())),
                    Err(error) => tracing::debug!(node = %id, %error, "the node's lease is not renewed"),
                }
            }
            if node.scheduling == Scheduling::Draining {
                drain::evict(&self.client, &self.book, &names::node(id)).await;
            }
        }
    }

    async fn keep(&self, node: &Node) -> Result<(), kube::Error> {
        let name = names::node(&node.facts.id);
        let have = self.book.read(|pages| pages.nodes.get(&name).cloned());
        let port = self.doors.ensure(&node.facts.id, &node.facts.address).await;
        let extra = Extra {
            scheduler: &self.scheduler,
            runtime: &self.runtime,
            address: self.address.as_deref().unwrap_or(&node.facts.address),
            port,
            taint: self.taint.as_deref(),
        };
        let nodes: Api<KubeNode> = Api::all(self.client.clone());
        let mut have = match have {
            Some(have) => have,
            None => match self.create(node, &extra, &nodes).await {
                Ok(made) => made,
                Err(kube::Error::Api(status)) if status.code == 409 => return Ok(()), // the watch tells
                Err(e) => return Err(e),
            },
        };
        let label = have.metadata.labels.as_ref().and_then(|l| l.get(OWN_LABEL));
        if label.map(String::as_str) != Some(self.scheduler.as_str()) {
            tracing::warn!(
                node = name,
                "another node has this name in the API; it is left alone"
            );
            return Ok(());
        }
        let labels = stale_labels(node, &extra, &have);
        if !labels.is_empty() {
            let patch = json!({"metadata": {"labels": labels}});
            have = self.patch(&nodes, &name, patch).await?;
        }
        if let Some(status) = stale_status(node, &extra, &have, self.clock.now().0) {
            let patch = Patch::Merge(json!({"status": status}));
            have = self.noted(nodes.patch_status(&name, &params(), &patch).await?);
        }
        if node.liveness == Liveness::Ready {
            have = self.untaint(have, &nodes, &name).await?;
        }
        if let Some(patch) = taints::stale(node, &have) {
            have = match self.patch(&nodes, &name, patch).await {
                Err(kube::Error::Api(status)) if status.code == 409 => return Ok(()), // looked at again soon
                other => other?,
            };
        }
        self.cordon(node, &have, &nodes, &name).await
    }

    async fn create(
        &self,
        node: &Node,
        extra: &Extra<'_>,
        nodes: &Api<KubeNode>,
    ) -> Result<Arc<KubeNode>, kube::Error> {
        let object = serde_json::from_value(created(node, extra)).map_err(kube::Error::SerdeError)?;
        let made = nodes.create(&PostParams::default(), &object).await?;
        Ok(self.noted(made))
    }

    /// Notes what the API server has just answered; the watch will say so, too.
    fn noted(&self, made: KubeNode) -> Arc<KubeNode> {
        self.book.put_node(made.clone(), true, false);
        Arc::new(made)
    }

    /// Every new node is tainted until it is ready. A cluster's own controllers take the taint away; where there are
    /// none, nobody else does.
    async fn untaint(
        &self,
        have: Arc<KubeNode>,
        nodes: &Api<KubeNode>,
        name: &str,
    ) -> Result<Arc<KubeNode>, kube::Error> {
        let taints = have
            .spec
            .as_ref()
            .and_then(|s| s.taints.as_deref())
            .unwrap_or_default();
        let left: Vec<_> = taints
            .iter()
            .filter(|t| !NOT_READY.contains(&t.key.as_str()))
            .collect();
        if left.len() == taints.len() {
            return Ok(have);
        }
        // the list is written as a whole: not over what somebody else has written meanwhile
        let version = &have.metadata.resource_version;
        let patch = json!({"metadata": {"resourceVersion": version}, "spec": {"taints": left}});
        match self.patch(nodes, name, patch).await {
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(have), // looked at again soon
            other => other,
        }
    }

    /// Both sides say whether the node is open; the annotation holds what they last agreed on, so whichever
    /// differs from it is the one that was changed.
    async fn cordon(
        &self,
        node: &Node,
        have: &KubeNode,
        nodes: &Api<KubeNode>,
        name: &str,
    ) -> Result<(), kube::Error> {
        let there = have.spec.as_ref().and_then(|s| s.unschedulable) == Some(true);
        let here = !node.scheduling.is_open();
        let annotations = have.metadata.annotations.as_ref();
        let agreed = annotations
            .and_then(|a| a.get(AGREED_ANNOTATION))
            .map(String::as_str);
        let word = |cordoned: bool| if cordoned { "cordoned" } else { "open" };
        if there == here && agreed == Some(word(here)) {
            return Ok(());
        }
        let note = |cordoned: bool| json!({"annotations": {AGREED_ANNOTATION: word(cordoned)}});
        if there != here && agreed.is_some_and(|a| a != word(there)) {
            let to = if there {
                Scheduling::Cordoned
            } else {
                Scheduling::Open
            };
            let actor = format!("{}: kubectl", self.scheduler);
            if let Err(error) = self.pool.set_scheduling(&node.facts.id, to, &actor).await {
                tracing::warn!(node = name, %error, "the pool does not take the cordon; tried again");
                return Ok(());
            }
            return self
                .patch(nodes, name, json!({"metadata": note(there)}))
                .await
                .map(drop);
        }
        let unschedulable = if here { json!(true) } else { Value::Null };
        let patch = json!({"metadata": note(here), "spec": {"unschedulable": unschedulable}});
        self.patch(nodes, name, patch).await.map(drop)
    }

    async fn patch(
        &self,
        nodes: &Api<KubeNode>,
        name: &str,
        patch: Value,
    ) -> Result<Arc<KubeNode>, kube::Error> {
        let made = nodes.patch(name, &params(), &Patch::Merge(patch)).await?;
        Ok(self.noted(made))
    }

    async fn renew(&self, node: &Node) -> Result<(), kube::Error> {
        let name = names::node(&node.facts.id);
        let owner = self
            .book
            .read(|p| p.nodes.get(&name).and_then(|n| n.metadata.uid.clone()));
        let Some(uid) = owner else { return Ok(()) };
        let now = Timestamp::from_millisecond(i64::try_from(self.clock.now().0).unwrap_or(0));
        let renew = format!("{:.6}", now.unwrap_or(Timestamp::UNIX_EPOCH));
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), LEASES);
        let patch = Patch::Merge(json!({"spec": {"renewTime": renew}}));
        match leases.patch(&name, &params(), &patch).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            other => return other.map(|_| ()),
        }
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": name, "namespace": LEASES, "ownerReferences":
                [{"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid}]},
            "spec": {"holderIdentity": name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": renew},
        });
        let lease: Lease = serde_json::from_value(lease).map_err(kube::Error::SerdeError)?;
        leases.create(&PostParams::default(), &lease).await.map(|_| ())
    }

    /// Deletes objects of nodes that were removed from the pool.
    async fn clean(&self) {
        let Ok(known) = self.pool.nodes().await else {
            return;
        };
        let known: BTreeSet<String> = known.iter().map(|n| names::node(&n.facts.id)).collect();
        if known.is_empty() {
            return; // a pool that has lost everything removes nothing
        }
        let gone: Vec<String> = self.book.read(|pages| {
            pages
                .places
                .keys()
                .filter(|n| !known.contains(*n))
                .cloned()
                .collect()
        });
        let nodes: Api<KubeNode> = Api::all(self.client.clone());
        for name in gone {
            match nodes.delete(&name, &DeleteParams::default()).await {
                Ok(_) => tracing::info!(node = name, "removed from the pool, and now from the API"),
                Err(error) => {
                    tracing::warn!(node = name, %error, "the object of a removed node stays for now")
                }
            }
        }
    }
}

fn params() -> PatchParams {
    PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    }
}
