//! What of a pod may change once it is there.

use serde_json::Value;

use super::place::{At, Errors, items, text};
use crate::object::field_error::FieldError;

const ALLOWED: &str = "pod updates may not change fields other than `spec.containers[*].image`,\
                       `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions \
                       to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was \
                       previously negative)";

/// A change of the pod itself.
pub(super) fn spec(old: &Value, new: &Value, errors: &mut Errors) {
    let (old, new) = (&old["spec"], &new["spec"]);
    let at = At::root("spec");
    for list in ["containers", "initContainers"] {
        if items(old, list).len() != items(new, list).len() {
            let why = "pod updates may not add or remove containers";
            errors.push(FieldError::forbidden(at.child(list), why));
            return;
        }
        for (i, container) in items(new, list).iter().enumerate() {
            let at = at.child(list).index(i).child("image");
            match text(container, "image") {
                "" => errors.push(FieldError::required(at, "")),
                image if image.trim() != image => {
                    let why = "must not have leading or trailing whitespace";
                    errors.push(FieldError::invalid(at, image, why));
                }
                _ => {}
            }
        }
    }
    deadline(old, new, &at, errors);
    let tolerations_stay = tolerations(old, new, &at, errors);
    gates(old, new, &at, errors);
    let allowed = with_allowed(old, new, tolerations_stay);
    if let Some(difference) = difference(old, &allowed) {
        errors.push(FieldError::forbidden(at, format!("{ALLOWED}\n{difference}")));
    }
}

/// The new spec with what may change put back to what it was: the rest must be equal.
fn with_allowed(old: &Value, new: &Value, tolerations_stay: bool) -> Value {
    let mut allowed = new.clone();
    for list in ["containers", "initContainers"] {
        if let Some(Value::Array(containers)) = allowed.get_mut(list) {
            for (container, before) in containers.iter_mut().zip(items(old, list)) {
                container["image"] = before["image"].clone();
            }
        }
    }
    let mut restore = |name: &str| {
        if let (Some(fields), before) = (allowed.as_object_mut(), old.get(name)) {
            match before {
                Some(before) => fields.insert(name.to_owned(), before.clone()),
                None => fields.remove(name),
            };
        }
    };
    restore("activeDeadlineSeconds");
    if tolerations_stay {
        restore("tolerations");
    }
    restore("schedulingGates");
    if !items(old, "schedulingGates").is_empty() {
        // Whatever holds a pod back may also narrow where it goes.
        restore("nodeSelector");
        restore("affinity");
    }
    let negative = old["terminationGracePeriodSeconds"]
        .as_i64()
        .is_some_and(|seconds| seconds < 0);
    if negative && new["terminationGracePeriodSeconds"] == 1 {
        restore("terminationGracePeriodSeconds");
    }
    allowed
}

fn deadline(old: &Value, new: &Value, at: &At, errors: &mut Errors) {
    let at = at.child("activeDeadlineSeconds");
    let seconds = |spec: &Value| spec.get("activeDeadlineSeconds").and_then(Value::as_i64);
    match (seconds(old), seconds(new)) {
        (_, Some(after)) if !(0..=i64::from(i32::MAX)).contains(&after) => {
            errors.push(FieldError::invalid(
                at,
                after,
                "must be between 0 and 2147483647, inclusive",
            ));
        }
        (Some(before), Some(after)) if before < after => {
            errors.push(FieldError::invalid(
                at,
                after,
                "must be less than or equal to previous value",
            ));
        }
        (Some(before), None) => {
            errors.push(FieldError::invalid(
                at,
                before,
                "must not update from a positive integer to nil value",
            ));
        }
        _ => {}
    }
}

/// Whether the change is one that is allowed: each old one is still there, but for its seconds.
fn tolerations(old: &Value, new: &Value, at: &At, errors: &mut Errors) -> bool {
    let without_time = |toleration: &Value| {
        let mut fields = toleration.as_object().cloned().unwrap_or_default();
        fields.remove("tolerationSeconds");
        fields
    };
    let after: Vec<_> = items(new, "tolerations").iter().map(without_time).collect();
    let kept = items(old, "tolerations")
        .iter()
        .all(|toleration| after.contains(&without_time(toleration)));
    if !kept {
        let why = "existing toleration can not be modified except its tolerationSeconds";
        errors.push(FieldError::forbidden(at.child("tolerations"), why));
    }
    super::scheduling::tolerations(new, at, errors);
    kept
}

fn gates(old: &Value, new: &Value, at: &At, errors: &mut Errors) {
    let before: Vec<&str> = items(old, "schedulingGates")
        .iter()
        .map(|gate| text(gate, "name"))
        .collect();
    for gate in items(new, "schedulingGates") {
        let name = text(gate, "name");
        if !before.contains(&name) {
            let why = format!("only deletion is allowed, but found new scheduling gate '{name}'");
            errors.push(FieldError::forbidden(at.child("schedulingGates"), why));
        }
    }
}

/// The first place where they differ, with both values; `None` if they are equal.
fn difference(old: &Value, new: &Value) -> Option<String> {
    let mut lines = Vec::new();
    differences(old, new, "spec", &mut lines);
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn differences(old: &Value, new: &Value, path: &str, lines: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(before), Value::Object(after)) => {
            let names: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
            for name in names {
                let at =
                    |fields: &serde_json::Map<String, Value>| fields.get(name).cloned().unwrap_or_default();
                differences(&at(before), &at(after), &format!("{path}.{name}"), lines);
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (i, (before, after)) in before.iter().zip(after).enumerate() {
                differences(before, after, &format!("{path}[{i}]"), lines);
            }
        }
        (before, after) if before != after => {
            lines.push(format!("- {path}: {before}"));
            lines.push(format!("+ {path}: {after}"));
        }
        _ => {}
    }
}

/// A change of a pod's status: what has ended and may not be started again stays ended.
pub fn status(old: &Value, new: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let policy = text(&old["spec"], "restartPolicy");
    if policy == "Always" {
        return errors;
    }
    let at = At::root("status").child("containerStatuses");
    for before in items(&old["status"], "containerStatuses") {
        let Some(ended) = before["state"].get("terminated") else {
            continue;
        };
        // A failed container may be started again on failure.
        if policy == "OnFailure" && ended["exitCode"] != 0 {
            continue;
        }
        for (i, after) in items(&new["status"], "containerStatuses").iter().enumerate() {
            if after["name"] == before["name"] && after["state"].get("terminated").is_none() {
                let why = "may not be transitioned to non-terminated state";
                errors.push(FieldError::forbidden(at.index(i).child("state"), why));
            }
        }
    }
    errors
}
