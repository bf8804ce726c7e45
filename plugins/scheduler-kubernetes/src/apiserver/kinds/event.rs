//! Events: what happened to an object.

use super::{Column, Generation, NO_METADATA, Propagation, Resource, Scope};
use super::{DeleteAnswer, as_given, as_written, at_once, cells, described};
use crate::apiserver::cell::Cell;
use serde_json::Value;

pub(super) static EVENT: Resource = Resource {
    group: "",
    version: "v1",
    api_version: "v1",
    kind: "Event",
    plural: "events",
    singular: "event",
    qualified: "events",
    short_names: &["ev"],
    categories: &[],
    scope: Scope::Namespaced,
    delete_collection: true,
    subresources: &[],
    selectable: &[
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ],
    described: described::<k8s_openapi::api::core::v1::Event>,
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

static COLUMNS: [Column; 10] = [
    Column::text("Last Seen", "When it happened last."),
    Column::text("Type", "Normal or Warning."),
    Column::text("Reason", "Why, in one word."),
    Column::text("Object", "To what."),
    Column::text("Subobject", "To which part of it.").wide(),
    Column::text("Source", "Who says so.").wide(),
    Column::text("Message", "What happened."),
    Column::text("First Seen", "When it happened first.").wide(),
    Column::text("Count", "How often.").wide(),
    Column::text("Name", "The event's name.").naming().wide(),
];

fn row(object: &Value) -> Vec<Cell> {
    let text = |pointer: &str| cells::text(object, pointer);
    let first = match (text("/firstTimestamp"), text("/eventTime")) {
        ("", time) | (time, _) => time,
    };
    let last = match (text("/series/lastObservedTime"), text("/lastTimestamp")) {
        ("", "") => first,
        ("", time) | (time, _) => time,
    };
    let count = match (
        cells::number(object, "/series/count"),
        cells::number(object, "/count"),
    ) {
        (0, 0) => 1,
        (0, count) | (count, _) => count,
    };
    let about = text("/involvedObject/kind").to_ascii_lowercase();
    let about = match text("/involvedObject/name") {
        "" => about,
        name => format!("{about}/{name}"),
    };
    vec![
        cells::since(last),
        Cell::from(text("/type")),
        Cell::from(text("/reason")),
        Cell::from(about),
        Cell::from(text("/involvedObject/fieldPath")),
        Cell::from(source(object)),
        Cell::from(text("/message").trim()),
        cells::since(first),
        Cell::from(count),
        cells::name(object),
    ]
}

fn source(object: &Value) -> String {
    let or = |first: &str, second: &str| match cells::text(object, first) {
        "" => cells::text(object, second).to_owned(),
        found => found.to_owned(),
    };
    let component = or("/source/component", "/reportingComponent");
    let host = or("/source/host", "/reportingInstance");
    if host.is_empty() {
        component
    } else {
        format!("{component}, {host}")
    }
}
