//! The writing end, inside the shim. It never fails and never waits for room: what cannot be written is
//! dropped, counted, and said in the log itself as soon as that can be written again.

use crate::config::LogLimits;
use crate::logs::record::{Stream, Timestamp, encode};
use crate::logs::segments;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A line longer than this is cut into parts, so that one endless line needs no endless memory.
const MAX_TEXT: usize = 16 << 10;

/// The log of one container, being written.
#[derive(Debug)]
pub struct LogWriter {
    logs: PathBuf,
    limits: LogLimits,
    /// Absent when it could not be opened; tried again at the next write.
    file: Option<File>,
    start: u64,
    len: u64,
    /// Starts of the segments that are kept, oldest first, the current one last.
    kept: Vec<u64>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    batch: Vec<u8>,
    batch_text: u64,
    dropped: u64,
    unreported: u64,
}

impl LogWriter {
    /// Begins a log in the folder `logs`, which must not hold one.
    ///
    /// # Errors
    /// What the system said.
    pub fn create(logs: &Path, limits: LogLimits) -> io::Result<Self> {
        DirBuilder::new().mode(0o700).create(logs)?;
        let file = open(logs, 0)?;
        Ok(Self {
            logs: logs.to_owned(),
            limits,
            file: Some(file),
            start: 0,
            len: 0,
            kept: vec![0],
            stdout: Vec::new(),
            stderr: Vec::new(),
            batch: Vec::new(),
            batch_text: 0,
            dropped: 0,
            unreported: 0,
        })
    }

    /// Writes the lines that `bytes` completes; what follows the last line's end is kept back.
    pub fn push(&mut self, stream: Stream, bytes: &[u8], now: Timestamp) {
        let at = now.to_text();
        let mut pending = std::mem::take(self.pending_of(stream));
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (text, ends_line) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            for part in text.chunks(MAX_TEXT) {
                if pending.len() + part.len() > MAX_TEXT {
                    self.append(&at, stream, false, &pending);
                    pending.clear();
                }
                pending.extend_from_slice(part);
            }
            if ends_line {
                self.append(&at, stream, true, &pending);
                pending.clear();
            }
        }
        *self.pending_of(stream) = pending;
        self.write_batch();
    }

    /// Whether the beginning of a line is kept back.
    pub fn has_pending(&self) -> bool {
        !self.stdout.is_empty() || !self.stderr.is_empty()
    }

    /// Writes what is kept back, as a part of a line.
    pub fn flush(&mut self, now: Timestamp) {
        let at = now.to_text();
        for stream in [Stream::Stdout, Stream::Stderr] {
            let pending = std::mem::take(self.pending_of(stream));
            if !pending.is_empty() {
                self.append(&at, stream, false, &pending);
            }
        }
        self.write_batch();
    }

    /// Ends the log, on disk when it returns. Gives the bytes of output that are not in it.
    pub fn close(mut self, now: Timestamp) -> u64 {
        self.flush(now);
        if let Some(file) = &self.file {
            // What cannot be synced is in the system's memory still; there is nobody left to tell.
            let _ = file.sync_data();
        }
        self.dropped
    }

    fn pending_of(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    fn append(&mut self, at: &str, stream: Stream, ends_line: bool, text: &[u8]) {
        let before = self.batch.len();
        encode(at, stream, ends_line, text, &mut self.batch);
        let all = as_u64(self.batch.len());
        if self.len + all > self.limits.max_bytes && self.len + as_u64(before) > 0 {
            let record = self.batch.split_off(before);
            self.write_batch();
            self.rotate();
            self.batch = record;
        }
        self.batch_text += as_u64(text.len()) + u64::from(ends_line);
    }

    fn write_batch(&mut self) {
        let text = std::mem::take(&mut self.batch_text);
        if self.batch.is_empty() {
            return;
        }
        let mut batch = std::mem::take(&mut self.batch);
        // In one write with what follows it, or a disk that stays full would fill up with these.
        self.prepend_gap(&mut batch);
        match self.write(&batch) {
            Ok(()) => self.unreported = 0,
            Err(_) => {
                self.dropped += text;
                self.unreported += text;
            }
        }
        self.batch = batch;
        self.batch.clear();
    }

    /// Says in the log that something is missing at this place, if it is.
    fn prepend_gap(&self, batch: &mut Vec<u8>) {
        if self.unreported == 0 {
            return;
        }
        let text = format!(
            "plenum: {} bytes of output are missing here: the log was full",
            self.unreported
        );
        let mut record = Vec::new();
        encode(
            &Timestamp::now().to_text(),
            Stream::Stderr,
            true,
            text.as_bytes(),
            &mut record,
        );
        batch.splice(0..0, record);
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(open(&self.logs, self.start)?),
        };
        if let Err(error) = file.write_all(bytes) {
            // Half a record must not stay in front of the next one.
            let _ = file.set_len(self.len);
            return Err(error);
        }
        self.len += as_u64(bytes.len());
        Ok(())
    }

    fn rotate(&mut self) {
        if self.len == 0 {
            return;
        }
        self.start += self.len;
        self.len = 0;
        self.kept.push(self.start);
        while self.kept.len() > self.limits.files as usize {
            let _ = fs::remove_file(segments::path(&self.logs, self.kept.remove(0)));
        }
        self.file = open(&self.logs, self.start).ok();
    }
}

fn open(logs: &Path, start: u64) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(segments::path(logs, start))
}

fn as_u64(len: usize) -> u64 {
    len as u64
}
