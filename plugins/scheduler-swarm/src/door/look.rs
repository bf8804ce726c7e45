//! Looking things up as clients name them: a full id, a name, or a prefix of an id.

use crate::error::ApiError;
use crate::ids::{self, Found};
use crate::service::node::{SwarmNode, nodes};
use crate::service::planner::WORKLOAD;
use crate::service::record::ServiceRecord;
use crate::state::DoorState;
use crate::store::{Desired, Stored};
use http::Uri;
use plenum_model::task::Task;
use plenum_sdk::door::lenient::Pairs;
use std::sync::Arc;

/// The query of a request.
pub(super) fn query(uri: &Uri) -> Pairs {
    Pairs::parse(uri.query())
}

/// A boolean as dockerd reads it: false if empty, `0`, `no`, `false` or `none`, true otherwise.
pub(super) fn flag(query: &Pairs, key: &str) -> bool {
    query.get(key).is_some_and(|v| {
        !matches!(
            v.trim().to_ascii_lowercase().as_str(),
            "" | "0" | "no" | "false" | "none"
        )
    })
}

/// The `version` of an update.
pub(super) fn version(query: &Pairs, noun: &str) -> Result<u64, ApiError> {
    let text = query.get("version").unwrap_or_default();
    text.parse()
        .map_err(|_| ApiError::bad(format!("invalid {noun} version '{text}'")))
}

pub(super) fn found<T>(found: Found<T>, noun: &str, reference: &str) -> Result<T, ApiError> {
    match found {
        Found::One(item) => Ok(item),
        Found::None => Err(ApiError::missing(format!("{noun} {reference} not found"))),
        Found::Ambiguous(n) => Err(ApiError::bad(format!(
            "{noun} {reference} is ambiguous ({n} matches found)"
        ))),
    }
}

pub(super) fn service(desired: &Desired, reference: &str) -> Result<Arc<Stored<ServiceRecord>>, ApiError> {
    let all = desired
        .services
        .iter()
        .map(|s| (s.id.clone(), s.spec.name().to_owned(), Arc::clone(s)));
    found(ids::resolve(reference, all), "service", reference)
}

pub(super) fn all_nodes(state: &DoorState, desired: &Desired) -> Vec<SwarmNode> {
    state.mirror.read(|observed| nodes(desired, observed))
}

pub(super) fn node(all: Vec<SwarmNode>, reference: &str) -> Result<SwarmNode, ApiError> {
    let all = all
        .into_iter()
        .map(|n| (n.id.clone(), n.hostname().to_owned(), n));
    found(ids::resolve(reference, all), "node", reference)
}

/// The tasks that are shown: those of services, but for what was withdrawn before it had a place.
pub(super) fn tasks(state: &DoorState) -> Vec<Arc<Task>> {
    state
        .mirror
        .read(|observed| observed.tasks().filter(|t| is_shown(t)).map(Arc::clone).collect())
}

pub(super) fn is_shown(task: &Task) -> bool {
    task.terms.workload.kind == WORKLOAD && !(task.released && task.status.node.is_none())
}

pub(super) fn task(state: &DoorState, reference: &str) -> Result<Arc<Task>, ApiError> {
    let all = tasks(state)
        .into_iter()
        .map(|t| (ids::task(t.id()), t.seat.name.clone(), t));
    found(ids::resolve(reference, all), "task", reference)
}
