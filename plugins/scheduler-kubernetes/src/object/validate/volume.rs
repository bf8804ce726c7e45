//! Volumes of a pod.

use std::collections::BTreeSet;

use serde_json::Value;

use super::container::field_reference;
use super::place::{At, Errors, formed, items, one_of, part, required, text};
use crate::object::field_error::FieldError;
use crate::object::names;
use crate::object::quantity::Quantity;

/// The fields of the pod that a file can hold.
const FILE_FIELDS: [&str; 5] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
];
const HOST_PATH_TYPES: [&str; 8] = [
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
];
const MODE: &str = "must be a number between 0 and 0777 (octal), both inclusive";

/// The volumes; what comes back is the names that can be mounted.
pub(super) fn volumes<'v>(spec: &'v Value, at: &At, errors: &mut Errors) -> BTreeSet<&'v str> {
    let mut seen = BTreeSet::new();
    for (i, volume) in items(spec, "volumes").iter().enumerate() {
        let at = at.index(i);
        source(volume, &at, errors);
        match text(volume, "name") {
            "" => errors.push(FieldError::required(at.child("name"), "")),
            name => {
                formed(names::label(name), name, &at.child("name"), errors);
                if !seen.insert(name) {
                    errors.push(FieldError::duplicate(at.child("name"), name));
                }
            }
        }
    }
    seen
}

fn source(volume: &Value, at: &At, errors: &mut Errors) {
    let sources: Vec<_> = volume
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| *name != "name")
        .collect();
    let Some(((kind, source), more)) = sources.split_first() else {
        errors.push(FieldError::required(at, "must specify a volume type"));
        return;
    };
    for (kind, _) in more {
        let why = "may not specify more than 1 volume type";
        errors.push(FieldError::forbidden(at.child(kind), why));
    }
    let at = at.child(kind);
    match kind.as_str() {
        "emptyDir" => {
            let limit = source
                .get("sizeLimit")
                .and_then(Value::as_str)
                .and_then(|text| Quantity::parse(text).ok());
            if limit.is_some_and(|limit| limit.is_negative()) {
                let why = "SizeLimit field must be a valid resource quantity";
                errors.push(FieldError::forbidden(at.child("sizeLimit"), why));
            }
        }
        "configMap" => {
            required(source, "name", &at, errors);
            files(source, &at, errors);
        }
        "secret" => {
            required(source, "secretName", &at, errors);
            files(source, &at, errors);
        }
        "downwardAPI" => fields(source, &at, errors),
        "projected" => projected(source, &at, errors),
        "hostPath" => {
            match text(source, "path") {
                "" => errors.push(FieldError::required(at.child("path"), "")),
                path => no_backsteps(path, &at.child("path"), errors),
            }
            one_of(source, "type", &HOST_PATH_TYPES, &at, errors);
        }
        "persistentVolumeClaim" => required(source, "claimName", &at, errors),
        "nfs" => {
            required(source, "server", &at, errors);
            required(source, "path", &at, errors);
        }
        "csi" => required(source, "driver", &at, errors),
        "ephemeral" if part(source, "volumeClaimTemplate").is_none() => {
            errors.push(FieldError::required(at.child("volumeClaimTemplate"), ""));
        }
        _ => {}
    }
}

fn mode(object: &Value, name: &str, at: &At, errors: &mut Errors) {
    if let Some(mode) = object
        .get(name)
        .and_then(Value::as_i64)
        .filter(|mode| !(0..=0o777).contains(mode))
    {
        errors.push(FieldError::invalid(at.child(name), mode, MODE));
    }
}

/// Files from keys.
fn files(source: &Value, at: &At, errors: &mut Errors) {
    mode(source, "defaultMode", at, errors);
    for (i, item) in items(source, "items").iter().enumerate() {
        let at = at.child("items").index(i);
        required(item, "key", &at, errors);
        local_path(item, &at, errors);
        mode(item, "mode", &at, errors);
    }
}

/// Files from fields of the pod.
fn fields(source: &Value, at: &At, errors: &mut Errors) {
    mode(source, "defaultMode", at, errors);
    for item in items(source, "items") {
        // The real server leaves the list and the place in it out.
        local_path(item, at, errors);
        match (part(item, "fieldRef"), part(item, "resourceFieldRef")) {
            (Some(field), None) => field_reference(field, &FILE_FIELDS, &at.child("fieldRef"), errors),
            (None, Some(resource)) => required(resource, "resource", &at.child("resourceFieldRef"), errors),
            (Some(_), Some(_)) => {
                let why = "fieldRef and resourceFieldRef can not be specified simultaneously";
                errors.push(FieldError::invalid(at, "resource", why));
            }
            (None, None) => {
                errors.push(FieldError::required(
                    at.child("fieldRef"),
                    "one of fieldRef and resourceFieldRef is required",
                ));
            }
        }
        mode(item, "mode", at, errors);
    }
}

fn projected(projected: &Value, at: &At, errors: &mut Errors) {
    mode(projected, "defaultMode", at, errors);
    for (i, source) in items(projected, "sources").iter().enumerate() {
        let at = at.child("sources").index(i);
        let sources: Vec<_> = source.as_object().into_iter().flatten().collect();
        let Some(((kind, source), more)) = sources.split_first() else {
            errors.push(FieldError::required(
                at,
                "must specify a projected volume source type",
            ));
            continue;
        };
        for (kind, _) in more {
            errors.push(FieldError::forbidden(
                at.child(kind),
                "may not specify more than 1 volume type",
            ));
        }
        let at = at.child(kind);
        match kind.as_str() {
            "configMap" | "secret" => {
                required(source, "name", &at, errors);
                files(source, &at, errors);
            }
            "downwardAPI" => fields(source, &at, errors),
            "serviceAccountToken" => token(source, &at, errors),
            _ => {}
        }
    }
}

fn token(source: &Value, at: &At, errors: &mut Errors) {
    let seconds = source["expirationSeconds"].as_i64().unwrap_or(0);
    let refused = |why: &str| FieldError::invalid(at.child("expirationSeconds"), seconds, why);
    if seconds < 600 {
        errors.push(refused("may not specify a duration less than 10 minutes"));
    }
    if seconds > 1 << 32 {
        errors.push(refused("may not specify a duration larger than 2^32 seconds"));
    }
    match text(source, "path") {
        "" => errors.push(FieldError::required(at.child("path"), "")),
        path => inside(path, &at.child("path"), errors),
    }
}

fn local_path(item: &Value, at: &At, errors: &mut Errors) {
    match text(item, "path") {
        "" => errors.push(FieldError::required(at.child("path"), "")),
        path => inside(path, &at.child("path"), errors),
    }
}

/// A path that stays inside the volume.
fn inside(path: &str, at: &At, errors: &mut Errors) {
    if path.starts_with('/') {
        errors.push(FieldError::invalid(at, path, "must be a relative path"));
    }
    no_backsteps(path, at, errors);
    if path.starts_with("..") && path.split('/').next() != Some("..") {
        errors.push(FieldError::invalid(at, path, "must not start with '..'"));
    }
}

fn no_backsteps(path: &str, at: &At, errors: &mut Errors) {
    if path.split('/').any(|step| step == "..") {
        errors.push(FieldError::invalid(at, path, "must not contain '..'"));
    }
}
