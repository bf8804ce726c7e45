//! `/v2/deployments`.

use super::Door;
use super::reply::{Answer, deployed, empty, ok};
use super::request::Query;
use super::view::readiness_of;
use crate::answer::deployment::DeploymentAnswer;
use crate::path::AppId;
use axum::extract::{Path, State};
use http::StatusCode;
use std::sync::Arc;

/// `GET /v2/deployments`
pub(super) async fn list(State(door): State<Arc<Door>>) -> Answer {
    let desired = door.desk.desired();
    let answers: Vec<_> = door.mirror.read(|observed| {
        let readiness = |app: &AppId| {
            let record = desired.app(app);
            record.map_or_else(Vec::new, |record| readiness_of(observed, record))
        };
        let deployments = desired.deployments.iter();
        deployments.map(|d| DeploymentAnswer::of(d, readiness)).collect()
    });
    ok(&answers)
}

/// `DELETE /v2/deployments/ID`: taken back by a new deployment, or with `force` just stopped.
pub(super) async fn delete(State(door): State<Arc<Door>>, Path(id): Path<String>, query: Query) -> Answer {
    if query.0.flag("force") {
        door.desk.cancel(id).await?;
        return Ok(empty(StatusCode::ACCEPTED));
    }
    Ok(deployed(StatusCode::OK, &door.desk.revert(id).await?))
}
