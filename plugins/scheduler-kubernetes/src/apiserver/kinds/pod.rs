//! Pods: deleted in two steps, since whoever runs them must end them first.

use super::{
    Column, Generation, Propagation, Resource, Scope, StatusMetadata, Subresource, age_column, name_column,
};
use super::{DeleteAnswer, as_written, cells, described};
use crate::apiserver::cell::Cell;
use crate::object::defaults;
use serde_json::{Value, json};

mod status;

pub(super) static POD: Resource = Resource {
    group: "",
    version: "v1",
    api_version: "v1",
    kind: "Pod",
    plural: "pods",
    singular: "pod",
    qualified: "pods",
    short_names: &["po"],
    categories: &["all"],
    scope: Scope::Namespaced,
    delete_collection: true,
    subresources: &[
        Subresource::Attach,
        Subresource::Binding,
        Subresource::Eviction,
        Subresource::Exec,
        Subresource::Log,
        Subresource::PortForward,
        Subresource::Status,
    ],
    selectable: &[
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
    ],
    described: described::<k8s_openapi::api::core::v1::Pod>,
    columns: &COLUMNS,
    row,
    generation: Generation::Spec,
    status_metadata: StatusMetadata {
        labels: true,
        annotations: true,
        finalizers: true,
    },
    deleted: DeleteAnswer::Object,
    propagation: Propagation::Background,
    resets_status: true,
    prepare_create,
    prepare_update: as_written,
    grace,
};

static COLUMNS: [Column; 9] = [
    name_column(),
    Column::text("Ready", "Ready containers of all."),
    Column::text("Status", "What it is doing, or why it does not."),
    Column::text("Restarts", "How often its containers were started again."),
    age_column(),
    Column::text("IP", "Its address.").wide(),
    Column::text("Node", "Where it runs.").wide(),
    Column::text("Nominated Node", "Where room is being made for it.").wide(),
    Column::text(
        "Readiness Gates",
        "Further conditions of its readiness that are true.",
    )
    .wide(),
];

fn prepare_create(object: &mut Value) {
    let class = defaults::quality_of_service(object);
    object["status"] = json!({ "phase": "Pending", "qosClass": class });
    // As the real server does: a pod that waits at a gate says so from its first moment.
    if cells::items(object, "/spec/schedulingGates").next().is_some() {
        object["status"]["conditions"] = json!([{
            "type": "PodScheduled",
            "status": "False",
            "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates",
            "lastProbeTime": null,
            "lastTransitionTime": null,
        }]);
    }
}

/// What the client asked for, else the pod's own; nothing to wait for where nobody runs it (any more).
fn grace(object: &Value, asked: Option<i64>) -> Option<i64> {
    let own = object
        .pointer("/spec/terminationGracePeriodSeconds")
        .and_then(Value::as_i64);
    let phase = cells::text(object, "/status/phase");
    let idle = cells::text(object, "/spec/nodeName").is_empty() || matches!(phase, "Failed" | "Succeeded");
    if idle {
        return Some(0);
    }
    // A negative period of the pod's own counts as one second.
    Some(
        asked
            .or(own)
            .map_or(30, |seconds| if seconds < 0 { 1 } else { seconds }),
    )
}

fn row(object: &Value) -> Vec<Cell> {
    let shown = status::shown(object);
    vec![
        cells::name(object),
        Cell::from(format!("{}/{}", shown.ready, shown.containers)),
        Cell::from(shown.status),
        shown.restarts,
        cells::age(object),
        cells::text_or_none(object, "/status/podIP"),
        cells::text_or_none(object, "/spec/nodeName"),
        cells::text_or_none(object, "/status/nominatedNodeName"),
        Cell::from(gates(object)),
    ]
}

fn gates(object: &Value) -> String {
    let gates: Vec<&str> = cells::items(object, "/spec/readinessGates")
        .map(|gate| cells::text(gate, "/conditionType"))
        .collect();
    if gates.is_empty() {
        return "<none>".to_owned();
    }
    let open = gates
        .iter()
        .filter(|gate| cells::has_condition(object, gate))
        .count();
    format!("{open}/{}", gates.len())
}
