//! Nodes: the machines of the pool, registered by the adapter.

use super::{
    Column, Generation, Propagation, Resource, Scope, StatusMetadata, Subresource, age_column, name_column,
};
use super::{DeleteAnswer, as_written, at_once, cells, described};
use crate::apiserver::cell::Cell;
use serde_json::{Value, json};

pub(super) static NODE: Resource = Resource {
    group: "",
    version: "v1",
    api_version: "v1",
    kind: "Node",
    plural: "nodes",
    singular: "node",
    qualified: "nodes",
    short_names: &["no"],
    categories: &[],
    scope: Scope::Cluster,
    delete_collection: true,
    subresources: &[Subresource::Status],
    selectable: &["spec.unschedulable"],
    described: described::<k8s_openapi::api::core::v1::Node>,
    columns: &COLUMNS,
    row,
    generation: Generation::None,
    status_metadata: StatusMetadata {
        labels: true,
        annotations: true,
        finalizers: false,
    },
    deleted: DeleteAnswer::Status,
    propagation: Propagation::Background,
    // A node registers with its status.
    resets_status: false,
    prepare_create,
    prepare_update: as_written,
    grace: at_once,
};

static COLUMNS: [Column; 10] = [
    name_column(),
    Column::text("Status", "Whether the node takes pods."),
    Column::text("Roles", "The roles that its labels name."),
    age_column(),
    Column::text("Version", "The version of the node's agent."),
    Column::text("Internal-IP", "Its address within the cluster.").wide(),
    Column::text("External-IP", "Its address outside.").wide(),
    Column::text("OS-Image", "Its operating system.").wide(),
    Column::text("Kernel-Version", "Its kernel.").wide(),
    Column::text("Container-Runtime", "What runs its containers.").wide(),
];

/// A node is born not ready; whoever looks after nodes takes the taint away once it is.
fn prepare_create(object: &mut Value) {
    const NOT_READY: &str = "node.kubernetes.io/not-ready";
    let mut taints = object["spec"]["taints"].as_array().cloned().unwrap_or_default();
    if !taints
        .iter()
        .any(|t| t["key"] == NOT_READY && t["effect"] == "NoSchedule")
    {
        taints.push(json!({ "key": NOT_READY, "effect": "NoSchedule" }));
    }
    object["spec"]["taints"] = Value::Array(taints);
}

fn row(object: &Value) -> Vec<Cell> {
    let info = |field: &str| cells::text_or(object, &format!("/status/nodeInfo/{field}"), "<unknown>");
    vec![
        cells::name(object),
        Cell::from(status(object)),
        Cell::from(roles(object)),
        cells::age(object),
        Cell::from(cells::text(object, "/status/nodeInfo/kubeletVersion")),
        address(object, "InternalIP"),
        address(object, "ExternalIP"),
        info("osImage"),
        info("kernelVersion"),
        info("containerRuntimeVersion"),
    ]
}

fn status(object: &Value) -> String {
    let mut status = match cells::condition(object, "Ready") {
        Some(ready) if ready["status"] == "True" => "Ready".to_owned(),
        Some(_) => "NotReady".to_owned(),
        None => "Unknown".to_owned(),
    };
    if object.pointer("/spec/unschedulable") == Some(&Value::Bool(true)) {
        status.push_str(",SchedulingDisabled");
    }
    status
}

fn roles(object: &Value) -> String {
    let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
    let mut roles: Vec<&str> = Vec::new();
    for (label, value) in labels.into_iter().flatten() {
        let named = match label.strip_prefix("node-role.kubernetes.io/") {
            Some(role) => role,
            None if label == "kubernetes.io/role" => value.as_str().unwrap_or_default(),
            None => "",
        };
        if !named.is_empty() {
            roles.push(named);
        }
    }
    if roles.is_empty() {
        "<none>".to_owned()
    } else {
        roles.join(",")
    }
}

fn address(object: &Value, kind: &str) -> Cell {
    let found = cells::items(object, "/status/addresses").find(|a| a["type"] == kind);
    found.map_or("<none>", |a| cells::text(a, "/address")).into()
}
