//! Secrets.

use super::{Column, Generation, NO_METADATA, Propagation, Resource, Scope, age_column, name_column};
use super::{DeleteAnswer, as_given, as_written, at_once, cells, described};
use crate::apiserver::cell::Cell;
use serde_json::Value;

pub(super) static SECRET: Resource = Resource {
    group: "",
    version: "v1",
    api_version: "v1",
    kind: "Secret",
    plural: "secrets",
    singular: "secret",
    qualified: "secrets",
    short_names: &[],
    categories: &[],
    scope: Scope::Namespaced,
    delete_collection: true,
    subresources: &[],
    selectable: &["type"],
    described: described::<k8s_openapi::api::core::v1::Secret>,
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

static COLUMNS: [Column; 4] = [
    name_column(),
    Column::text("Type", "What its keys mean."),
    Column::text("Data", "How many keys it has."),
    age_column(),
];

fn row(object: &Value) -> Vec<Cell> {
    vec![
        cells::name(object),
        Cell::from(cells::text(object, "/type")),
        Cell::from(
            object["data"]
                .as_object()
                .map_or(0, serde_json::Map::len)
                .to_string(),
        ),
        cells::age(object),
    ]
}
