//! Logs as a stream: from the wanted place, line by line, and on as more is written.

use crate::blocking::{FlowError, blocking, chain};
use crate::runtime::Engine;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::try_unfold;
use plenum_contract::runtime::ContainerKey;
use plenum_contract::streams::{LogLine, LogQuery, LogSource, Output, StreamError, StreamOutput};
use plenum_shim::client::{self, Recovered};
use plenum_shim::logs::reader::LogReader;
use plenum_shim::logs::record::{Record, Stream, Timestamp};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

/// How much is read at once.
const CHUNK: usize = 256 << 10;
/// How soon a follower sees a new line. Looking costs a few system calls.
const POLL: Duration = Duration::from_millis(100);
const NANOS_PER_MILLI: u64 = 1_000_000;

struct Cursor {
    reader: LogReader,
    dir: PathBuf,
    query: LogQuery,
    next: u64,
    lines: VecDeque<LogLine>,
    /// Set before the last reading: what was written before the end is in it.
    ended: bool,
}

/// Finds the place to begin.
pub(crate) fn open(
    engine: &Engine,
    key: &ContainerKey,
    query: &LogQuery,
) -> Result<StreamOutput, StreamError> {
    let io = |error: std::io::Error| StreamError::Failed {
        why: format!("cannot read the log: {error}"),
    };
    let found = engine.find(key).map_err(io)?;
    let (dir, _) = found.ok_or_else(|| StreamError::NotFound {
        what: format!("container {key}"),
    })?;
    let reader = LogReader::new(&dir);
    let stream = match (query.stdout, query.stderr) {
        (true, false) => Some(Stream::Stdout),
        (false, true) => Some(Stream::Stderr),
        (true, true) | (false, false) => None,
    };
    let mut next = reader.range().map_err(io)?.start;
    if let Some(lines) = query.tail {
        next = next.max(reader.tail(lines, stream).map_err(io)?);
    }
    if let Some(since) = query.since {
        let since = Timestamp(since.saturating_mul(NANOS_PER_MILLI));
        next = next.max(reader.since(since).map_err(io)?);
    }
    let cursor = Cursor {
        reader,
        dir,
        query: query.clone(),
        next,
        lines: VecDeque::new(),
        ended: !query.follow,
    };
    Ok(try_unfold(cursor, Cursor::step).boxed())
}

impl Cursor {
    async fn step(mut self) -> Result<Option<(Output, Self)>, StreamError> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Ok(Some((Output::Log(line), self)));
            }
            let last = self.ended;
            let (reader, next) = (self.reader.clone(), self.next);
            let read = blocking("read the log", move || {
                reader.read(next, CHUNK).map_err(|error| {
                    FlowError(StreamError::Failed {
                        why: format!("cannot read the log: {error}"),
                    })
                })
            });
            let batch = read.await.map_err(|FlowError(error)| error)?;
            let progress = batch.next > self.next;
            self.next = batch.next;
            let wanted = batch.records.into_iter().filter(|record| match record.stream {
                Stream::Stdout => self.query.stdout,
                Stream::Stderr => self.query.stderr,
            });
            self.lines.extend(wanted.map(line));
            if progress {
                continue;
            }
            if last {
                return Ok(None);
            }
            let dir = self.dir.clone();
            let look = blocking("look at the container", move || {
                client::recover(&dir).map_err(|error| FlowError(StreamError::Failed { why: chain(&error) }))
            });
            match look.await.map_err(|FlowError(error)| error)? {
                Recovered::Alive(_) => tokio::time::sleep(POLL).await,
                Recovered::Ended(_) | Recovered::Gone { .. } => self.ended = true,
            }
        }
    }
}

fn line(record: Record) -> LogLine {
    let mut bytes = Vec::with_capacity(record.text.len() + 1);
    record.append_to(&mut bytes);
    let source = match record.stream {
        Stream::Stdout => LogSource::Stdout,
        Stream::Stderr => LogSource::Stderr,
    };
    LogLine {
        at_nanos: record.at.0,
        source,
        bytes: Bytes::from(bytes),
    }
}
