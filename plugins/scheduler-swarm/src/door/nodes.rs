//! `/nodes`: the pool's machines. Labels and availability are Docker's; the rest is the pool's.

use super::look::{self, all_nodes, flag, query, version};
use super::reply::{empty, ok};
use crate::error::{ApiError, ApiResult};
use crate::filters::Filters;
use crate::go_json::Names;
use crate::service::node::{Availability, NodeRecord, SwarmNode};
use crate::service::view;
use crate::state::Shared;
use crate::store::Edits;
use axum::extract::{Path, State};
use bytes::Bytes;
use http::{StatusCode, Uri};
use plenum_model::node::{Liveness, Scheduling};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

const FILTERS: [&str; 6] = ["name", "id", "label", "node.label", "role", "membership"];
/// As the pool's audit names this door.
const ACTOR: &str = "docker";

pub(super) async fn list(State(state): State<Shared>, uri: Uri) -> ApiResult {
    let filters = Filters::parse(query(&uri).get("filters"), &FILTERS)?;
    let nodes = all_nodes(&state, &state.desk.desired());
    let wanted = |n: &&SwarmNode| {
        let role = if n.manager { "manager" } else { "worker" };
        filters.prefix("id", &n.id)
            && filters.prefix("name", n.hostname())
            && filters.labels("label", &n.record.labels)
            && filters.labels("node.label", &n.record.labels)
            && filters.any("role", |r| r == role)
            && filters.any("membership", |m| m == "accepted")
    };
    let out: Vec<Value> = nodes.iter().filter(wanted).map(view::node).collect();
    ok(&out)
}

pub(super) async fn inspect(State(state): State<Shared>, Path(reference): Path<String>) -> ApiResult {
    let nodes = all_nodes(&state, &state.desk.desired());
    ok(&view::node(&look::node(nodes, &reference)?))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NodeSpec {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Labels")]
    labels: BTreeMap<String, String>,
    #[serde(rename = "Role")]
    role: String,
    #[serde(rename = "Availability")]
    availability: String,
}

pub(super) async fn update(
    State(state): State<Shared>,
    Path(reference): Path<String>,
    uri: Uri,
    body: Bytes,
) -> ApiResult {
    let version = version(&query(&uri), "node")?;
    let spec: NodeSpec = Names::new(&["Name", "Role", "Availability"], &["Labels"]).read(&body)?;
    let node = look::node(all_nodes(&state, &state.desk.desired()), &reference)?;
    let role = if node.manager { "manager" } else { "worker" };
    if !spec.role.is_empty() && spec.role != role {
        return Err(ApiError::bad(format!(
            "the role of node {} cannot be changed: the pool's broker manages the cluster, not a node",
            node.hostname()
        )));
    }
    let availability = match spec.availability.as_str() {
        "" => node.record.availability,
        "active" => Availability::Active,
        "pause" => Availability::Pause,
        "drain" => Availability::Drain,
        other => return Err(ApiError::bad(format!("invalid Availability: \"{other}\""))),
    };
    if node.index != version {
        return Err(ApiError::out_of_sequence());
    }
    let now = state.now_ms();
    let before = node.record.availability;
    let record = NodeRecord {
        node: node.node.facts.id.clone(),
        name: spec.name,
        labels: spec.labels,
        availability,
        updated_at: now,
    };
    let id = record.node.clone();
    state
        .desk
        .change(move |desired| {
            let mut edits = Edits::new();
            match desired.nodes.get(record.node.as_str()) {
                Some(stored) if stored.index == version => edits.replace(stored, record),
                Some(_) => return Err(ApiError::out_of_sequence()),
                None => edits.create(record),
            }
            Ok(edits)
        })
        .await?;
    if before != availability {
        let to = match availability {
            Availability::Active => Scheduling::Open,
            Availability::Pause | Availability::Drain => Scheduling::Cordoned,
        };
        state.pool.set_scheduling(&id, to, ACTOR).await?;
    }
    let mut attributes = vec![("name".to_owned(), id.to_string())];
    if before != availability {
        attributes.push((
            "availability.old".to_owned(),
            view::availability(before).to_owned(),
        ));
        attributes.push((
            "availability.new".to_owned(),
            view::availability(availability).to_owned(),
        ));
    }
    state.events.swarm(now, "node", "update", &node.id, attributes);
    Ok(empty(StatusCode::OK))
}

pub(super) async fn remove(
    State(state): State<Shared>,
    Path(reference): Path<String>,
    uri: Uri,
) -> ApiResult {
    let node = look::node(all_nodes(&state, &state.desk.desired()), &reference)?;
    if node.node.liveness == Liveness::Ready && !flag(&query(&uri), "force") {
        return Err(ApiError::bad(format!(
            "node {} is not down and can't be removed",
            node.id
        )));
    }
    let id = node.node.facts.id.clone();
    state.pool.remove_node(&id, ACTOR).await?;
    state
        .desk
        .change(move |desired| {
            let mut edits = Edits::new();
            if let Some(stored) = desired.nodes.get(id.as_str()) {
                edits.remove(stored);
            }
            Ok(edits)
        })
        .await?;
    let name = [("name".to_owned(), node.hostname().to_owned())];
    state
        .events
        .swarm(state.now_ms(), "node", "remove", &node.id, name);
    Ok(empty(StatusCode::OK))
}
