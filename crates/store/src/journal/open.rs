//! Opening a journal: read the newest snapshot and the segments after it, drop what was never acknowledged,
//! refuse what is damaged.

use super::segment::{self, Ending, HEAD, Head, Scan};
use super::snapshot::{self, Snapshot};
use super::spares::{self, Spares};
use super::{Item, Journal, Options, Placed, SUFFIX, Segment, Visit, erase, new_segment, segment_name};
use crate::fs::{self, DataFile, damaged};
use plenum_contract::ledger_log::LogError;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// See [`Journal::open`].
pub(super) fn open(dir: &Path, options: &Options, visit: &mut Visit<'_>) -> Result<Journal, LogError> {
    fs::make_dir(dir)?;
    let mut names = fs::names(dir)?;
    names.retain(|name| {
        !name.ends_with(spares::SUFFIX) && !name.ends_with(snapshot::PART_SUFFIX) || {
            super::warn_of(fs::remove(&dir.join(name)));
            false
        }
    });
    let snapshot = open_snapshot(dir, &names, visit)?;
    let covered = snapshot.as_ref().map_or(0, |s| s.cut.seq);
    let mut segments = segments(dir, &names, covered)?;
    let mut spares = Spares::start(dir, options)?;
    let Some(last) = segments.pop_back() else {
        return first(dir, spares, snapshot);
    };
    let mut reading = Reading {
        covered,
        next_seq: 0,
        epoch: snapshot.as_ref().map_or(0, |s| s.cut.epoch),
        grown: 0,
    };
    reading.next_seq = segments.front().unwrap_or(&last).head.first_seq;
    for segment in &segments {
        let scan = reading.read(segment, visit)?;
        sealed_whole(segment, &scan)?;
    }
    let scan = reading.read(&last, visit)?;
    let end = scan.end as u64;
    match scan.ending {
        Ending::Clean => {}
        Ending::Torn => {
            tracing::warn!(
                file = %last.file.path.display(), offset = end,
                "dropped a group that was cut short and never acknowledged"
            );
            erase(&last.file, end..last.head.size)?;
        }
        Ending::Damaged { offset, what } => return Err(damaged(&last.file.path, offset as u64, what)),
    }
    spares.prepare();
    let journal = Journal {
        dir: dir.to_owned(),
        spares,
        sealed: segments,
        active: last,
        end,
        next_seq: reading.next_seq,
        epoch: reading.epoch,
        snapshot,
        grown: reading.grown,
        half_done: None,
        dir_unsynced: false,
        buffer: Vec::new(),
    };
    // A whole last group that was never acknowledged counts from here on: its reader acts on it.
    journal.confirm()?;
    journal.active.file.sync()?;
    Ok(journal)
}

fn open_snapshot(dir: &Path, names: &[String], visit: &mut Visit<'_>) -> Result<Option<Snapshot>, LogError> {
    let (newest, older) = snapshot::find(dir, names);
    let read = |path: PathBuf| {
        snapshot::read(&path, &mut |file, at, payload| {
            visit(Item::Chunk(Placed { file, at, payload }))
        })
    };
    let snapshot = newest.map(read).transpose()?;
    for path in older {
        super::warn_of(fs::remove(&path));
    }
    Ok(snapshot)
}

/// The first segment of a new journal.
fn first(dir: &Path, mut spares: Spares, snapshot: Option<Snapshot>) -> Result<Journal, LogError> {
    if let Some(snapshot) = snapshot {
        let after = snapshot.cut.seq + 1;
        return Err(damaged(
            dir,
            0,
            format!("there is a snapshot, but no segment that starts at or before group {after}"),
        ));
    }
    let head = Head {
        index: 0,
        size: 0,
        first_seq: 1,
    };
    let active = new_segment(dir, &mut spares, head, 0)?;
    fs::sync_dir(dir)?;
    if let Some(parent) = dir.parent() {
        fs::sync_dir(parent)?;
    }
    Ok(Journal {
        dir: dir.to_owned(),
        spares,
        sealed: VecDeque::new(),
        active,
        end: HEAD as u64,
        next_seq: 1,
        epoch: 0,
        snapshot: None,
        grown: 0,
        half_done: None,
        dir_unsynced: false,
        buffer: Vec::new(),
    })
}

/// The segments that the snapshot does not cover whole, oldest first; the others are removed.
fn segments(dir: &Path, names: &[String], covered: u64) -> Result<VecDeque<Segment>, LogError> {
    let mut segments = VecDeque::new();
    for name in names.iter().filter(|n| n.ends_with(SUFFIX)) {
        let segment = open_segment(dir, name)?;
        if segment.head.first_seq <= covered + 1 {
            for old in segments.drain(..) {
                let old: Segment = old;
                super::warn_of(fs::remove(&old.file.path));
            }
        }
        segments.push_back(segment);
    }
    if let Some(first) = segments.front()
        && first.head.first_seq > covered + 1
    {
        let (from, to) = (covered + 1, first.head.first_seq - 1);
        return Err(damaged(
            &first.file.path,
            0,
            format!("groups {from} to {to}, which belong before this file, are missing"),
        ));
    }
    Ok(segments)
}

fn open_segment(dir: &Path, name: &str) -> Result<Segment, LogError> {
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
    if segment_name(head.index) != name {
        let what = format!("the file holds segment {:x} of its log", head.index);
        return Err(damaged(&file.path, 16, what));
    }
    Ok(head)
}

/// What reading segment after segment keeps in mind.
struct Reading {
    covered: u64,
    next_seq: u64,
    epoch: u64,
    grown: u64,
}

impl Reading {
    fn read(&mut self, segment: &Segment, visit: &mut Visit<'_>) -> Result<Scan, LogError> {
        let Segment { head, file } = segment;
        if head.first_seq != self.next_seq {
            let (from, to) = (self.next_seq, head.first_seq);
            let what = format!("the file starts with group {to}, the one before ends before group {from}");
            return Err(damaged(&file.path, 0, what));
        }
        let bytes = file.read_at(0, usize::try_from(head.size).unwrap_or(usize::MAX))?;
        let scan = segment::scan(&bytes, HEAD, head.first_seq);
        for group in &scan.groups {
            self.epoch = self.epoch.max(group.epoch);
            self.grown += group.payload.len() as u64;
            if group.seq > self.covered {
                visit(Item::Group(Placed {
                    file,
                    at: group.payload.start as u64,
                    payload: &bytes[group.payload.clone()],
                }))?;
            }
        }
        self.next_seq = scan.next_seq;
        Ok(scan)
    }
}

/// A segment that another one follows holds acknowledged groups only.
fn sealed_whole(segment: &Segment, scan: &Scan) -> Result<(), LogError> {
    let path = &segment.file.path;
    match &scan.ending {
        Ending::Clean => Ok(()),
        Ending::Torn => {
            let what = format!(
                "group {} does not hold, and a later segment follows",
                scan.next_seq
            );
            Err(damaged(path, scan.end as u64, what))
        }
        Ending::Damaged { offset, what } => Err(damaged(path, *offset as u64, what.clone())),
    }
}
