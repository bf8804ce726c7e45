//! How transactions stand in a group, and entries in a snapshot. Numbers are little endian.
//!
//! ```text
//! group:     transactions: revision u64, count u32, then as many writes
//! write:     key length u16, key, 0 (deleted) or 1 and value length u32, value
//! snapshot:  chunks: the first is oldest u64, newest u64; each other one entries
//! entry:     created u64, modified u64, then as a write
//! ```

use super::index::Version;
use crate::fs::damaged;
use plenum_contract::ledger_log::LogError;
use plenum_model::ids::Revision;
use std::ops::Range;
use std::path::Path;

/// A write as read back: the value is the place of its bytes in the payload, none if the key was deleted.
pub(super) struct StoredWrite<'p> {
    pub(super) key: &'p str,
    pub(super) value: Option<Range<usize>>,
}

/// Starts a transaction of `count` writes.
pub(super) fn begin(revision: Revision, count: usize, buffer: &mut Vec<u8>) {
    buffer.extend_from_slice(&revision.0.to_le_bytes());
    let count = u32::try_from(count).expect("a transaction is at most MAX_TXN bytes");
    buffer.extend_from_slice(&count.to_le_bytes());
}

/// Appends a write; says where in `buffer` its value starts.
pub(super) fn write(key: &str, value: Option<&[u8]>, buffer: &mut Vec<u8>) -> usize {
    let len = u16::try_from(key.len()).expect("keys are at most MAX_KEY bytes");
    buffer.extend_from_slice(&len.to_le_bytes());
    buffer.extend_from_slice(key.as_bytes());
    let Some(value) = value else {
        buffer.push(0);
        return buffer.len();
    };
    buffer.push(1);
    let len = u32::try_from(value.len()).expect("values are at most MAX_VALUE bytes");
    buffer.extend_from_slice(&len.to_le_bytes());
    buffer.extend_from_slice(value);
    buffer.len() - value.len()
}

/// Appends the first chunk of a snapshot.
pub(super) fn bounds(oldest: Revision, newest: Revision, buffer: &mut Vec<u8>) {
    buffer.extend_from_slice(&oldest.0.to_le_bytes());
    buffer.extend_from_slice(&newest.0.to_le_bytes());
}

/// Appends an entry of a snapshot; says where in `buffer` its value starts.
pub(super) fn entry<V>(key: &str, version: &Version<V>, value: Option<&[u8]>, buffer: &mut Vec<u8>) -> usize {
    buffer.extend_from_slice(&version.created.0.to_le_bytes());
    buffer.extend_from_slice(&version.modified.0.to_le_bytes());
    write(key, value, buffer)
}

/// A payload being read; what does not fit is damage at its place in the file.
struct Reading<'p> {
    path: &'p Path,
    at: u64,
    payload: &'p [u8],
    read: usize,
}

impl<'p> Reading<'p> {
    fn take(&mut self, len: usize) -> Result<&'p [u8], LogError> {
        let taken = self
            .payload
            .get(self.read..)
            .and_then(|rest| rest.get(..len))
            .ok_or_else(|| self.bad("an entry reaches beyond its group"))?;
        self.read += len;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], LogError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn revision(&mut self) -> Result<Revision, LogError> {
        self.array().map(u64::from_le_bytes).map(Revision)
    }

    fn write(&mut self) -> Result<StoredWrite<'p>, LogError> {
        let len = u16::from_le_bytes(self.array()?);
        let key =
            std::str::from_utf8(self.take(usize::from(len))?).map_err(|_| self.bad("a key is not text"))?;
        let value = match self.array()? {
            [0] => None,
            [1] => {
                let len = u32::from_le_bytes(self.array()?) as usize;
                let start = self.read;
                self.take(len)?;
                Some(start..start + len)
            }
            [_] => return Err(self.bad("a write is of no known kind")),
        };
        Ok(StoredWrite { key, value })
    }

    fn at_end(&self) -> bool {
        self.read == self.payload.len()
    }

    fn bad(&self, what: &str) -> LogError {
        damaged(self.path, self.at + self.read as u64, what)
    }
}

/// Reads the transactions of a group whose payload stands at `at` of the file `path`.
pub(super) fn read_group<'p>(
    path: &'p Path,
    at: u64,
    payload: &'p [u8],
    mut each: impl FnMut(Revision, Vec<StoredWrite<'p>>) -> Result<(), LogError>,
) -> Result<(), LogError> {
    let mut reading = Reading {
        path,
        at,
        payload,
        read: 0,
    };
    while !reading.at_end() {
        let revision = reading.revision()?;
        let count = u32::from_le_bytes(reading.array()?);
        let writes: Result<Vec<_>, _> = (0..count).map(|_| reading.write()).collect();
        each(revision, writes?)?;
    }
    Ok(())
}

/// Reads the first chunk of a snapshot: the oldest and the newest revision.
pub(super) fn read_bounds(path: &Path, at: u64, payload: &[u8]) -> Result<(Revision, Revision), LogError> {
    let mut reading = Reading {
        path,
        at,
        payload,
        read: 0,
    };
    Ok((reading.revision()?, reading.revision()?))
}

/// Reads any other chunk of a snapshot.
pub(super) fn read_entries<'p>(
    path: &'p Path,
    at: u64,
    payload: &'p [u8],
    mut each: impl FnMut(Revision, Revision, StoredWrite<'p>),
) -> Result<(), LogError> {
    let mut reading = Reading {
        path,
        at,
        payload,
        read: 0,
    };
    while !reading.at_end() {
        let (created, modified) = (reading.revision()?, reading.revision()?);
        each(created, modified, reading.write()?);
    }
    Ok(())
}

/// Bytes of the first chunk; entries take more, so this also tells it from the others.
const BOUNDS: usize = 16;

/// How many entries a chunk of a snapshot holds.
pub(crate) fn count_entries(path: &Path, at: u64, payload: &[u8]) -> Result<u64, LogError> {
    if payload.len() == BOUNDS {
        return Ok(0);
    }
    let mut entries = 0;
    read_entries(path, at, payload, |_, _, _| entries += 1)?;
    Ok(entries)
}

/// How many writes a group holds.
pub(crate) fn count_writes(path: &Path, at: u64, payload: &[u8]) -> Result<u64, LogError> {
    let mut writes = 0;
    read_group(path, at, payload, |_, txn| {
        writes += txn.len() as u64;
        Ok(())
    })?;
    Ok(writes)
}
