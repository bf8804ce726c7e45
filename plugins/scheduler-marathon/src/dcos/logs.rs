//! The log of a task, the second way in which DC/OS gives it: lines as they are, or as events while it is followed.

use super::files::stream_of;
use super::front::Front;
use super::mesos::is_over;
use super::refused::{bad, by_pool, by_stream, not_found};
use super::sandbox;
use super::tail::{self, Piece};
use super::view;
use crate::door::reply::{Answer, Refused, empty};
use crate::door::request::Query;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, stream};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use plenum_contract::pool::TaskFilter;
use plenum_contract::streams::{LogLine, LogQuery, LogSource, StreamError};
use plenum_model::ids::TaskId;
use plenum_sdk::door::sse::{self, SseEvent, SseStyle};
use std::sync::Arc;

const TEXT: &str = "text/plain; charset=utf-8";

/// Which lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    /// Only the last so many; none: all.
    last: Option<u64>,
    /// Without the first so many.
    skip: usize,
    /// At most so many.
    limit: usize,
}

impl Range {
    /// From `cursor` (`BEG`, the default, or `END`), `skip` (from there; backwards below zero) and `limit`.
    fn read(query: &Query) -> Result<Self, Refused> {
        let number = |key: &str| match query.0.get(key).filter(|v| !v.is_empty()) {
            None => Ok(None),
            Some(text) => {
                let number = text.parse::<i64>();
                number
                    .map(Some)
                    .map_err(|_| bad(format!("`{key}` is a number, not `{text}`")))
            }
        };
        let (skip, limit) = (number("skip")?.unwrap_or(0), number("limit")?.unwrap_or(0));
        let forward = usize::try_from(skip);
        let limit = match usize::try_from(limit) {
            Ok(0) | Err(_) => usize::MAX,
            Ok(limit) => limit,
        };
        let (last, skip) = match (query.0.get("cursor").unwrap_or("BEG"), forward) {
            ("BEG" | "", Ok(skip)) => (None, skip),
            ("END", Ok(_)) => (Some(0), 0),
            ("END", Err(_)) => (Some(skip.unsigned_abs()), 0),
            ("BEG" | "", Err(_)) => return Err(bad("`skip` is not below zero at the beginning of a log")),
            (other, _) => return Err(bad(format!("`cursor` is BEG or END; `{other}` is not served"))),
        };
        Ok(Self { last, skip, limit })
    }

    /// The lines of a text.
    fn of<'a>(&self, text: &'a str) -> impl Iterator<Item = &'a str> {
        let all = text.lines().count();
        let before = self.last.map_or(0, |last| {
            all.saturating_sub(usize::try_from(last).unwrap_or(usize::MAX))
        });
        text.lines().skip(before.max(self.skip)).take(self.limit)
    }
}

/// `GET /system/v1/logs/v2/task/ID/file/NAME[/download]`
pub(super) async fn log(
    State(front): State<Arc<Front>>,
    Path(rest): Path<String>,
    query: Query,
    headers: HeaderMap,
) -> Answer {
    let path = rest.strip_suffix("/download").unwrap_or(&rest);
    let (name, file) = path
        .split_once("/file/")
        .ok_or_else(|| not_found("which file of the task? Ask for `task/ID/file/stdout`"))?;
    let range = Range::read(&query)?;
    let task = named(&front, name).await?;
    let asks = headers
        .get(ACCEPT)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    let follow = asks.contains("text/event-stream");
    match stream_of(file) {
        Some(source) if follow => followed(&front, task, source, range, &headers).await,
        Some(source) => written(&front, task, source, range).await,
        None if follow => Err(bad("only stdout and stderr can be followed")),
        None => of_file(&front, task, file, range).await,
    }
}

/// The task of this name: the one that runs, else the one that was claimed last.
async fn named(front: &Front, name: &str) -> Result<TaskId, Refused> {
    let tasks = view::tasks(&*front.pool, TaskFilter::default())
        .await
        .map_err(by_pool)?;
    let mine = tasks
        .iter()
        .filter(|t| t.seat.name == name && t.status.node.is_some());
    let found = mine.max_by_key(|t| (!is_over(t), t.status.claimed_at));
    found
        .map(|t| t.id())
        .ok_or_else(|| not_found(format!("there is no task `{name}`")))
}

async fn written(front: &Front, task: TaskId, source: LogSource, range: Range) -> Answer {
    let query = LogQuery {
        tail: range.last,
        ..tail::query(source)
    };
    let lines = tail::lines(&*front.streams, task, query)
        .await
        .map_err(by_stream)?;
    let mut lines = Box::pin(lines.skip(range.skip).take(range.limit));
    // the first line decides whether there is anything to say; the rest is passed on as it comes
    let Some(first) = lines.next().await else {
        return Ok(empty(StatusCode::NO_CONTENT));
    };
    let first = first.map_err(by_stream)?;
    let all = stream::iter([Ok(first)])
        .chain(lines)
        .map(|line| line.map(|l| l.bytes));
    Ok(([(CONTENT_TYPE, TEXT)], Body::from_stream(all)).into_response())
}

async fn of_file(front: &Front, task: TaskId, file: &str, range: Range) -> Answer {
    let mut text = BytesMut::new();
    loop {
        let piece = Piece {
            from: text.len() as u64,
            length: PART,
        };
        let (data, _) = sandbox::read(&*front.streams, task, file, piece)
            .await
            .map_err(by_stream)?;
        if data.is_empty() {
            break;
        }
        text.extend_from_slice(&data);
        if text.len() as u64 >= MOST {
            return Err(bad(format!(
                "`{file}` has more than {MOST} bytes; read it with `dcos task exec`"
            )));
        }
    }
    let text = String::from_utf8_lossy(&text);
    let lines: String = range.of(&text).flat_map(|line| [line, "\n"]).collect();
    if lines.is_empty() {
        return Ok(empty(StatusCode::NO_CONTENT));
    }
    Ok(([(CONTENT_TYPE, TEXT)], lines).into_response())
}

/// Files other than logs are read whole, in parts of this size, up to that many bytes: they are in memory at once.
const PART: u64 = 4 << 20;
const MOST: u64 = 64 << 20;

/// Lines as they are written, until the client goes. One that is cut off comes back with where it was.
async fn followed(
    front: &Front,
    task: TaskId,
    source: LogSource,
    range: Range,
    headers: &HeaderMap,
) -> Answer {
    let last = headers.get("last-event-id").and_then(|v| v.to_str().ok());
    let seen: Option<u64> = last.and_then(|id| id.parse().ok());
    let query = LogQuery {
        follow: true,
        tail: range.last.filter(|_| seen.is_none()),
        since: seen.map(|nanos| nanos / 1_000_000),
        ..tail::query(source)
    };
    let lines = tail::lines(&*front.streams, task, query)
        .await
        .map_err(by_stream)?;
    let skip = if seen.is_none() { range.skip } else { 0 };
    let events = until_broken(lines)
        .filter(move |line| std::future::ready(seen.is_none_or(|seen| line.at_nanos > seen)))
        .skip(skip)
        .map(|line| event(&line));
    let mut response: Response = sse::response(events, SseStyle::STANDARD, front.stopping.clone());
    // without it clients read the text as Latin-1
    let kind = HeaderValue::from_static("text/event-stream; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}

/// The lines of a log that is followed. It ends when it cannot be read on; where there is nothing more to read, since
/// the task has ended, it stays open: clients would come back at once, and again.
fn until_broken(
    lines: BoxStream<'static, Result<LogLine, StreamError>>,
) -> impl Stream<Item = LogLine> + Send + 'static {
    stream::unfold(lines, |mut lines| async move {
        match lines.next().await {
            Some(Ok(line)) => Some((line, lines)),
            Some(Err(error)) => {
                tracing::debug!(%error, "a log that is followed broke");
                None
            }
            None => std::future::pending().await,
        }
    })
}

/// A line as an event. Clients take data that is JSON for an entry of a journal: a line that happens to be JSON is
/// put into one.
fn event(line: &LogLine) -> SseEvent {
    let text = String::from_utf8_lossy(&line.bytes);
    let text = text.trim_end_matches(['\n', '\r']);
    let data = if serde_json::from_str::<serde_json::Value>(text).is_ok() {
        serde_json::json!({"fields": {"MESSAGE": text}}).to_string()
    } else {
        text.to_owned()
    };
    SseEvent {
        id: Some(line.at_nanos.to_string()),
        event: None,
        data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use plenum_sdk::door::lenient::Pairs;

    fn range(query: &str) -> Option<Range> {
        Range::read(&Query(Pairs::parse(Some(query)))).ok()
    }

    #[test]
    fn a_range_counts_from_either_end() {
        let text = "1\n2\n3\n4\n";
        for (query, lines) in [
            ("", "1234"),
            ("cursor=END&skip=-2", "34"),
            ("cursor=END&skip=-9", "1234"),
            ("cursor=END", ""),
            ("skip=1&limit=2", "23"),
            ("cursor=BEG&limit=1", "1"),
        ] {
            assert_eq!(
                range(query).unwrap().of(text).collect::<String>(),
                lines,
                "{query}"
            );
        }
        for bad in ["cursor=17", "skip=-1", "skip=x", "limit=x"] {
            assert_eq!(range(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_line_that_is_json_is_put_into_an_entry_and_others_are_left() {
        let data = |text: &str| {
            event(&LogLine {
                at_nanos: 5,
                source: LogSource::Stdout,
                bytes: Bytes::copy_from_slice(text.as_bytes()),
            })
            .data
        };
        assert_eq!(data("plain {\n"), "plain {");
        assert_eq!(data("{\"a\":1}\n"), r#"{"fields":{"MESSAGE":"{\"a\":1}"}}"#);
        assert_eq!(data("42\n"), r#"{"fields":{"MESSAGE":"42"}}"#);
    }
}
