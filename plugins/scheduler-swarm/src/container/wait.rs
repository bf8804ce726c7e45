//! `POST /containers/{id}/wait`: what is waited for, and what came of it.

use super::Containers;
use super::planner::run_of;
use super::record::Run;
use super::shelf::Kept;
use super::view::{State, exit_code, is_over};
use crate::error::{ApiError, ApiResult};
use plenum_model::task::Task;
use serde_json::{Value, json};
use std::sync::Arc;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    NotRunning,
    NextExit,
    Removed,
}

impl Condition {
    pub(super) fn parse(text: &str) -> ApiResult<Self> {
        match text {
            "" | "not-running" => Ok(Self::NotRunning),
            "next-exit" => Ok(Self::NextExit),
            "removed" => Ok(Self::Removed),
            other => Err(ApiError::bad(format!("invalid condition: \"{other}\""))),
        }
    }
}

/// The first run that a waiter who comes now has not seen the end of.
pub(super) fn next_run(task: Option<&Task>) -> Run {
    let Some(task) = task else { return Run::default() };
    let run = run_of(task);
    if !task.status.phase().is_terminal() {
        return run;
    }
    if task.status.phase().is_final() || task.status.node.is_none() {
        return Run {
            attempt: run.attempt.saturating_add(1),
            incarnation: 0,
        };
    }
    Run {
        incarnation: run.incarnation.saturating_add(1),
        ..run
    }
}

/// Waits, from the call on, and gives the body of the answer.
pub(super) fn wait(
    containers: Arc<Containers>,
    container: Kept,
    condition: Condition,
) -> impl Future<Output = Value> + Send + 'static {
    let task = containers.task(&container);
    let from = next_run(task.as_deref());
    let last = task.map_or(0, |t| exit_code(t.status.exit.as_ref()));
    wait_from(containers, container, condition, from, last)
}

async fn wait_from(
    containers: Arc<Containers>,
    container: Kept,
    condition: Condition,
    from: Run,
    mut last: i64,
) -> Value {
    let id = container.own.id.clone();
    let mut changes = containers.plans.shelf.changes();
    let mut mirror = containers.parts.mirror.changes();
    loop {
        let there = changes.borrow_and_update().containers.get(&id).cloned();
        mirror.borrow_and_update();
        let task = containers.task(&container);
        let there = match container.of_service {
            None => there,
            Some(_) => task.is_some().then(|| Arc::clone(&container)),
        };
        if let Some(exit) = task.as_ref().and_then(|t| t.status.exit.as_ref()) {
            last = exit_code(Some(exit));
        }
        let done = match (&there, condition) {
            (None, _) => true,
            (Some(_), Condition::Removed) => false,
            (Some(_), Condition::NextExit) => task.as_ref().is_some_and(|t| is_over(t, from)),
            (Some(c), Condition::NotRunning) => !State::of(c, task.as_deref()).runs(),
        };
        if done {
            return json!({ "Error": null, "StatusCode": last });
        }
        let ended = tokio::select! {
            changed = changes.changed() => changed.is_err(),
            changed = mirror.changed() => changed.is_err(),
            () = containers.parts.stopping.cancelled() => true,
        };
        if ended {
            return json!({ "Error": { "Message": "the scheduler is stopping" }, "StatusCode": -1 });
        }
    }
}
