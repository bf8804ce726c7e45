//! Segments as files: their names, making them, opening them.

use super::frame;
use super::segment::{HEAD, Head};
use super::spares::Spares;
use crate::fs::{self, DataFile, damaged};
use plenum_contract::ledger_log::LogError;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// What a segment is called, after its index.
pub(super) const SUFFIX: &str = ".segment";

/// A segment and its file.
pub(super) struct Segment {
    pub(super) head: Head,
    pub(super) file: Arc<DataFile>,
}

/// Opens the segment called `name` for reading and writing.
pub(super) fn open(dir: &Path, name: &str) -> Result<Segment, LogError> {
    let path = dir.join(name);
    let file = Arc::new(DataFile {
        file: fs::open_existing(&path)?,
        path,
    });
    let head = read_head(&file, name)?;
    Ok(Segment { head, file })
}

/// Reads the head of a segment file called `name`, and checks its size against it.
pub(super) fn read_head(file: &DataFile, name: &str) -> Result<Head, LogError> {
    let size = fs::length(&file.file, &file.path)?;
    let len = usize::try_from(size.min(HEAD as u64)).unwrap_or(HEAD);
    let head = Head::decode(&file.path, &file.read_at(0, len)?, size)?;
    if name_of(head.index) != name {
        let what = format!("the file holds segment {:x} of its log", head.index);
        return Err(damaged(&file.path, 16, what));
    }
    Ok(head)
}

/// For what is only tidiness: the next start does it again.
pub(super) fn warn_of(done: Result<(), LogError>) {
    if let Err(error) = done {
        tracing::warn!(%error, "the store could not tidy up");
    }
}

/// Overwrites a range with zeros, durable when it returns.
pub(super) fn erase(file: &DataFile, range: Range<u64>) -> Result<(), LogError> {
    const STEP: u64 = 1 << 20;
    let zeros = vec![0; usize::try_from(STEP.min(range.end - range.start)).unwrap_or(0)];
    let mut at = range.start;
    while at < range.end {
        let step = (range.end - at).min(STEP);
        file.write_at(at, &zeros[..usize::try_from(step).unwrap_or(0)])?;
        at += step;
    }
    file.sync()
}

/// Makes a spare the segment `head` (its size is filled in), with room for a frame of `len` bytes. It has its
/// name when this returns, durable after `sync_dir`.
pub(super) fn create(dir: &Path, spares: &mut Spares, head: Head, len: u64) -> Result<Segment, LogError> {
    let (spare, size) = spares.take(HEAD as u64 + len + frame::HEADER as u64)?;
    let head = Head { size, ..head };
    let name = dir.join(name_of(head.index));
    let made = spare
        .write_at(0, &head.encode())
        .and_then(|()| spare.sync())
        .and_then(|()| fs::rename(&spare.path, &name));
    if let Err(error) = made {
        warn_of(fs::remove(&spare.path));
        return Err(error);
    }
    Ok(Segment {
        head,
        file: Arc::new(DataFile {
            path: name,
            file: spare.file,
        }),
    })
}

/// What the segment of this index is called.
fn name_of(index: u64) -> String {
    format!("{index:016x}{SUFFIX}")
}
