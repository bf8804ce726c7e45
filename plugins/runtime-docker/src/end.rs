//! How a container ended, and waiting for it.

use crate::DockerRuntime;
use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum as Status};
use bollard::query_parameters::WaitContainerOptions;
use futures::StreamExt as _;
use plenum_contract::runtime::{ContainerKey, Runtime as _, RuntimeError};
use plenum_model::task::{Exit, ExitReason};
use std::time::Duration;

/// One that was not started when asked may start and end before the daemon is waited for: that is found by
/// asking again. The end of one that runs is never missed.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// A daemon that restarts is back within seconds; its containers' ends are not lost meanwhile.
const DAEMON_AWAY: Duration = Duration::from_millis(500);

/// Where a container stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Created,
    Running,
    Ended,
}

pub(crate) fn state(inspected: &ContainerInspectResponse) -> State {
    match inspected.state.as_ref().and_then(|s| s.status) {
        Some(Status::CREATED) => State::Created,
        Some(Status::RUNNING | Status::PAUSED | Status::RESTARTING) => State::Running,
        Some(Status::EXITED | Status::DEAD | Status::REMOVING | Status::STOPPING | Status::EMPTY) | None => {
            State::Ended
        }
    }
}

/// The exit of an ended container.
pub(crate) fn exit(inspected: &ContainerInspectResponse) -> Exit {
    let state = inspected.state.clone().unwrap_or_default();
    let code = state.exit_code.and_then(|c| i32::try_from(c).ok());
    // The daemon gives 128 + n for an end by signal n.
    let signal = code
        .and_then(|c| c.checked_sub(128))
        .filter(|n| (1..=64).contains(n));
    let oom = state.oom_killed.unwrap_or(false) && code != Some(0);
    let reason = if oom {
        ExitReason::OutOfMemory
    } else {
        ExitReason::Exited
    };
    let message = match (oom, state.error.filter(|e| !e.is_empty())) {
        (true, _) => "the container went beyond its memory limit".to_owned(),
        (false, Some(error)) => error,
        (false, None) => String::new(),
    };
    Exit {
        code,
        signal,
        reason,
        message,
    }
}

/// Waits for the end. A daemon that is away is waited for as well: only it knows.
pub(crate) async fn wait(runtime: &DockerRuntime, key: &ContainerKey) -> Result<Exit, RuntimeError> {
    loop {
        match runtime.inspect(key).await {
            Ok(inspected) => match state(&inspected) {
                State::Ended => return Ok(exit(&inspected)),
                // Answers at once if it has ended since, so it need not be asked again and again: with hundreds
                // of containers that alone would keep the daemon busy.
                State::Running => next_end(runtime, key, "not-running").await,
                State::Created => {
                    // Whatever came of it, the next look tells.
                    let _ = tokio::time::timeout(ASK_AGAIN, next_end(runtime, key, "next-exit")).await;
                }
            },
            Err(RuntimeError::Failed { why, .. }) => {
                tracing::debug!(%key, why, "the daemon does not answer, waiting for it");
                tokio::time::sleep(DAEMON_AWAY).await;
            }
            Err(e) => return Err(e),
        }
    }
}

/// Returns when the container has ended, by the daemon's `condition`, or the daemon has gone.
async fn next_end(runtime: &DockerRuntime, key: &ContainerKey, condition: &str) {
    let Ok(docker) = runtime.docker().await else {
        return;
    };
    let options = WaitContainerOptions {
        condition: condition.to_owned(),
    };
    let name = crate::labels::name(&runtime.owner, key);
    let mut ends = docker.wait_container(&name, Some(options)).boxed();
    if let Some(Err(e)) = ends.next().await
        && !matches!(e, bollard::errors::Error::DockerContainerWaitError { .. })
    {
        tracing::debug!(runtime = runtime.name(), %key, error = %e, "waiting was cut");
        tokio::time::sleep(DAEMON_AWAY).await;
    }
}
