//! The routes of single containers. Thin: reads a request, asks `life` and its neighbours, answers.

use super::filter::Shown;
use super::frame::media_type;
use super::logs::Asked;
use super::pump::{Wanted, body};
use super::wait::{Condition, wait};
use super::{Containers, attach, exec, life, logs, stats, tasks, view};
use crate::error::{ApiError, ApiResult};
use crate::state::Shared;
use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Path, RawQuery, Request, State};
use axum::response::IntoResponse;
use axum::routing::{any, delete, get, post};
use bytes::Bytes;
use http::StatusCode;
use plenum_contract::streams::WindowSize;
use plenum_sdk::door::lenient::Pairs;
use serde_json::{Value, json};
use std::sync::Arc;

type All = State<Arc<Containers>>;

/// The body of a container is short; what is long is refused before it is read.
const BODY: usize = 2 << 20;

/// The routes, without a version in front.
pub fn routes(state: Shared) -> Router {
    let containers = Arc::new(Containers::new(state));
    Router::new()
        .route("/containers/json", get(list))
        .route("/containers/create", post(create))
        .route("/containers/prune", post(prune))
        .route("/containers/{id}/json", get(inspect))
        .route("/containers/{id}/start", post(start))
        .route("/containers/{id}/stop", post(stop))
        .route("/containers/{id}/restart", post(restart))
        .route("/containers/{id}/kill", post(kill))
        .route("/containers/{id}/rename", post(rename))
        .route("/containers/{id}/wait", post(wait_for))
        .route("/containers/{id}/attach", post(attach_to))
        .route("/containers/{id}/resize", post(resize))
        .route("/containers/{id}/logs", get(logs_of))
        .route("/containers/{id}/stats", get(stats_of))
        .route("/containers/{id}/top", get(top))
        .route("/containers/{id}/exec", post(exec_create))
        .route("/containers/{id}/{verb}", any(not_served))
        .route("/containers/{id}", delete(remove))
        .route("/exec/{id}/start", post(exec_start))
        .route("/exec/{id}/resize", post(exec_resize))
        .route("/exec/{id}/json", get(exec_inspect))
        .with_state(containers)
}

/// A flag as Docker reads it: these are false, anything else is true.
pub(super) fn flag(pairs: &Pairs, key: &str) -> bool {
    let text = pairs.get(key).unwrap_or_default().trim().to_ascii_lowercase();
    !matches!(text.as_str(), "" | "0" | "no" | "false" | "none")
}

async fn read(request: Request) -> ApiResult<Value> {
    let bytes = to_bytes(request.into_body(), BODY).await;
    let bytes = bytes.map_err(|e| ApiError::bad(format!("the body cannot be read: {e}")))?;
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> ApiResult<Value> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(json!({}));
    }
    serde_json::from_slice(bytes).map_err(|e| ApiError::bad(format!("invalid JSON: {e}")))
}

/// How many rows are asked for; none, as of all that is not above 0: every one.
fn limit(text: &str) -> ApiResult<Option<usize>> {
    if text.is_empty() {
        return Ok(None);
    }
    let number = text.parse::<i64>();
    let number = number.map_err(|_| ApiError::bad(format!("invalid value of limit: {text}")))?;
    Ok(usize::try_from(number).ok().filter(|n| *n > 0))
}

async fn list(State(all): All, RawQuery(query): RawQuery) -> ApiResult {
    let pairs = Pairs::parse(query.as_deref());
    let limit = limit(pairs.get("limit").unwrap_or_default())?;
    let shown = Shown::parse(&all, pairs.get("filters"), flag(&pairs, "all") || limit.is_some())?;
    let book = all.plans.shelf.book();
    let now = all.parts.clock.now().0;
    let of_services = all.parts.mirror.read(|o| tasks::all(&book, o));
    let mut rows: Vec<(u64, Value)> = Vec::new();
    for container in book.containers.iter().chain(&of_services) {
        let task = all.task(container);
        if shown.shows(container, task.as_deref()) {
            let node = task.as_deref().and_then(|t| all.node(t));
            let row = view::row(container, task.as_deref(), node.as_deref(), now);
            rows.push((container.own.created_nanos, row));
        }
    }
    rows.sort_by_key(|(created, _)| std::cmp::Reverse(*created));
    rows.truncate(limit.unwrap_or(usize::MAX));
    Ok(axum::Json(rows.into_iter().map(|(_, row)| row).collect::<Vec<_>>()).into_response())
}

async fn create(State(all): All, RawQuery(query): RawQuery, request: Request) -> ApiResult {
    let pairs = Pairs::parse(query.as_deref());
    let body = read(request).await?;
    let container = life::create(&all, pairs.get("name").unwrap_or_default(), body).await?;
    let answer = json!({ "Id": container.own.id, "Warnings": container.lowered.warnings });
    Ok((StatusCode::CREATED, axum::Json(answer)).into_response())
}

async fn inspect(State(all): All, Path(id): Path<String>) -> ApiResult {
    let container = all.find(&id)?;
    let task = all.task(&container);
    let node = task.as_deref().and_then(|t| all.node(t));
    let checks = stats::checks(&all, &container).await;
    let view = view::inspect(&container, task.as_deref(), node.as_deref(), &checks);
    Ok(axum::Json(view).into_response())
}

async fn start(State(all): All, Path(id): Path<String>) -> ApiResult {
    let container = all.find_single(&id)?;
    Ok(match life::start(&all, &container).await? {
        life::Done::Now => StatusCode::NO_CONTENT,
        life::Done::Already => StatusCode::NOT_MODIFIED,
    }
    .into_response())
}

/// The grace of a query: seconds; a negative one waits for ever, which here is a day.
fn grace(query: Option<&str>) -> ApiResult<Option<u64>> {
    let pairs = Pairs::parse(query);
    let Some(text) = pairs.get("t").filter(|t| !t.is_empty()) else {
        return Ok(None);
    };
    let seconds: i64 = text
        .parse()
        .map_err(|_| ApiError::bad(format!("invalid value of t: {text}")))?;
    Ok(Some(
        u64::try_from(seconds).map_or(86_400_000, |s| s.saturating_mul(1000)),
    ))
}

async fn stop(State(all): All, Path(id): Path<String>, RawQuery(query): RawQuery) -> ApiResult {
    let container = all.find(&id)?;
    life::refuse_signal(query.as_deref())?;
    Ok(
        match life::stop(&all, &container, grace(query.as_deref())?).await? {
            life::Done::Now => StatusCode::NO_CONTENT,
            life::Done::Already => StatusCode::NOT_MODIFIED,
        }
        .into_response(),
    )
}

async fn restart(State(all): All, Path(id): Path<String>, RawQuery(query): RawQuery) -> ApiResult {
    let container = all.find_single(&id)?;
    life::refuse_signal(query.as_deref())?;
    life::stop(&all, &container, grace(query.as_deref())?).await?;
    life::start(&all, &container).await?;
    all.tell(&container, "restart", &[]);
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn kill(State(all): All, Path(id): Path<String>, RawQuery(query): RawQuery) -> ApiResult {
    let container = all.find(&id)?;
    let pairs = Pairs::parse(query.as_deref());
    life::kill(&all, &container, pairs.get("signal").unwrap_or_default()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn rename(State(all): All, Path(id): Path<String>, RawQuery(query): RawQuery) -> ApiResult {
    let container = all.find_single(&id)?;
    let pairs = Pairs::parse(query.as_deref());
    life::rename(&all, &container, pairs.get("name").unwrap_or_default()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn wait_for(State(all): All, Path(id): Path<String>, RawQuery(query): RawQuery) -> ApiResult {
    let container = all.find(&id)?;
    let pairs = Pairs::parse(query.as_deref());
    let condition = Condition::parse(pairs.get("condition").unwrap_or_default())?;
    // Decided now, answered later: the client starts the container when it sees the head of the answer.
    let from = wait(all, container, condition);
    let answer = futures::stream::once(async move { Bytes::from(format!("{}\n", from.await)) });
    Ok(body("application/json", answer))
}

async fn attach_to(
    State(all): All,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    request: Request,
) -> ApiResult {
    let container = all.find(&id)?;
    let pairs = Pairs::parse(query.as_deref());
    if flag(&pairs, "logs") {
        return Err(ApiError::not_served("logs=1 of attach; ask for the log first"));
    }
    if !flag(&pairs, "stream") {
        return Ok(body(media_type(container.lowered.tty), futures::stream::empty()));
    }
    let wanted = Wanted {
        tty: container.lowered.tty,
        stdin: flag(&pairs, "stdin"),
        stdout: flag(&pairs, "stdout"),
        stderr: flag(&pairs, "stderr"),
    };
    attach::attach(&all, &container, wanted, request).await
}

fn size(query: Option<&str>) -> ApiResult<WindowSize> {
    let pairs = Pairs::parse(query);
    let number = |key: &str| -> ApiResult<u16> {
        let text = pairs.get(key).unwrap_or_default();
        text.parse()
            .map_err(|_| ApiError::bad(format!("invalid value of {key}: `{text}`")))
    };
    Ok(WindowSize {
        rows: number("h")?,
        cols: number("w")?,
    })
}

async fn resize(State(all): All, Path(id): Path<String>, RawQuery(query): RawQuery) -> ApiResult {
    let container = all.find(&id)?;
    let size = size(query.as_deref())?;
    attach::resize(&all, &container.own.id, size);
    if view::State::of(&container, all.task(&container).as_deref()).runs() {
        return Ok(StatusCode::OK.into_response());
    }
    // Its client asks again until it runs.
    Err(ApiError::conflict(format!(
        "Container {} is not running",
        container.own.id
    )))
}

async fn logs_of(State(all): All, Path(id): Path<String>, RawQuery(query): RawQuery) -> ApiResult {
    let container = all.find(&id)?;
    let asked = Asked::parse(&Pairs::parse(query.as_deref()), all.parts.clock.now().0)?;
    logs::logs(&all, &container, asked).await
}

async fn stats_of(State(all): All, Path(id): Path<String>, RawQuery(query): RawQuery) -> ApiResult {
    let container = all.find(&id)?;
    let pairs = Pairs::parse(query.as_deref());
    let stream = pairs.get("stream").is_none() || flag(&pairs, "stream");
    stats::stats(&all, &container, stream).await
}

async fn top(State(all): All, Path(id): Path<String>, RawQuery(query): RawQuery) -> ApiResult {
    let container = all.find(&id)?;
    let pairs = Pairs::parse(query.as_deref());
    Ok(axum::Json(stats::top(&all, &container, pairs.get("ps_args")).await?).into_response())
}

async fn remove(State(all): All, Path(id): Path<String>, RawQuery(query): RawQuery) -> ApiResult {
    let container = all.find_single(&id)?;
    let pairs = Pairs::parse(query.as_deref());
    if flag(&pairs, "link") {
        return Err(ApiError::not_served("link (--link) of rm"));
    }
    life::remove(&all, &container, flag(&pairs, "force")).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn prune(State(all): All, RawQuery(query): RawQuery) -> ApiResult {
    let pairs = Pairs::parse(query.as_deref());
    let filters = crate::filters::Filters::parse(pairs.get("filters"), &["label"])?;
    let mut deleted = Vec::new();
    for container in all.plans.shelf.book().containers.iter() {
        let state = view::State::of(container, all.task(container).as_deref());
        if !state.runs() && filters.labels("label", &container.lowered.terms.labels) {
            life::remove(&all, container, false).await?;
            deleted.push(container.own.id.clone());
        }
    }
    Ok(axum::Json(json!({ "ContainersDeleted": deleted, "SpaceReclaimed": 0 })).into_response())
}

async fn exec_create(State(all): All, Path(id): Path<String>, request: Request) -> ApiResult {
    let container = all.find(&id)?;
    let id = exec::create(&all, &container, &read(request).await?)?;
    Ok((StatusCode::CREATED, axum::Json(json!({ "Id": id }))).into_response())
}

async fn exec_start(State(all): All, Path(id): Path<String>, request: Request) -> ApiResult {
    let (mut parts, body) = request.into_parts();
    let bytes = to_bytes(body, BODY).await;
    let body = parse(&bytes.map_err(|e| ApiError::bad(format!("the body cannot be read: {e}")))?)?;
    // The rest of the request carries the connection.
    let extensions = std::mem::take(&mut parts.extensions);
    let mut rest = Request::from_parts(parts, axum::body::Body::empty());
    *rest.extensions_mut() = extensions;
    exec::start(&all, &id, &body, &mut rest).await
}

async fn exec_resize(State(all): All, Path(id): Path<String>, RawQuery(query): RawQuery) -> ApiResult {
    exec::resize(&all, &id, size(query.as_deref())?)?;
    Ok(StatusCode::OK.into_response())
}

async fn exec_inspect(State(all): All, Path(id): Path<String>) -> ApiResult {
    Ok(axum::Json(exec::inspect(&all, &id)?).into_response())
}

/// A container that is there answers by name what it does not serve; one that is not is missing.
async fn not_served(State(all): All, Path((id, verb)): Path<(String, String)>) -> ApiResult {
    all.find(&id)?;
    let verb = match verb.as_str() {
        "changes" => "diff",
        "archive" => "archive (docker cp)",
        other => other,
    };
    Err(ApiError::not_served(format!(
        "{verb} of a container is not served by Plenum yet"
    )))
}
