//! `GET /containers/{id}/logs`.

use super::Containers;
use super::attach::Attached;
use super::frame::{Source, frame, media_type};
use super::pump::body;
use super::record::Container;
use crate::error::{ApiError, ApiResult};
use crate::time::{moment, nanos};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use plenum_contract::streams::{LogLine, LogQuery, LogSource, Output, StreamError, StreamRequest};
use plenum_model::phase::Phase;
use plenum_sdk::door::lenient::Pairs;

/// What is asked of a log.
pub(super) struct Asked {
    query: LogQuery,
    timestamps: bool,
    details: bool,
}

impl Asked {
    pub(super) fn parse(pairs: &Pairs, now_ms: u64) -> ApiResult<Self> {
        let flag = |key| super::door::flag(pairs, key);
        let (stdout, stderr) = (flag("stdout"), flag("stderr"));
        if !stdout && !stderr {
            return Err(ApiError::bad(
                "Bad parameters: you must choose at least one stream",
            ));
        }
        if pairs.get("until").is_some_and(|u| !u.is_empty() && u != "0") {
            return Err(ApiError::not_served("until of a log"));
        }
        let time = |key: &str| {
            let text = pairs.get(key).unwrap_or_default();
            match moment(text, now_ms) {
                None if !text.is_empty() => Err(ApiError::bad(format!("invalid value of {key}: {text}"))),
                at => Ok(at.filter(|at| *at > 0)),
            }
        };
        let query = LogQuery {
            container: None,
            follow: flag("follow"),
            tail: pairs.get("tail").and_then(|t| t.parse().ok()),
            since: time("since")?,
            stdout,
            stderr,
            previous: false,
        };
        Ok(Self {
            query,
            timestamps: flag("timestamps"),
            details: flag("details"),
        })
    }
}

/// Answers with the log, as it comes.
pub(super) async fn logs(
    containers: &Containers,
    container: &Container,
    asked: Asked,
) -> ApiResult<Response> {
    let tty = container.lowered.tty;
    let task = containers.task(container);
    let made = task.filter(|t| {
        !matches!(
            t.status.phase(),
            Phase::Pending | Phase::Placed | Phase::Preparing
        )
    });
    let Some(task) = made else {
        return Ok(body(media_type(tty), futures::stream::empty()));
    };
    let request = StreamRequest::Logs(asked.query.clone());
    let opened = containers.parts.streams.open(task.id(), request).await;
    let ends = match opened {
        // It never got to a node: it wrote nothing.
        Err(StreamError::State { .. }) => return Ok(body(media_type(tty), futures::stream::empty())),
        other => other?,
    };
    let session = Attached::begin(containers, &container.own.id);
    let stopping = containers.parts.stopping.clone();
    let (input, output) = (ends.input, ends.output);
    let pieces = output
        .take_until(stopping.cancelled_owned())
        .filter_map(move |piece| {
            let _held = (&session, &input);
            std::future::ready(match piece {
                Ok(Output::Log(line)) => Some(shown(line, &asked, tty)),
                Ok(
                    Output::Stdout(_)
                    | Output::Stderr(_)
                    | Output::Exit { .. }
                    | Output::Stats(_)
                    | Output::Image(_)
                    | Output::Processes(_)
                    | Output::Health(_),
                ) => None,
                Err(error) => {
                    let text = format!("error from daemon in stream: {error}\n");
                    Some(frame(tty, Source::Stderr, Bytes::from(text)))
                }
            })
        });
    Ok(body(media_type(tty), pieces))
}

fn shown(line: LogLine, asked: &Asked, tty: bool) -> Bytes {
    let mut out = BytesMut::new();
    if asked.timestamps {
        out.extend_from_slice(nanos(line.at_nanos.into()).as_bytes());
        out.extend_from_slice(b" ");
    }
    if asked.details {
        // The log driver adds no details; the blank that would follow them stays.
        out.extend_from_slice(b" ");
    }
    out.extend_from_slice(&line.bytes);
    frame(tty, source(line.source), out.freeze())
}

pub(super) fn source(source: LogSource) -> Source {
    match source {
        LogSource::Stdout => Source::Stdout,
        LogSource::Stderr => Source::Stderr,
    }
}
