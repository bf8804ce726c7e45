//! `/nodes`: the pool's machines. Labels and availability are Docker's; the rest is the pool's.

use super::look::{self, all_nodes, flag, query, version};
use super::reply::{empty, ok};
use crate::error::{ApiError, ApiResult};
use crate::filters::Filters;
use crate::go_json::Names;
use crate::service::node::{Availability, NodeRecord, SwarmNode};
use crate::service::view;
use crate::state::{DoorState, Shared};
use crate::store::Edits;
use axum::extract::{Path, State};
use bytes::Bytes;
use http::{StatusCode, Uri};
use plenum_model::ids::NodeId;
use plenum_model::node::{Liveness, Scheduling};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

const FILTERS: [&str; 6] = ["name", "id", "label", "node.label", "role", "membership"];
/// As the pool's audit names this door.
const ACTOR: &str = "docker";
/// How long an update waits for its own effect: the watch tells within milliseconds.
const SEEN_WITHIN: Duration = Duration::from_secs(2);

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
    let out: Vec<Value> = nodes.iter().filter(wanted).map(|n| shown(&state, n)).collect();
    ok(&out)
}

pub(super) async fn inspect(State(state): State<Shared>, Path(reference): Path<String>) -> ApiResult {
    let nodes = all_nodes(&state, &state.desk.desired());
    ok(&shown(&state, &look::node(nodes, &reference)?))
}

fn shown(state: &DoorState, node: &SwarmNode) -> Value {
    view::node(node, state.scheduler.as_str(), &state.config.broker_address)
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
        "" => node.availability(),
        "active" => Availability::Active,
        "pause" => Availability::Pause,
        "drain" => Availability::Drain,
        other => return Err(ApiError::bad(format!("invalid Availability: \"{other}\""))),
    };
    if node.index != version {
        return Err(ApiError::out_of_sequence());
    }
    let id = node.node.facts.id.clone();
    let closes = availability != Availability::Active;
    let to = if closes {
        Scheduling::Cordoned
    } else {
        Scheduling::Open
    };
    // one that the pool drains is closed already, and stays so
    let moves = node.node.scheduling.is_open() == closes;
    // what the record says counts only while the node is closed: so it is written first when that begins, and
    // last when it ends
    if moves && !closes {
        set_scheduling(&state, &id, to).await?;
    }
    let record = NodeRecord {
        node: id.clone(),
        name: spec.name,
        labels: spec.labels,
        availability,
        updated_at: state.now_ms(),
    };
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
    if moves && closes {
        set_scheduling(&state, &id, to).await?;
    }
    Ok(empty(StatusCode::OK))
}

/// Opens or closes a node, and waits a little until that is seen here, too: who asks next reads what was set.
async fn set_scheduling(state: &DoorState, node: &NodeId, to: Scheduling) -> Result<(), ApiError> {
    state.pool.set_scheduling(node, to, ACTOR).await?;
    let seen = state.mirror.until(|observed| {
        let is_so = observed.node(node).is_none_or(|n| n.scheduling == to);
        is_so.then_some(())
    });
    // whoever waits in vain reads the state before, which is no error
    let _ = tokio::time::timeout(SEEN_WITHIN, seen).await;
    Ok(())
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
    Ok(empty(StatusCode::OK))
}
