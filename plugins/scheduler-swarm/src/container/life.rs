//! The verbs that change a container: each writes what is wanted, wakes the planner, and waits until it is so.

use super::planner::{run_of, seen, task_of};
use super::record::{Container, Record, Run, Wanted};
use super::shelf::Kept;
use super::view::{State, is_over};
use super::wait::next_run;
use super::{Containers, attach, exec, fields::Fields, lower::asked, names};
use crate::error::{ApiError, ApiResult};
use crate::ids;
use futures::StreamExt;
use http::StatusCode;
use plenum_contract::pool::PoolError;
use plenum_contract::streams::{StreamError, StreamRequest};
use plenum_model::phase::Phase;
use plenum_model::task::{Exit, ExitReason, Task};
use plenum_model::why::Why;
use plenum_sdk::door::lenient::Pairs;
use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A container for which there is no room by then is not made: a client that waits for ever is worse off than
/// one that knows why.
const ROOM: Duration = Duration::from_secs(5);
/// A removal that takes longer goes on by itself.
const REMOVAL: Duration = Duration::from_secs(30);

/// Whether anything was to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    Now,
    Already,
}

/// What became of a new container.
enum Made {
    Ready,
    Failed(Exit),
    NoRoom(Why),
    Refused(String),
}

/// Makes a container: stored, placed and prepared when this returns, so that it can be attached to.
pub(super) async fn create(containers: &Containers, name: &str, body: Value) -> ApiResult<Kept> {
    let name = if name.is_empty() {
        String::new()
    } else {
        names::checked(name)?
    };
    let created = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    let scheduler = &containers.parts.scheduler;
    let seed = format!("{scheduler}\0{created}\0{name}\0{body}");
    let record = Record {
        id: ids::digest(seed.as_bytes()),
        name,
        tenant: containers.tenant(&body),
        created_nanos: u64::try_from(created).unwrap_or(u64::MAX),
        body,
        wanted: Wanted::Created,
        removing: false,
    };
    let container = containers.plans.shelf.create(record).await?;
    let host = asked(&container.own.body, "HostConfig");
    if let Ok(Some(size)) = exec::console(&host as &Fields<'_>) {
        attach::resize(containers, &container.own.id, size);
    }
    let refusal = match made(containers, &container.own.id).await? {
        Made::Ready => return Ok(container),
        Made::Failed(exit) => not_made(&exit),
        Made::NoRoom(why) => ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("Unable to find a node for the container: no suitable node ({why})"),
        ),
        Made::Refused(why) => ApiError::bad(why),
    };
    // What could not be made leaves nothing behind.
    containers
        .plans
        .shelf
        .change(&container.own.id, |c| Ok(c.removed()))
        .await?;
    Err(refusal)
}

fn not_made(exit: &Exit) -> ApiError {
    match exit.reason {
        ExitReason::Image => ApiError::missing(exit.message.clone()),
        ExitReason::Setup | ExitReason::Command => ApiError::bad(exit.message.clone()),
        ExitReason::Exited
        | ExitReason::Asked
        | ExitReason::OutOfMemory
        | ExitReason::Port
        | ExitReason::Runtime
        | ExitReason::Unhealthy
        | ExitReason::Gone
        | ExitReason::NodeLost
        | ExitReason::HeldTooLong
        | ExitReason::Preempted => ApiError::internal(exit.message.clone()),
    }
}

/// Waits until a new container is prepared, or cannot be.
async fn made(containers: &Containers, id: &str) -> ApiResult<Made> {
    let until = |decide: fn(&Task) -> Option<Made>| {
        containers
            .parts
            .mirror
            .until(move |observed| task_of(observed, id).and_then(|t| decide(t)))
    };
    let mut refused = containers.plans.refused.subscribe();
    let task = containers
        .parts
        .mirror
        .read(|o| o.next_id(id, super::planner::SLOT));
    let refused = async {
        let seen = refused.wait_for(|all| all.contains_key(&task)).await;
        seen.ok().and_then(|all| all.get(&task).cloned())
    };
    let gave_up = async {
        tokio::time::sleep(ROOM).await;
        until(|task| {
            let waits = task.status.phase() == Phase::Pending;
            task.status.why.clone().filter(|_| waits).map(Made::NoRoom)
        })
        .await
    };
    tokio::select! {
        biased;
        made = until(ready) => made,
        Some(why) = refused => Ok(Made::Refused(why)),
        gave_up = gave_up => gave_up,
    }
    .map_err(|e| ApiError::unavailable(e.to_string()))
}

fn ready(task: &Task) -> Option<Made> {
    match task.status.phase() {
        Phase::Pending | Phase::Placed | Phase::Preparing => None,
        Phase::Prepared | Phase::Starting | Phase::Running | Phase::Stopping | Phase::Finished => {
            Some(Made::Ready)
        }
        Phase::Failed | Phase::Stopped | Phase::Lost | Phase::Rejected => {
            Some(task.status.exit.clone().map_or(Made::Ready, Made::Failed))
        }
    }
}

/// Starts a container; it runs, or has run, when this returns.
pub(super) async fn start(containers: &Containers, container: &Container) -> ApiResult<Done> {
    let id = container.own.id.clone();
    loop {
        let task = containers.task(container);
        if State::of(container, task.as_deref()) == State::Running && !is_stopping(task.as_deref()) {
            return Ok(Done::Already);
        }
        let run = next_run(task.as_deref());
        containers
            .plans
            .shelf
            .change(&id, move |c| match c.own.removing {
                true => Err(ApiError::conflict(format!(
                    "container is marked for removal and cannot be started: {}",
                    c.own.id
                ))),
                false => Ok(c.wanting(Wanted::Running(run))),
            })
            .await?;
        match started(containers, &id, run).await? {
            None => return Ok(Done::Now),
            // Its time to be held ran out just then: the next run is what is wanted.
            Some(exit) if exit.reason == ExitReason::HeldTooLong => {}
            Some(exit) => return Err(not_started(containers, container, &exit).await),
        }
    }
}

fn is_stopping(task: Option<&Task>) -> bool {
    task.is_some_and(|t| t.status.phase() == Phase::Stopping)
}

/// Waits until a run has begun; gives why it could not.
async fn started(containers: &Containers, id: &str, run: Run) -> ApiResult<Option<Exit>> {
    let begun = containers.parts.mirror.until(|observed| {
        let task = task_of(observed, id)?;
        let reached = run_of(task) >= run;
        match task.status.phase() {
            Phase::Running | Phase::Stopping => reached.then_some(None),
            _ if is_over(task, run) => {
                let exit = task.status.exit.clone();
                Some(exit.filter(|e| e.code.is_none() && e.signal.is_none()))
            }
            _ => None,
        }
    });
    let mut book = containers.plans.shelf.changes();
    tokio::select! {
        begun = begun => begun.map_err(|e| ApiError::unavailable(e.to_string())),
        // Removed already, by itself, after it ran.
        _ = book.wait_for(|b| b.containers.get(id).is_none()) => Ok(None),
    }
}

/// The refusal of a start. One that would have removed itself goes, as in Docker.
async fn not_started(containers: &Containers, container: &Container, exit: &Exit) -> ApiError {
    if container.lowered.auto_remove {
        let removed = containers
            .plans
            .shelf
            .change(&container.own.id, |c| Ok(c.removed()))
            .await;
        if let Err(error) = removed {
            tracing::debug!(%error, "a container that did not start stays");
        }
    }
    match exit.reason {
        ExitReason::Command | ExitReason::Setup => ApiError::bad(exit.message.clone()),
        ExitReason::Image => ApiError::missing(exit.message.clone()),
        ExitReason::Exited
        | ExitReason::Asked
        | ExitReason::OutOfMemory
        | ExitReason::Port
        | ExitReason::Runtime
        | ExitReason::Unhealthy
        | ExitReason::Gone
        | ExitReason::NodeLost
        | ExitReason::HeldTooLong
        | ExitReason::Preempted => ApiError::internal(exit.message.clone()),
    }
}

/// `signal=` of stop and restart names another stop signal.
pub(super) fn refuse_signal(query: Option<&str>) -> ApiResult<()> {
    match Pairs::parse(query).get("signal") {
        None | Some("") => Ok(()),
        Some(_) => Err(ApiError::not_served(
            "signal (--signal) of stop; use --stop-signal of run, or kill",
        )),
    }
}

/// Stops a container with a grace (none: its own); it has ended when this returns.
pub(super) async fn stop(
    containers: &Containers,
    container: &Container,
    grace: Option<u64>,
) -> ApiResult<Done> {
    let done = end(containers, container, grace).await?;
    if done == Done::Now {
        containers.tell(container, "stop", &[]);
    }
    Ok(done)
}

async fn end(containers: &Containers, container: &Container, grace: Option<u64>) -> ApiResult<Done> {
    let task = containers.task(container).filter(|t| {
        let state = State::of(container, Some(t));
        state.runs()
    });
    let Some(task) = task else {
        return Ok(Done::Already);
    };
    let grace = grace.unwrap_or(container.lowered.grace_ms);
    let signal = if grace == 0 { "9" } else { "15" };
    containers.tell(container, "kill", &[("signal", signal.to_owned())]);
    let actor = containers.parts.scheduler.as_str();
    match containers
        .parts
        .pool
        .stop_task(task.id(), Some(grace), actor)
        .await
    {
        Ok(()) | Err(PoolError::NotFound { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    // Only now: what is wanted has no grace, and the planner would begin to stop it with the container's own.
    if container.of_service.is_none() {
        let stopped = |c: &Container| Ok(c.wanting(Wanted::Stopped));
        containers.plans.shelf.change(&container.own.id, stopped).await?;
    }
    let ended = containers
        .parts
        .mirror
        .until(|observed| match seen(observed, container) {
            None => Some(()),
            Some(t) => t.status.phase().is_terminal().then_some(()),
        });
    ended.await.map_err(|e| ApiError::unavailable(e.to_string()))?;
    Ok(Done::Now)
}

/// Gives a container another name. Only who asks sees it: the task that runs keeps the one it began with.
pub(super) async fn rename(containers: &Containers, container: &Container, name: &str) -> ApiResult<()> {
    if name.is_empty() {
        return Err(ApiError::bad("Neither old nor new names may be empty"));
    }
    let name = names::checked(name)?;
    let renamed = containers.plans.shelf.rename(&container.own.id, name).await?;
    let old = format!("/{}", container.own.name);
    containers.tell(&renamed, "rename", &[("oldName", old)]);
    Ok(())
}

/// Sends a signal; the kill is a stop without grace.
pub(super) async fn kill(containers: &Containers, container: &Container, signal: &str) -> ApiResult<()> {
    let id = &container.own.id;
    let task = containers.task(container);
    let running = task.filter(|t| State::of(container, Some(t)) == State::Running);
    let Some(task) = running else {
        return Err(ApiError::conflict(format!(
            "Cannot kill container: {id}: Container {id} is not running"
        )));
    };
    let name = signal.to_ascii_uppercase();
    if matches!(name.strip_prefix("SIG").unwrap_or(&name), "" | "KILL" | "9") {
        return end(containers, container, Some(0)).await.map(|_| ());
    }
    let name = match name.bytes().all(|b| b.is_ascii_digit()) || name.starts_with("SIG") {
        true => name,
        false => format!("SIG{name}"),
    };
    let request = StreamRequest::Signal {
        container: None,
        name: name.clone(),
    };
    let mut ends = containers.parts.streams.open(task.id(), request).await?;
    match ends.output.next().await {
        None | Some(Ok(_)) => {
            containers.tell(container, "kill", &[("signal", name)]);
            Ok(())
        }
        Some(Err(StreamError::Failed { why })) => {
            Err(ApiError::bad(format!("Invalid signal: {signal}: {why}")))
        }
        Some(Err(error)) => Err(error.into()),
    }
}

/// Removes a container; nothing is left of it when this returns.
pub(super) async fn remove(containers: &Containers, container: &Container, force: bool) -> ApiResult<()> {
    let id = container.own.id.clone();
    let task = containers.task(container);
    if State::of(container, task.as_deref()).runs() && !force {
        return Err(ApiError::conflict(format!(
            "You cannot remove a running container {id}. Stop the container before attempting removal or force remove"
        )));
    }
    containers.plans.shelf.change(&id, |c| Ok(c.removed())).await?;
    containers.plans.sessions.lock().sizes.remove(&id);
    let mut book = containers.plans.shelf.changes();
    let gone = book.wait_for(|b| b.containers.get(&id).is_none());
    match tokio::time::timeout(REMOVAL, gone).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => Err(ApiError::unavailable("the scheduler is stopping")),
        Err(_) => Err(ApiError::unavailable(format!(
            "container {id} is being removed, and its node has not yet said that it has ended"
        ))),
    }
}
