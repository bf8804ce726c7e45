//! Looking through a journal without opening it: every frame of every file, going on behind damage, changing
//! nothing.

use super::files::{self, SUFFIX};
use super::item::{Item, Placed, Visit};
use super::segment::{self, Ending, HEAD};
use super::{frame, snapshot};
use crate::fs::{self, DataFile};
use plenum_contract::ledger_log::LogError;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub(crate) snapshot: Option<PathBuf>,
    pub(crate) segments: u64,
    pub(crate) groups: u64,
    pub(crate) bytes: u64,
    /// A last group that was cut short: dropped at the next start.
    pub(crate) torn: Option<(PathBuf, u64)>,
    pub(crate) damage: Vec<(PathBuf, u64, String)>,
}

/// Looks through the journal in `dir`, which need not exist; `visit` gets what is whole.
///
/// # Errors
/// What the system refused. Damage is no error here, it is what is looked for.
pub(crate) fn survey(dir: &Path, visit: &mut Visit<'_>) -> Result<Survey, LogError> {
    let mut found = Survey::default();
    if !dir.exists() {
        return Ok(found);
    }
    let names = fs::names(dir)?;
    let covered = found.snapshot(dir, &names, visit)?;
    let segments: Vec<&String> = names.iter().filter(|n| n.ends_with(SUFFIX)).collect();
    let mut expect = None;
    for (i, name) in segments.iter().enumerate() {
        let last = i + 1 == segments.len();
        found.segment(dir, name, last, covered, &mut expect, visit)?;
    }
    if found.snapshot.is_some() && segments.is_empty() {
        let what = "there is a snapshot, but no segment after it".to_owned();
        found.damage.push((dir.to_owned(), 0, what));
    }
    Ok(found)
}

impl Survey {
    fn snapshot(&mut self, dir: &Path, names: &[String], visit: &mut Visit<'_>) -> Result<u64, LogError> {
        let Some(path) = snapshot::find(dir, names).0 else {
            return Ok(0);
        };
        self.snapshot = Some(path.clone());
        match snapshot::read(&path, &mut |chunk| visit(Item::Chunk(chunk))) {
            Ok(snapshot) => {
                self.bytes += snapshot.bytes;
                Ok(snapshot.cut.seq)
            }
            // What it covers is unknown then; so that this is said once, nothing before the first segment is
            // called missing.
            Err(error) => self.note(error).map(|()| u64::MAX - 1),
        }
    }

    fn segment(
        &mut self,
        dir: &Path,
        name: &str,
        last: bool,
        covered: u64,
        expect: &mut Option<u64>,
        visit: &mut Visit<'_>,
    ) -> Result<(), LogError> {
        self.segments += 1;
        let path = dir.join(name);
        let file = Arc::new(DataFile {
            file: fs::open_read(&path)?,
            path: path.clone(),
        });
        let head = match files::read_head(&file, name) {
            Ok(head) => head,
            Err(error) => {
                *expect = None;
                return self.note(error);
            }
        };
        let missing = match *expect {
            Some(next) => head.first_seq != next && head.first_seq > covered + 1,
            None => self.segments == 1 && head.first_seq > covered.saturating_add(1),
        };
        if missing {
            let what = format!(
                "groups before {}, with which this file starts, are missing",
                head.first_seq
            );
            self.damage.push((path.clone(), 0, what));
        }
        let bytes = file.read_at(0, usize::try_from(head.size).unwrap_or(usize::MAX))?;
        self.bytes += head.size;
        let (mut start, mut first) = (HEAD, head.first_seq);
        loop {
            let scan = segment::scan(&bytes, start, first);
            for group in &scan.groups {
                self.groups += 1;
                let at = group.payload.start as u64;
                let payload = &bytes[group.payload.clone()];
                let file = &file;
                if group.seq > covered {
                    let shown = visit(Item::Group(Placed { file, at, payload }));
                    shown.or_else(|error| self.note(error))?;
                }
            }
            *expect = Some(scan.next_seq);
            let at = scan.end as u64;
            match scan.ending {
                Ending::Clean => return Ok(()),
                Ending::Torn if last => {
                    self.torn = Some((path, at));
                    return Ok(());
                }
                Ending::Torn => {
                    let what = "a group was cut short, and a later segment follows".to_owned();
                    self.damage.push((path.clone(), at, what));
                }
                Ending::Damaged { offset, what } => self.damage.push((path.clone(), offset as u64, what)),
            }
            // Behind the damage: the next group that can be told.
            match frame::find_group(&bytes, scan.end + frame::HEADER, scan.next_seq) {
                Some((at, header)) => (start, first) = (at, header.seq),
                None => {
                    *expect = None;
                    return Ok(());
                }
            }
        }
    }

    /// Damage is noted, everything else ends the survey.
    fn note(&mut self, error: LogError) -> Result<(), LogError> {
        match error {
            LogError::Damaged { path, offset, what } => {
                self.damage.push((path, offset, what));
                Ok(())
            }
            LogError::Fenced { .. }
            | LogError::Full { .. }
            | LogError::Schema { .. }
            | LogError::Locked { .. }
            | LogError::Io { .. } => Err(error),
        }
    }
}
