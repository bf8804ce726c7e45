//! `/services`.

use super::look::{self, all_nodes, flag, query, version};
use super::reply::{empty, json, ok};
use crate::container::names::made_up;
use crate::error::{ApiError, ApiResult};
use crate::filters::Filters;
use crate::ids;
use crate::service::node::{Availability, SwarmNode};
use crate::service::place::Places;
use crate::service::record::{ServiceRecord, Update, UpdateState};
use crate::service::spec::{Copies, NAMES, ServiceSpec};
use crate::service::{check, view};
use crate::state::{DoorState, Shared};
use crate::store::{Desired, Edits, Stored};
use axum::extract::{Path, State};
use bytes::Bytes;
use http::{StatusCode, Uri};
use plenum_model::node::Liveness;
use plenum_model::task::Task;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const FILTERS: [&str; 5] = ["name", "id", "label", "mode", "runtime"];

pub(super) async fn list(State(state): State<Shared>, uri: Uri) -> ApiResult {
    let query = query(&uri);
    let filters = Filters::parse(query.get("filters"), &FILTERS)?;
    let status = go_bool(query.get("status"), "status")?;
    let desired = state.desk.desired();
    let nodes = all_nodes(&state, &desired);
    let none = BTreeMap::new();
    let wanted = |s: &&Arc<Stored<ServiceRecord>>| {
        let mode = match s.spec.copies() {
            Copies::Replicated(_) => "replicated",
            Copies::Global => "global",
        };
        filters.prefix("id", &s.id)
            && filters.prefix("name", s.spec.name())
            && filters.labels("label", s.spec.labels.as_ref().unwrap_or(&none))
            && filters.any("mode", |m| m == mode)
            && filters.any("runtime", |r| r == "container")
    };
    let out: Vec<Value> = desired
        .services
        .iter()
        .filter(wanted)
        .map(|s| view::service(s, false, status.then(|| self::status(&state, s, &nodes))))
        .collect();
    ok(&out)
}

fn status(state: &DoorState, record: &ServiceRecord, nodes: &[SwarmNode]) -> Value {
    let placement = record.spec.task.as_ref().and_then(|t| t.placement.as_ref());
    let places = Places::of(placement);
    state.mirror.read(|observed| {
        let tasks = || observed.workload(&record.id).map(|t| &**t as &Task);
        // a node that takes no new tasks counts for what it has
        let has_one = |n: &SwarmNode| {
            tasks().any(|t| {
                let live = !t.released && !t.status.phase().is_terminal();
                live && t.status.node.as_ref() == Some(&n.node.facts.id)
            })
        };
        let counts = |n: &&SwarmNode| {
            let takes = match n.availability() {
                Availability::Active => true,
                Availability::Pause => has_one(n),
                Availability::Drain => false,
            };
            n.node.liveness == Liveness::Ready && takes && places.allows(n)
        };
        let eligible = match record.spec.copies() {
            Copies::Replicated(_) => 0,
            Copies::Global => nodes.iter().filter(counts).count(),
        };
        view::service_status(record, tasks(), eligible)
    })
}

/// As Go's ParseBool reads it.
fn go_bool(text: Option<&str>, key: &str) -> Result<bool, ApiError> {
    match text.unwrap_or_default() {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "" | "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        other => Err(ApiError::bad(format!(
            "invalid value for {key}: {other}: strconv.ParseBool: parsing \"{other}\": invalid syntax"
        ))),
    }
}

pub(super) async fn create(State(state): State<Shared>, body: Bytes) -> ApiResult {
    let mut spec: ServiceSpec = NAMES.read(&body)?;
    let (id, now) = (ids::random(), state.now_ms());
    if spec.name().is_empty() {
        spec.name = Some(made_up(&id, 0));
    }
    let name = spec.name().to_owned();
    let new = id.clone();
    state
        .desk
        .change(move |desired| {
            let spec = check::service(spec, desired)?;
            if desired.services.iter().any(|s| s.spec.name() == spec.name()) {
                return Err(ApiError::conflict(format!(
                    "name conflicts with an existing object: service {} already exists",
                    spec.name()
                )));
            }
            let mut edits = Edits::new();
            edits.create(ServiceRecord::new(new, spec, now));
            Ok(edits)
        })
        .await?;
    state
        .events
        .swarm(now, "service", "create", &id, [("name".to_owned(), name)]);
    Ok(json(StatusCode::CREATED, &json!({"ID": id, "Warnings": null})))
}

pub(super) async fn inspect(
    State(state): State<Shared>,
    Path(reference): Path<String>,
    uri: Uri,
) -> ApiResult {
    let defaults = go_bool(query(&uri).get("insertDefaults"), "insertDefaults")?;
    let stored = look::service(&state.desk.desired(), &reference)?;
    ok(&view::service(&stored, defaults, None))
}

pub(super) async fn remove(State(state): State<Shared>, Path(reference): Path<String>) -> ApiResult {
    let stored = look::service(&state.desk.desired(), &reference)?;
    let id = stored.id.clone();
    state
        .desk
        .change(move |desired| {
            let mut edits = Edits::new();
            let stored = desired.services.get(&id);
            edits.remove(stored.ok_or_else(|| ApiError::missing(format!("service {id} not found")))?);
            Ok(edits)
        })
        .await?;
    let name = [("name".to_owned(), stored.spec.name().to_owned())];
    state
        .events
        .swarm(state.now_ms(), "service", "remove", &stored.id, name);
    Ok(empty(StatusCode::OK))
}

pub(super) async fn update(
    State(state): State<Shared>,
    Path(reference): Path<String>,
    uri: Uri,
    body: Bytes,
) -> ApiResult {
    let query = query(&uri);
    let version = version(&query, "service")?;
    let rollback = match query.get("rollback").unwrap_or_default() {
        "" | "none" => false,
        "previous" => true,
        _ => return Err(ApiError::bad("unrecognized rollback option")),
    };
    let from = query.get("registryAuthFrom").unwrap_or_default();
    if !matches!(from, "" | "spec" | "previous-spec") || (flag(&query, "registryAuthFrom") && from.is_empty())
    {
        return Err(ApiError::bad(format!(
            "unsupported registryAuthFrom value '{from}'"
        )));
    }
    let spec: ServiceSpec = NAMES.read(&body)?;
    let id = look::service(&state.desk.desired(), &reference)?.id.clone();
    let now = state.now_ms();
    let wanted = id.clone();
    let before = state.desk.desired();
    let after = state
        .desk
        .change(move |desired| {
            let stored = desired
                .services
                .get(&wanted)
                .ok_or_else(|| ApiError::missing(format!("service {wanted} not found")))?;
            if stored.index != version {
                return Err(ApiError::out_of_sequence());
            }
            let record = if rollback {
                rolled_back(stored, now)?
            } else {
                updated(stored, spec, desired, now)?
            };
            let mut edits = Edits::new();
            edits.replace(stored, record);
            Ok(edits)
        })
        .await?;
    announce(&state, &id, &before, &after, now);
    ok(&json!({"Warnings": null}))
}

fn announce(state: &DoorState, id: &str, before: &Desired, after: &Desired, now: u64) {
    let (Some(old), Some(new)) = (before.services.get(id), after.services.get(id)) else {
        return;
    };
    let mut attributes = vec![("name".to_owned(), new.spec.name().to_owned())];
    let mut changed = |key: &str, old: Option<String>, new: Option<String>| {
        if old != new {
            attributes.extend(old.map(|v| (format!("{key}.old"), v)));
            attributes.extend(new.map(|v| (format!("{key}.new"), v)));
        }
    };
    let image = |s: &ServiceRecord| s.spec.container().and_then(|c| c.image.clone());
    let replicas = |s: &ServiceRecord| match s.spec.copies() {
        Copies::Replicated(n) => Some(n.to_string()),
        Copies::Global => None,
    };
    let update = |s: &ServiceRecord| s.update.as_ref().map(|u| u.state.as_str().to_owned());
    changed("image", image(old), image(new));
    changed("replicas", replicas(old), replicas(new));
    changed("updatestate", update(old), update(new));
    state.events.swarm(now, "service", "update", id, attributes);
}

fn under_way(state: UpdateState, now: u64, message: &str) -> Option<Update> {
    Some(Update {
        state,
        started_at: now,
        completed_at: None,
        message: message.to_owned(),
    })
}

fn updated(
    stored: &ServiceRecord,
    spec: ServiceSpec,
    desired: &Desired,
    now: u64,
) -> Result<ServiceRecord, ApiError> {
    let spec = check::service(spec, desired)?;
    if spec.name() != stored.spec.name() {
        return Err(ApiError::not_served("renaming services is not supported"));
    }
    let same_mode = matches!(
        (spec.copies(), stored.spec.copies()),
        (Copies::Global, Copies::Global) | (Copies::Replicated(_), Copies::Replicated(_))
    );
    if !same_mode {
        return Err(ApiError::not_served("service mode change is not allowed"));
    }
    let mut record = stored.clone();
    record.previous = Some(stored.spec.clone());
    let dirty = record.set_spec(spec, now);
    record.update = if dirty {
        under_way(UpdateState::Updating, now, "update in progress")
    } else {
        None
    };
    Ok(record)
}

/// A rollback by hand swaps the two specs.
fn rolled_back(stored: &ServiceRecord, now: u64) -> Result<ServiceRecord, ApiError> {
    let Some(previous) = stored.previous.clone() else {
        return Err(ApiError::bad(format!(
            "service {} does not have a previous spec",
            stored.id
        )));
    };
    let mut record = stored.clone();
    record.previous = Some(stored.spec.clone());
    record.set_spec(previous, now);
    record.version_since = now;
    record.update = under_way(UpdateState::RollbackStarted, now, "manually requested rollback");
    Ok(record)
}
