//! Leases: who leads, which node lives.

use super::{Column, Generation, NO_METADATA, Propagation, Resource, Scope, age_column, name_column};
use super::{DeleteAnswer, as_given, as_written, at_once, cells, described};
use crate::apiserver::cell::Cell;
use serde_json::Value;

pub(super) static LEASE: Resource = Resource {
    group: "coordination.k8s.io",
    version: "v1",
    api_version: "coordination.k8s.io/v1",
    kind: "Lease",
    plural: "leases",
    singular: "lease",
    qualified: "leases.coordination.k8s.io",
    short_names: &[],
    categories: &[],
    scope: Scope::Namespaced,
    delete_collection: true,
    subresources: &[],
    selectable: &[],
    described: described::<k8s_openapi::api::coordination::v1::Lease>,
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
    Column::text("Holder", "Who holds it."),
    age_column(),
];

fn row(object: &Value) -> Vec<Cell> {
    vec![
        cells::name(object),
        Cell::from(cells::text(object, "/spec/holderIdentity")),
        cells::age(object),
    ]
}
