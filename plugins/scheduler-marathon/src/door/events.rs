//! `/v2/events`.

use super::Door;
use super::reply::Answer;
use super::request::{Caller, Query};
use crate::events::Body;
use crate::refusal::Refusal;
use axum::extract::State;
use futures::StreamExt;
use http::HeaderMap;
use http::header::ACCEPT;
use plenum_sdk::door::sse::{self, SseEvent, SseStyle};
use std::collections::BTreeSet;
use std::sync::Arc;

/// `GET /v2/events`: the attached event first, then what happens, filtered by type where asked.
pub(super) async fn stream(
    State(door): State<Arc<Door>>,
    query: Query,
    caller: Caller,
    headers: HeaderMap,
) -> Answer {
    let wanted = headers.get_all(ACCEPT).iter().filter_map(|v| v.to_str().ok());
    if !wanted.into_iter().any(|v| v.contains("text/event-stream")) {
        let text = "this resource is a stream of events: ask for it with Accept: text/event-stream";
        return Err(Refusal::Method(text.to_owned()).into());
    }
    let kinds: BTreeSet<String> = query.0.all("event_type").map(str::to_owned).collect();
    let attached = Body::EventStreamAttached {
        remote_address: caller.address,
    };
    let events = door.hub.listen(&attached, door.now());
    let told = events.filter_map(move |event| {
        let wanted = kinds.is_empty() || kinds.contains(event.kind);
        let told = wanted.then(|| SseEvent {
            id: None,
            event: Some(event.kind.to_owned()),
            data: event.data.to_string(),
        });
        std::future::ready(told)
    });
    Ok(sse::response(told, SseStyle::MARATHON, door.stopping.clone()))
}
