//! What a task wrote.

use super::tasks::find;
use crate::extract::{Name, Params};
use crate::problem::Problem;
use crate::state::App;
use crate::view;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use futures::StreamExt;
use http::header;
use plenum_client::v1::error::ErrorBody;
use plenum_client::v1::stream::LogLine as Shown;
use plenum_contract::streams::{LogLine, LogQuery, LogSource, Output, StreamError, StreamRequest};
use plenum_model::code;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

/// Which part of the log, and how it is written.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct LogParams {
    /// Which container; left out: the main one.
    container: Option<String>,
    /// Go on as more is written, until the container has ended.
    #[serde(default)]
    follow: bool,
    /// Only the last so many lines.
    tail: Option<u64>,
    /// Only lines written at or after this: RFC 3339, or Unix milliseconds.
    since: Option<String>,
    /// Only what was written to `stdout` or to `stderr`; left out: both.
    #[param(inline)]
    source: Option<Source>,
    /// As it was written (`text`), or each line with its time and source as JSON (`ndjson`).
    #[serde(default)]
    #[param(inline)]
    format: Format,
}

/// One of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Source {
    Stdout,
    Stderr,
}

/// How lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    #[default]
    Text,
    Ndjson,
}

/// What a task wrote. A log that breaks off ends the answer without its proper end; as NDJSON its last line says why.
#[utoipa::path(
    get, path = "/v1/tasks/{task}/logs", tag = "streams",
    params(("task" = String, Path, description = "As in `/v1/tasks/{task}`"), LogParams),
    responses(
        (status = 200, content((String = "text/plain"), (Shown = "application/x-ndjson"))),
        (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)
    )
)]
pub(super) async fn logs(
    State(app): State<App>,
    Name(task): Name,
    Params(params): Params<LogParams>,
) -> Result<Response, Problem> {
    let format = params.format;
    let query = query(params)?;
    let id = find(&app, &task).await?.id();
    let permit = app.stream_permit()?;
    let ends = app.streams.open(id, StreamRequest::Logs(query)).await?;
    let pieces = ends
        .output
        .map(move |output| {
            // Held by the stream, given back when it ends.
            let _permit = &permit;
            match format {
                Format::Text => output.map(text),
                Format::Ndjson => Ok(ndjson(output)),
            }
        })
        .take_until(app.stop.clone().cancelled_owned());
    let content_type = match format {
        Format::Text => "text/plain; charset=utf-8",
        Format::Ndjson => "application/x-ndjson",
    };
    Ok(([(header::CONTENT_TYPE, content_type)], Body::from_stream(pieces)).into_response())
}

fn query(params: LogParams) -> Result<LogQuery, Problem> {
    Ok(LogQuery {
        container: params.container,
        follow: params.follow,
        tail: params.tail,
        since: params.since.map(|text| moment(&text)).transpose()?,
        stdout: params.source != Some(Source::Stderr),
        stderr: params.source != Some(Source::Stdout),
        previous: false,
    })
}

/// A moment in Unix milliseconds.
fn moment(text: &str) -> Result<u64, Problem> {
    if let Ok(ms) = text.parse::<u64>() {
        return Ok(ms);
    }
    let at: jiff::Timestamp = text.parse().map_err(|_| {
        Problem::new(
            code::INVALID,
            format!("`{text}` is neither RFC 3339 nor Unix milliseconds"),
        )
        .at("since")
    })?;
    Ok(u64::try_from(at.as_millisecond()).unwrap_or(0))
}

fn text(output: Output) -> Bytes {
    match output {
        Output::Log(line) => line.bytes,
        Output::Stdout(bytes) | Output::Stderr(bytes) => bytes,
        Output::Exit { .. }
        | Output::Stats(_)
        | Output::Image(_)
        | Output::Processes(_)
        | Output::Health(_) => Bytes::new(),
    }
}

/// The last line of a log that broke off.
#[derive(Serialize)]
struct Broken {
    error: ErrorBody,
}

fn ndjson(output: Result<Output, StreamError>) -> Bytes {
    match output {
        Ok(Output::Log(line)) => json_line(&shown(&line)),
        Ok(
            Output::Stdout(_)
            | Output::Stderr(_)
            | Output::Exit { .. }
            | Output::Stats(_)
            | Output::Image(_)
            | Output::Processes(_)
            | Output::Health(_),
        ) => Bytes::new(),
        Err(e) => json_line(&Broken {
            error: Problem::from(e).body,
        }),
    }
}

fn json_line(value: &impl Serialize) -> Bytes {
    let mut out = BytesMut::new().writer();
    serde_json::to_writer(&mut out, value).expect("plain data with text keys always serialises");
    let mut out = out.into_inner();
    out.put_u8(b'\n');
    out.freeze()
}

fn shown(line: &LogLine) -> Shown {
    let text = String::from_utf8_lossy(&line.bytes);
    Shown {
        at: view::time::nanos(line.at_nanos),
        source: match line.source {
            LogSource::Stdout => "stdout",
            LogSource::Stderr => "stderr",
        }
        .to_owned(),
        text: text.strip_suffix('\n').unwrap_or(&text).to_owned(),
    }
}
