//! Sets of fields, with the operations that ownership is made of.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::path::Step;

/// A set of paths, kept as a tree: those that end here, and those that go on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Set {
    pub(super) members: BTreeSet<Step>,
    pub(super) children: BTreeMap<Step, Set>,
}

impl Set {
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.values().all(Self::is_empty)
    }

    /// Adds a path; the empty one is no field and is left out.
    pub(super) fn insert(&mut self, path: &[Step]) {
        match path {
            [] => {}
            [last] => {
                self.members.insert(last.clone());
            }
            [first, rest @ ..] => self.children.entry(first.clone()).or_default().insert(rest),
        }
    }

    /// What is in either.
    pub(super) fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        all.members.extend(other.members.iter().cloned());
        for (step, child) in &other.children {
            let mine = all.children.entry(step.clone()).or_default();
            *mine = mine.union(child);
        }
        all
    }

    /// What is in both.
    pub(super) fn intersection(&self, other: &Self) -> Self {
        let both = |(step, child): (&Step, &Self)| {
            let child = child.intersection(other.children.get(step)?);
            (!child.is_empty()).then(|| (step.clone(), child))
        };
        Self {
            members: self.members.intersection(&other.members).cloned().collect(),
            children: self.children.iter().filter_map(both).collect(),
        }
    }

    /// What is in this one only.
    pub(super) fn difference(&self, other: &Self) -> Self {
        let only = |(step, child): (&Step, &Self)| {
            let child = match other.children.get(step) {
                Some(others) => child.difference(others),
                None => child.clone(),
            };
            (!child.is_empty()).then(|| (step.clone(), child))
        };
        Self {
            members: self.members.difference(&other.members).cloned().collect(),
            children: self.children.iter().filter_map(only).collect(),
        }
    }

    /// All but the field of this name of the object itself and what is below it.
    pub(super) fn without(mut self, name: &str) -> Self {
        let step = Step::field(name);
        self.members.remove(&step);
        self.children.remove(&step);
        self
    }

    /// All paths, those that end at a step before those that go on from it: the order in which conflicts are told.
    pub(super) fn paths(&self) -> Vec<Vec<Step>> {
        let mut paths = Vec::new();
        self.collect(&mut Vec::new(), &mut paths);
        paths
    }

    fn collect(&self, at: &mut Vec<Step>, paths: &mut Vec<Vec<Step>>) {
        for step in &self.members {
            at.push(step.clone());
            paths.push(at.clone());
            at.pop();
        }
        for (step, child) in &self.children {
            at.push(step.clone());
            child.collect(at, paths);
            at.pop();
        }
    }

    /// As `fieldsV1`.
    pub(super) fn to_json(&self) -> Value {
        let mut fields: Map<String, Value> = self
            .members
            .iter()
            .map(|step| (step.encoded(), Value::Object(Map::new())))
            .collect();
        for (step, child) in &self.children {
            if child.is_empty() {
                continue;
            }
            let mut inner = child.to_json();
            if self.members.contains(step) {
                inner["."] = Value::Object(Map::new());
            }
            fields.insert(step.encoded(), inner);
        }
        Value::Object(fields)
    }

    /// Reads `fieldsV1`; what is no step is skipped.
    pub(super) fn of_json(fields: &Value) -> Self {
        let mut set = Self::default();
        for (name, inner) in fields.as_object().into_iter().flatten() {
            let Some(step) = Step::decoded(name) else { continue };
            let below = inner.as_object().map_or(0, Map::len);
            if below == 0 || inner.get(".").is_some() {
                set.members.insert(step.clone());
            }
            let child = Self::of_json(inner);
            if !child.is_empty() {
                set.children.insert(step, child);
            }
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_set_is_written_as_managed_fields_are() {
        let fields = json!({
            "f:metadata": {"f:labels": {".": {}, "f:a": {}}, "f:finalizers": {"v:\"x\"": {}}},
            "f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:image": {}}}, "f:replicas": {}},
        });
        let set = Set::of_json(&fields);
        assert_eq!(set.to_json(), fields);
        assert_eq!(set.paths().len(), 6);
        assert_eq!(
            super::super::path::shown(&set.paths()[5]),
            ".spec.containers[name=\"c\"].image"
        );
        assert!(set.difference(&set).is_empty());
        assert_eq!(set.intersection(&set), set);
        assert_eq!(set.union(&set), set);
    }
}
