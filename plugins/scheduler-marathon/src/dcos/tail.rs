//! The log of one standard stream, read as if it were a file.

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::BoxStream;
use plenum_contract::streams::{
    LogLine, LogQuery, LogSource, Output, StreamEnds, StreamError, StreamRequest, Streams,
};
use plenum_model::ids::TaskId;

/// A part of a file, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// From here on; from behind the end there is nothing.
    pub(super) from: u64,
    /// At most so many.
    pub(super) length: u64,
}

impl Piece {
    /// What of `bytes`, which begin at `at`, belongs to the piece.
    fn of(self, at: u64, bytes: &Bytes) -> Bytes {
        let end = self.from.saturating_add(self.length);
        let within = |place: u64| {
            usize::try_from(place.saturating_sub(at))
                .unwrap_or(usize::MAX)
                .min(bytes.len())
        };
        let (low, high) = (within(self.from), within(end));
        bytes.slice(low..high.max(low))
    }
}

/// The query for the lines of one stream.
pub(super) fn query(source: LogSource) -> LogQuery {
    LogQuery {
        stdout: source == LogSource::Stdout,
        stderr: source == LogSource::Stderr,
        ..LogQuery::default()
    }
}

/// The lines that a query gives.
///
/// # Errors
/// As `Streams::open`, and each line may be the failure that ends them.
pub(super) async fn lines(
    streams: &dyn Streams,
    task: TaskId,
    query: LogQuery,
) -> Result<BoxStream<'static, Result<LogLine, StreamError>>, StreamError> {
    let StreamEnds { input, output } = streams.open(task, StreamRequest::Logs(query)).await?;
    let lines = output.filter_map(move |one| {
        let _open = &input; // dropping the input would end the stream
        std::future::ready(match one {
            Ok(Output::Log(line)) => Some(Ok(line)),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        })
    });
    Ok(lines.boxed())
}

/// A part of what is kept of a log, and how long that is.
///
/// # Errors
/// As [`lines`].
pub(super) async fn piece(
    streams: &dyn Streams,
    task: TaskId,
    source: LogSource,
    piece: Piece,
) -> Result<(Bytes, u64), StreamError> {
    let mut lines = lines(streams, task, query(source)).await?;
    let (mut data, mut at) = (BytesMut::new(), 0_u64);
    while let Some(line) = lines.next().await {
        let bytes = line?.bytes;
        data.extend_from_slice(&piece.of(at, &bytes));
        at += bytes.len() as u64;
    }
    Ok((data.freeze(), at))
}

/// How long what is kept of a log is, and when its newest line was written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Size {
    pub(super) bytes: u64,
    pub(super) newest_ms: u64,
}

/// See [`Size`].
///
/// # Errors
/// As [`lines`].
pub(super) async fn size(
    streams: &dyn Streams,
    task: TaskId,
    source: LogSource,
) -> Result<Size, StreamError> {
    let mut lines = lines(streams, task, query(source)).await?;
    let mut size = Size::default();
    while let Some(line) = lines.next().await {
        let line = line?;
        size.bytes += line.bytes.len() as u64;
        size.newest_ms = line.at_nanos / 1_000_000;
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_takes_of_every_part_what_lies_within() {
        let parts = ["hello\n", "", "world\n", "end"];
        for (from, length, text) in [
            (0, 100, "hello\nworld\nend"),
            (0, 5, "hello"),
            (4, 4, "o\nwo"),
            (6, 6, "world\n"),
            (14, 9, "d"),
            (15, 9, ""),
            (u64::MAX, 9, ""),
            (3, 0, ""),
        ] {
            let (mut taken, mut at) = (Vec::new(), 0);
            for part in parts {
                taken.extend_from_slice(&Piece { from, length }.of(at, &Bytes::from(part)));
                at += part.len() as u64;
            }
            assert_eq!(String::from_utf8(taken).unwrap(), text, "{from} {length}");
        }
    }
}
