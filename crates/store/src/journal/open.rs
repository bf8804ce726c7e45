//! Opening a journal: read the newest snapshot and the segments after it, drop what was never acknowledged,
//! refuse what is damaged.

use super::files::{self, SUFFIX, Segment, warn_of};
use super::item::{Item, Placed, Visit};
use super::segment::{self, Ending, HEAD, Head, Scan};
use super::snapshot::{self, Snapshot};
use super::spares::{self, Spares};
use crate::fs::{self, damaged};
use plenum_contract::ledger_log::LogError;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

/// What was found, ready to go on.
pub(super) struct Opened {
    pub(super) spares: Spares,
    pub(super) sealed: VecDeque<Segment>,
    pub(super) active: Segment,
    pub(super) end: u64,
    pub(super) next_seq: u64,
    pub(super) epoch: u64,
    pub(super) snapshot: Option<Snapshot>,
    pub(super) grown: u64,
}

/// Opens the journal in `dir`, made if it is not there, and shows `visit` everything in it.
pub(super) fn open(dir: &Path, segment_bytes: u64, visit: &mut Visit<'_>) -> Result<Opened, LogError> {
    fs::make_dir(dir)?;
    let mut names = fs::names(dir)?;
    names.retain(|name| {
        !name.ends_with(spares::SUFFIX) && !name.ends_with(snapshot::PART_SUFFIX) || {
            warn_of(fs::remove(&dir.join(name)));
            false
        }
    });
    let snapshot = open_snapshot(dir, &names, visit)?;
    let covered = snapshot.as_ref().map_or(0, |s| s.cut.seq);
    let mut segments = segments(dir, &names, covered)?;
    let mut spares = Spares::start(dir, segment_bytes)?;
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
            files::erase(&last.file, end..last.head.size)?;
        }
        Ending::Damaged { offset, what } => return Err(damaged(&last.file.path, offset as u64, what)),
    }
    spares.prepare();
    Ok(Opened {
        spares,
        sealed: segments,
        active: last,
        end,
        next_seq: reading.next_seq,
        epoch: reading.epoch,
        snapshot,
        grown: reading.grown,
    })
}

fn open_snapshot(dir: &Path, names: &[String], visit: &mut Visit<'_>) -> Result<Option<Snapshot>, LogError> {
    let (newest, older) = snapshot::find(dir, names);
    let read = |path: PathBuf| snapshot::read(&path, &mut |chunk| visit(Item::Chunk(chunk)));
    let snapshot = newest.map(read).transpose()?;
    for path in older {
        warn_of(fs::remove(&path));
    }
    Ok(snapshot)
}

/// The first segment of a new journal.
fn first(dir: &Path, mut spares: Spares, snapshot: Option<Snapshot>) -> Result<Opened, LogError> {
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
    let active = files::create(dir, &mut spares, head, 0)?;
    fs::sync_dir(dir)?;
    if let Some(parent) = dir.parent() {
        fs::sync_dir(parent)?;
    }
    Ok(Opened {
        spares,
        sealed: VecDeque::new(),
        active,
        end: HEAD as u64,
        next_seq: 1,
        epoch: 0,
        snapshot: None,
        grown: 0,
    })
}

/// The segments that the snapshot does not cover whole, oldest first; the others are removed.
fn segments(dir: &Path, names: &[String], covered: u64) -> Result<VecDeque<Segment>, LogError> {
    let mut segments = VecDeque::new();
    for name in names.iter().filter(|n| n.ends_with(SUFFIX)) {
        let segment = files::open(dir, name)?;
        if segment.head.first_seq <= covered + 1 {
            for old in segments.drain(..) {
                let old: Segment = old;
                warn_of(fs::remove(&old.file.path));
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
