//! Service accounts: whom a pod speaks as.

use super::{
    Column, Generation, NO_METADATA, Propagation, Resource, Scope, Subresource, age_column, name_column,
};
use super::{DeleteAnswer, as_given, as_written, at_once, cells, described};
use crate::apiserver::cell::Cell;
use serde_json::Value;

pub(super) static SERVICE_ACCOUNT: Resource = Resource {
    group: "",
    version: "v1",
    api_version: "v1",
    kind: "ServiceAccount",
    plural: "serviceaccounts",
    singular: "serviceaccount",
    qualified: "serviceaccounts",
    short_names: &["sa"],
    categories: &[],
    scope: Scope::Namespaced,
    delete_collection: true,
    subresources: &[Subresource::Token],
    selectable: &[],
    described: described::<k8s_openapi::api::core::v1::ServiceAccount>,
    columns: &COLUMNS,
    row,
    generation: Generation::None,
    status_metadata: NO_METADATA,
    deleted: DeleteAnswer::Object,
    propagation: Propagation::Background,
    resets_status: true,
    prepare_create: as_given,
    prepare_update: as_written,
    grace: at_once,
};

static COLUMNS: [Column; 2] = [name_column(), age_column()];

fn row(object: &Value) -> Vec<Cell> {
    vec![cells::name(object), cells::age(object)]
}
