//! The objects the controllers look at, and whom a change of one concerns. Each kind is watched once; what is
//! read is never older than the change that made somebody read it.

use super::owned;
use super::owners::Owners;
use super::specs::of_set;
use crate::lean::LeanPod;
use crate::object::taint;
use futures::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, PodSpec};
use kube::runtime::WatchStreamExt;
use kube::runtime::controller::{Action, Config, applier};
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store, store};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use std::convert::Infallible;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// References that may wait; the watch waits with them, so nothing is lost.
const QUEUE: usize = 1024;
/// Objects of one kind that are worked on at once.
const AT_ONCE: u16 = 16;
/// What failed is tried again after this.
const RETRY: Duration = Duration::from_secs(1);
/// News that come together are looked at once.
const SETTLE: Duration = Duration::from_millis(5);

/// What is known of each kind.
#[derive(Clone)]
pub(super) struct Shelf {
    pub(super) deployments: Store<Deployment>,
    pub(super) replica_sets: Store<ReplicaSet>,
    pub(super) jobs: Store<Job>,
    pub(super) namespaces: Store<Namespace>,
    pub(super) nodes: Store<Node>,
    pub(super) pods: Store<Pod>,
    pub(super) owners: Owners,
}

impl Shelf {
    /// Waits until everything was listed once; says whether it was. What is decided on half of it is wrong. For one
    /// waiter: a store wakes no second one.
    pub(super) async fn ready(&self) -> bool {
        self.deployments.wait_until_ready().await.is_ok()
            && self.replica_sets.wait_until_ready().await.is_ok()
            && self.jobs.wait_until_ready().await.is_ok()
            && self.namespaces.wait_until_ready().await.is_ok()
            && self.nodes.wait_until_ready().await.is_ok()
            && self.pods.wait_until_ready().await.is_ok()
    }
}

/// One kind's objects that are to be looked at.
pub(super) struct Queue<K: Resource<DynamicType = ()> + 'static> {
    store: Store<K>,
    changed: mpsc::Receiver<ObjectRef<K>>,
}

/// One a controller.
pub(super) struct Queues {
    pub(super) deployments: Queue<Deployment>,
    pub(super) replica_sets: Queue<ReplicaSet>,
    pub(super) jobs: Queue<Job>,
    pub(super) namespaces: Queue<Namespace>,
    pub(super) nodes: Queue<Node>,
}

/// Where to say that something is to be looked at.
#[derive(Clone)]
struct Bells {
    deployments: mpsc::Sender<ObjectRef<Deployment>>,
    replica_sets: mpsc::Sender<ObjectRef<ReplicaSet>>,
    jobs: mpsc::Sender<ObjectRef<Job>>,
    namespaces: mpsc::Sender<ObjectRef<Namespace>>,
    nodes: mpsc::Sender<ObjectRef<Node>>,
}

/// Somebody who is to look at something.
enum Concerned {
    Deployment(ObjectRef<Deployment>),
    ReplicaSet(ObjectRef<ReplicaSet>),
    Job(ObjectRef<Job>),
    Namespace(ObjectRef<Namespace>),
    Node(ObjectRef<Node>),
}

impl Bells {
    /// A controller that has ended needs to know of nothing.
    async fn ring(&self, whom: Concerned) {
        match whom {
            Concerned::Deployment(it) => drop(self.deployments.send(it).await),
            Concerned::ReplicaSet(it) => drop(self.replica_sets.send(it).await),
            Concerned::Job(it) => drop(self.jobs.send(it).await),
            Concerned::Namespace(it) => drop(self.namespaces.send(it).await),
            Concerned::Node(it) => drop(self.nodes.send(it).await),
        }
    }

    /// After a list anything may have gone that was there before.
    async fn ring_all(&self, shelf: &Shelf) {
        for it in shelf.deployments.state() {
            self.ring(Concerned::Deployment(ObjectRef::from_obj(&*it))).await;
        }
        for it in shelf.replica_sets.state() {
            self.ring(Concerned::ReplicaSet(ObjectRef::from_obj(&*it))).await;
        }
        for it in shelf.jobs.state() {
            self.ring(Concerned::Job(ObjectRef::from_obj(&*it))).await;
        }
        for it in shelf.namespaces.state() {
            self.ring(Concerned::Namespace(ObjectRef::from_obj(&*it))).await;
        }
        for it in shelf.nodes.state() {
            self.ring(Concerned::Node(ObjectRef::from_obj(&*it))).await;
        }
    }
}

/// Watches every kind until `stop`.
pub(super) fn watch(client: &Client, tasks: &TaskTracker, stop: &CancellationToken) -> (Shelf, Queues) {
    let (deployments, deployment_writer) = store();
    let (replica_sets, set_writer) = store();
    let (jobs, job_writer) = store();
    let (namespaces, namespace_writer) = store();
    let (nodes, node_writer) = store();
    let (pods, pod_writer) = store();
    let (deployment_bell, deployment_changed) = mpsc::channel(QUEUE);
    let (set_bell, set_changed) = mpsc::channel(QUEUE);
    let (job_bell, job_changed) = mpsc::channel(QUEUE);
    let (namespace_bell, namespace_changed) = mpsc::channel(QUEUE);
    let (node_bell, node_changed) = mpsc::channel(QUEUE);
    let queues = Queues {
        deployments: Queue::new(&deployments, deployment_changed),
        replica_sets: Queue::new(&replica_sets, set_changed),
        jobs: Queue::new(&jobs, job_changed),
        namespaces: Queue::new(&namespaces, namespace_changed),
        nodes: Queue::new(&nodes, node_changed),
    };
    let bells = Bells {
        deployments: deployment_bell,
        replica_sets: set_bell,
        jobs: job_bell,
        namespaces: namespace_bell,
        nodes: node_bell,
    };
    let shelf = Shelf {
        deployments,
        replica_sets,
        jobs,
        namespaces,
        nodes,
        pods,
        owners: Owners::default(),
    };
    let follow = Follow {
        client: client.clone(),
        shelf: shelf.clone(),
        bells,
        tasks,
        stop,
    };
    follow.kind(deployment_writer, |it: &Deployment, _| {
        vec![Concerned::Deployment(ObjectRef::from_obj(it))]
    });
    follow.kind(set_writer, concerned_by_set);
    follow.kind(job_writer, |it: &Job, _| {
        vec![Concerned::Job(ObjectRef::from_obj(it))]
    });
    follow.kind(namespace_writer, |it: &Namespace, _| {
        vec![Concerned::Namespace(ObjectRef::from_obj(it))]
    });
    follow.kind(node_writer, |it: &Node, _| {
        vec![Concerned::Node(ObjectRef::from_obj(it))]
    });
    follow.pods(pod_writer, |it: &Pod, shelf| {
        let mut concerned = concerned_by_pod(it, shelf);
        concerned.extend(tainted(it, shelf).map(Concerned::Node));
        concerned
    });
    (shelf, queues)
}

fn concerned_by_set(set: &ReplicaSet, _: &Shelf) -> Vec<Concerned> {
    let owner = owned::controller_ref::<Deployment>(&set.metadata).map(Concerned::Deployment);
    let itself = Concerned::ReplicaSet(ObjectRef::from_obj(set));
    owner.into_iter().chain([itself]).collect()
}

/// A pod that nobody owns concerns whoever selects it; a deployment may wait for its last old pod to go.
fn concerned_by_pod(pod: &Pod, shelf: &Shelf) -> Vec<Concerned> {
    if owned::controller_of(&pod.metadata).is_none() {
        let namespace = &pod.metadata.namespace;
        let sets = shelf.replica_sets.state().into_iter();
        return sets
            .filter(|set| {
                set.metadata.namespace == *namespace && owned::selects(&of_set(set).selector, &pod.metadata)
            })
            .map(|set| Concerned::ReplicaSet(ObjectRef::from_obj(&*set)))
            .collect();
    }
    if let Some(job) = owned::controller_ref::<Job>(&pod.metadata) {
        return vec![Concerned::Job(job)];
    }
    let Some(set) = owned::controller_ref::<ReplicaSet>(&pod.metadata) else {
        return Vec::new();
    };
    let deployment = shelf
        .replica_sets
        .get(&set)
        .and_then(|set| owned::controller_ref::<Deployment>(&set.metadata));
    let deployment = deployment.map(Concerned::Deployment);
    [Concerned::ReplicaSet(set)]
        .into_iter()
        .chain(deployment)
        .collect()
}

/// The node that a pod is on, if it may have to leave it.
fn tainted(pod: &Pod, shelf: &Shelf) -> Option<ObjectRef<Node>> {
    let node = ObjectRef::new(pod.spec.as_ref()?.node_name.as_deref()?);
    let known = shelf.nodes.get(&node)?;
    taint::expelling(&known).next().is_some().then_some(node)
}

/// What controllers look at of a pod: of its spec, where it is and what it bears there. Containers and volumes are
/// most of a pod, and nobody asks here what they are.
fn outline(mut pod: Pod) -> Pod {
    pod.spec = pod.spec.map(|spec| PodSpec {
        node_name: spec.node_name,
        tolerations: spec.tolerations,
        ..PodSpec::default()
    });
    pod
}

struct Follow<'a> {
    client: Client,
    shelf: Shelf,
    bells: Bells,
    tasks: &'a TaskTracker,
    stop: &'a CancellationToken,
}

impl Follow<'_> {
    fn kind<K>(
        &self,
        writer: Writer<K>,
        concerns: impl Fn(&K, &Shelf) -> Vec<Concerned> + Send + Sync + 'static,
    ) where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    {
        let api: Api<K> = Api::all(self.client.clone());
        let events = watcher(api, watcher::Config::default()).default_backoff();
        self.each(events, writer, concerns);
    }

    fn pods(
        &self,
        writer: Writer<Pod>,
        concerns: impl Fn(&Pod, &Shelf) -> Vec<Concerned> + Send + Sync + 'static,
    ) {
        let api: Api<LeanPod> = Api::all(self.client.clone());
        let events = watcher(api, watcher::Config::default()).default_backoff();
        let owners = self.shelf.owners.clone();
        let events = events.map_ok(move |event| {
            let event = LeanPod::event(event, outline);
            owners.note(&event);
            event
        });
        self.each(events, writer, concerns);
    }

    fn each<K>(
        &self,
        events: impl Stream<Item = Result<Event<K>, watcher::Error>> + Send + 'static,
        mut writer: Writer<K>,
        concerns: impl Fn(&K, &Shelf) -> Vec<Concerned> + Send + Sync + 'static,
    ) where
        K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
    {
        let (shelf, bells) = (self.shelf.clone(), self.bells.clone());
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let mut events = std::pin::pin!(events.take_until(stop.cancelled_owned()));
            while let Some(event) = events.next().await {
                let event = match event {
                    Ok(event) => event,
                    Err(error) => {
                        tracing::debug!(%error, kind = %K::kind(&()), "a watch of the controllers broke");
                        continue;
                    }
                };
                writer.apply_watcher_event(&event);
                match &event {
                    Event::Apply(it) | Event::Delete(it) => {
                        for whom in concerns(it, &shelf) {
                            bells.ring(whom).await;
                        }
                    }
                    Event::InitDone => bells.ring_all(&shelf).await,
                    Event::Init | Event::InitApply(_) => {}
                }
            }
        });
    }
}

impl<K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static> Queue<K> {
    fn new(store: &Store<K>, changed: mpsc::Receiver<ObjectRef<K>>) -> Self {
        Self {
            store: store.clone(),
            changed,
        }
    }

    /// Looks at what is in the queue until `stop`, never at one object twice at once.
    pub(super) async fn work<C, F, E>(
        self,
        context: Arc<C>,
        stop: CancellationToken,
        look: impl Fn(Arc<K>, Arc<C>) -> F + Send,
    ) where
        F: Future<Output = Result<Action, E>> + Send + 'static,
        E: std::error::Error + Send + 'static,
        C: Send + Sync,
    {
        let changed = ReceiverStream::new(self.changed).map(Ok::<_, Infallible>);
        let queue = changed.take_until(stop.cancelled_owned());
        let again = |it: Arc<K>, error: &E, _: Arc<C>| {
            tracing::debug!(%error, kind = %K::kind(&()), name = it.meta().name, "tried again");
            Action::requeue(RETRY)
        };
        let config = Config::default().concurrency(AT_ONCE).debounce(SETTLE);
        let look = move |it, context| Box::pin(look(it, context));
        applier(look, again, context, self.store, queue, config)
            .for_each(|_| std::future::ready(()))
            .await;
    }
}
