//! The desk: does for each pod what [`super::decide`] says, over the API and the state store. Pods are looked at
//! when something about them has changed, each by one worker at a time; what did not work is tried again later.

use super::api::{ApiFailure, PodApi};
use super::book::{Book, Entry, Work};
use super::charter::Charter;
use super::decide::{Known, Step, next};
use super::names;
use super::planner::Told;
use super::pod::lower::{Settings, lower};
use super::pod::sources::{Entries, Sources, refs};
use super::pod::{bound_to, name, namespace};
use super::shelf::Shelf;
use super::status::events::{Tone, note};
use super::step::SLOT;
use k8s_openapi::api::core::v1::Pod;
use parking_lot::Mutex;
use plenum_model::ids::NodeId;
use plenum_model::node::Node;
use plenum_model::task::Task;
use plenum_sdk::driver::Waker;
use plenum_sdk::holders::Holders;
use plenum_sdk::mirror::Mirror;
use plenum_sdk::observed::Observed;
use plenum_sdk::time::Clock;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Pods that are worked on at once.
const WORKERS: usize = 64;
/// How long until what failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How long until what was missing is looked for again.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// The config map that every namespace has and nobody changes is read so often.
const ROOT_CA_TTL: Duration = Duration::from_secs(60);
/// Files that nobody refers to go after the second such sweep.
const SWEEP: Duration = Duration::from_secs(300);

/// What the desk works with.
pub struct Desk {
    /// What the API has told.
    pub book: Arc<Book>,
    /// What the pool has told.
    pub mirror: Mirror,
    /// Makes the planner look again.
    pub waker: Waker,
    /// The API.
    pub api: PodApi,
    /// Files of claims.
    pub shelf: Arc<Shelf>,
    /// How pods are lowered.
    pub settings: Settings,
    /// Whose pods are scheduled.
    pub charter: Charter,
    /// Events.
    pub tell: mpsc::Sender<Told>,
    /// The time.
    pub clock: Clock,
    /// Root certificates by namespace, and when they were read.
    pub root_cas: Mutex<BTreeMap<String, (Instant, Option<Entries>)>>,
}

/// When to look again.
enum Next {
    /// When something changes.
    Rest,
    /// At once: one step was done, another may follow.
    AtOnce,
    /// After so long.
    After(Duration),
}

impl Desk {
    /// Works until cancelled.
    pub async fn run(self: Arc<Self>, cancelled: CancellationToken) {
        let mut queue: BTreeSet<String> = BTreeSet::new();
        let mut busy: BTreeSet<String> = BTreeSet::new();
        let mut later: BTreeSet<(Instant, String)> = BTreeSet::new();
        let mut again: BTreeSet<String> = BTreeSet::new();
        let mut jobs: JoinSet<(String, Next)> = JoinSet::new();
        let mut sweep = tokio::time::interval(SWEEP);
        loop {
            let free: Vec<String> = queue
                .iter()
                .filter(|uid| !busy.contains(*uid))
                .take(WORKERS.saturating_sub(jobs.len()))
                .cloned()
                .collect();
            for uid in free {
                queue.remove(&uid);
                busy.insert(uid.clone());
                let (desk, look) = (Arc::clone(&self), again.remove(&uid));
                jobs.spawn(async move {
                    let next = desk.look(&uid, look).await;
                    (uid, next)
                });
            }
            let due = later.first().map(|(at, _)| *at);
            tokio::select! {
                biased;
                () = cancelled.cancelled() => break,
                Some(done) = jobs.join_next() => match done {
                    Ok((uid, next)) => {
                        busy.remove(&uid);
                        match next {
                            Next::Rest => {}
                            Next::AtOnce => drop(queue.insert(uid)),
                            Next::After(delay) => drop(later.insert((Instant::now() + delay, uid))),
                        }
                    }
                    Err(error) => tracing::error!(%error, "a worker of the desk died"),
                },
                touched = self.book.touched() => queue.extend(touched),
                () = sleep_until(due) => {
                    while let Some((at, uid)) = later.pop_first() {
                        if at > Instant::now() {
                            later.insert((at, uid));
                            break;
                        }
                        again.insert(uid.clone());
                        queue.insert(uid);
                    }
                }
                _ = sweep.tick() => self.sweep().await,
            }
        }
        jobs.shutdown().await;
    }

    async fn look(&self, uid: &str, look_again: bool) -> Next {
        let entry = self
            .book
            .read(|pages| pages.is_whole().then(|| pages.pods.get(uid).cloned()));
        let entry = match entry {
            Some(Some(entry)) => entry,
            Some(None) => {
                self.waker.wake();
                return Next::Rest;
            }
            None => return Next::After(RETRY),
        };
        let (synced, task, node, holders) = self.mirror.read(|observed| {
            let task = observed.slot(uid, SLOT).last().cloned();
            let node = bound_to(&entry.pod).and_then(|name| node_named(observed, name));
            let waits = task.as_ref().is_some_and(|t| t.status.why.is_some());
            let holders = if waits {
                Holders::of(observed.nodes())
            } else {
                Holders::default()
            };
            let host = node.map(|n| n.facts.address.clone());
            (observed.is_synced(), task, host, holders)
        });
        if !synced {
            return Next::After(RETRY);
        }
        let known = Known {
            task: task.as_deref(),
            host: node.as_deref(),
            runtime: &self.settings.runtime,
            holders,
            look_again,
            now: self.clock.now().0,
        };
        let step = self.book.read(|pages| next(pages, &self.charter, &entry, &known));
        match self.act(&entry, step, task.as_deref()).await {
            Ok(next) => next,
            Err(ApiFailure::Missing) => Next::Rest, // the watch tells
            Err(ApiFailure::Changed(why)) => {
                tracing::debug!(pod = name(&entry.pod), why, "looked at again");
                Next::After(RETRY)
            }
            Err(ApiFailure::Failed(why)) => {
                tracing::warn!(
                    pod = name(&entry.pod),
                    why,
                    "the API server does not take it; tried again"
                );
                Next::After(RETRY)
            }
        }
    }

    async fn act(&self, entry: &Entry, step: Step, task: Option<&Task>) -> Result<Next, ApiFailure> {
        let pod = &entry.pod;
        match step {
            Step::Rest => {
                self.waker.wake();
                Ok(self.rest(entry, task))
            }
            Step::Wait(time) => Ok(Next::After(time)),
            Step::Prepare => self.prepare(entry).await,
            Step::Bind(node) => {
                self.bind(pod, &node).await?;
                Ok(Next::AtOnce)
            }
            Step::Write(status, told) => {
                let version = self.api.status(pod, &status).await?;
                self.book.wrote(super::pod::uid(pod), version, self.clock.now().0);
                if let Some(told) = told {
                    let _ = self.tell.try_send((Arc::clone(pod), told)); // told while there is room
                }
                self.waker.wake();
                Ok(self.rest(entry, task))
            }
            Step::Delete => {
                self.api.delete(pod).await?;
                Ok(Next::Rest)
            }
        }
    }

    /// What is missing is looked for again without being told.
    fn rest(&self, entry: &Entry, task: Option<&Task>) -> Next {
        let started = task.is_some_and(|t| t.status.started_at.is_some());
        match &entry.work {
            Work::Ready(lowered) if !started && !lowered.missing.is_empty() => Next::After(LOOK_AGAIN),
            Work::Unread | Work::Refused(_) | Work::Ready(_) => Next::Rest,
        }
    }

    async fn bind(&self, pod: &Arc<Pod>, node: &NodeId) -> Result<(), ApiFailure> {
        let node = names::node(node);
        self.api.bind(pod, &node).await?;
        self.book.bound(super::pod::uid(pod), &node, self.clock.now().0);
        self.waker.wake();
        let text = format!("Successfully assigned {}/{} to {node}", namespace(pod), name(pod));
        let _ = self
            .tell
            .try_send((Arc::clone(pod), note(Tone::Normal, "Scheduled", text)));
        Ok(())
    }

    /// Reads what a pod refers to and lowers it.
    async fn prepare(&self, entry: &Entry) -> Result<Next, ApiFailure> {
        let pod = &entry.pod;
        let uid = super::pod::uid(pod);
        let Some(spec) = &pod.spec else {
            return Ok(Next::Rest);
        };
        let rules = if bound_to(pod).is_none() {
            self.charter.check(spec)
        } else {
            Ok(())
        };
        let sources = self.sources(pod).await?;
        let draft = match rules.and_then(|()| lower(pod, &sources, &self.settings)) {
            Ok(draft) => draft,
            Err(why) => {
                self.book.note(uid, Work::Refused(why.to_string()));
                return Ok(Next::AtOnce);
            }
        };
        let lowered = self
            .shelf
            .keep(draft)
            .await
            .map_err(|e| ApiFailure::Failed(e.to_string()))?;
        let lacks = !lowered.missing.is_empty();
        self.book.note(uid, Work::Ready(Arc::new(lowered)));
        self.waker.wake();
        Ok(if lacks && matches!(entry.work, Work::Ready(_)) {
            Next::After(LOOK_AGAIN)
        } else {
            Next::AtOnce
        })
    }

    async fn sources(&self, pod: &Pod) -> Result<Sources, ApiFailure> {
        let Some(spec) = &pod.spec else {
            return Ok(Sources::default());
        };
        let (refs, namespace) = (refs(spec), namespace(pod));
        let mut sources = Sources::default();
        for map in refs.config_maps {
            let entries = if map == "kube-root-ca.crt" {
                self.root_ca(namespace, &map).await?
            } else {
                self.api.config_map(namespace, &map).await?
            };
            sources.config_maps.extend(entries.map(|e| (map, e)));
        }
        for secret in refs.secrets {
            let entries = self.api.secret(namespace, &secret).await?;
            sources.secrets.extend(entries.map(|e| (secret, e)));
        }
        for ask in refs.tokens {
            match self.api.token(pod, &ask).await {
                Ok(token) => drop(sources.tokens.insert(ask, token)),
                Err(ApiFailure::Missing) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(sources)
    }

    async fn root_ca(&self, namespace: &str, map: &str) -> Result<Option<Entries>, ApiFailure> {
        let known = self.root_cas.lock().get(namespace).cloned();
        if let Some((read, entries @ Some(_))) = known
            && read.elapsed() < ROOT_CA_TTL
        {
            return Ok(entries);
        }
        let entries = self.api.config_map(namespace, map).await?;
        let read = (Instant::now(), entries.clone());
        self.root_cas.lock().insert(namespace.to_owned(), read);
        Ok(entries)
    }

    async fn sweep(&self) {
        let synced = self.mirror.read(|observed| {
            let keys = observed
                .tasks()
                .flat_map(|t| t.terms.files.iter().map(|f| f.key.clone()));
            observed.is_synced().then(|| keys.collect::<BTreeSet<String>>())
        });
        let Some(mut used) = synced else { return };
        self.book.read(|pages| {
            for entry in pages.pods.values() {
                if let Work::Ready(lowered) = &entry.work {
                    used.extend(lowered.files.iter().map(|f| f.key.clone()));
                }
            }
        });
        if let Err(error) = self.shelf.sweep(&used).await {
            tracing::debug!(%error, "files that nobody refers to stay for now");
        }
    }
}

/// The pool's node of this name in the API; mostly both are the same.
fn node_named<'a>(observed: &'a Observed, name: &str) -> Option<&'a Arc<Node>> {
    let same = NodeId::new(name).ok().and_then(|id| observed.node(&id));
    same.or_else(|| observed.nodes().find(|n| names::node(&n.facts.id) == name))
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
