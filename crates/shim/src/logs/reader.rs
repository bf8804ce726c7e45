//! The reading end: by position, so that it can be left and resumed anywhere, also while the shim writes
//! and after it has gone.

use crate::files::LOGS;
use crate::logs::record::{Record, Stream, Timestamp, decode};
use crate::logs::segments::{self, Segment};
use std::fs::File;
use std::io;
use std::ops::{ControlFlow, Range};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// More than the longest record, so that every read can hold one.
const BLOCK: usize = 64 << 10;

/// What one read gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The records, in order; none when there is nothing new yet.
    pub records: Vec<Record>,
    /// Where to read on.
    pub next: u64,
    /// Bytes of the log between the wanted position and the first that is still kept.
    pub lost: u64,
}

/// A reader of one container's log; holds nothing open between calls.
#[derive(Debug, Clone)]
pub struct LogReader {
    logs: PathBuf,
}

impl LogReader {
    /// Reads the log of the container in `dir`.
    pub fn new(dir: &Path) -> Self {
        Self { logs: dir.join(LOGS) }
    }

    /// First and last position kept (the last one is where the next record will begin).
    ///
    /// # Errors
    /// What the system said.
    pub fn range(&self) -> io::Result<Range<u64>> {
        let segments = segments::list(&self.logs)?;
        let start = segments.first().map_or(0, |segment| segment.start);
        Ok(start..segments.last().map_or(0, |segment| segment.start + segment.len))
    }

    /// Reads whole records from `from` on, about `max_bytes` of them (at least one, if there is one). A
    /// position inside a record begins with the next one.
    ///
    /// # Errors
    /// What the system said.
    pub fn read(&self, from: u64, max_bytes: usize) -> io::Result<Batch> {
        let segments = segments::list(&self.logs)?;
        let Some(oldest) = segments.first().map(|segment| segment.start) else {
            return Ok(Batch {
                records: Vec::new(),
                next: from,
                lost: 0,
            });
        };
        let mut batch = Batch {
            records: Vec::new(),
            next: from.max(oldest),
            lost: oldest.saturating_sub(from),
        };
        let mut room = max_bytes.max(BLOCK);
        for (index, segment) in segments.iter().enumerate() {
            let is_last = index + 1 == segments.len();
            let end = segment.start + segment.len;
            if batch.next < segment.start || batch.next >= end {
                continue;
            }
            match read_segment(segment, &mut batch, room) {
                // Deleted since it was listed: the next call counts it as lost.
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(error),
                Ok(used) => room = room.saturating_sub(used),
            }
            if room < BLOCK || is_last {
                break;
            }
            // A torn record at the end of a segment that is not written to any more never becomes whole.
            batch.next = end;
        }
        Ok(batch)
    }

    /// The position from which the last `lines` lines (of `stream`, if one is given) can be read.
    ///
    /// # Errors
    /// What the system said.
    pub fn tail(&self, lines: u64, stream: Option<Stream>) -> io::Result<u64> {
        let segments = segments::list(&self.logs)?;
        let mut position = segments.last().map_or(0, |segment| segment.start + segment.len);
        let (mut seen, mut first) = (0, true);
        for segment in segments.iter().rev() {
            let flow = backwards(segment, |record| {
                if stream.is_some_and(|wanted| wanted != record.stream) {
                    return ControlFlow::Continue(());
                }
                // A line that has no end yet counts as one.
                if record.ends_line || first {
                    seen += 1;
                }
                first = false;
                if seen > lines {
                    return ControlFlow::Break(());
                }
                position = record.position;
                ControlFlow::Continue(())
            });
            match flow {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => break,
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(error),
            }
        }
        Ok(position)
    }

    /// The position of the first record written at `since` or later (the end, if there is none).
    ///
    /// # Errors
    /// What the system said.
    pub fn since(&self, since: Timestamp) -> io::Result<u64> {
        let mut from = self.range()?.start;
        for segment in segments::list(&self.logs)? {
            let first = self.read(segment.start, 0)?.records.into_iter().next();
            if first.is_some_and(|record| record.at < since) {
                from = from.max(segment.start);
            }
        }
        loop {
            let batch = self.read(from, 1 << 20)?;
            if let Some(record) = batch.records.iter().find(|record| record.at >= since) {
                return Ok(record.position);
            }
            if batch.next == from {
                return Ok(from);
            }
            from = batch.next;
        }
    }
}

/// Adds the records of `segment` from `batch.next` on, and moves that. Gives the bytes read.
fn read_segment(segment: &Segment, batch: &mut Batch, room: usize) -> io::Result<usize> {
    let left = segment.start + segment.len - batch.next;
    let mut buffer = vec![0; usize::try_from(left).unwrap_or(usize::MAX).min(room)];
    let mut filled = 0;
    let file = File::open(&segment.path)?;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], batch.next - segment.start + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    let whole = buffer[..filled]
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |end| end + 1);
    for line in buffer[..whole].split_inclusive(|&byte| byte == b'\n') {
        batch.records.extend(decode(&line[..line.len() - 1], batch.next));
        batch.next += line.len() as u64;
    }
    Ok(filled)
}

/// Shows the records of `segment` from the last to the first.
fn backwards(
    segment: &Segment,
    mut show: impl FnMut(Record) -> ControlFlow<()>,
) -> io::Result<ControlFlow<()>> {
    let file = File::open(&segment.path)?;
    let mut left = segment.len;
    let mut carry: Vec<u8> = Vec::new();
    while left > 0 {
        let size = left.min(BLOCK as u64);
        left -= size;
        let mut block = vec![0; usize::try_from(size).unwrap_or(BLOCK)];
        file.read_exact_at(&mut block, left)?;
        block.extend_from_slice(&carry);
        // The line at the front of the block may begin in the one before.
        let whole_from = if left == 0 {
            0
        } else {
            block
                .iter()
                .position(|&byte| byte == b'\n')
                .map_or(block.len(), |end| end + 1)
        };
        let mut starts = vec![];
        let mut at = whole_from;
        for line in block[whole_from..].split_inclusive(|&byte| byte == b'\n') {
            starts.push(at..at + line.len());
            at += line.len();
        }
        for range in starts.into_iter().rev() {
            let Some(line) = block[range.clone()].strip_suffix(b"\n") else {
                continue;
            };
            let position = segment.start + left + range.start as u64;
            if let Some(record) = decode(line, position)
                && show(record).is_break()
            {
                return Ok(ControlFlow::Break(()));
            }
        }
        block.truncate(whole_from);
        carry = block;
    }
    Ok(ControlFlow::Continue(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LogLimits;
    use crate::logs::writer::LogWriter;

    fn log(max_bytes: u64, files: u32) -> (tempfile::TempDir, LogWriter, LogReader) {
        let dir = tempfile::tempdir().unwrap();
        let writer = LogWriter::create(&dir.path().join(LOGS), LogLimits { max_bytes, files }).unwrap();
        let reader = LogReader::new(dir.path());
        (dir, writer, reader)
    }

    fn texts(batch: &Batch) -> Vec<String> {
        batch
            .records
            .iter()
            .map(|record| String::from_utf8_lossy(&record.text).into_owned())
            .collect()
    }

    #[test]
    fn reading_resumes_where_it_was_left_and_splits_by_stream() {
        let (_dir, mut writer, reader) = log(1 << 20, 2);
        writer.push(Stream::Stdout, b"one\ntwo\nthr", Timestamp(1));
        writer.push(Stream::Stderr, b"oops\n", Timestamp(2));
        let first = reader.read(0, 0).unwrap();
        assert_eq!(texts(&first), ["one", "two", "oops"]);
        assert_eq!(first.records[2].stream, Stream::Stderr);
        assert_eq!(reader.read(first.next, 0).unwrap().records, []);
        writer.push(Stream::Stdout, b"ee\n", Timestamp(3));
        let second = reader.read(first.next, 0).unwrap();
        assert_eq!((texts(&second), second.lost), (vec!["three".to_owned()], 0));
        assert_eq!(
            reader.read(1, 0).unwrap().records.len(),
            3,
            "inside a record: from the next one on"
        );
    }

    #[test]
    fn the_oldest_segments_go_and_what_is_lost_is_known_to_the_byte() {
        let (dir, mut writer, reader) = log(500, 3);
        for line in 0..200 {
            writer.push(
                Stream::Stdout,
                format!("line {line}\n").as_bytes(),
                Timestamp(line),
            );
        }
        let found = segments::list(&dir.path().join(LOGS)).unwrap();
        assert_eq!(found.len(), 3);
        assert!(found.iter().all(|segment| segment.len <= 500));
        let batch = reader.read(0, 1 << 20).unwrap();
        assert_eq!(batch.lost, found[0].start);
        assert_eq!(texts(&batch).last().unwrap(), "line 199");
        let lines: Vec<u64> = batch.records.iter().map(|record| record.at.0).collect();
        assert!(
            lines.windows(2).all(|pair| pair[0] + 1 == pair[1]),
            "no hole within what is kept: {lines:?}"
        );
        assert_eq!(batch.next, reader.range().unwrap().end);
    }

    #[test]
    fn a_tail_counts_lines_across_segments_and_streams() {
        let (_dir, mut writer, reader) = log(300, 100);
        for line in 0..50 {
            let stream = if line % 2 == 0 {
                Stream::Stdout
            } else {
                Stream::Stderr
            };
            writer.push(stream, format!("{line}\n").as_bytes(), Timestamp(line));
        }
        let from = |position| texts(&reader.read(position, 1 << 20).unwrap());
        assert_eq!(from(reader.tail(2, None).unwrap()), ["48", "49"]);
        assert_eq!(
            from(reader.tail(2, Some(Stream::Stdout)).unwrap()),
            ["46", "47", "48", "49"]
        );
        assert_eq!(from(reader.tail(1000, None).unwrap()).len(), 50);
        assert!(from(reader.tail(0, None).unwrap()).is_empty());
        writer.push(Stream::Stdout, b"prompt", Timestamp(60));
        writer.flush(Timestamp(60));
        assert_eq!(from(reader.tail(2, None).unwrap()), ["49", "prompt"]);
        assert_eq!(from(reader.since(Timestamp(49)).unwrap()), ["49", "prompt"]);
        assert!(from(reader.since(Timestamp(61)).unwrap()).is_empty());
    }

    #[test]
    fn long_lines_become_parts_that_join_to_the_same_bytes() {
        let (_dir, mut writer, reader) = log(1 << 20, 2);
        let mut line: Vec<u8> = (0..100_000u32).map(|byte| b'a' + (byte % 26) as u8).collect();
        line.push(b'\n');
        for part in line.chunks(7777) {
            writer.push(Stream::Stdout, part, Timestamp(1));
        }
        let mut joined = Vec::new();
        let mut from = 0;
        loop {
            let batch = reader.read(from, 0).unwrap();
            batch
                .records
                .iter()
                .for_each(|record| record.append_to(&mut joined));
            if batch.next == from {
                break;
            }
            from = batch.next;
        }
        assert_eq!(joined, line);
        assert_eq!(reader.tail(1, None).unwrap(), 0);
    }
}
