//! The entries of `metadata.managedFields` as they stand in an object, changed in place: most writes change a few
//! fields of one owner, and to read and write all of the others each time was the dearest part of a write. Only for
//! entries that the server wrote itself, whose form is known; `managed` understands every other.

use serde_json::{Map, Value, json};

use super::managed::{MOST_UPDATERS, Manager, Managers};
use super::path::Step;
use super::set::Set;

/// The entries, if they can be changed as they stand.
pub(super) struct Entries(Vec<Value>);

impl Entries {
    /// Those that were written by this server; none if there is one that is not understood.
    pub(super) fn of(fields: Option<Value>) -> Option<Self> {
        match fields {
            None | Some(Value::Null) => Some(Self(Vec::new())),
            Some(Value::Array(entries)) if entries.iter().all(is_understood) => Some(Self(entries)),
            Some(_) => None,
        }
    }

    /// Those of these owners.
    pub(super) fn from(managers: &Managers) -> Self {
        Self(managers.entries())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes these fields from all owners.
    pub(super) fn take(&mut self, fields: &Set) {
        for owned in self.0.iter_mut().filter_map(fields_of) {
            take(owned, fields);
        }
        self.0
            .retain_mut(|entry| fields_of(entry).is_some_and(|owned| !owned.is_empty()));
    }

    /// Gives these fields to an owner, as of `time`.
    pub(super) fn give(&mut self, fields: &Set, to: &Manager, time: String) {
        let at = self.0.iter().position(|entry| is_of(entry, to));
        let at = at.unwrap_or_else(|| {
            self.0.push(to.entry(json!({})));
            self.0.len() - 1
        });
        let entry = &mut self.0[at];
        entry["time"] = Value::String(time);
        if let Some(owned) = fields_of(entry) {
            give(owned, fields);
        }
    }

    /// As they are written: applied ones first, older ones first; where there are too many, the oldest have become
    /// one.
    pub(super) fn into_value(self) -> Option<Value> {
        let updaters = self.0.iter().filter(|entry| entry["operation"] == "Update");
        if updaters.count() > MOST_UPDATERS {
            let mut managers = Managers::of_entries(&Value::Array(self.0))?;
            managers.cap();
            return Some(Value::Array(managers.entries()));
        }
        self.sorted()
    }

    fn sorted(mut self) -> Option<Value> {
        let text = |entry: &Value, field: &str| entry[field].as_str().map(str::to_owned);
        self.0.sort_by_cached_key(|entry| {
            ["operation", "time", "manager", "apiVersion", "subresource"].map(|field| text(entry, field))
        });
        (!self.0.is_empty()).then_some(Value::Array(self.0))
    }
}

fn is_understood(entry: &Value) -> bool {
    let operation = entry["operation"].as_str();
    matches!(operation, Some("Apply" | "Update"))
        && entry["fieldsType"] == "FieldsV1"
        && entry["fieldsV1"].is_object()
}

fn is_of(entry: &Value, manager: &Manager) -> bool {
    let text = |field: &str| entry[field].as_str().unwrap_or_default();
    text("manager") == manager.name
        && text("operation") == manager.operation.as_str()
        && text("apiVersion") == manager.api_version
        && text("subresource") == manager.subresource
}

fn fields_of(entry: &mut Value) -> Option<&mut Map<String, Value>> {
    entry.get_mut("fieldsV1")?.as_object_mut()
}

/// The member that says that what has members below is owned itself, too.
const ITSELF: &str = ".";

fn take(owned: &mut Map<String, Value>, fields: &Set) {
    for step in &fields.members {
        let name = step.encoded();
        if let Some(Value::Object(inner)) = owned.get_mut(&name) {
            inner.remove(ITSELF);
            if inner.is_empty() {
                owned.remove(&name);
            }
        }
    }
    for (step, child) in &fields.children {
        let name = step.encoded();
        let Some(Value::Object(inner)) = owned.get_mut(&name) else {
            continue;
        };
        if inner.is_empty() {
            continue;
        }
        take(inner, child);
        if inner.len() == 1 && inner.contains_key(ITSELF) {
            inner.clear();
        } else if inner.is_empty() {
            owned.remove(&name);
        }
    }
}

fn give(owned: &mut Map<String, Value>, fields: &Set) {
    for step in &fields.members {
        match owned.entry(step.encoded()).or_insert_with(|| json!({})) {
            Value::Object(inner) if !inner.is_empty() => drop(inner.insert(ITSELF.to_owned(), json!({}))),
            _ => {}
        }
    }
    for (step, child) in fields.children.iter().filter(|(_, child)| !child.is_empty()) {
        below(owned, step, child);
    }
}

fn below(owned: &mut Map<String, Value>, step: &Step, child: &Set) {
    let name = step.encoded();
    let was_owned = owned.contains_key(&name);
    if let Value::Object(inner) = owned.entry(name).or_insert_with(|| json!({})) {
        if was_owned && inner.is_empty() {
            inner.insert(ITSELF.to_owned(), json!({}));
        }
        give(inner, child);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every set over these paths.
    fn sets() -> Vec<Set> {
        let step = Step::field;
        let paths = [
            vec![step("a")],
            vec![step("b")],
            vec![step("a"), step("x")],
            vec![step("a"), step("y")],
            vec![step("a"), step("y"), step("z")],
        ];
        let of = |bits: u32| {
            let mut set = Set::default();
            for (i, path) in paths.iter().enumerate() {
                if bits & 1 << i != 0 {
                    set.insert(path);
                }
            }
            set
        };
        (0..1 << paths.len()).map(of).collect()
    }

    #[test]
    fn over_all_pairs_of_sets_what_is_changed_in_place_is_what_the_sets_say() {
        let map = |set: &Set| match set.to_json() {
            Value::Object(map) => map,
            _ => unreachable!(),
        };
        for one in sets() {
            for other in sets() {
                let mut taken = map(&one);
                take(&mut taken, &other);
                assert_eq!(taken, map(&one.difference(&other)), "{one:?} - {other:?}");
                let mut given = map(&one);
                give(&mut given, &other);
                assert_eq!(given, map(&one.union(&other)), "{one:?} + {other:?}");
            }
        }
    }
}
