//! Config maps.

use super::{Column, Generation, NO_METADATA, Propagation, Resource, Scope, age_column, name_column};
use super::{DeleteAnswer, as_given, as_written, at_once, cells, described};
use crate::apiserver::cell::Cell;
use serde_json::Value;

pub(super) static CONFIG_MAP: Resource = Resource {
    group: "",
    version: "v1",
    api_version: "v1",
    kind: "ConfigMap",
    plural: "configmaps",
    singular: "configmap",
    qualified: "configmaps",
    short_names: &["cm"],
    categories: &[],
    scope: Scope::Namespaced,
    delete_collection: true,
    subresources: &[],
    selectable: &[],
    described: described::<k8s_openapi::api::core::v1::ConfigMap>,
    columns: &COLUMNS,
    row,
    generation: Generation::None,
    status_metadata: NO_METADATA,
    deleted: DeleteAnswer::Status,
    propagation: Propagation::Background,
    resets_status: true,
    prepare_create: as_given,
    prepare_update: as_written,
    grace: at_once,
};

static COLUMNS: [Column; 3] = [
    name_column(),
    Column::text("Data", "How many keys it has."),
    age_column(),
];

fn row(object: &Value) -> Vec<Cell> {
    let keys = |field: &str| object[field].as_object().map_or(0, serde_json::Map::len);
    vec![
        cells::name(object),
        Cell::from((keys("data") + keys("binaryData")).to_string()),
        cells::age(object),
    ]
}
