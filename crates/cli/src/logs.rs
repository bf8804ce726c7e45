//! `plenum task logs`.

use crate::failure::{Done, Failure};
use crate::output::text::parse_duration;
use crate::output::{self, Format};
use crate::session::Session;
use clap::{Args, ValueEnum};
use futures::StreamExt;
use plenum_client::LogQuery;
use plenum_client::v1::error::ErrorBody;
use plenum_client::v1::stream::LogLine;
use plenum_model::code;
use serde::Deserialize;
use std::io::Write;
use std::process::ExitCode;

/// Which part of the log, and how it is printed.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// The task's name or id, or the start of one
    pub task: String,
    /// Which container [default: the main one]
    #[arg(long)]
    pub container: Option<String>,
    /// Go on as more is written, until the container has ended
    #[arg(short = 'f', long)]
    pub follow: bool,
    /// Only the last so many lines
    #[arg(short = 'n', long, value_name = "LINES")]
    pub tail: Option<u64>,
    /// Only what was written since then: a time ago (5m), or RFC 3339
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only one of the two streams
    #[arg(long, value_enum)]
    pub source: Option<Source>,
    /// Put the time in front of each line
    #[arg(short = 't', long)]
    pub timestamps: bool,
}

/// One of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Source {
    /// Standard output
    Stdout,
    /// Standard error
    Stderr,
}

pub(crate) async fn run(args: &LogArgs, session: &Session<'_>) -> Done {
    output::lines_only(session.global)?;
    let query = LogQuery {
        container: args.container.clone(),
        follow: args.follow,
        tail: args.tail,
        since: args.since.as_deref().map(since).transpose()?,
        source: args.source.map(|s| match s {
            Source::Stdout => "stdout".to_owned(),
            Source::Stderr => "stderr".to_owned(),
        }),
        // Lines with their source: what went to standard error goes there again.
        format: Some("ndjson".to_owned()),
    };
    if args.timestamps || session.global.output == Format::Json {
        return lines(args, session, query).await;
    }
    plain(
        args,
        session,
        LogQuery {
            format: None,
            ..query
        },
    )
    .await
}

/// Bytes as they were written.
async fn plain(args: &LogArgs, session: &Session<'_>, query: LogQuery) -> Done {
    let mut pieces = session.client.logs(&args.task, &query).await?;
    while let Some(piece) = pieces.next().await {
        output::bytes(&piece?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A line of the answer: of the log, or why there are no more.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Broken { error: ErrorBody },
    Log(LogLine),
}

async fn lines(args: &LogArgs, session: &Session<'_>, query: LogQuery) -> Done {
    let mut pieces = session.client.logs(&args.task, &query).await?;
    let mut rest: Vec<u8> = Vec::new();
    while let Some(piece) = pieces.next().await {
        rest.extend_from_slice(&piece?);
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            match serde_json::from_slice(&line) {
                Ok(Line::Log(line)) => print(&line, session.global.output)?,
                Ok(Line::Broken { error }) => {
                    return Err(Failure::new(code::UNAVAILABLE, error.message));
                }
                Err(e) => return Err(Failure::new(code::INTERNAL, format!("not a line of a log: {e}"))),
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(line: &LogLine, format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        return output::json_line(line);
    }
    let text = format!("{} {}\n", line.at, line.text);
    if line.source == "stderr" {
        let written = std::io::stderr().lock().write_all(text.as_bytes());
        return written.map_err(|e| Failure::new(code::INTERNAL, e.to_string()));
    }
    output::print(&text)
}

/// A time ago as the moment it means; what is no time ago the server reads.
fn since(text: &str) -> Result<String, Failure> {
    match parse_duration(text) {
        Ok(ago) => {
            let ago = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
            let at = jiff::Timestamp::now().as_millisecond().saturating_sub(ago).max(0);
            Ok(at.to_string())
        }
        Err(_) if text.contains('T') => Ok(text.to_owned()),
        Err(e) => Err(Failure::usage(e).at("--since")),
    }
}
