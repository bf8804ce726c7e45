//! The collector: deletes what has lost its owners, and does what finalizers about dependents ask for. It watches
//! the metadata of every kind; `graph` decides.

mod graph;

use futures::{StreamExt, stream};
use graph::{Graph, Node, Place, Step};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node as Machine, Pod, Secret, ServiceAccount};
use kube::api::{ApiResource, DeleteParams, Patch, PatchParams, Preconditions};
use kube::core::DynamicObject;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::MANAGER;
use super::keeper::is_code;
use crate::lean::LeanMeta;

/// Changes that may wait; the watches wait with them.
const QUEUE: usize = 1024;
/// Requests at once.
const AT_ONCE: usize = 16;
/// What failed is tried again after this.
const RETRY: Duration = Duration::from_secs(1);
/// Owners that are remembered as absent.
const ABSENT: usize = 10_000;

/// Every kind that may own or be owned. Events own nothing and are owned by nobody.
fn kinds() -> Vec<ApiResource> {
    vec![
        ApiResource::erase::<Namespace>(&()),
        ApiResource::erase::<Machine>(&()),
        ApiResource::erase::<Pod>(&()),
        ApiResource::erase::<ReplicaSet>(&()),
        ApiResource::erase::<Deployment>(&()),
        ApiResource::erase::<Job>(&()),
        ApiResource::erase::<ConfigMap>(&()),
        ApiResource::erase::<Secret>(&()),
        ApiResource::erase::<ServiceAccount>(&()),
        ApiResource::erase::<Lease>(&()),
    ]
}

type Change = (usize, Event<LeanMeta>);

/// Watches and collects until `stop`.
pub(super) fn start(client: &Client, tasks: &TaskTracker, stop: &CancellationToken) {
    let (tell, changes) = mpsc::channel(QUEUE);
    let kinds = kinds();
    for (kind, resource) in kinds.iter().enumerate() {
        let api: Api<LeanMeta> = Api::all_with(client.clone(), resource);
        let events = watcher(api, watcher::Config::default()).default_backoff();
        let (tell, stop) = (tell.clone(), stop.clone());
        tasks.spawn(async move {
            let mut events = std::pin::pin!(events.take_until(stop.cancelled_owned()));
            while let Some(event) = events.next().await {
                match event {
                    Ok(event) => drop(tell.send((kind, event)).await),
                    Err(error) => tracing::debug!(%error, "a watch of the collector broke"),
                }
            }
        });
    }
    let collector = Collector {
        client: client.clone(),
        listed: vec![false; kinds.len()],
        listing: vec![BTreeSet::new(); kinds.len()],
        kinds,
        graph: Graph::default(),
        absent: BTreeSet::new(),
        again: BTreeSet::new(),
    };
    tasks.spawn(collector.run(changes, stop.clone()));
}

struct Collector {
    client: Client,
    kinds: Vec<ApiResource>,
    /// Which kinds have been listed: nothing is done before all of them are.
    listed: Vec<bool>,
    /// Uids of the list that comes in.
    listing: Vec<BTreeSet<String>>,
    graph: Graph,
    /// Owners that were asked for and are not there; a uid never comes back.
    absent: BTreeSet<String>,
    /// What is to be looked at again.
    again: BTreeSet<String>,
}

impl Collector {
    async fn run(mut self, mut changes: mpsc::Receiver<Change>, stop: CancellationToken) {
        loop {
            let mut concerned = BTreeSet::new();
            tokio::select! {
                () = stop.cancelled() => return,
                change = changes.recv() => match change {
                    Some(change) => {
                        self.take(change, &mut concerned);
                        while let Ok(change) = changes.try_recv() {
                            self.take(change, &mut concerned);
                        }
                    }
                    None => return,
                },
                () = tokio::time::sleep(RETRY), if !self.again.is_empty() => {
                    concerned = std::mem::take(&mut self.again);
                }
            }
            if self.listed.iter().all(|listed| *listed) {
                self.work(concerned).await;
            }
        }
    }

    fn take(&mut self, (kind, event): Change, concerned: &mut BTreeSet<String>) {
        match event {
            Event::Apply(it) => concerned.extend(self.put(kind, it)),
            Event::Delete(it) => {
                if let Some(uid) = &it.0.uid {
                    concerned.extend(self.graph.remove(uid));
                }
            }
            Event::Init => self.listing[kind].clear(),
            Event::InitApply(it) => {
                self.listing[kind].extend(it.0.uid.clone());
                concerned.extend(self.put(kind, it));
            }
            Event::InitDone => {
                for uid in self.graph.missing(kind, &self.listing[kind]) {
                    concerned.extend(self.graph.remove(&uid));
                }
                self.listing[kind].clear();
                self.listed[kind] = true;
                if self.listed.iter().all(|listed| *listed) {
                    concerned.extend(self.graph.uids());
                }
            }
        }
    }

    fn put(&mut self, kind: usize, it: LeanMeta) -> Vec<String> {
        let place = Place {
            kind,
            namespace: it.0.namespace.clone().unwrap_or_default(),
            name: it.0.name.clone().unwrap_or_default(),
        };
        let mut concerned = self.graph.put(Node {
            place,
            metadata: it.0,
        });
        // an owner that begins to wait for its dependents concerns them
        if let Some(uid) = concerned.last().cloned() {
            let going = |uid: &str| {
                self.graph
                    .get(uid)
                    .is_some_and(|n| n.metadata.deletion_timestamp.is_some())
            };
            if going(&uid) {
                concerned.extend(self.graph.dependents(&uid));
            }
        }
        concerned
    }

    async fn work(&mut self, concerned: BTreeSet<String>) {
        let steps: Vec<Step> = concerned
            .iter()
            .flat_map(|uid| self.graph.steps(uid, &self.absent))
            .collect();
        let done: Vec<(Step, Result<bool, kube::Error>)> = {
            let this = &*self;
            let one = |step: Step| async move {
                let done = this.step(&step).await;
                (step, done)
            };
            stream::iter(steps)
                .map(one)
                .buffer_unordered(AT_ONCE)
                .collect()
                .await
        };
        for (step, done) in done {
            match (step, done) {
                (Step::Ask { owner, of }, Ok(false)) => {
                    if self.absent.len() >= ABSENT {
                        self.absent.clear();
                    }
                    self.absent.insert(owner);
                    self.again.insert(of);
                }
                (_, Ok(_)) => {}
                (step, Err(error)) => {
                    tracing::debug!(%error, ?step, "the collector tries again");
                    self.again.insert(match step {
                        Step::Delete { uid, .. } | Step::Disown { uid, .. } | Step::Release { uid, .. } => {
                            uid
                        }
                        Step::Ask { of, .. } => of,
                    });
                }
            }
        }
    }

    /// Does a step. For a question: whether the owner is there.
    async fn step(&self, step: &Step) -> Result<bool, kube::Error> {
        match step {
            Step::Delete { uid, foreground } => self.delete(uid, *foreground).await,
            Step::Disown { uid, owner } => {
                let Some(node) = self.graph.get(uid) else {
                    return Ok(true);
                };
                let patch = super::owned::release(&node.metadata, owner);
                self.patch(node, &patch).await
            }
            Step::Release { uid, finalizer } => {
                let Some(node) = self.graph.get(uid) else {
                    return Ok(true);
                };
                let all = node.metadata.finalizers.as_deref().unwrap_or_default();
                let left: Vec<&String> = all.iter().filter(|f| f != finalizer).collect();
                let patch = json!({ "metadata": {
                    "uid": uid,
                    "resourceVersion": node.metadata.resource_version,
                    "finalizers": left,
                } });
                self.patch(node, &patch).await
            }
            Step::Ask { owner, of } => self.ask(owner, of).await,
        }
    }

    async fn delete(&self, uid: &str, foreground: bool) -> Result<bool, kube::Error> {
        let Some(node) = self.graph.get(uid) else {
            return Ok(true);
        };
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(uid.to_owned()),
                resource_version: None,
            }),
            ..if foreground {
                DeleteParams::foreground()
            } else {
                DeleteParams::background()
            }
        };
        match self.api(&node.place).delete(&node.place.name, &params).await {
            Ok(_) => Ok(true),
            Err(error) if is_code(&error, 404) || is_code(&error, 409) => Ok(true),
            Err(error) => Err(error),
        }
    }

    async fn patch(&self, node: &Node, patch: &serde_json::Value) -> Result<bool, kube::Error> {
        let api = self.api(&node.place);
        let params = PatchParams::apply(MANAGER);
        match api
            .patch_metadata(&node.place.name, &params, &Patch::Merge(patch))
            .await
        {
            Ok(_) => Ok(true),
            Err(error) if is_code(&error, 404) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Whether the owner is there, as the server says; owners of kinds that are not known here count as there.
    async fn ask(&self, owner: &str, of: &str) -> Result<bool, kube::Error> {
        let Some(node) = self.graph.get(of) else {
            return Ok(true);
        };
        let references = node.metadata.owner_references.as_deref().unwrap_or_default();
        let Some(reference) = references.iter().find(|r| r.uid == owner) else {
            return Ok(true);
        };
        let kind = self
            .kinds
            .iter()
            .position(|k| k.kind == reference.kind && k.api_version == reference.api_version);
        let Some(kind) = kind else {
            return Ok(true);
        };
        let cluster = self.kinds[kind].kind == "Namespace" || self.kinds[kind].kind == "Node";
        let place = Place {
            kind,
            namespace: if cluster {
                String::new()
            } else {
                node.place.namespace.clone()
            },
            name: reference.name.clone(),
        };
        let found = self.api(&place).get_metadata_opt(&place.name).await?;
        Ok(found.is_some_and(|it| it.metadata.uid.as_deref() == Some(owner)))
    }

    fn api(&self, place: &Place) -> Api<DynamicObject> {
        let kind = &self.kinds[place.kind];
        if place.namespace.is_empty() {
            Api::all_with(self.client.clone(), kind)
        } else {
            Api::namespaced_with(self.client.clone(), &place.namespace, kind)
        }
    }
}
