//! What the API server has told: pods and nodes, and what has been made of each pod. Written by the watches and
//! the desk, read by all; nobody holds it for long.

use super::pod::lower::Lowered;
use super::pod::place::Place;
use super::pod::{name, namespace, uid};
use k8s_openapi::api::core::v1::{Node, Pod};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::Notify;

/// What has been made of a pod.
#[derive(Debug, Clone, Default)]
pub enum Work {
    /// Nothing yet.
    #[default]
    Unread,
    /// It cannot run here, and why.
    Refused(String),
    /// It can be claimed, and started unless something is missing.
    Ready(Arc<Lowered>),
}

/// One pod.
#[derive(Debug, Clone)]
pub struct Entry {
    /// As it was last seen.
    pub pod: Arc<Pod>,
    /// What has been made of it.
    pub work: Work,
    /// When it was bound from here, in Unix milliseconds.
    pub bound_at: Option<u64>,
    /// What was written last from here, until the watch shows it.
    pub written: Option<Written>,
}

/// A write that the watch has not shown yet.
#[derive(Debug, Clone)]
pub struct Written {
    /// The resource version that the object got.
    pub version: String,
    /// When, in Unix milliseconds.
    pub at: u64,
}

/// See the module's header.
#[derive(Debug, Default)]
pub struct Book {
    pages: RwLock<Pages>,
    /// Pods that the desk is to look at.
    dirty: Mutex<BTreeSet<String>>,
    /// Pods that have changed since the planner last asked.
    unplanned: Mutex<BTreeSet<String>>,
    woken: Notify,
}

/// What the book holds.
#[derive(Debug, Default)]
pub struct Pages {
    /// By uid.
    pub pods: BTreeMap<String, Entry>,
    by_name: BTreeMap<(String, String), String>,
    /// By name.
    pub nodes: BTreeMap<String, Arc<Node>>,
    /// What placement looks at, of the nodes that are ours, by name.
    pub places: BTreeMap<String, Place>,
    /// Raised when `places` changes.
    pub places_revision: u64,
    pods_listed: bool,
    nodes_listed: bool,
    listing_pods: BTreeSet<String>,
    listing_nodes: BTreeSet<String>,
}

impl Pages {
    /// Whether everything has been listed once: only then does absence mean anything.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.pods_listed && self.nodes_listed
    }

    /// The pod of this name.
    #[must_use]
    pub fn named(&self, namespace: &str, name: &str) -> Option<&Entry> {
        let uid = self.by_name.get(&(namespace.to_owned(), name.to_owned()))?;
        self.pods.get(uid)
    }

    fn drop_pod(&mut self, uid: &str) {
        if let Some(entry) = self.pods.remove(uid) {
            let key = (namespace(&entry.pod).to_owned(), name(&entry.pod).to_owned());
            if self.by_name.get(&key).is_some_and(|u| u == uid) {
                self.by_name.remove(&key);
            }
        }
    }
}

impl Book {
    /// Looks into it.
    pub fn read<T>(&self, look: impl FnOnce(&Pages) -> T) -> T {
        look(&self.pages.read())
    }

    /// A pod is there, or has changed.
    pub fn put_pod(&self, pod: Pod, listing: bool) {
        let uid = uid(&pod).to_owned();
        let key = (namespace(&pod).to_owned(), name(&pod).to_owned());
        {
            let mut pages = self.pages.write();
            if listing {
                pages.listing_pods.insert(uid.clone());
            }
            let before = pages.pods.remove(&uid);
            let (work, bound_at, written) =
                before.map_or_else(Default::default, |e| (e.work, e.bound_at, e.written));
            // a list may be past what was written
            let behind = |w: &Written| !listing && pod.metadata.resource_version.as_ref() != Some(&w.version);
            let entry = Entry {
                work,
                bound_at,
                written: written.filter(behind),
                pod: Arc::new(pod),
            };
            pages.by_name.insert(key, uid.clone());
            pages.pods.insert(uid.clone(), entry);
        }
        self.changed(&uid);
        self.touch([uid]);
    }

    /// A pod is gone.
    pub fn drop_pod(&self, pod: &Pod) {
        self.pages.write().drop_pod(uid(pod));
        self.changed(uid(pod));
        self.touch([uid(pod).to_owned()]);
    }

    /// A listing begins: what it does not bring is gone when it ends.
    pub fn begin_pods(&self) {
        self.pages.write().listing_pods.clear();
    }

    /// A listing has ended.
    pub fn end_pods(&self) {
        let mut pages = self.pages.write();
        let listed = std::mem::take(&mut pages.listing_pods);
        let gone: Vec<String> = pages
            .pods
            .keys()
            .filter(|u| !listed.contains(*u))
            .cloned()
            .collect();
        gone.iter().for_each(|uid| pages.drop_pod(uid));
        pages.pods_listed = true;
        drop(pages);
        gone.iter().for_each(|uid| self.changed(uid));
        self.touch(gone);
    }

    /// A node is there, or has changed; `ours`: it is one of the pool's.
    pub fn put_node(&self, node: Node, ours: bool, listing: bool) {
        let name = node.metadata.name.clone().unwrap_or_default();
        let place = Place::of(&node);
        let mut pages = self.pages.write();
        if listing {
            pages.listing_nodes.insert(name.clone());
        }
        let moved = if ours {
            pages.places.insert(name.clone(), place.clone()) != Some(place)
        } else {
            pages.places.remove(&name).is_some()
        };
        pages.places_revision += u64::from(moved);
        pages.nodes.insert(name, Arc::new(node));
        drop(pages);
        if moved {
            self.touch_waiting();
        }
    }

    /// A node's object is gone.
    pub fn drop_node(&self, name: &str) {
        let mut pages = self.pages.write();
        pages.nodes.remove(name);
        pages.places_revision += u64::from(pages.places.remove(name).is_some());
    }

    /// A listing of nodes begins.
    pub fn begin_nodes(&self) {
        self.pages.write().listing_nodes.clear();
    }

    /// A listing of nodes has ended.
    pub fn end_nodes(&self) {
        let mut pages = self.pages.write();
        let listed = std::mem::take(&mut pages.listing_nodes);
        pages.nodes.retain(|name, _| listed.contains(name));
        pages.places.retain(|name, _| listed.contains(name));
        pages.places_revision += 1;
        pages.nodes_listed = true;
    }

    /// Notes what has been made of a pod. Says whether the pod is still there.
    pub fn note(&self, uid: &str, work: Work) -> bool {
        let mut pages = self.pages.write();
        let Some(entry) = pages.pods.get_mut(uid) else {
            return false;
        };
        entry.work = work;
        drop(pages);
        self.changed(uid);
        true
    }

    /// The API has just taken a pod's binding; the watch will say so, too.
    pub fn bound(&self, uid: &str, node: &str, now: u64) {
        let mut pages = self.pages.write();
        if let Some(entry) = pages.pods.get_mut(uid) {
            entry.bound_at = Some(now);
            if let Some(spec) = &mut Arc::make_mut(&mut entry.pod).spec {
                spec.node_name = Some(node.to_owned());
            }
        }
        drop(pages);
        self.changed(uid);
    }

    /// The API has just taken what was written about a pod; the watch will show this version.
    pub fn wrote(&self, uid: &str, version: String, now: u64) {
        let mut pages = self.pages.write();
        if let Some(entry) = pages.pods.get_mut(uid)
            && entry.pod.metadata.resource_version.as_ref() != Some(&version)
        {
            entry.written = Some(Written { version, at: now });
        }
    }

    /// After the change itself: what is asked for in between is at worst looked at twice.
    fn changed(&self, uid: &str) {
        self.unplanned.lock().insert(uid.to_owned());
    }

    /// The pods that have changed since this was last asked.
    pub fn unplanned(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.unplanned.lock())
    }

    /// These pods are to be looked at again.
    pub fn touch(&self, uids: impl IntoIterator<Item = String>) {
        let mut dirty = self.dirty.lock();
        let before = dirty.len();
        dirty.extend(uids);
        if dirty.len() > before {
            self.woken.notify_one();
        }
    }

    /// Pods that wait for a node are to be looked at again.
    pub fn touch_waiting(&self) {
        let waiting: Vec<String> = self.read(|pages| {
            let unbound = pages
                .pods
                .iter()
                .filter(|(_, e)| super::pod::bound_to(&e.pod).is_none());
            unbound.map(|(uid, _)| uid.clone()).collect()
        });
        self.touch(waiting);
    }

    /// The pods to be looked at, once there are any. Cancel-safe.
    pub async fn touched(&self) -> BTreeSet<String> {
        loop {
            let woken = self.woken.notified();
            let taken = std::mem::take(&mut *self.dirty.lock());
            if !taken.is_empty() {
                return taken;
            }
            woken.await;
        }
    }
}
