//! `/v2/deployments`.

use super::Door;
use super::reply::{Answer, deployed, empty, ok};
use super::request::Query;
use crate::answer::deployment::DeploymentAnswer;
use axum::extract::{Path, State};
use http::StatusCode;
use std::sync::Arc;

/// `GET /v2/deployments`
pub(super) async fn list(State(door): State<Arc<Door>>) -> Answer {
    let desired = door.desk.desired();
    ok(&desired
        .deployments
        .iter()
        .map(|d| DeploymentAnswer::of(d))
        .collect::<Vec<_>>())
}

/// `DELETE /v2/deployments/ID`: taken back by a new deployment, or with `force` just stopped.
pub(super) async fn delete(State(door): State<Arc<Door>>, Path(id): Path<String>, query: Query) -> Answer {
    if query.0.flag("force") {
        door.desk.cancel(id).await?;
        return Ok(empty(StatusCode::ACCEPTED));
    }
    Ok(deployed(StatusCode::OK, &door.desk.revert(id).await?))
}
