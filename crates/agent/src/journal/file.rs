//! The journal's file: open and replay, append, compact. Blocking; the caller knows where it may block.

use super::{JournalError, frame};
use crate::supervisor::{Memory, Record};
use plenum_model::ids::Seq;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Compaction is worth its two fsyncs from here on.
const COMPACT_FROM: u64 = 1 << 20;

/// A journal is compacted when it is so many times as large as after the last compaction.
const COMPACT_AT: u64 = 4;

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Everything before is whole; a failed append is cut off to here.
    length: u64,
    compacted: u64,
    /// Whether bytes behind `length` may be in the file.
    unclean: bool,
}

impl Journal {
    /// Opens the journal at `path`, or begins one whose observations are numbered after `first`, and returns
    /// what it remembers.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn open(path: &Path, first: Seq) -> Result<(Self, Memory), JournalError> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map_err(|e| failed("open", path, e))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(|e| failed("read", path, e))?;
        let (memory, length) = replay(path, &bytes)?;
        let cut = bytes.len() as u64 - length;
        if cut > 0 {
            tracing::warn!(path = %path.display(), bytes = cut, "cut off the torn end of the journal");
        }
        let mut journal = Self {
            path: path.to_owned(),
            file,
            length,
            compacted: length,
            unclean: cut > 0,
        };
        if length == 0 {
            let mut memory = Memory::default();
            let record = Record::FirstSeq(first);
            memory.apply(&record);
            journal.append(&[record])?;
            sync_parent(path).map_err(|e| failed("create", path, e))?;
            return Ok((journal, memory));
        }
        journal.trim().map_err(|e| failed("cut", path, e))?;
        Ok((journal, memory))
    }

    /// Appends a batch. Durable when it returns, if a record of it must be. After an error nothing of the batch
    /// counts, and the same batch may be tried again.
    ///
    /// # Errors
    /// `Io`: the disk is full or failing.
    pub fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        let mut bytes = Vec::new();
        for record in records {
            frame::put(&mut bytes, record);
        }
        self.trim().map_err(|e| failed("cut", &self.path, e))?;
        self.unclean = true;
        self.file
            .write_all(&bytes)
            .map_err(|e| failed("append to", &self.path, e))?;
        if records.iter().any(Record::must_be_durable) {
            self.file.sync_data().map_err(|e| failed("sync", &self.path, e))?;
        }
        self.unclean = false;
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn trim(&mut self) -> io::Result<()> {
        if self.unclean {
            self.file.set_len(self.length)?;
            self.file.seek(SeekFrom::End(0))?;
            self.file.sync_data()?;
            self.unclean = false;
        }
        Ok(())
    }

    /// Whether compaction is due: most of the file is history.
    #[must_use]
    pub fn is_mostly_history(&self) -> bool {
        self.length >= COMPACT_FROM.max(self.compacted.saturating_mul(COMPACT_AT))
    }

    /// Writes `memory` as the whole journal. Either the old or the new file is
    /// there, whenever a crash comes.
    ///
    /// # Errors
    /// `Io`; the old file is still in use then.
    pub fn compact(&mut self, memory: &Memory) -> Result<(), JournalError> {
        let mut bytes = Vec::new();
        for record in memory.records() {
            frame::put(&mut bytes, &record);
        }
        let (file, length) = self
            .replace(&bytes)
            .map_err(|e| failed("compact", &self.path, e))?;
        self.file = file;
        self.length = length;
        self.compacted = length;
        self.unclean = false;
        Ok(())
    }

    fn replace(&self, bytes: &[u8]) -> io::Result<(File, u64)> {
        let new = self.path.with_extension("new");
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        let file = OpenOptions::new().append(true).open(&new)?;
        std::fs::rename(&new, &self.path)?;
        sync_parent(&self.path)?;
        Ok((file, bytes.len() as u64))
    }
}

fn replay(path: &Path, bytes: &[u8]) -> Result<(Memory, u64), JournalError> {
    let mut memory = Memory::default();
    let mut at = 0;
    loop {
        match frame::read(&bytes[at..]) {
            frame::Read::Record(record, taken) => {
                memory.apply(&record);
                at += taken;
            }
            frame::Read::End | frame::Read::Torn => return Ok((memory, at as u64)),
            frame::Read::Damaged(why) => {
                return Err(JournalError::Damaged {
                    path: path.to_owned(),
                    offset: at as u64,
                    why,
                });
            }
        }
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

fn failed(op: &'static str, path: &Path, source: io::Error) -> JournalError {
    JournalError::Io {
        op,
        path: path.to_owned(),
        source,
    }
}
