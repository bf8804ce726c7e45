//! Deployments.

use super::{
    Column, Generation, Propagation, Resource, Scope, StatusMetadata, Subresource, age_column, name_column,
};
use super::{DeleteAnswer, as_given, as_written, at_once, cells, described};
use crate::apiserver::cell::Cell;
use serde_json::Value;

pub(super) static DEPLOYMENT: Resource = Resource {
    group: "apps",
    version: "v1",
    api_version: "apps/v1",
    kind: "Deployment",
    plural: "deployments",
    singular: "deployment",
    qualified: "deployments.apps",
    short_names: &["deploy"],
    categories: &["all"],
    scope: Scope::Namespaced,
    delete_collection: true,
    subresources: &[Subresource::Scale, Subresource::Status],
    selectable: &[],
    described: described::<k8s_openapi::api::apps::v1::Deployment>,
    columns: &COLUMNS,
    row,
    generation: Generation::SpecAndAnnotations,
    status_metadata: StatusMetadata {
        labels: false,
        annotations: true,
        finalizers: true,
    },
    deleted: DeleteAnswer::Status,
    propagation: Propagation::Background,
    resets_status: true,
    prepare_create: as_given,
    prepare_update: as_written,
    grace: at_once,
};

static COLUMNS: [Column; 8] = [
    name_column(),
    Column::text("Ready", "Ready pods of those wanted."),
    Column::text("Up-to-date", "Pods of the newest template."),
    Column::text("Available", "Pods that are ready for long enough."),
    age_column(),
    Column::text("Containers", "The names of the template's containers.").wide(),
    Column::text("Images", "The images of the template's containers.").wide(),
    Column::text("Selector", "Which pods are its own.").wide(),
];

fn row(object: &Value) -> Vec<Cell> {
    let (containers, images) = cells::containers(object, "/spec/template/spec/containers");
    let ready = cells::number(object, "/status/readyReplicas");
    let wanted = cells::number(object, "/spec/replicas");
    vec![
        cells::name(object),
        Cell::from(format!("{ready}/{wanted}")),
        Cell::from(cells::number(object, "/status/updatedReplicas")),
        Cell::from(cells::number(object, "/status/availableReplicas")),
        cells::age(object),
        containers,
        images,
        Cell::from(cells::selector(object.pointer("/spec/selector"))),
    ]
}
