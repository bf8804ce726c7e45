//! Jobs.

use super::{
    Column, Generation, Propagation, Resource, Scope, StatusMetadata, Subresource, age_column, name_column,
};
use super::{DeleteAnswer, as_written, at_once, cells, described};
use crate::apiserver::cell::{Cell, human};
use crate::object::defaults;
use jiff::Timestamp;
use serde_json::Value;

pub(super) static JOB: Resource = Resource {
    group: "batch",
    version: "v1",
    api_version: "batch/v1",
    kind: "Job",
    plural: "jobs",
    singular: "job",
    qualified: "jobs.batch",
    short_names: &[],
    categories: &["all"],
    scope: Scope::Namespaced,
    delete_collection: true,
    subresources: &[Subresource::Status],
    selectable: &["status.successful"],
    described: described::<k8s_openapi::api::batch::v1::Job>,
    columns: &COLUMNS,
    row,
    generation: Generation::Spec,
    status_metadata: StatusMetadata {
        labels: false,
        annotations: true,
        finalizers: true,
    },
    deleted: DeleteAnswer::Status,
    // A job's pods outlive it unless the client says otherwise; its tools do.
    propagation: Propagation::Orphan,
    resets_status: true,
    prepare_create,
    prepare_update: as_written,
    grace: at_once,
};

static COLUMNS: [Column; 8] = [
    name_column(),
    Column::text("Status", "Whether it runs, is done or failed."),
    Column::text("Completions", "Pods that succeeded of those wanted."),
    Column::text("Duration", "How long it took, or has been running."),
    age_column(),
    Column::text("Containers", "The names of the template's containers.").wide(),
    Column::text("Images", "The images of the template's containers.").wide(),
    Column::text("Selector", "Which pods are its own.").wide(),
];

/// Unless the client selects its pods itself, a job's pods carry its uid and are selected by it.
fn prepare_create(object: &mut Value) {
    let uid = cells::text(object, "/metadata/uid").to_owned();
    defaults::job_selector(object, &uid);
}

fn row(object: &Value) -> Vec<Cell> {
    let (containers, images) = cells::containers(object, "/spec/template/spec/containers");
    vec![
        cells::name(object),
        Cell::from(status(object)),
        Cell::from(completions(object)),
        duration(object),
        cells::age(object),
        containers,
        images,
        Cell::from(cells::selector(object.pointer("/spec/selector"))),
    ]
}

fn status(object: &Value) -> &'static str {
    if cells::has_condition(object, "Complete") {
        "Complete"
    } else if cells::has_condition(object, "Failed") {
        "Failed"
    } else if !cells::text(object, "/metadata/deletionTimestamp").is_empty() {
        "Terminating"
    } else if cells::has_condition(object, "Suspended") {
        "Suspended"
    } else if cells::has_condition(object, "FailureTarget") {
        "FailureTarget"
    } else if cells::has_condition(object, "SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    }
}

fn completions(object: &Value) -> String {
    let done = cells::number(object, "/status/succeeded");
    if let Some(wanted) = object.pointer("/spec/completions").and_then(Value::as_i64) {
        return format!("{done}/{wanted}");
    }
    match cells::number(object, "/spec/parallelism") {
        ..=1 => format!("{done}/1"),
        parallel => format!("{done}/1 of {parallel}"),
    }
}

fn duration(object: &Value) -> Cell {
    let moment = |pointer: &str| cells::text(object, pointer).parse::<Timestamp>().ok();
    match (moment("/status/startTime"), moment("/status/completionTime")) {
        (Some(start), Some(end)) => human(end.duration_since(start)).into(),
        (Some(start), None) => Cell::since(start),
        (None, _) => "".into(),
    }
}
