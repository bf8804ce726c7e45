//! Namespaces: ended in steps, with their contents, by the namespace controller.

use super::{
    Column, Generation, Propagation, Resource, Scope, StatusMetadata, Subresource, age_column, name_column,
};
use super::{DeleteAnswer, as_written, at_once, cells, described};
use crate::apiserver::cell::Cell;
use serde_json::{Value, json};

pub(super) static NAMESPACE: Resource = Resource {
    group: "",
    version: "v1",
    api_version: "v1",
    kind: "Namespace",
    plural: "namespaces",
    singular: "namespace",
    qualified: "namespaces",
    short_names: &["ns"],
    categories: &[],
    scope: Scope::Cluster,
    delete_collection: false,
    subresources: &[Subresource::Finalize, Subresource::Status],
    selectable: &["status.phase"],
    described: described::<k8s_openapi::api::core::v1::Namespace>,
    columns: &COLUMNS,
    row,
    generation: Generation::None,
    status_metadata: StatusMetadata {
        labels: true,
        annotations: true,
        finalizers: false,
    },
    deleted: DeleteAnswer::Object,
    propagation: Propagation::Background,
    resets_status: true,
    prepare_create,
    prepare_update,
    grace: at_once,
};

static COLUMNS: [Column; 3] = [
    name_column(),
    Column::text("Status", "Whether it is in use or on its way out."),
    age_column(),
];

fn row(object: &Value) -> Vec<Cell> {
    vec![
        cells::name(object),
        Cell::from(cells::text(object, "/status/phase")),
        cells::age(object),
    ]
}

fn prepare_create(object: &mut Value) {
    let name = object["metadata"]["name"].clone();
    object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
    object["status"] = json!({ "phase": "Active" });
    let finalizers = object["spec"]["finalizers"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    if !finalizers.iter().any(|f| f == "kubernetes") {
        object["spec"]["finalizers"] = json!(["kubernetes"]);
    }
}

/// Its finalizers change through `finalize` only, and the label with its name stays.
fn prepare_update(old: &Value, new: &mut Value) {
    as_written(old, new);
    new["spec"] = old["spec"].clone();
    new["metadata"]["labels"]["kubernetes.io/metadata.name"] = old["metadata"]["name"].clone();
}
