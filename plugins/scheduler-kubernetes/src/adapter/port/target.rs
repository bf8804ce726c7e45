//! Which task and container a request of the nodes' port is for.

use crate::adapter::book::Book;
use crate::adapter::pod::all_containers;
use crate::adapter::step::SLOT;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use plenum_contract::streams::StreamError;
use plenum_model::ids::TaskId;
use plenum_model::task::{ContainerState, Task};
use plenum_sdk::mirror::Mirror;
use std::sync::Arc;

/// A refusal, as text: the API server passes it on to the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(pub StatusCode, pub String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}

impl From<StreamError> for Refusal {
    fn from(error: StreamError) -> Self {
        let status = match error {
            StreamError::NotFound { .. } => StatusCode::NOT_FOUND,
            StreamError::State { .. } => StatusCode::BAD_REQUEST,
            StreamError::NotSupported { .. } => StatusCode::NOT_IMPLEMENTED,
            StreamError::Unavailable { .. } | StreamError::Failed { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, error.to_string())
    }
}

/// The newest task of a pod.
///
/// # Errors
/// There is no such pod, or nothing of it here.
pub fn task(book: &Book, mirror: &Mirror, namespace: &str, pod: &str) -> Result<Arc<Task>, Refusal> {
    let missing = || Refusal(StatusCode::NOT_FOUND, format!("pod \"{pod}\" not found"));
    let uid = book.read(|pages| {
        pages
            .named(namespace, pod)
            .map(|e| super::super::pod::uid(&e.pod).to_owned())
    });
    let uid = uid.ok_or_else(missing)?;
    let found = mirror.read(|observed| observed.slot(&uid, SLOT).last().cloned());
    found.ok_or_else(missing)
}

/// The task of a container that has been started at least once, or is asked for its last run.
///
/// # Errors
/// In the words of Kubernetes, why there is nothing to be had of it.
pub fn started(
    book: &Book,
    task: &Task,
    namespace: &str,
    pod: &str,
    container: &str,
) -> Result<TaskId, Refusal> {
    let known = book.read(|pages| {
        let spec = pages.named(namespace, pod).and_then(|e| e.pod.spec.clone());
        spec.is_some_and(|s| all_containers(&s).any(|(_, c)| c.name == container))
    });
    if !known {
        let text = format!("container \"{container}\" in pod \"{pod}\" is not available");
        return Err(Refusal(StatusCode::BAD_REQUEST, text));
    }
    let status = task.status.containers.iter().find(|s| s.name == container);
    let reason = match status {
        None if task.status.started_at.is_some() || task.status.phase().is_terminal() => return Ok(task.id()),
        None => "ContainerCreating",
        Some(status) => match &status.state {
            ContainerState::Running { .. } | ContainerState::Ended(_) => return Ok(task.id()),
            ContainerState::Waiting { .. } if status.last.is_some() => return Ok(task.id()),
            ContainerState::Waiting { reason, .. } => match reason {
                plenum_model::task::WaitReason::Turn => "PodInitializing",
                plenum_model::task::WaitReason::Image => "trying and failing to pull image",
                plenum_model::task::WaitReason::Setup => "CreateContainerError",
                plenum_model::task::WaitReason::Creating
                | plenum_model::task::WaitReason::Held
                | plenum_model::task::WaitReason::BackOff => "ContainerCreating",
            },
        },
    };
    let text = format!("container \"{container}\" in pod \"{pod}\" is waiting to start: {reason}");
    Err(Refusal(StatusCode::BAD_REQUEST, text))
}
