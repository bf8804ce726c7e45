//! Containers of all three lists.

use std::collections::BTreeSet;

use serde_json::Value;

use super::place::{At, Errors, formed, items, one_of, part, port_number, required, text};
use super::{probe, quantities};
use crate::object::field_error::FieldError;
use crate::object::names;

/// Which list of the pod a container stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Main,
    Init,
    Ephemeral,
}

/// The fields of the pod that a variable can be set from; labels and annotations are told apart.
const ENV_FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// One container of a pod that has these volumes; names are of all containers so far.
pub(super) fn container<'v>(
    container: &'v Value,
    role: Role,
    volumes: &BTreeSet<&str>,
    names_so_far: &mut BTreeSet<&'v str>,
    at: &At,
    errors: &mut Errors,
) {
    let name = text(container, "name");
    if name.is_empty() {
        errors.push(FieldError::required(at.child("name"), ""));
    } else {
        formed(names::label(name), name, &at.child("name"), errors);
        if !names_so_far.insert(name) {
            errors.push(FieldError::duplicate(at.child("name"), name));
        }
    }
    let image = text(container, "image");
    if image.is_empty() {
        errors.push(FieldError::required(at.child("image"), ""));
    } else if image.trim() != image {
        let why = "must not have leading or trailing whitespace";
        errors.push(FieldError::invalid(at.child("image"), image, why));
    }
    one_of(
        container,
        "terminationMessagePolicy",
        &["File", "FallbackToLogsOnError"],
        at,
        errors,
    );
    ports(container, &at.child("ports"), errors);
    environment(container, at, errors);
    mounts(container, volumes, &at.child("volumeMounts"), errors);
    one_of(
        container,
        "imagePullPolicy",
        &["Always", "IfNotPresent", "Never"],
        at,
        errors,
    );
    quantities::requirements(&container["resources"], &at.child("resources"), errors);
    user(
        &container["securityContext"],
        &at.child("securityContext"),
        errors,
    );
    restart_and_probes(container, role, at, errors);
}

fn restart_and_probes(container: &Value, role: Role, at: &At, errors: &mut Errors) {
    let restart = container.get("restartPolicy").and_then(Value::as_str);
    match (role, restart) {
        (Role::Init, Some(policy)) if policy != "Always" => {
            errors.push(FieldError::not_supported(
                at.child("restartPolicy"),
                policy,
                &["Always"],
            ));
        }
        (Role::Main | Role::Ephemeral, Some(_)) => {
            errors.push(FieldError::forbidden(
                at.child("restartPolicy"),
                "may not be set for non-init containers",
            ));
        }
        (_, None) | (Role::Init, Some(_)) => {}
    }
    let sidecar = restart == Some("Always");
    for (name, one_success) in [
        ("livenessProbe", true),
        ("readinessProbe", false),
        ("startupProbe", true),
    ] {
        let Some(found) = part(container, name) else {
            continue;
        };
        let at = at.child(name);
        match role {
            Role::Init if !sidecar => {
                let why = "may not be set for init containers without restartPolicy=Always";
                errors.push(FieldError::forbidden(at, why));
            }
            Role::Ephemeral => errors.push(FieldError::forbidden(
                at,
                "cannot be set for an Ephemeral Container",
            )),
            Role::Main | Role::Init => probe::probe(found, &at, one_success, errors),
        }
    }
    if let Some(lifecycle) = part(container, "lifecycle") {
        let at = at.child("lifecycle");
        match role {
            Role::Init if !sidecar => {
                let why = "may not be set for init containers without restartPolicy=Always";
                errors.push(FieldError::forbidden(at, why));
            }
            Role::Ephemeral => errors.push(FieldError::forbidden(
                at,
                "cannot be set for an Ephemeral Container",
            )),
            Role::Main | Role::Init => probe::lifecycle(lifecycle, &at, errors),
        }
    }
}

fn ports(container: &Value, at: &At, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (i, port) in items(container, "ports").iter().enumerate() {
        let at = at.index(i);
        let name = text(port, "name");
        if !name.is_empty() {
            formed(names::port_name(name), name, &at.child("name"), errors);
            if !seen.insert(name) {
                errors.push(FieldError::duplicate(at.child("name"), name));
            }
        }
        match port["containerPort"].as_i64().unwrap_or(0) {
            0 => errors.push(FieldError::required(at.child("containerPort"), "")),
            number => port_number(number, &at.child("containerPort"), errors),
        }
        match port["hostPort"].as_i64().unwrap_or(0) {
            0 => {}
            number => port_number(number, &at.child("hostPort"), errors),
        }
        one_of(port, "protocol", &["SCTP", "TCP", "UDP"], &at, errors);
    }
}

fn environment(container: &Value, at: &At, errors: &mut Errors) {
    for (i, variable) in items(container, "env").iter().enumerate() {
        let at = at.child("env").index(i);
        let name = text(variable, "name");
        if name.is_empty() {
            errors.push(FieldError::required(at.child("name"), ""));
        } else {
            formed(names::env_name(name), name, &at.child("name"), errors);
        }
        if let Some(source) = part(variable, "valueFrom") {
            value_from(
                source,
                !text(variable, "value").is_empty(),
                &at.child("valueFrom"),
                errors,
            );
        }
    }
    for (i, source) in items(container, "envFrom").iter().enumerate() {
        let at = at.child("envFrom").index(i);
        let (map, secret) = (part(source, "configMapRef"), part(source, "secretRef"));
        match (map, secret) {
            (None, None) => {
                let why = "must specify one of: `configMapRef` or `secretRef`";
                errors.push(FieldError::invalid(&at, "", why));
            }
            (Some(_), Some(_)) => {
                let why = "may not have more than one field specified at a time";
                errors.push(FieldError::invalid(&at, "", why));
            }
            (Some(map), None) => required(map, "name", &at.child("configMapRef"), errors),
            (None, Some(secret)) => required(secret, "name", &at.child("secretRef"), errors),
        }
    }
}

fn value_from(source: &Value, has_value: bool, at: &At, errors: &mut Errors) {
    let mut found = 0;
    if let Some(field) = part(source, "fieldRef") {
        found += 1;
        field_reference(field, &ENV_FIELDS, &at.child("fieldRef"), errors);
    }
    if let Some(resource) = part(source, "resourceFieldRef") {
        found += 1;
        required(resource, "resource", &at.child("resourceFieldRef"), errors);
    }
    for name in ["configMapKeyRef", "secretKeyRef"] {
        let Some(reference) = part(source, name) else {
            continue;
        };
        found += 1;
        let at = at.child(name);
        required(reference, "name", &at, errors);
        match text(reference, "key") {
            "" => errors.push(FieldError::required(at.child("key"), "")),
            key => formed(names::data_key(key), key, &at.child("key"), errors),
        }
    }
    let why = match (found, has_value) {
        (0, _) => "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
        (_, true) => "may not be specified when `value` is not empty",
        (1, false) => return,
        (_, false) => "may not have more than one field specified at a time",
    };
    errors.push(FieldError::invalid(at, "", why));
}

/// A field of the pod that is one of these, or one label or annotation.
pub(super) fn field_reference(field: &Value, known: &[&str], at: &At, errors: &mut Errors) {
    let path = text(field, "fieldPath");
    if path.is_empty() {
        errors.push(FieldError::required(at.child("fieldPath"), ""));
        return;
    }
    let subscript = ["metadata.labels", "metadata.annotations"]
        .iter()
        .find_map(|map| path.strip_prefix(map)?.strip_prefix("['")?.strip_suffix("']"));
    let whole =
        matches!(path, "metadata.labels" | "metadata.annotations") && known.contains(&"metadata.labels");
    if known.contains(&path) || whole || subscript.is_some_and(|key| names::key(key).is_ok()) {
        return;
    }
    let why = format!("error converting fieldPath: field label not supported: {path}");
    errors.push(FieldError::invalid(at.child("fieldPath"), path, why));
}

fn mounts(container: &Value, volumes: &BTreeSet<&str>, at: &At, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (i, mount) in items(container, "volumeMounts").iter().enumerate() {
        let at = at.index(i);
        let (name, path) = (text(mount, "name"), text(mount, "mountPath"));
        if name.is_empty() {
            errors.push(FieldError::required(at.child("name"), ""));
        } else if !volumes.contains(name) {
            errors.push(FieldError::not_found(at.child("name"), name));
        }
        if path.is_empty() {
            errors.push(FieldError::required(at.child("mountPath"), ""));
        }
        if !seen.insert(path) {
            errors.push(FieldError::invalid(at.child("mountPath"), path, "must be unique"));
        }
        for sub in ["subPath", "subPathExpr"] {
            let path = text(mount, sub);
            if path.starts_with('/') {
                errors.push(FieldError::invalid(
                    at.child(sub),
                    path,
                    "must be a relative path",
                ));
            }
            if path.split('/').any(|step| step == "..") {
                errors.push(FieldError::invalid(at.child(sub), path, "must not contain '..'"));
            }
        }
        if !text(mount, "subPath").is_empty() && !text(mount, "subPathExpr").is_empty() {
            let why = "subPathExpr and subPath are mutually exclusive";
            errors.push(FieldError::invalid(
                at.child("subPathExpr"),
                text(mount, "subPathExpr"),
                why,
            ));
        }
        one_of(
            mount,
            "mountPropagation",
            &["Bidirectional", "HostToContainer", "None"],
            &at,
            errors,
        );
    }
}

/// The users and groups that a container or a pod runs as.
pub(super) fn user(context: &Value, at: &At, errors: &mut Errors) {
    for name in ["runAsUser", "runAsGroup", "fsGroup"] {
        if let Some(id) = context.get(name).and_then(Value::as_i64)
            && !(0..=i64::from(i32::MAX)).contains(&id)
        {
            let why = "must be between 0 and 2147483647, inclusive";
            errors.push(FieldError::invalid(at.child(name), id, why));
        }
    }
    if context["privileged"] == true && context["allowPrivilegeEscalation"] == false {
        let why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
        errors.push(FieldError::invalid(at, context.clone(), why));
    }
}
