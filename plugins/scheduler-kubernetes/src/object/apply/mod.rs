//! Server-side apply and the managed fields of all writes.

mod conflict;
mod form;
mod managed;
mod merge;
mod path;
mod set;
mod walk;
mod written;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::decode;
use super::names::MOST_ANNOTATIONS_BYTES;
use super::problem::Problem;
use super::schema::Kind;
use conflict::Conflict;
use form::Form;
use managed::{Manager, Managers, Operation};
use path::Step;
use set::Set;
use walk::Difference;
use written::Entries;

/// Who writes, through what, when.
#[derive(Debug, Clone, Copy)]
pub struct Writer<'a> {
    pub manager: &'a str,
    /// `status`, `scale`, or empty for the object itself.
    pub subresource: &'a str,
    pub now: Timestamp,
}

/// The manager as which kubectl applies on the server.
const KUBECTL: &str = "kubectl";

/// Where kubectl's own apply keeps what was applied last.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The object after `applied` is applied to it, with its managed fields. The caller fills in defaults and keeps
/// the resource version if the result equals `current`.
///
/// # Errors
/// 409 with a cause for each field that another manager owns, unless forced; 400 if the configuration holds managed
/// fields itself; the real server's 500 for a list item without its key.
pub fn apply(
    current: Option<&Value>,
    applied: &Value,
    by: Writer<'_>,
    force: bool,
    kind: &Kind,
) -> Result<Value, Problem> {
    if applied["metadata"]
        .get("managedFields")
        .is_some_and(|fields| !fields.is_null())
    {
        return Err(Problem::bad_request("metadata.managedFields must be nil"));
    }
    let form = Form::Object(kind.root());
    keyed(applied, form, kind)?;
    let applied = without_foreign(applied, by.subresource);
    let live = current.map_or_else(|| empty(kind), bare);
    let mut managers = current.and_then(Managers::of).unwrap_or_default();
    if let (Some(_), true) = (current, managers.is_empty()) {
        let all = owned_by_update(&Difference::of(&empty(kind), &live, form).written(), "");
        let first = Manager {
            operation: Operation::Update,
            ..writer("before-first-apply", "", kind)
        };
        managers.0.insert(
            first,
            managed::Owned {
                fields: all,
                time: Some(managed::written(by.now)),
            },
        );
        managers.drop_empty();
    }
    let me = writer(by.manager, by.subresource, kind);
    let last = managers.0.get(&me).map(|owned| owned.fields.clone());
    let mine = walk::fields(&applied, form);
    managers.0.entry(me.clone()).or_default().fields = mine.clone();

    let mut merged = merge::merge(&live, &applied, form);
    if let Some(last) = last {
        merged = pruned(&merged, &managers, &last, form);
    }
    // What the configuration says empty counts as said, though it is not kept.
    let difference = Difference::of(&live, &merged, form);
    let (mut merged, _) =
        decode::value(&merged, kind).map_err(|why| decode::untyped(&applied, kind, &why.0))?;
    let written = difference.written();
    let conflicts = conflicts(&managers, &written, &me);
    if !conflicts.is_empty() && !force && !were_applied_by_kubectl(&conflicts, &live, by.manager, form) {
        return Err(conflict::refused(&conflicts));
    }
    managers.take(&written.union(&difference.removed), Some(&me));
    if let Some(owned) = managers.0.get_mut(&me) {
        owned.fields = tracked(mine, by.subresource);
        if merged != live || owned.time.is_none() {
            owned.time = Some(managed::written(by.now));
        }
    }
    managers.drop_empty();
    if by.manager == KUBECTL {
        remember(&mut merged, &applied);
    }
    managers.write(&mut merged);
    Ok(merged)
}

/// Keeps what kubectl's client-side apply left in the object in step with what kubectl applies on the server, so
/// that its user can go back.
fn remember(object: &mut Value, applied: &Value) {
    let Some(annotations) = object
        .pointer_mut("/metadata/annotations")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    if annotations.get(LAST_APPLIED).is_none_or(|text| text == "") {
        return;
    }
    let mut own = applied.clone();
    if let Some(own) = own
        .pointer_mut("/metadata/annotations")
        .and_then(Value::as_object_mut)
    {
        own.remove(LAST_APPLIED);
    }
    annotations.insert(LAST_APPLIED.to_owned(), Value::from(format!("{own}\n")));
    let length = |value: &Value| value.as_str().map_or(0, str::len);
    let bytes: usize = annotations
        .iter()
        .map(|(key, value)| key.len() + length(value))
        .sum();
    if bytes > MOST_ANNOTATIONS_BYTES {
        annotations.remove(LAST_APPLIED);
    }
}

/// Brings the managed fields of `new` up to date after a create, update or patch (defaults filled in already).
/// Managed fields in `new` that differ from those of `old` are taken as the client's will, unless the write goes
/// through a subresource.
pub fn track_update(old: Option<&Value>, new: &mut Value, by: Writer<'_>, kind: &Kind) {
    let form = Form::Object(kind.root());
    let mut entries = entries_before(old, new, by.subresource);
    if old.is_some() && entries.is_empty() {
        // Whoever cleared them wants none: they begin again with the next apply.
        return;
    }
    // What `old` says of its managed fields counts as taken away here, which is nobody's field.
    let difference = match old {
        Some(old) => Difference::of(old, new, form),
        None => Difference::of(&empty(kind), new, form),
    };
    let written = difference.written();
    entries.take(&written.union(&difference.removed));
    let taken = owned_by_update(&written, by.subresource);
    if !taken.is_empty() {
        let me = Manager {
            operation: Operation::Update,
            ..writer(by.manager, by.subresource, kind)
        };
        entries.give(&taken, &me, managed::written(by.now));
    }
    if let (Some(entries), Some(metadata)) = (entries.into_value(), new["metadata"].as_object_mut()) {
        metadata.insert("managedFields".to_owned(), entries);
    }
}

/// The managed fields that a write begins with; takes those that `new` says out of it.
fn entries_before(old: Option<&Value>, new: &mut Value, subresource: &str) -> Entries {
    let kept = old.and_then(|old| old["metadata"].get("managedFields"));
    let said = new["metadata"]
        .as_object_mut()
        .and_then(|m| m.remove("managedFields"));
    let fields = if said.as_ref() == kept {
        said
    } else {
        if let Some(managers) = said.and_then(|said| managers_said(&said, subresource)) {
            return Entries::from(&managers);
        }
        kept.cloned()
    };
    Entries::of(fields).unwrap_or_else(|| Entries::from(&old.and_then(Managers::of).unwrap_or_default()))
}

/// What a client wants the managed fields to be; none: it does not say.
fn managers_said(said: &Value, subresource: &str) -> Option<Managers> {
    match said.as_array().map(Vec::as_slice) {
        // One empty entry is how a client clears them.
        Some([Value::Object(entry)]) if entry.values().all(Value::is_null) => Some(Managers::default()),
        Some([Value::Object(entry)]) if entry.values().all(|value| value == "") => Some(Managers::default()),
        Some([_, ..]) if subresource.is_empty() => {
            Managers::of_entries(said).filter(|managers| !managers.is_empty())
        }
        _ => None,
    }
}

fn writer(manager: &str, subresource: &str, kind: &Kind) -> Manager {
    Manager {
        name: manager.to_owned(),
        operation: Operation::Apply,
        api_version: kind.api_version(),
        subresource: subresource.to_owned(),
    }
}

/// What a new object is compared with: what every object of its kind has.
fn empty(kind: &Kind) -> Value {
    let mut object = json!({});
    decode::settle(kind, &mut object);
    object
}

/// The object without its managed fields.
fn bare(object: &Value) -> Value {
    let mut bare = object.clone();
    if let Some(metadata) = bare.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    bare
}

/// The configuration without what this way of writing does not reach.
fn without_foreign(applied: &Value, subresource: &str) -> Value {
    let mut own = applied.clone();
    if let Some(fields) = own.as_object_mut() {
        fields.remove(foreign(subresource));
    }
    own
}

/// The part of an object that a write through this subresource leaves alone.
fn foreign(subresource: &str) -> &'static str {
    if subresource == "status" { "spec" } else { "status" }
}

fn owned_by_update(written: &Set, subresource: &str) -> Set {
    tracked(written.clone(), subresource)
}

/// The set without what nobody owns: what names the object, and what the server alone sets.
fn tracked(set: Set, subresource: &str) -> Set {
    let mut unowned = Set::default();
    for name in ["apiVersion", "kind", "metadata"] {
        unowned.members.insert(Step::field(name));
    }
    for name in [
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "generation",
        "managedFields",
        "resourceVersion",
    ] {
        unowned.insert(&[Step::field("metadata"), Step::field(name)]);
    }
    set.without(foreign(subresource)).difference(&unowned)
}

/// The object without what was applied last time by the same manager, is not any more, and nobody else owns.
fn pruned(merged: &Value, managers: &Managers, last: &Set, form: Form) -> Value {
    let owned = managers
        .0
        .values()
        .fold(Set::default(), |all, owned| all.union(&owned.fields));
    let owned = walk::with_named(&owned, form);
    let there = walk::with_named(&walk::fields(merged, form), form);
    let gone = there
        .intersection(&walk::with_named(last, form))
        .difference(&owned);
    match walk::without(merged, &gone, form) {
        Value::Null => json!({}),
        left => left,
    }
}

fn conflicts(managers: &Managers, written: &Set, me: &Manager) -> Vec<Conflict> {
    let others = managers.0.iter().filter(|(manager, _)| *manager != me);
    others
        .flat_map(|(manager, owned)| {
            let paths = owned.fields.intersection(written).paths();
            paths.into_iter().map(|path| Conflict {
                manager: manager.clone(),
                path,
            })
        })
        .collect()
}

/// Whether all conflicts are about fields that kubectl's own apply set and nobody changed since: kubectl may take
/// those over when its user goes from one way of applying to the other.
fn were_applied_by_kubectl(conflicts: &[Conflict], live: &Value, manager: &str, form: Form) -> bool {
    if manager != KUBECTL {
        return false;
    }
    let text = live["metadata"]["annotations"][LAST_APPLIED]
        .as_str()
        .unwrap_or_default();
    let Ok(applied @ Value::Object(_)) = serde_json::from_str::<Value>(text) else {
        return false;
    };
    let set = walk::fields(&applied, form);
    let difference = Difference::of(&applied, live, form);
    let unchanged = set.difference(&difference.modified.union(&difference.removed));
    conflicts.iter().all(|conflict| {
        let mut one = Set::default();
        one.insert(&conflict.path);
        one.difference(&unchanged).is_empty()
    })
}

/// Whether each item of the lists has its keys and no two have the same.
fn keyed(applied: &Value, form: Form, kind: &Kind) -> Result<(), Problem> {
    let mut wrong = Vec::new();
    check(applied, form, &mut Vec::new(), &mut wrong);
    let why = match wrong.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        many => format!("errors:\n  {}", many.join("\n  ")),
    };
    Err(decode::untyped(applied, kind, &why))
}

fn check(value: &Value, form: Form, path: &mut Vec<Step>, wrong: &mut Vec<String>) {
    if let (Form::Keyed(..) | Form::Set, Value::Array(items)) = (form, value) {
        let keys = if let Form::Keyed(keys, _) = form {
            keys
        } else {
            &[]
        };
        let mut seen = std::collections::BTreeSet::new();
        for (at, item) in items.iter().enumerate() {
            let step = form.step(at, item);
            if let Step::Index(_) = step {
                let missing = keys
                    .iter()
                    .find(|(key, absent)| absent.is_none() && item.get(key).is_none());
                let key = missing.map_or("", |(key, _)| key);
                let place = path::shown(path);
                wrong.push(format!(
                    "{place}: element {at}: associative list with keys has an element that omits key field {key:?} \
                     (and doesn't have default value)"
                ));
            } else if !seen.insert(step.clone()) {
                wrong.push(format!("{}: duplicate entries for key {step}", path::shown(path)));
            }
        }
    }
    for (step, part) in form.parts(Some(value)).unwrap_or_default() {
        let inner = form.below(&step);
        path.push(step);
        check(part, inner, path, wrong);
        path.pop();
    }
}

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod tests;
