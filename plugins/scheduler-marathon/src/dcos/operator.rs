//! What operators tell the master.

use super::front::Front;
use super::refused::{bad, by_pool, unsupported};
use crate::door::reply::{Answer, empty};
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use plenum_model::ids::NodeId;
use serde::Deserialize;
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
enum Call {
    /// An agent that will never come back: what was there is lost.
    MarkAgentGone { mark_agent_gone: MarkAgentGone },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MarkAgentGone {
    agent_id: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Value {
    value: String,
}

/// `POST /mesos/api/v1`
pub(super) async fn call(State(front): State<Arc<Front>>, headers: HeaderMap, body: Bytes) -> Answer {
    let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    if kind.is_some_and(|kind| !kind.starts_with("application/json")) {
        return Ok(unsupported(
            "calls of the operator API are taken as application/json only",
        ));
    }
    let call: Call =
        serde_json::from_slice(&body).map_err(|e| bad(format!("this call is not served: {e}")))?;
    let Call::MarkAgentGone { mark_agent_gone } = call;
    let name = mark_agent_gone.agent_id.value;
    let node = NodeId::new(&name).map_err(|e| bad(e.to_string()))?;
    let actor = format!("{}: dcos node decommission", front.scheduler);
    front.pool.remove_node(&node, &actor).await.map_err(by_pool)?;
    Ok(empty(StatusCode::OK))
}

/// `POST /mesos/master/teardown`: would stop every task of a scheduler, its own door's included, behind its back;
/// it would start them again.
pub(super) async fn teardown() -> Response {
    unsupported(
        "a scheduler of the pool cannot be shut down from here: stop its workloads with its own tool, and its process \
         where it runs",
    )
}
