//! What a pull or a load tells as it goes on: a line of JSON for each piece of news, as Docker's clients read it.

use crate::error::ApiResult;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use http::header::CONTENT_TYPE;
use plenum_contract::images::{ImageError, ImageEvent, ImageEvents};
use serde_json::{Value, json};

/// The answer that tells `events`. What fails before anything was told is a refusal with its status, as Docker
/// does it; later it is a line. `quiet` leaves out what only shows progress.
///
/// # Errors
/// Whatever the events begin with.
pub(super) async fn told(mut events: ImageEvents, quiet: bool) -> ApiResult<Response> {
    let first = match events.next().await {
        Some(Err(error)) => return Err(error.into()),
        first => first,
    };
    let lines = stream::iter(first)
        .chain(events)
        .filter_map(move |event| std::future::ready(shown(event, quiet)));
    let lines = lines.map(|line| Ok::<_, std::convert::Infallible>(Bytes::from(format!("{line}\r\n"))));
    Ok(([(CONTENT_TYPE, "application/json")], Body::from_stream(lines)).into_response())
}

fn shown(event: Result<ImageEvent, ImageError>, quiet: bool) -> Option<Value> {
    match event {
        Ok(ImageEvent::Loaded(name)) if name.starts_with("sha256:") => {
            Some(json!({ "stream": format!("Loaded image ID: {name}\n") }))
        }
        Ok(ImageEvent::Loaded(name)) => Some(json!({ "stream": format!("Loaded image: {name}\n") })),
        Ok(ImageEvent::Step { .. }) if quiet => None,
        Ok(ImageEvent::Step {
            id,
            status,
            current,
            total,
        }) => Some(step(id, &status, current, total)),
        Err(error) => {
            let text = error.to_string();
            Some(json!({ "errorDetail": { "message": text }, "error": text }))
        }
    }
}

fn step(id: Option<String>, status: &str, current: Option<u64>, total: Option<u64>) -> Value {
    let mut line = json!({ "status": status });
    if let Some(id) = id {
        line["id"] = id.into();
        let mut detail = json!({});
        for (key, bytes) in [("current", current), ("total", total)] {
            if let Some(bytes) = bytes {
                detail[key] = bytes.into();
            }
        }
        line["progressDetail"] = detail;
    }
    line
}
