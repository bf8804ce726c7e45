//! Replica sets.

use super::{
    Column, Generation, Propagation, Resource, Scope, StatusMetadata, Subresource, age_column, name_column,
};
use super::{DeleteAnswer, as_given, as_written, at_once, cells, described};
use crate::apiserver::cell::Cell;
use serde_json::Value;

pub(super) static REPLICA_SET: Resource = Resource {
    group: "apps",
    version: "v1",
    api_version: "apps/v1",
    kind: "ReplicaSet",
    plural: "replicasets",
    singular: "replicaset",
    qualified: "replicasets.apps",
    short_names: &["rs"],
    categories: &["all"],
    scope: Scope::Namespaced,
    delete_collection: true,
    subresources: &[Subresource::Scale, Subresource::Status],
    selectable: &[],
    described: described::<k8s_openapi::api::apps::v1::ReplicaSet>,
    columns: &COLUMNS,
    row,
    generation: Generation::Spec,
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
    Column::number("Desired", "How many pods it shall have."),
    Column::number("Current", "How many pods it has."),
    Column::number("Ready", "How many of them are ready."),
    age_column(),
    Column::text("Containers", "The names of the template's containers.").wide(),
    Column::text("Images", "The images of the template's containers.").wide(),
    Column::text("Selector", "Which pods are its own.").wide(),
];

fn row(object: &Value) -> Vec<Cell> {
    let (containers, images) = cells::containers(object, "/spec/template/spec/containers");
    vec![
        cells::name(object),
        Cell::from(cells::number(object, "/spec/replicas")),
        Cell::from(cells::number(object, "/status/replicas")),
        Cell::from(cells::number(object, "/status/readyReplicas")),
        cells::age(object),
        containers,
        images,
        Cell::from(cells::selector(object.pointer("/spec/selector"))),
    ]
}
