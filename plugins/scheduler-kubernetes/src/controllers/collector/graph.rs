//! Who depends on whom, and what is to be done about it: what has lost all its owners goes; an owner that waits for
//! its dependents is let go after them; one whose dependents are to stay gives them up first. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::{BTreeMap, BTreeSet};

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// Where an object is: its kind's place in the collector's list, its namespace (empty: none) and its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) kind: usize,
    pub(super) namespace: String,
    pub(super) name: String,
}

/// What is known of an object.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) metadata: ObjectMeta,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Delete it, in the foreground if its owner waits for it.
    Delete { uid: String, foreground: bool },
    /// Take the references to this owner away from it.
    Disown { uid: String, owner: String },
    /// Take the finalizer away.
    Release { uid: String, finalizer: &'static str },
    /// Ask whether this owner, of which nothing is known, is there.
    Ask { owner: String, of: String },
}

/// Every object by uid, and the dependents of each uid.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: BTreeMap<String, Node>,
    dependents: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    /// What is known of an object.
    pub(super) fn get(&self, uid: &str) -> Option<&Node> {
        self.nodes.get(uid)
    }

    /// Takes an object in as it is now; whom that concerns.
    pub(super) fn put(&mut self, node: Node) -> Vec<String> {
        let Some(uid) = node.metadata.uid.clone() else {
            return Vec::new();
        };
        let mut concerned = self.unlink(&uid);
        for owner in owners(&node.metadata) {
            self.dependents
                .entry(owner.to_owned())
                .or_default()
                .insert(uid.clone());
            concerned.push(owner.to_owned());
        }
        self.nodes.insert(uid.clone(), node);
        concerned.push(uid);
        concerned
    }

    /// An object is gone; whom that concerns.
    pub(super) fn remove(&mut self, uid: &str) -> Vec<String> {
        let mut concerned = self.unlink(uid);
        self.nodes.remove(uid);
        concerned.extend(self.dependents.get(uid).into_iter().flatten().cloned());
        concerned
    }

    /// Objects of a kind that are not in `there` any more.
    pub(super) fn missing(&self, kind: usize, there: &BTreeSet<String>) -> Vec<String> {
        let nodes = self.nodes.iter();
        nodes
            .filter(|(uid, node)| node.place.kind == kind && !there.contains(*uid))
            .map(|(uid, _)| uid.clone())
            .collect()
    }

    /// The uids of all.
    pub(super) fn uids(&self) -> Vec<String> {
        self.nodes.keys().cloned().collect()
    }

    /// What is to be done about an object now. `absent`: owners that were asked for and are not there.
    pub(super) fn steps(&self, uid: &str, absent: &BTreeSet<String>) -> Vec<Step> {
        let Some(node) = self.nodes.get(uid) else {
            return Vec::new();
        };
        if node.metadata.deletion_timestamp.is_some() {
            return self.on_its_way(uid, node);
        }
        let owners: Vec<&str> = owners(&node.metadata).collect();
        if owners.is_empty() {
            return Vec::new();
        }
        let unknown: Vec<&&str> = owners.iter().filter(|o| !self.nodes.contains_key(**o)).collect();
        let ask = unknown
            .iter()
            .filter(|o| !absent.contains(***o))
            .map(|o| Step::Ask {
                owner: (***o).to_owned(),
                of: uid.to_owned(),
            });
        let ask: Vec<Step> = ask.collect();
        if !ask.is_empty() {
            return ask;
        }
        let waits_for = |owner: &&&str| {
            self.nodes
                .get(**owner)
                .is_some_and(|o| o.metadata.deletion_timestamp.is_some() && has(&o.metadata, FOREGROUND))
        };
        let there = owners.len() - unknown.len();
        let waiting = owners.iter().filter(waits_for).count();
        if there == waiting {
            return vec![Step::Delete {
                uid: uid.to_owned(),
                foreground: waiting > 0,
            }];
        }
        unknown
            .iter()
            .map(|owner| Step::Disown {
                uid: uid.to_owned(),
                owner: (***owner).to_owned(),
            })
            .collect()
    }

    fn on_its_way(&self, uid: &str, node: &Node) -> Vec<Step> {
        let dependents = || self.dependents.get(uid).into_iter().flatten();
        if has(&node.metadata, ORPHAN) {
            let disown = dependents().map(|dependent| Step::Disown {
                uid: dependent.clone(),
                owner: uid.to_owned(),
            });
            let disown: Vec<Step> = disown.collect();
            return if disown.is_empty() {
                vec![release(uid, ORPHAN)]
            } else {
                disown
            };
        }
        if has(&node.metadata, FOREGROUND) {
            let blocking = dependents()
                .filter(|dependent| self.blocks(dependent, uid))
                .count();
            if blocking == 0 {
                return vec![release(uid, FOREGROUND)];
            }
        }
        Vec::new()
    }

    fn blocks(&self, dependent: &str, owner: &str) -> bool {
        let Some(node) = self.nodes.get(dependent) else {
            return false;
        };
        let references = node.metadata.owner_references.as_deref().unwrap_or_default();
        references
            .iter()
            .any(|r| r.uid == owner && r.block_owner_deletion == Some(true))
    }

    /// The dependents of an object.
    pub(super) fn dependents(&self, uid: &str) -> Vec<String> {
        self.dependents.get(uid).into_iter().flatten().cloned().collect()
    }

    fn unlink(&mut self, uid: &str) -> Vec<String> {
        let Some(before) = self.nodes.get(uid) else {
            return Vec::new();
        };
        let owners: Vec<String> = owners(&before.metadata).map(str::to_owned).collect();
        for owner in &owners {
            if let Some(list) = self.dependents.get_mut(owner) {
                list.remove(uid);
                if list.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
        owners
    }
}

fn release(uid: &str, finalizer: &'static str) -> Step {
    Step::Release {
        uid: uid.to_owned(),
        finalizer,
    }
}

fn owners(metadata: &ObjectMeta) -> impl Iterator<Item = &str> {
    let references = metadata.owner_references.as_deref().unwrap_or_default();
    references.iter().map(|r| r.uid.as_str())
}

fn has(metadata: &ObjectMeta, finalizer: &str) -> bool {
    metadata
        .finalizers
        .as_deref()
        .unwrap_or_default()
        .iter()
        .any(|f| f == finalizer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn node(uid: &str, owners: &[&str], more: Value) -> Node {
        let references: Vec<Value> = owners
            .iter()
            .map(
                |o| json!({"apiVersion": "v1", "kind": "K", "name": o, "uid": o, "blockOwnerDeletion": true}),
            )
            .collect();
        let mut metadata = json!({"name": uid, "uid": uid, "ownerReferences": references});
        metadata
            .as_object_mut()
            .expect("an object")
            .extend(more.as_object().cloned().unwrap_or_default());
        Node {
            place: Place {
                kind: 0,
                namespace: String::new(),
                name: uid.to_owned(),
            },
            metadata: serde_json::from_value(metadata).expect("metadata"),
        }
    }

    fn going(finalizer: &str) -> Value {
        json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [finalizer]})
    }

    fn delete(uid: &str, foreground: bool) -> Vec<Step> {
        vec![Step::Delete {
            uid: uid.to_owned(),
            foreground,
        }]
    }

    #[test]
    fn what_has_lost_all_its_owners_goes_after_they_were_asked_for() {
        let mut graph = Graph::default();
        graph.put(node("a", &[], json!({})));
        graph.put(node("b", &["a", "x"], json!({})));
        let none = BTreeSet::new();
        let ask = vec![Step::Ask {
            owner: "x".to_owned(),
            of: "b".to_owned(),
        }];
        assert_eq!(graph.steps("b", &none), ask);
        let absent = BTreeSet::from(["x".to_owned()]);
        let disown = vec![Step::Disown {
            uid: "b".to_owned(),
            owner: "x".to_owned(),
        }];
        assert_eq!(graph.steps("b", &absent), disown, "one owner is there still");
        assert_eq!(graph.remove("a"), ["b"]);
        let absent = BTreeSet::from(["x".to_owned(), "a".to_owned()]);
        assert_eq!(graph.steps("b", &absent), delete("b", false));
        assert!(graph.steps("a", &absent).is_empty());
    }

    #[test]
    fn an_owner_that_waits_goes_after_its_dependents() {
        let mut graph = Graph::default();
        let none = BTreeSet::new();
        graph.put(node("a", &[], going(FOREGROUND)));
        graph.put(node("b", &["a"], json!({})));
        assert!(graph.steps("a", &none).is_empty());
        assert_eq!(graph.steps("b", &none), delete("b", true));
        assert_eq!(graph.remove("b"), ["a"]);
        assert_eq!(graph.steps("a", &none), vec![release("a", FOREGROUND)]);
    }

    #[test]
    fn dependents_that_are_to_stay_are_given_up_first() {
        let mut graph = Graph::default();
        let none = BTreeSet::new();
        graph.put(node("a", &[], going(ORPHAN)));
        graph.put(node("b", &["a"], json!({})));
        let disown = vec![Step::Disown {
            uid: "b".to_owned(),
            owner: "a".to_owned(),
        }];
        assert_eq!(graph.steps("a", &none), disown);
        assert_eq!(graph.put(node("b", &[], json!({}))), ["a", "b"]);
        assert_eq!(graph.steps("a", &none), vec![release("a", ORPHAN)]);
        assert!(graph.steps("b", &none).is_empty());
    }
}
