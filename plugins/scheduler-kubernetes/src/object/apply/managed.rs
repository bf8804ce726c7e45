//! The entries of `metadata.managedFields`: who owns which fields through what.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::set::Set;

/// How fields came to be owned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Apply,
    Update,
}

impl Operation {
    /// As entries have it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// One owner. The order is that in which the real server tells conflicts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Manager {
    pub(super) name: String,
    pub(super) operation: Operation,
    pub(super) api_version: String,
    pub(super) subresource: String,
}

/// What one owner has, and since when.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Owned {
    pub(super) fields: Set,
    /// Seconds precision, as it is written.
    pub(super) time: Option<String>,
}

/// All owners.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Managers(pub(super) BTreeMap<Manager, Owned>);

/// No more owners by update than this are told apart; older ones become one.
pub(super) const MOST_UPDATERS: usize = 10;
const ANCIENT: &str = "ancient-changes";

impl Managers {
    /// Those of this object; `None` if an entry is not understood.
    pub(super) fn of(object: &Value) -> Option<Self> {
        Self::of_entries(&object["metadata"]["managedFields"])
    }

    /// Those of these entries; `None` if one is not understood.
    pub(super) fn of_entries(entries: &Value) -> Option<Self> {
        let mut managers = BTreeMap::new();
        for entry in entries.as_array().into_iter().flatten() {
            let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            let operation = match entry["operation"].as_str() {
                Some("Apply") => Operation::Apply,
                Some("Update") => Operation::Update,
                _ => return None,
            };
            if text("fieldsType") != "FieldsV1" {
                return None;
            }
            let (name, api_version, subresource) = (text("manager"), text("apiVersion"), text("subresource"));
            let manager = Manager {
                name,
                operation,
                api_version,
                subresource,
            };
            let time = entry["time"].as_str().map(str::to_owned);
            managers.insert(
                manager,
                Owned {
                    fields: Set::of_json(&entry["fieldsV1"]),
                    time,
                },
            );
        }
        Some(Self(managers))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes these fields from all owners but one.
    pub(super) fn take(&mut self, fields: &Set, except: Option<&Manager>) {
        for (manager, owned) in &mut self.0 {
            if Some(manager) != except {
                owned.fields = owned.fields.difference(fields);
            }
        }
    }

    /// Makes owners that have nothing go.
    pub(super) fn drop_empty(&mut self) {
        self.0.retain(|_, owned| !owned.fields.is_empty());
    }

    /// Makes the oldest owners by update one, if there are too many.
    pub(super) fn cap(&mut self) {
        let mut updaters: Vec<_> = self
            .0
            .iter()
            .filter(|(manager, _)| manager.operation == Operation::Update)
            .collect();
        if updaters.len() <= MOST_UPDATERS {
            return;
        }
        updaters.sort_by(|one, other| one.1.time.cmp(&other.1.time));
        let excess = updaters.len() - MOST_UPDATERS + 1;
        let old: Vec<Manager> = updaters
            .into_iter()
            .take(excess)
            .map(|(manager, _)| manager.clone())
            .collect();
        for manager in old {
            let Some(owned) = self.0.remove(&manager) else {
                continue;
            };
            let bucket = Manager {
                name: ANCIENT.to_owned(),
                subresource: String::new(),
                ..manager
            };
            let ancient = self.0.entry(bucket).or_default();
            ancient.fields = ancient.fields.union(&owned.fields);
            ancient.time = ancient.time.take().max(owned.time);
        }
    }

    /// As they are written: applied ones first, older ones first.
    pub(super) fn entries(&self) -> Vec<Value> {
        let mut entries: Vec<_> = self.0.iter().collect();
        entries.sort_by(|(one, owned), (other, others)| {
            let key = |manager: &Manager, owned: &Owned| (manager.operation, owned.time.clone());
            key(one, owned)
                .cmp(&key(other, others))
                .then_with(|| one.cmp(other))
        });
        let written = entries.into_iter().map(|(manager, owned)| entry(manager, owned));
        written.collect()
    }

    /// Writes them into the object.
    pub(super) fn write(&self, object: &mut Value) {
        let list = self.entries();
        let Some(fields) = object.as_object_mut() else {
            return;
        };
        let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
        if let Some(metadata) = metadata.as_object_mut() {
            if list.is_empty() {
                metadata.remove("managedFields");
            } else {
                metadata.insert("managedFields".to_owned(), Value::Array(list));
            }
        }
    }
}

impl Manager {
    /// The entry of this owner of these fields, without a time.
    pub(super) fn entry(&self, fields: Value) -> Value {
        let mut entry = Map::new();
        entry.insert("manager".to_owned(), json!(self.name));
        entry.insert("operation".to_owned(), json!(self.operation.as_str()));
        entry.insert("apiVersion".to_owned(), json!(self.api_version));
        entry.insert("fieldsType".to_owned(), json!("FieldsV1"));
        entry.insert("fieldsV1".to_owned(), fields);
        if !self.subresource.is_empty() {
            entry.insert("subresource".to_owned(), json!(self.subresource));
        }
        Value::Object(entry)
    }
}

fn entry(manager: &Manager, owned: &Owned) -> Value {
    let mut entry = manager.entry(owned.fields.to_json());
    if let Some(time) = &owned.time {
        entry["time"] = json!(time);
    }
    entry
}

/// A point in time as entries have it.
pub(super) fn written(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
