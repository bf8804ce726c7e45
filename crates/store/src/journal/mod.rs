//! The log on disk that both stores stand on: numbered groups of opaque bytes, one sync each, in pre-zeroed
//! segments, and a snapshot that makes older segments superfluous. One owner, no locks; `DataDir` sees to it
//! that no second process has the directory open.

mod frame;
mod open;
mod segment;
mod snapshot;
mod spares;
mod survey;

pub(crate) use snapshot::{Cut, Snapshot, SnapshotWriter};
pub(crate) use survey::{Survey, survey};

use crate::fs::{self, DataFile};
use frame::{Header, Kind};
use plenum_contract::ledger_log::LogError;
use segment::{HEAD, Head};
use spares::Spares;
use std::collections::VecDeque;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a segment is called, after its index.
const SUFFIX: &str = ".segment";

/// Settings of a journal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// Bytes of a segment.
    pub(crate) segment_bytes: u64,
}

/// What opening a journal finds, in order: the chunks of the snapshot, then the groups after it.
pub(crate) enum Item<'a> {
    /// A chunk of the snapshot.
    Chunk(Placed<'a>),
    /// A group.
    Group(Placed<'a>),
}

/// Bytes and where they stand.
pub(crate) struct Placed<'a> {
    pub(crate) file: &'a Arc<DataFile>,
    pub(crate) at: u64,
    pub(crate) payload: &'a [u8],
}

/// What is done with each item; its error ends the opening.
pub(crate) type Visit<'v> = dyn FnMut(Item<'_>) -> Result<(), LogError> + 'v;

struct Segment {
    head: Head,
    file: Arc<DataFile>,
}

/// An open journal.
pub(crate) struct Journal {
    dir: PathBuf,
    spares: Spares,
    /// Older segments that the snapshot does not cover, oldest first.
    sealed: VecDeque<Segment>,
    active: Segment,
    /// Where in the active segment the next group goes.
    end: u64,
    next_seq: u64,
    epoch: u64,
    snapshot: Option<Snapshot>,
    /// Bytes of groups that were ever appended or found, to decide on snapshots.
    grown: u64,
    /// What a failed append may have left in the active segment; erased before anything else is written.
    half_done: Option<Range<u64>>,
    /// Whether a rename in `dir` may not be durable yet.
    dir_unsynced: bool,
    buffer: Vec<u8>,
}

impl Journal {
    /// Opens the journal in `dir`, made if it is not there, and shows `visit` everything in it.
    pub(crate) fn open(dir: &Path, options: &Options, visit: &mut Visit<'_>) -> Result<Self, LogError> {
        open::open(dir, options, visit)
    }

    /// The highest epoch that ever appended.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Bytes of groups appended since the beginning, as far as they were still there when it was opened.
    pub(crate) fn grown(&self) -> u64 {
        self.grown
    }

    /// Appends the group whose payload `fill` writes; it is durable when this returns. Says where its first
    /// byte stands. After an error nothing of the group is in the journal.
    pub(crate) fn append(
        &mut self,
        epoch: u64,
        fill: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(Arc<DataFile>, u64), LogError> {
        self.mend()?;
        let mut buffer = std::mem::take(&mut self.buffer);
        let built = frame::build(&mut buffer, Kind::Group, self.next_seq, epoch, fill);
        let done = match built {
            Ok(()) => self.write_group(&buffer),
            Err(_) => Err(fs::failed(
                "append to",
                &self.active.file.path,
                std::io::ErrorKind::FileTooLarge.into(),
            )),
        };
        self.buffer = buffer;
        // One large group must not hold its memory for ever.
        self.buffer.shrink_to(1 << 20);
        let at = done?;
        self.epoch = self.epoch.max(epoch);
        Ok((self.active.file.clone(), at + frame::HEADER as u64))
    }

    fn write_group(&mut self, frame: &[u8]) -> Result<u64, LogError> {
        let len = frame.len() as u64;
        // Room for the `Confirm` behind it must always be left.
        if self.end + len + frame::HEADER as u64 > self.active.head.size {
            self.roll(len)?;
        }
        let file = &self.active.file;
        if let Err(error) = file.write_at(self.end, frame).and_then(|()| file.sync()) {
            self.half_done = Some(self.end..self.end + len);
            // Best now, so that a later start finds it gone; else before the next append.
            if let Err(again) = self.mend() {
                tracing::warn!(error = %again, "what a failed append left cannot be erased yet");
            }
            return Err(error);
        }
        let at = self.end;
        self.end += len;
        self.next_seq += 1;
        self.grown += len;
        if let Err(error) = self.confirm() {
            tracing::warn!(%error, "a durable group could not be marked as such");
        }
        Ok(at)
    }

    /// Takes up what an earlier error left undone. Until that works nothing is appended.
    pub(crate) fn mend(&mut self) -> Result<(), LogError> {
        if let Some(left) = self.half_done.clone() {
            erase(&self.active.file, left)?;
            self.half_done = None;
            self.confirm()?;
        }
        if self.dir_unsynced {
            fs::sync_dir(&self.dir)?;
            self.dir_unsynced = false;
        }
        Ok(())
    }

    /// Marks the last group as durable, see `segment`.
    fn confirm(&self) -> Result<(), LogError> {
        let header = Header {
            kind: Kind::Confirm,
            len: 0,
            seq: self.next_seq - 1,
            epoch: self.epoch,
        };
        self.active.file.write_at(self.end, &header.encode())
    }

    /// Goes on in a new segment that has room for a frame of `len` bytes.
    fn roll(&mut self, len: u64) -> Result<(), LogError> {
        let head = Head {
            index: self.active.head.index + 1,
            size: 0,
            first_seq: self.next_seq,
        };
        let next = new_segment(&self.dir, &mut self.spares, head, len)?;
        self.sealed.push_back(std::mem::replace(&mut self.active, next));
        self.end = HEAD as u64;
        // It has its name already, so it is the active one, durable or not: groups may not go elsewhere now.
        self.dir_unsynced = true;
        self.mend()
    }

    /// Up to where a snapshot made now reaches.
    pub(crate) fn cut(&self) -> Cut {
        Cut {
            seq: self.next_seq - 1,
            epoch: self.epoch,
        }
    }

    /// Writes a snapshot in one go and lets go of what it replaces.
    pub(crate) fn write_snapshot<'c>(
        &mut self,
        epoch: u64,
        chunks: impl Iterator<Item = &'c [u8]>,
    ) -> Result<(), LogError> {
        self.mend()?;
        let mut cut = self.cut();
        cut.epoch = cut.epoch.max(epoch);
        let mut writer = SnapshotWriter::create(&self.dir, cut)?;
        for chunk in chunks {
            writer.push(|buffer| buffer.extend_from_slice(chunk))?;
        }
        let snapshot = writer.finish()?;
        self.adopt(snapshot);
        Ok(())
    }

    /// Takes `snapshot`, durable already, as the newest, and lets go of what it replaces. What cannot be
    /// removed is removed at the next start.
    pub(crate) fn adopt(&mut self, snapshot: Snapshot) {
        self.epoch = self.epoch.max(snapshot.cut.epoch);
        let covered = snapshot.cut.seq;
        if let Some(old) = self.snapshot.replace(snapshot)
            && self
                .snapshot
                .as_ref()
                .is_some_and(|new| new.file.path != old.file.path)
        {
            warn_of(fs::remove(&old.file.path));
        }
        while self.sealed.front().is_some() {
            let next = self.sealed.get(1).unwrap_or(&self.active);
            if next.head.first_seq > covered + 1 {
                break;
            }
            if let Some(old) = self.sealed.pop_front() {
                warn_of(self.retire(old));
            }
        }
    }

    /// Whoever still reads from the segment keeps its bytes: then its file is removed instead of used again.
    fn retire(&mut self, old: Segment) -> Result<(), LogError> {
        match Arc::try_unwrap(old.file) {
            Ok(file) => self.spares.retire(&file.path, old.head.size),
            Err(shared) => fs::remove(&shared.path),
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // Seals: the `Confirm` of the last group becomes durable too.
        warn_of(self.mend().and_then(|()| self.active.file.sync()));
    }
}

fn warn_of(done: Result<(), LogError>) {
    if let Err(error) = done {
        tracing::warn!(%error, "the store could not tidy up");
    }
}

/// Overwrites a range with zeros, durable when it returns.
fn erase(file: &DataFile, range: Range<u64>) -> Result<(), LogError> {
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
fn new_segment(dir: &Path, spares: &mut Spares, head: Head, len: u64) -> Result<Segment, LogError> {
    let (spare, size) = spares.take(HEAD as u64 + len + frame::HEADER as u64)?;
    let head = Head { size, ..head };
    let name = dir.join(segment_name(head.index));
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

fn segment_name(index: u64) -> String {
    format!("{index:016x}{SUFFIX}")
}
