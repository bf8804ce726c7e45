//! Images as Docker's JSON. What Docker has no word for, the nodes that have an image, stands under `Plenum`.

use super::list::Listed;
use crate::time::nanos;
use plenum_contract::images::{ImageConfig, ImageDetail, ImageHealth};
use plenum_model::ids::NodeId;
use serde_json::{Map, Value, json};

/// A row of `docker images`.
pub(super) fn row(listed: &Listed) -> Value {
    let image = &listed.image;
    let or_none = |names: &[String], none: &str| match names {
        [] => vec![none.to_owned()],
        names => names.to_vec(),
    };
    let nameless = image.tags.is_empty() && image.digests.is_empty();
    // Old clients show nothing at all for an image without names unless it is told so.
    let (tags, digests) = if nameless {
        (or_none(&[], "<none>:<none>"), or_none(&[], "<none>@<none>"))
    } else {
        (image.tags.clone(), image.digests.clone())
    };
    json!({
        "Id": image.id,
        "ParentId": "",
        "RepoTags": tags,
        "RepoDigests": digests,
        "Created": image.created_nanos / 1_000_000_000,
        "Size": image.size_bytes,
        "VirtualSize": image.size_bytes,
        "SharedSize": -1,
        "Labels": image.labels,
        "Containers": -1,
        "Plenum": { "Nodes": listed.nodes },
    })
}

/// `docker image inspect`.
pub(super) fn detail(image: &ImageDetail, nodes: &[NodeId]) -> Value {
    let summary = &image.summary;
    let mut shown = json!({
        "Id": summary.id,
        "RepoTags": summary.tags,
        "RepoDigests": summary.digests,
        "Parent": "",
        "Comment": image.comment,
        "Created": nanos(summary.created_nanos.into()),
        "DockerVersion": "",
        "Author": image.author,
        "Config": config(image),
        "Architecture": image.architecture,
        "Os": image.os,
        "Size": summary.size_bytes,
        "VirtualSize": summary.size_bytes,
        "GraphDriver": { "Name": "pool", "Data": null },
        "RootFS": { "Type": "layers", "Layers": image.layers },
        "Metadata": { "LastTagTime": "0001-01-01T00:00:00Z" },
        "Plenum": { "Nodes": nodes },
    });
    if let Some(variant) = &image.variant {
        shown["Variant"] = variant.as_str().into();
    }
    shown
}

fn config(image: &ImageDetail) -> Value {
    let config: &ImageConfig = &image.config;
    let labels = &image.summary.labels;
    let mut shown = json!({
        "Hostname": "", "Domainname": "",
        "User": config.user,
        "AttachStdin": false, "AttachStdout": false, "AttachStderr": false,
        "Tty": false, "OpenStdin": false, "StdinOnce": false,
        "Env": config.env,
        "Cmd": config.cmd,
        "Image": "",
        "Volumes": set(&config.volumes),
        "WorkingDir": config.workdir,
        "Entrypoint": config.entrypoint,
        "OnBuild": null,
        "Labels": if labels.is_empty() { Value::Null } else { json!(labels) },
    });
    if !config.exposed_ports.is_empty() {
        shown["ExposedPorts"] = set(&config.exposed_ports);
    }
    if let Some(signal) = &config.stop_signal {
        shown["StopSignal"] = signal.as_str().into();
    }
    if let Some(check) = &config.health {
        shown["Healthcheck"] = health(check);
    }
    shown
}

fn health(check: &ImageHealth) -> Value {
    let mut shown = json!({ "Test": check.test });
    for (key, value) in [
        ("Interval", check.interval_nanos),
        ("Timeout", check.timeout_nanos),
        ("StartPeriod", check.start_period_nanos),
        ("Retries", check.retries.into()),
    ] {
        if value > 0 {
            shown[key] = value.into();
        }
    }
    shown
}

fn set(keys: &[String]) -> Value {
    if keys.is_empty() {
        return Value::Null;
    }
    keys.iter()
        .map(|key| (key.clone(), json!({})))
        .collect::<Map<_, _>>()
        .into()
}
