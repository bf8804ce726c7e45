//! The timeline.

use crate::extract::Params;
use crate::problem::Problem;
use crate::state::App;
use crate::view;
use axum::Json;
use axum::extract::State;
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use http::{HeaderMap, header};
use plenum_client::v1::error::ErrorBody;
use plenum_client::v1::event::Event as Shown;
use plenum_client::v1::list::List;
use plenum_contract::pool::PoolError;
use plenum_model::code;
use plenum_model::event::Event;
use plenum_model::ids::Cursor;
use serde::Deserialize;
use std::time::Duration;
use utoipa::IntoParams;

/// After so long without one more, what is kept of the timeline has been read: it is in memory.
const QUIET: Duration = Duration::from_millis(200);
/// Events in a list at most: the newest.
const MAX_LIST: usize = 10_000;

type Batches = BoxStream<'static, Result<Vec<Event>, PoolError>>;

/// From where.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct EventParams {
    /// Those after this cursor. Left out: from now on, or, as a list, all that are kept.
    after: Option<u64>,
}

/// The timeline over all orchestrators: as server-sent events while it grows, each with its cursor as id, so that a
/// client that comes back goes on where it was; with `Accept: application/json` a list of what is kept.
#[utoipa::path(
    get, path = "/v1/events", tag = "events",
    params(EventParams, ("Last-Event-ID" = Option<u64>, Header, description = "As `after`")),
    responses(
        (status = 200, content((String = "text/event-stream"), (List<Shown> = "application/json"))),
        (status = 410, body = ErrorBody, description = "That is no longer kept")
    )
)]
pub(super) async fn events(
    State(app): State<App>,
    Params(params): Params<EventParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let after = match params.after {
        Some(after) => Some(Cursor(after)),
        None => last_event_id(&headers)?,
    };
    if wants_list(&headers) {
        return Ok(Json(List::whole(kept(&app, after).await?)).into_response());
    }
    let permit = app.stream_permit()?;
    let batches = app.pool.events(after).await?;
    let messages = batches
        .map(move |batch| {
            // Held by the stream, given back when it ends.
            let _permit = &permit;
            let messages = match batch {
                Ok(events) => events.into_iter().map(message).collect(),
                Err(e) => vec![Err(axum::Error::new(e))],
            };
            stream::iter(messages)
        })
        .flatten()
        .take_until(app.stop.clone().cancelled_owned());
    Ok(Sse::new(messages)
        .keep_alive(KeepAlive::default())
        .into_response())
}

fn message(event: Event) -> Result<Message, axum::Error> {
    let shown = view::event::event(event);
    Message::default()
        .id(shown.cursor.to_string())
        .event(shown.kind.clone())
        .json_data(shown)
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<Cursor>, Problem> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let id = value.to_str().ok().and_then(|v| v.parse().ok());
    id.map(|id| Some(Cursor(id)))
        .ok_or_else(|| Problem::new(code::INVALID, "it is not the id of an event").at("Last-Event-ID"))
}

fn wants_list(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    accept.contains("application/json") && !accept.contains("text/event-stream")
}

async fn kept(app: &App, after: Option<Cursor>) -> Result<Vec<Shown>, Problem> {
    let batches = match after {
        Some(after) => app.pool.events(Some(after)).await?,
        None => from_oldest(app).await?,
    };
    let mut all: Vec<Event> = Vec::new();
    let mut batches = batches.map_err(Problem::from);
    while let Ok(Some(batch)) = tokio::time::timeout(QUIET, batches.next()).await {
        all.extend(batch?);
        all.drain(..all.len().saturating_sub(MAX_LIST));
    }
    Ok(all.into_iter().map(view::event::event).collect())
}

/// From the oldest that is kept. While many come, what was the oldest may be gone a moment later.
async fn from_oldest(app: &App) -> Result<Batches, Problem> {
    const ATTEMPTS: usize = 5;
    let mut from = Cursor(0);
    for _ in 1..ATTEMPTS {
        match app.pool.events(Some(from)).await {
            Err(PoolError::Compacted { oldest }) => from = oldest,
            other => return Ok(other?),
        }
    }
    Ok(app.pool.events(Some(from)).await?)
}
