//! Nodes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::place::{At, Errors, formed, items, text};
use crate::object::field_error::FieldError;
use crate::object::names;

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

pub(super) fn content(node: &Value, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (i, taint) in items(&node["spec"], "taints").iter().enumerate() {
        let at = At::root("spec").child("taints").index(i);
        let (key, effect) = (text(taint, "key"), text(taint, "effect"));
        formed(names::key(key), key, &at.child("key"), errors);
        formed(
            names::label_value(text(taint, "value")),
            text(taint, "value"),
            &at.child("value"),
            errors,
        );
        if effect.is_empty() {
            errors.push(FieldError::required(at.child("effect"), ""));
        } else if !EFFECTS.contains(&effect) {
            errors.push(FieldError::not_supported(at.child("effect"), effect, &EFFECTS));
        }
        if !seen.insert((key, effect)) {
            errors.push(FieldError::duplicate(at, taint.clone()));
        }
    }
}

pub(super) fn update(old: &Value, new: &Value, errors: &mut Errors) {
    let (old, new) = (&old["spec"], &new["spec"]);
    for name in ["providerID", "podCIDR"] {
        let (before, after) = (text(old, name), text(new, name));
        if !before.is_empty() && before != after {
            let why = format!("node updates may not change {name} except from \"\" to valid");
            errors.push(FieldError::forbidden(At::root("spec").child(name), why));
        }
    }
}
