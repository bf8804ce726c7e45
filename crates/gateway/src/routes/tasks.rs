//! Tasks.

use crate::extract::{Body, Name, Params};
use crate::problem::Problem;
use crate::resolve;
use crate::state::{ACTOR, App};
use crate::view;
use axum::Json;
use axum::extract::State;
use futures::StreamExt;
use http::StatusCode;
use plenum_client::v1::error::ErrorBody;
use plenum_client::v1::list::List;
use plenum_client::v1::stream::Stats;
use plenum_client::v1::task::{StopRequest, Task as Shown};
use plenum_client::v1::why::Explanation;
use plenum_contract::pool::TaskFilter;
use plenum_contract::streams::{Output, StreamRequest};
use plenum_model::code;
use plenum_model::ids::{BadId, TaskId};
use plenum_model::task::Task;
use serde::Deserialize;
use std::str::FromStr;
use std::sync::Arc;
use utoipa::IntoParams;

/// Tasks in a page when nothing else is asked.
const PAGE: usize = 1_000;
/// Tasks in a page at most: some 5 MB of JSON.
const MAX_PAGE: usize = 5_000;

/// Which tasks. Everything that is set must hold.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    /// Of this scheduler.
    scheduler: Option<String>,
    /// Of the workload with this name.
    workload: Option<String>,
    /// On this node.
    node: Option<String>,
    /// Charged to this tenant.
    tenant: Option<String>,
    /// Those that ended, too.
    #[serde(default)]
    ended: bool,
    /// Those after this id: `next` of the page before.
    after: Option<String>,
    /// At most so many, 1 to 5000; 1000 when left out.
    limit: Option<usize>,
}

/// Tasks in the order of their ids, page by page.
#[utoipa::path(
    get, path = "/v1/tasks", tag = "tasks", params(ListParams),
    responses((status = 200, body = List<Shown>), (status = 400, body = ErrorBody))
)]
pub(super) async fn list(
    State(app): State<App>,
    Params(params): Params<ListParams>,
) -> Result<Json<List<Shown>>, Problem> {
    let page = app.pool.tasks(filter(params)?).await?;
    let next = if page.more {
        page.tasks.last().map(|t| t.id().to_string())
    } else {
        None
    };
    Ok(Json(List {
        items: page.tasks.iter().map(|t| view::task::task(t)).collect(),
        next,
    }))
}

fn filter(params: ListParams) -> Result<TaskFilter, Problem> {
    let limit = params.limit.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(
            Problem::new(code::INVALID, format!("{limit} is not within 1 and {MAX_PAGE}")).at("limit"),
        );
    }
    Ok(TaskFilter {
        scheduler: parsed("scheduler", params.scheduler)?,
        workload: params.workload,
        node: parsed("node", params.node)?,
        tenant: parsed("tenant", params.tenant)?,
        ended: params.ended,
        after: parsed("after", params.after)?,
        limit,
    })
}

fn parsed<T: FromStr<Err = BadId>>(field: &str, text: Option<String>) -> Result<Option<T>, Problem> {
    text.map(|t| t.parse())
        .transpose()
        .map_err(|e: BadId| Problem::new(code::INVALID, e.to_string()).at(field))
}

/// One task.
#[utoipa::path(
    get, path = "/v1/tasks/{task}", tag = "tasks",
    params(("task" = String, Path, description = "Its id, the orchestrator's own name of it, workload and slot (`web.2`), or the \
        start of id or name; with its scheduler and `/` in front or not")),
    responses((status = 200, body = Shown), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody))
)]
pub(super) async fn show(State(app): State<App>, Name(task): Name) -> Result<Json<Shown>, Problem> {
    let task = find(&app, &task).await?;
    Ok(Json(view::task::task(&task)))
}

/// Asks a task to stop. Its scheduler sees it end, and decides what follows.
#[utoipa::path(
    post, path = "/v1/tasks/{task}/stop", tag = "tasks", params(("task" = String, Path, description = "As in `/v1/tasks/{task}`")),
    request_body = StopRequest,
    responses((status = 202, body = Shown), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody))
)]
pub(super) async fn stop(
    State(app): State<App>,
    Name(task): Name,
    Body(request): Body<StopRequest>,
) -> Result<(StatusCode, Json<Shown>), Problem> {
    let id = find(&app, &task).await?.id();
    app.pool.stop_task(id, request.grace_ms, ACTOR).await?;
    Ok((
        StatusCode::ACCEPTED,
        Json(view::task::task(app.pool.task(id).await?.as_ref())),
    ))
}

/// Why a task waits, node by node. A workload's name stands for the task of it that most needs to be explained.
#[utoipa::path(
    get, path = "/v1/tasks/{task}/why", tag = "tasks", params(("task" = String, Path, description = "As in `/v1/tasks/{task}`")),
    responses((status = 200, body = Explanation), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody))
)]
pub(super) async fn why(State(app): State<App>, Name(task): Name) -> Result<Json<Explanation>, Problem> {
    let id = match TaskId::from_str(&task) {
        Ok(id) => id,
        Err(_) => resolve::task_or_workload(&everything(&app).await?, &task)?.id(),
    };
    Ok(Json(view::why::explanation(&app.pool.why(id).await?)))
}

/// Which container.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct StatsParams {
    /// Which container; left out: the main one.
    container: Option<String>,
}

/// What a task's container uses, once.
#[utoipa::path(
    get, path = "/v1/tasks/{task}/stats", tag = "streams",
    params(("task" = String, Path, description = "As in `/v1/tasks/{task}`"), StatsParams),
    responses((status = 200, body = Stats), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody))
)]
pub(super) async fn stats(
    State(app): State<App>,
    Name(task): Name,
    Params(StatsParams { container }): Params<StatsParams>,
) -> Result<Json<Stats>, Problem> {
    let id = find(&app, &task).await?.id();
    let mut ends = app.streams.open(id, StreamRequest::Stats { container }).await?;
    while let Some(output) = ends.output.next().await {
        match output? {
            Output::Stats(s) => {
                return Ok(Json(Stats {
                    cpu_nanos: s.cpu_nanos,
                    memory_bytes: s.memory_bytes,
                    memory_limit_bytes: s.memory_limit_bytes,
                    pids: s.pids,
                    at: view::time::nanos(s.at_nanos),
                }));
            }
            Output::Log(_)
            | Output::Stdout(_)
            | Output::Stderr(_)
            | Output::Exit { .. }
            | Output::Image(_)
            | Output::Processes(_)
            | Output::Health(_) => {}
        }
    }
    Err(Problem::new(code::UNAVAILABLE, "the node gave no figures"))
}

/// The task that a user means.
pub(super) async fn find(app: &App, reference: &str) -> Result<Arc<Task>, Problem> {
    match TaskId::from_str(reference) {
        Ok(id) => Ok(app.pool.task(id).await?),
        Err(_) => resolve::task(&everything(app).await?, reference),
    }
}

async fn everything(app: &App) -> Result<Vec<Arc<Task>>, Problem> {
    Ok(app
        .pool
        .tasks(TaskFilter {
            ended: true,
            ..TaskFilter::default()
        })
        .await?
        .tasks)
}
