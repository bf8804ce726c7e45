//! The defaults of a pod and of the template of one.

use serde_json::{Value, json};

use super::container::{container, field_reference};
use super::set::{each, put, put_all, within};

/// The mode of files in volumes: 0644.
const MODE: i64 = 420;

/// A pod: as a template of one, and what only a pod gets.
pub(super) fn pod(pod: &mut Value) {
    within(pod, "spec", |spec| {
        put(spec, "enableServiceLinks", json!(true));
        for list in ["containers", "initContainers"] {
            each(spec, list, requests_from_limits);
        }
        if spec["hostNetwork"] == true {
            for list in ["containers", "initContainers"] {
                each(spec, list, |container| each(container, "ports", host_port));
            }
        }
        self::spec(spec);
    });
}

/// The `spec` of a pod, also in a template.
pub(super) fn spec(spec: &mut Value) {
    put_all(
        spec,
        [
            ("dnsPolicy", json!("ClusterFirst")),
            ("restartPolicy", json!("Always")),
            ("securityContext", json!({})),
            ("terminationGracePeriodSeconds", json!(30)),
            ("schedulerName", json!("default-scheduler")),
        ],
    );
    // Two names of one thing; the newer one wins.
    for (from, to) in [
        ("serviceAccountName", "serviceAccount"),
        ("serviceAccount", "serviceAccountName"),
    ] {
        if let Some(account @ Value::String(_)) = spec.get(from).cloned() {
            spec[to] = account;
        }
    }
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        each(spec, list, container);
    }
    each(spec, "volumes", volume);
}

fn requests_from_limits(container: &mut Value) {
    let Some(Value::Object(limits)) = container["resources"].get("limits").cloned() else {
        return;
    };
    put(&mut container["resources"], "requests", json!({}));
    for (name, limit) in limits {
        put(&mut container["resources"]["requests"], &name, limit);
    }
}

fn host_port(port: &mut Value) {
    let own = port["containerPort"].clone();
    put(port, "hostPort", own);
}

fn volume(volume: &mut Value) {
    let has_source = volume
        .as_object()
        .is_some_and(|fields| fields.keys().any(|name| name != "name"));
    if !has_source {
        put(volume, "emptyDir", json!({}));
    }
    for (source, name, value) in [
        ("secret", "defaultMode", json!(MODE)),
        ("configMap", "defaultMode", json!(MODE)),
        ("downwardAPI", "defaultMode", json!(MODE)),
        ("projected", "defaultMode", json!(MODE)),
        ("hostPath", "type", json!("")),
        ("iscsi", "iscsiInterface", json!("default")),
        ("rbd", "pool", json!("rbd")),
        ("rbd", "user", json!("admin")),
        ("rbd", "keyring", json!("/etc/ceph/keyring")),
        ("scaleIO", "storageMode", json!("ThinProvisioned")),
        ("scaleIO", "fsType", json!("xfs")),
        ("azureDisk", "cachingMode", json!("ReadWrite")),
        ("azureDisk", "fsType", json!("ext4")),
        ("azureDisk", "readOnly", json!(false)),
        ("azureDisk", "kind", json!("Shared")),
    ] {
        within(volume, source, |source| put(source, name, value));
    }
    within(volume, "downwardAPI", |source| {
        each(source, "items", field_reference)
    });
    within(volume, "projected", |projected| {
        each(projected, "sources", |source| {
            within(source, "downwardAPI", |fields| {
                each(fields, "items", field_reference)
            });
            within(source, "serviceAccountToken", |token| {
                put(token, "expirationSeconds", json!(3600))
            });
        });
    });
    within(volume, "ephemeral", |ephemeral| {
        within(ephemeral, "volumeClaimTemplate", |claim| {
            within(claim, "spec", |spec| put(spec, "volumeMode", json!("Filesystem")));
        });
    });
}
