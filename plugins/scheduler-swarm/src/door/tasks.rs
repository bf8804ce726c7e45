//! `/tasks`.

use super::look::{self, all_nodes, query};
use super::reply::ok;
use crate::error::{ApiError, ApiResult};
use crate::filters::Filters;
use crate::ids;
use crate::service::{status, view};
use crate::state::Shared;
use axum::extract::{Path, State};
use http::Uri;
use plenum_model::task::Task;
use plenum_sdk::holders::Holders;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const FILTERS: [&str; 8] = [
    "name",
    "id",
    "label",
    "service",
    "node",
    "desired-state",
    "runtime",
    "_up-to-date",
];

pub(super) async fn list(State(state): State<Shared>, uri: Uri) -> ApiResult {
    let filters = Filters::parse(query(&uri).get("filters"), &FILTERS)?;
    let desired = state.desk.desired();
    let services: BTreeSet<String> = filters
        .values("service")
        .map(|r| look::service(&desired, r).map(|s| s.id.clone()))
        .collect::<Result<_, _>>()?;
    let mut nodes = BTreeSet::new();
    for reference in filters.values("node") {
        nodes.insert(look::node(all_nodes(&state, &desired), reference)?.id);
    }
    for wanted in filters.values("desired-state") {
        if !matches!(
            wanted,
            "running" | "shutdown" | "accepted" | "ready" | "complete" | "remove"
        ) {
            return Err(ApiError::bad(format!("Invalid filter 'desired-state={wanted}'")));
        }
    }
    let current = filters.values("_up-to-date").any(|v| matches!(v, "true" | "1"));
    let none = BTreeMap::new();
    let tasks: Vec<Arc<Task>> = if filters.has("service") {
        state.mirror.read(|observed| {
            services
                .iter()
                .flat_map(|id| observed.workload(id))
                .filter(|t| look::is_shown(t))
                .map(Arc::clone)
                .collect()
        })
    } else {
        look::tasks(&state)
    };
    let holders = holders(&state, tasks.iter());
    let mut out: Vec<Value> = Vec::new();
    for task in &tasks {
        let Some(record) = desired.services.get(&task.terms.workload.uid) else {
            continue;
        };
        let on = task.status.node.as_ref().map(ids::node);
        let passes = (!current || task.terms.workload.version == record.version())
            && (nodes.is_empty() || on.is_some_and(|n| nodes.contains(&n)))
            && filters.any("desired-state", |d| d == status::desired(task))
            && filters.prefix("id", &ids::task(task.id()))
            && filters.prefix("name", &task.seat.name)
            && filters.any("runtime", |r| r == "container")
            && filters.labels("label", record.spec.labels.as_ref().unwrap_or(&none));
        if passes {
            out.push(view::task(task, record, &holders));
        }
    }
    ok(&out)
}

pub(super) async fn inspect(State(state): State<Shared>, Path(reference): Path<String>) -> ApiResult {
    let task = look::task(&state, &reference)?;
    let desired = state.desk.desired();
    let record = desired
        .services
        .get(&task.terms.workload.uid)
        .ok_or_else(|| ApiError::missing(format!("task {reference} not found")))?;
    let holders = holders(&state, std::iter::once(&task));
    ok(&view::task(&task, record, &holders))
}

/// Who holds what, if one of these waits.
fn holders<'t>(state: &Shared, mut tasks: impl Iterator<Item = &'t Arc<Task>>) -> Holders {
    match tasks.any(|t| t.status.why.is_some()) {
        true => state.mirror.read(|o| Holders::of(o.nodes())),
        false => Holders::default(),
    }
}
