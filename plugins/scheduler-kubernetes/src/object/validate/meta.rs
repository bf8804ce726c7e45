//! What is true of every object: its name, labels, annotations, owners, finalizers.

use std::collections::BTreeSet;

use serde_json::Value;

use super::place::{At, Errors, entries, formed, immutable, items, text};
use crate::object::field_error::FieldError;
use crate::object::names::{self, MOST_ANNOTATIONS_BYTES};

/// The finalizers that need no domain.
const STANDARD_FINALIZERS: [&str; 3] = ["kubernetes", "foregroundDeletion", "orphan"];

/// The metadata of a new object, whose name has this form.
pub(super) fn create(object: &Value, name_form: fn(&str) -> names::Checked, errors: &mut Errors) {
    let meta = &object["metadata"];
    let at = At::root("metadata");
    let prefix = text(meta, "generateName");
    if !prefix.is_empty() {
        // What is put behind it makes a dash at the end good.
        formed(
            name_form(&format!("{}a", prefix)),
            prefix,
            &at.child("generateName"),
            errors,
        );
    }
    match text(meta, "name") {
        "" => errors.push(FieldError::required(
            at.child("name"),
            "name or generateName is required",
        )),
        name => formed(name_form(name), name, &at.child("name"), errors),
    }
    let namespace = text(meta, "namespace");
    if !namespace.is_empty() {
        formed(names::label(namespace), namespace, &at.child("namespace"), errors);
    }
    common(meta, &at, errors);
    finalizers(meta, &at, errors);
}

/// The metadata of a template: only labels and annotations count.
pub(super) fn template(meta: &Value, at: &At, errors: &mut Errors) {
    common(meta, at, errors);
}

/// What may not change, and what must stay well-formed.
pub(super) fn update(old: &Value, new: &Value, errors: &mut Errors) {
    let (old, new) = (&old["metadata"], &new["metadata"]);
    let at = At::root("metadata");
    if old.get("deletionTimestamp").is_some() {
        let before: BTreeSet<&str> = items(old, "finalizers")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let after: BTreeSet<&str> = items(new, "finalizers")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let extra: Vec<String> = after
            .difference(&before)
            .map(|name| format!("{name:?}"))
            .collect();
        if !extra.is_empty() {
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                extra.join(", ")
            );
            errors.push(FieldError::forbidden(at.child("finalizers"), why));
        }
    }
    for name in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        immutable(&old[name], &new[name], &at.child(name), errors);
    }
    common(new, &at, errors);
    finalizers(new, &at, errors);
}

fn common(meta: &Value, at: &At, errors: &mut Errors) {
    labels(meta, "labels", at, errors);
    let at_annotations = at.child("annotations");
    let mut bytes = 0;
    for (key, value) in entries(meta, "annotations") {
        formed(names::key(&key.to_lowercase()), key, &at_annotations, errors);
        bytes += key.len() + value.len();
    }
    if bytes > MOST_ANNOTATIONS_BYTES {
        errors.push(FieldError::too_long(at_annotations, MOST_ANNOTATIONS_BYTES));
    }
    owners(meta, &at.child("ownerReferences"), errors);
}

/// The labels in this field.
pub(super) fn labels(object: &Value, name: &str, at: &At, errors: &mut Errors) {
    let at = at.child(name);
    for (key, value) in entries(object, name) {
        formed(names::key(key), key, &at, errors);
        formed(names::label_value(value), value, &at, errors);
    }
}

fn owners(meta: &Value, at: &At, errors: &mut Errors) {
    let mut controller: Option<&str> = None;
    for owner in items(meta, "ownerReferences") {
        for (name, what) in [
            ("apiVersion", "version"),
            ("kind", "kind"),
            ("name", "name"),
            ("uid", "uid"),
        ] {
            if text(owner, name).is_empty() {
                errors.push(FieldError::invalid(
                    at.child(name),
                    "",
                    format!("{what} must not be empty"),
                ));
            }
        }
        if owner["controller"] == true {
            let name = text(owner, "name");
            if let Some(first) = controller {
                let why = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {first} \
                     and {name}"
                );
                errors.push(FieldError::invalid(at, meta["ownerReferences"].clone(), why));
            }
            controller = Some(name);
        }
    }
}

fn finalizers(meta: &Value, at: &At, errors: &mut Errors) {
    let at = at.child("finalizers");
    let names: Vec<&str> = items(meta, "finalizers")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    for name in &names {
        formed(names::key(name), name, &at, errors);
        if !name.contains('/') && !STANDARD_FINALIZERS.contains(name) {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            errors.push(FieldError::invalid(&at, *name, why));
        }
    }
    if names.contains(&"orphan") && names.contains(&"foregroundDeletion") {
        let why = "finalizer orphan and foregroundDeletion cannot be both set";
        errors.push(FieldError::invalid(&at, meta["finalizers"].clone(), why));
    }
}

/// A label selector that stands in an object.
pub(super) fn selector(selector: &Value, at: &At, errors: &mut Errors) {
    labels(selector, "matchLabels", at, errors);
    for (i, rule) in items(selector, "matchExpressions").iter().enumerate() {
        let at = at.child("matchExpressions").index(i);
        formed(
            names::key(text(rule, "key")),
            text(rule, "key"),
            &at.child("key"),
            errors,
        );
        let values = items(rule, "values");
        match text(rule, "operator") {
            "In" | "NotIn" if values.is_empty() => {
                let what = "must be specified when `operator` is 'In' or 'NotIn'";
                errors.push(FieldError::required(at.child("values"), what));
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                errors.push(FieldError::forbidden(at.child("values"), why));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                errors.push(FieldError::invalid(
                    at.child("operator"),
                    other,
                    "not a valid selector operator",
                ));
            }
        }
        for (i, value) in values.iter().filter_map(Value::as_str).enumerate() {
            formed(
                names::label_value(value),
                value,
                &at.child("values").index(i),
                errors,
            );
        }
    }
}
