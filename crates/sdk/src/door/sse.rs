//! Server-sent events as bytes: the field order, line ends and heartbeats differ from one orchestrator to the
//! next and clients depend on them, so they are said here.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use std::convert::Infallible;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SseStyle {
    /// The end of a line: `"\n"` or `"\r\n"`.
    pub newline: &'static str,
    /// What is sent after so long without an event.
    pub heartbeat: Duration,
    /// The heartbeat's bytes.
    pub beat: &'static str,
}

impl SseStyle {
    /// Marathon's: CRLF, and an empty line every 10 s.
    pub const MARATHON: Self = Self {
        newline: "\r\n",
        heartbeat: Duration::from_secs(10),
        beat: "\r\n",
    };
    /// The standard's: LF, and a comment every 15 s.
    pub const STANDARD: Self = Self {
        newline: "\n",
        heartbeat: Duration::from_secs(15),
        beat: ":\n\n",
    };
}

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SseEvent {
    /// Its place, for `Last-Event-ID`.
    pub id: Option<String>,
    /// Its type.
    pub event: Option<String>,
    /// Its text; each line becomes a `data:` line.
    pub data: String,
}

impl SseEvent {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self, style: SseStyle) -> Bytes {
        let mut out = String::with_capacity(self.data.len() + 64);
        let mut line = |name: &str, text: &str| {
            out.push_str(name);
            out.push_str(": ");
            // A line break in an id or a type would begin a field of its own.
            out.extend(text.chars().filter(|c| !matches!(c, '\r' | '\n')));
            out.push_str(style.newline);
        };
        if let Some(id) = &self.id {
            line("id", id);
        }
        if let Some(event) = &self.event {
            line("event", event);
        }
        for text in self.data.split('\n') {
            line("data", text);
        }
        out.push_str(style.newline);
        Bytes::from(out)
    }
}

/// The answer that carries a stream of events, with heartbeats, until the stream ends or `stop` is cancelled.
#[must_use]
pub fn response(
    events: impl Stream<Item = SseEvent> + Send + 'static,
    style: SseStyle,
    stop: CancellationToken,
) -> Response {
    let bytes = stream::unfold((Box::pin(events), stop), move |(mut events, stop)| async move {
        let next = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            event = events.next() => event.map(|e| e.encode(style)),
            () = tokio::time::sleep(style.heartbeat) => Some(Bytes::from_static(style.beat.as_bytes())),
        };
        next.map(|bytes| (Ok::<_, Infallible>(bytes), (events, stop)))
    });
    let mut response = Response::new(Body::from_stream(bytes));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, http::HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, http::HeaderValue::from_static("no-cache"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_written_in_the_style_of_its_door() {
        let event = SseEvent {
            id: None,
            event: Some("x\ny".into()),
            data: "a\nb".into(),
        };
        let text = |style| String::from_utf8(event.encode(style).to_vec()).unwrap();
        assert_eq!(
            text(SseStyle::MARATHON),
            "event: xy\r\ndata: a\r\ndata: b\r\n\r\n"
        );
        assert_eq!(text(SseStyle::STANDARD), "event: xy\ndata: a\ndata: b\n\n");
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_stream_beats_and_ends_when_its_door_does() {
        let stop = CancellationToken::new();
        let answer = response(stream::pending(), SseStyle::MARATHON, stop.clone());
        let mut body = answer.into_body().into_data_stream();
        assert_eq!(body.next().await.unwrap().unwrap(), "\r\n");
        stop.cancel();
        assert!(body.next().await.is_none());
    }
}
