//! The pods of an owner, whatever its kind: found, adopted, made and deleted, each only once.

use super::owned::{self, Standing};
use super::tell::Kind;
use super::{Context, MANAGER, pods};
use futures::{StreamExt, stream};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Resource, ResourceExt};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Requests of one owner at once.
const AT_ONCE: usize = 16;
/// A pod that was made and is not seen for so long was deleted by somebody else before anybody looked.
pub(super) const FORGET: Duration = Duration::from_secs(30);

/// A controller's own changes that it has not yet seen: to decide without them would be to do them twice.
#[derive(Debug, Default)]
struct Unseen {
    made: BTreeMap<String, Instant>,
    deleted: BTreeMap<String, Instant>,
}

/// Keeps the pods of one kind of owner.
pub(super) struct PodKeeper {
    pub(super) context: Arc<Context>,
    by: &'static str,
    unseen: Mutex<BTreeMap<String, Unseen>>,
}

impl PodKeeper {
    /// One that tells its events under this name.
    pub(super) fn new(context: Arc<Context>, by: &'static str) -> Self {
        Self {
            context,
            by,
            unseen: Mutex::default(),
        }
    }

    /// The owner's pods, after the free ones were adopted and the lost ones let go.
    pub(super) async fn gather<K>(
        &self,
        owner: &K,
        selector: &LabelSelector,
    ) -> Result<Vec<Arc<Pod>>, kube::Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let api = self.api(owner.meta());
        let mut own = Vec::new();
        let shelf = &self.context.shelf;
        let uid = owner.meta().uid.as_deref().unwrap_or_default();
        let mut candidates = shelf.owners.pods_of(uid, &shelf.pods);
        candidates.extend(shelf.owners.pods_of_nobody(&shelf.pods));
        for pod in candidates {
            let standing = owned::standing(&pod.metadata, owner.meta(), selector);
            let patch = match standing {
                Standing::Own => {
                    own.push(pod);
                    continue;
                }
                Standing::Free if pods::is_active(&pod) => owned::adoption(owner, &pod.metadata),
                Standing::Lost => {
                    owned::release(&pod.metadata, owner.meta().uid.as_deref().unwrap_or_default())
                }
                Standing::Free | Standing::Foreign => continue,
            };
            let params = PatchParams::apply(MANAGER);
            match api.patch(&pod.name_any(), &params, &Patch::Merge(&patch)).await {
                Ok(adopted) if standing == Standing::Free => own.push(Arc::new(adopted)),
                Ok(_) => {}
                Err(error) if is_code(&error, 404) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(own)
    }

    /// Whether the owner's pods, as they are here, have everything that was done to them.
    pub(super) fn has_seen(&self, owner: &ObjectMeta, own: &[Arc<Pod>]) -> bool {
        let uid = owner.uid.as_deref().unwrap_or_default();
        let mut unseen = self.unseen.lock();
        let Some(mine) = unseen.get_mut(uid) else {
            return true;
        };
        let namespace = owner.namespace.as_deref().unwrap_or_default();
        let there = |name: &str| {
            self.context
                .shelf
                .pods
                .get(&ObjectRef::new(name).within(namespace))
        };
        let late = |at: &Instant| at.elapsed() > FORGET;
        // One that is there by now and was not when the owner's pods were gathered will be gathered next time.
        let somebody_elses = |name: &str| {
            let by = |pod: &Pod| owned::controller_of(&pod.metadata).is_some_and(|by| by.uid == uid);
            there(name).is_some_and(|pod| !by(&pod))
        };
        mine.made.retain(|name, at| {
            !late(at) && !somebody_elses(name) && !own.iter().any(|pod| pod.name_any() == *name)
        });
        mine.deleted
            .retain(|name, at| !late(at) && there(name).is_some_and(|pod| pods::is_active(&pod)));
        let all = mine.made.is_empty() && mine.deleted.is_empty();
        if all {
            unseen.remove(uid);
        }
        all
    }

    /// Makes so many pods of the template.
    pub(super) async fn make<K>(
        &self,
        owner: &K,
        template: &PodTemplateSpec,
        count: usize,
    ) -> Result<(), kube::Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        if count == 0 {
            return Ok(());
        }
        let pod = pods::from_template(owner, template);
        // the first alone: what is refused is refused once, not five hundred times
        let first = self.make_one(owner, &pod).await;
        let rest = match first {
            Ok(()) => {
                let rest = stream::iter(1..count).map(|_| self.make_one(owner, &pod));
                rest.buffer_unordered(AT_ONCE).collect().await
            }
            Err(_) => Vec::new(),
        };
        let all: Result<(), kube::Error> = [first].into_iter().chain(rest).collect();
        if let Err(error) = &all {
            self.tell(
                owner,
                Kind::Warning,
                "FailedCreate",
                format!("Error creating: {error}"),
            );
        }
        all
    }

    async fn make_one<K>(&self, owner: &K, pod: &Pod) -> Result<(), kube::Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let params = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        };
        let made = self.api(owner.meta()).create(&params, pod).await?;
        let name = made.name_any();
        self.tell(
            owner,
            Kind::Normal,
            "SuccessfulCreate",
            format!("Created pod: {name}"),
        );
        let uid = owner.meta().uid.clone().unwrap_or_default();
        self.unseen
            .lock()
            .entry(uid)
            .or_default()
            .made
            .insert(name, Instant::now());
        Ok(())
    }

    /// Deletes these of the owner's pods.
    pub(super) async fn delete<K>(&self, owner: &K, names: &[String], own: &[&Pod]) -> Result<(), kube::Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let uid_of = |name: &String| {
            let pod = own.iter().find(|pod| pod.metadata.name.as_ref() == Some(name))?;
            pod.metadata.uid.clone()
        };
        let asked: Vec<_> = names
            .iter()
            .map(|name| self.delete_one(owner, name.clone(), uid_of(name)))
            .collect();
        let all: Vec<_> = stream::iter(asked).buffer_unordered(AT_ONCE).collect().await;
        all.into_iter().collect()
    }

    async fn delete_one<K>(&self, owner: &K, name: String, uid: Option<String>) -> Result<(), kube::Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid,
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        match self.api(owner.meta()).delete(&name, &params).await {
            Ok(_) => {}
            Err(error) if is_code(&error, 404) || is_code(&error, 409) => return Ok(()),
            Err(error) => return Err(error),
        }
        self.tell(
            owner,
            Kind::Normal,
            "SuccessfulDelete",
            format!("Deleted pod: {name}"),
        );
        let uid = owner.meta().uid.clone().unwrap_or_default();
        let mut unseen = self.unseen.lock();
        unseen
            .entry(uid)
            .or_default()
            .deleted
            .insert(name, Instant::now());
        Ok(())
    }

    /// Tells something of the owner.
    pub(super) fn tell<K>(&self, owner: &K, kind: Kind, reason: &str, message: String)
    where
        K: Resource<DynamicType = ()>,
    {
        self.context.teller.tell(owner, self.by, kind, reason, message);
    }

    fn api(&self, owner: &ObjectMeta) -> Api<Pod> {
        Api::namespaced(
            self.context.client.clone(),
            owner.namespace.as_deref().unwrap_or_default(),
        )
    }
}

/// Whether the server answered with this code.
pub(super) fn is_code(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}
