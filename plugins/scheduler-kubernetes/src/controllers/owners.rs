//! Which pods have which controller: a set of many pods finds its own without looking at those of all the others. Kept
//! from the events of the watch just before the store of the pods takes them in, so it knows no fewer.

use super::owned;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Namespace and name of a pod.
type Key = (String, String);

/// See the module's header.
#[derive(Clone, Default)]
pub(super) struct Owners(Arc<Mutex<Index>>);

#[derive(Default)]
struct Index {
    now: Table,
    /// What a list has told so far; the store shows none of it before its end either.
    listed: Table,
}

#[derive(Default)]
struct Table {
    /// By the uid of the controller; empty: nobody's.
    pods: HashMap<String, BTreeSet<Key>>,
    owner: HashMap<Key, String>,
}

impl Owners {
    /// Takes in what the watch told.
    pub(super) fn note(&self, event: &Event<Pod>) {
        let mut index = self.0.lock();
        match event {
            Event::Apply(pod) => index.now.put(pod),
            Event::Delete(pod) => index.now.drop(&key(pod)),
            Event::Init => index.listed = Table::default(),
            Event::InitApply(pod) => index.listed.put(pod),
            Event::InitDone => index.now = std::mem::take(&mut index.listed),
        }
    }

    /// The pods whose controller has this uid.
    pub(super) fn pods_of(&self, uid: &str, pods: &Store<Pod>) -> Vec<Arc<Pod>> {
        let keys: Vec<Key> = {
            let index = self.0.lock();
            index.now.pods.get(uid).into_iter().flatten().cloned().collect()
        };
        let known = |(namespace, name): Key| pods.get(&ObjectRef::new(&name).within(&namespace));
        keys.into_iter().filter_map(known).collect()
    }

    /// The pods that have no controller.
    pub(super) fn pods_of_nobody(&self, pods: &Store<Pod>) -> Vec<Arc<Pod>> {
        self.pods_of("", pods)
    }
}

impl Table {
    fn put(&mut self, pod: &Pod) {
        let uid = owned::controller_of(&pod.metadata).map_or("", |by| &by.uid);
        let key = key(pod);
        if self.owner.get(&key).is_some_and(|known| known == uid) {
            return;
        }
        self.drop(&key);
        self.pods.entry(uid.to_owned()).or_default().insert(key.clone());
        self.owner.insert(key, uid.to_owned());
    }

    fn drop(&mut self, key: &Key) {
        let Some(uid) = self.owner.remove(key) else { return };
        if let Some(pods) = self.pods.get_mut(&uid) {
            pods.remove(key);
            if pods.is_empty() {
                self.pods.remove(&uid);
            }
        }
    }
}

fn key(pod: &Pod) -> Key {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    (text(&pod.metadata.namespace), text(&pod.metadata.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::runtime::reflector::store;
    use serde_json::json;

    fn pod(name: &str, owner: Option<&str>) -> Pod {
        let owners = owner.map(
            |uid| json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "s", "uid": uid, "controller": true}]),
        );
        serde_json::from_value(
            json!({"metadata": {"namespace": "a", "name": name, "ownerReferences": owners}}),
        )
        .expect("a pod")
    }

    #[test]
    fn pods_are_found_by_their_owner_whatever_happens_to_them() {
        let (pods, mut writer) = store();
        let owners = Owners::default();
        let mut tell = |event: Event<Pod>| {
            owners.note(&event);
            writer.apply_watcher_event(&event);
        };
        let names = |uid: &str| {
            let found = owners.pods_of(uid, &pods).into_iter();
            found
                .map(|p| p.metadata.name.clone().unwrap_or_default())
                .collect::<Vec<_>>()
        };
        tell(Event::Init);
        tell(Event::InitApply(pod("a", Some("1"))));
        tell(Event::InitApply(pod("b", None)));
        assert!(names("1").is_empty(), "half a list is none");
        tell(Event::InitDone);
        assert_eq!(
            (names("1"), names("")),
            (vec!["a".to_owned()], vec!["b".to_owned()])
        );
        tell(Event::Apply(pod("b", Some("1"))));
        tell(Event::Apply(pod("c", Some("2"))));
        assert_eq!((names("1").len(), names("").len(), names("2").len()), (2, 0, 1));
        tell(Event::Delete(pod("a", Some("1"))));
        assert_eq!(names("1"), ["b"]);
        tell(Event::Init);
        tell(Event::InitApply(pod("c", Some("1"))));
        tell(Event::InitDone);
        assert_eq!((names("1"), names("2").len()), (vec!["c".to_owned()], 0));
    }
}
