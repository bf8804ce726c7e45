//! An open journal: appending groups, rolling over to new segments, adopting snapshots.

use super::files::{self, Segment, warn_of};
use super::frame::{self, Header, Kind};
use super::item::Visit;
use super::open::{self, Opened};
use super::segment::{HEAD, Head};
use super::snapshot::{Cut, Snapshot, SnapshotWriter};
use super::spares::Spares;
use crate::fs::{self, DataFile};
use plenum_contract::ledger_log::LogError;
use std::collections::VecDeque;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
    pub(crate) fn open(dir: &Path, segment_bytes: u64, visit: &mut Visit<'_>) -> Result<Self, LogError> {
        let opened = open::open(dir, segment_bytes, visit)?;
        let Opened {
            spares,
            sealed,
            active,
            end,
            next_seq,
            epoch,
            snapshot,
            grown,
        } = opened;
        let journal = Self {
            dir: dir.to_owned(),
            spares,
            sealed,
            active,
            end,
            next_seq,
            epoch,
            snapshot,
            grown,
            half_done: None,
            dir_unsynced: false,
            buffer: Vec::new(),
        };
        // A whole last group that was never acknowledged counts from here on: its reader acts on it.
        journal.confirm()?;
        journal.active.file.sync()?;
        Ok(journal)
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
            files::erase(&self.active.file, left)?;
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
        let next = files::create(&self.dir, &mut self.spares, head, len)?;
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

#[cfg(test)]
mod tests {
    use super::super::item::Item;
    use super::*;
    use tempfile::TempDir;

    const SEGMENT: u64 = 8192;

    fn open(dir: &Path) -> (Journal, Vec<Vec<u8>>) {
        let mut groups = Vec::new();
        let journal = Journal::open(dir, SEGMENT, &mut |item| {
            match item {
                Item::Group(group) => groups.push(group.payload.to_vec()),
                Item::Chunk(_) => {}
            }
            Ok(())
        });
        (journal.unwrap(), groups)
    }

    fn append(journal: &mut Journal, payload: &[u8]) {
        journal
            .append(1, |buffer| buffer.extend_from_slice(payload))
            .unwrap();
    }

    /// Leaves the journal as a write that reached the file, but whose sync failed, does.
    fn fail_to_append(journal: &mut Journal, payload: &[u8]) {
        let mut frame = Vec::new();
        frame::build(&mut frame, Kind::Group, journal.next_seq, 1, |buffer| {
            buffer.extend_from_slice(payload);
        })
        .unwrap();
        journal.active.file.write_at(journal.end, &frame).unwrap();
        journal.half_done = Some(journal.end..journal.end + frame.len() as u64);
    }

    #[test]
    fn a_group_whose_sync_failed_is_erased_before_the_next() {
        let dir = TempDir::new().unwrap();
        let (mut journal, _) = open(dir.path());
        append(&mut journal, b"first");
        fail_to_append(&mut journal, &[7; 2000]);
        append(&mut journal, b"second");
        drop(journal);
        assert_eq!(open(dir.path()).1, [&b"first"[..], b"second"]);
    }

    #[test]
    fn a_group_whose_sync_failed_is_erased_when_the_journal_is_closed() {
        let dir = TempDir::new().unwrap();
        let (mut journal, _) = open(dir.path());
        append(&mut journal, b"first");
        fail_to_append(&mut journal, &[7; 2000]);
        drop(journal);
        assert_eq!(open(dir.path()).1, [b"first"]);
    }

    #[test]
    fn a_failed_group_before_a_new_segment_is_erased_from_the_old_one() {
        let dir = TempDir::new().unwrap();
        let (mut journal, _) = open(dir.path());
        append(&mut journal, &[1; 5000]);
        fail_to_append(&mut journal, &[7; 2000]);
        append(&mut journal, &[2; 5000]);
        drop(journal);
        assert_eq!(open(dir.path()).1, [[1; 5000], [2; 5000]]);
    }
}
