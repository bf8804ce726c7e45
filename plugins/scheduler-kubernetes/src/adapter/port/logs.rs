//! Logs of containers, as text.

use super::target::Refusal;
use crate::adapter::status::time;
use axum::body::Body;
use axum::extract::Query;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::{StatusCode, Uri, header};
use k8s_openapi::jiff::Timestamp;
use plenum_contract::streams::{LogLine, LogQuery, Output, StreamEnds, StreamError};
use std::convert::Infallible;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long the first line is waited for before the answer begins: an error can be an answer only until then.
const FIRST: Duration = Duration::from_millis(300);

/// What of a log is asked for, and how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Which lines.
    pub query: LogQuery,
    timestamps: bool,
    limit_bytes: Option<usize>,
}

impl Options {
    /// From a query.
    ///
    /// # Errors
    /// 400 for what cannot be read.
    pub fn read(uri: &Uri, container: &str) -> Result<Self, Refusal> {
        let query: Vec<(String, String)> = Query::try_from_uri(uri).map(|Query(q)| q).unwrap_or_default();
        let value = |name: &str| {
            query
                .iter()
                .find(|(k, v)| k == name && !v.is_empty())
                .map(|(_, v)| v.as_str())
        };
        let on = |name: &str| matches!(value(name), Some("true" | "1"));
        let number = |name: &str| {
            let parsed = value(name).map(str::parse::<u64>).transpose();
            parsed.map_err(|_| {
                Refusal(
                    StatusCode::BAD_REQUEST,
                    format!("{name}: must be a number above zero"),
                )
            })
        };
        let moment = value("sinceTime").map(str::parse::<Timestamp>).transpose();
        let moment = moment.map_err(|e| Refusal(StatusCode::BAD_REQUEST, format!("sinceTime: {e}")))?;
        let ago = number("sinceSeconds")?.map(|s| now_ms().saturating_sub(s.saturating_mul(1000)));
        let since = moment
            .map(|t| u64::try_from(t.as_millisecond()).unwrap_or(0))
            .or(ago);
        let stream = value("stream").unwrap_or("All");
        Ok(Self {
            query: LogQuery {
                container: Some(container.to_owned()),
                follow: on("follow"),
                tail: number("tailLines")?,
                since,
                stdout: stream != "Stderr",
                stderr: stream != "Stdout",
                previous: on("previous"),
            },
            timestamps: on("timestamps"),
            limit_bytes: number("limitBytes")?.and_then(|n| usize::try_from(n).ok()),
        })
    }
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// Why there is no log, in the words of Kubernetes.
#[must_use]
pub fn refusal(error: StreamError, previous: bool, pod: &str, container: &str) -> Refusal {
    match error {
        StreamError::NotFound { .. } if previous => {
            let text = format!("previous terminated container \"{container}\" in pod \"{pod}\" not found");
            Refusal(StatusCode::BAD_REQUEST, text)
        }
        other => other.into(),
    }
}

/// The log, as it comes.
///
/// # Errors
/// What stands in place of the first line.
pub async fn answer(
    ends: StreamEnds,
    options: Options,
    previous: bool,
    pod: &str,
    container: &str,
) -> Result<Response, Refusal> {
    let StreamEnds { input, output } = ends;
    let mut output = output.peekable();
    let first = tokio::time::timeout(FIRST, std::pin::Pin::new(&mut output).peek()).await;
    if let Ok(Some(Err(error))) = first {
        return Err(refusal(error.clone(), previous, pod, container));
    }
    let timestamps = options.timestamps;
    let mut left = options.limit_bytes.unwrap_or(usize::MAX);
    // an error in the middle ends the text: there is no place in it for anything else
    let lines = output.take_while(|piece| std::future::ready(piece.is_ok()));
    let lines = lines.filter_map(move |piece| {
        // the stream ends on the node when its input is dropped, so it lives as long as the answer
        let _held = &input;
        let line = match piece {
            Ok(Output::Log(line)) => Some(written(&line, timestamps)),
            Ok(_) | Err(_) => None,
        };
        std::future::ready(line)
    });
    let bounded = lines.scan((), move |(), mut bytes| {
        let piece = (left > 0).then(|| {
            bytes.truncate(left);
            left -= bytes.len();
            bytes
        });
        std::future::ready(piece)
    });
    let body = Body::from_stream(bounded.map(Ok::<Bytes, Infallible>));
    let mut response = Response::new(body);
    let plain = header::HeaderValue::from_static("text/plain");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    Ok(response)
}

fn written(line: &LogLine, timestamps: bool) -> Bytes {
    if !timestamps {
        return line.bytes.clone();
    }
    let nanos = i128::from(line.at_nanos);
    let at = Timestamp::from_nanosecond(nanos).unwrap_or(time(0).0);
    let mut out = BytesMut::from(format!("{at:.9} ").as_bytes());
    out.extend_from_slice(&line.bytes);
    out.freeze()
}
