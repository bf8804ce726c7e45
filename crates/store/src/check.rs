//! The offline check of a data directory: every byte that was acknowledged is read, nothing is changed.

use crate::dir::{LEDGER, STATE, read_schema};
use crate::hold::Held;
use crate::journal::{Item, Survey, survey};
use crate::ledger::count_records;
use crate::state::{count_entries, count_writes};
use plenum_contract::ledger_log::LogError;
use std::fmt;
use std::path::{Path, PathBuf};

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// The directory.
    pub path: PathBuf,
    /// Its schema version; none when nothing was ever stored in it.
    pub schema: Option<u32>,
    /// One part per store.
    pub parts: Vec<PartReport>,
}

/// What a check found in one store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartReport {
    /// `ledger` or `state`.
    pub name: &'static str,
    /// The newest snapshot, if there is one.
    pub snapshot: Option<PathBuf>,
    /// Records of the snapshot: chunks of the ledger's, entries of the state store's.
    pub snapshot_records: u64,
    /// Segment files.
    pub segments: u64,
    /// Groups in them that read back whole.
    pub groups: u64,
    /// Records in those groups that the snapshot does not cover.
    pub records: u64,
    /// Bytes of all those files.
    pub bytes: u64,
    /// A last write that was cut short and never acknowledged; the next start drops it. No damage.
    pub torn: Option<Spot>,
    /// What was acknowledged and does not read back.
    pub damage: Vec<Damage>,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// The file.
    pub path: PathBuf,
    /// The byte.
    pub offset: u64,
}

/// Damage and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Where.
    pub at: Spot,
    /// What does not hold there.
    pub what: String,
}

impl CheckReport {
    /// Whether everything acknowledged reads back.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.parts.iter().all(|part| part.damage.is_empty())
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.schema {
            Some(version) => writeln!(f, "{path}: schema {version}")?,
            None => writeln!(f, "{path}: nothing stored")?,
        }
        for part in &self.parts {
            let PartReport {
                name,
                snapshot_records,
                segments,
                groups,
                records,
                bytes,
                ..
            } = part;
            writeln!(
                f,
                "{name}: {records} records in {groups} groups in {segments} segments, {snapshot_records} in \
                 the snapshot, {bytes} bytes"
            )?;
            if let Some(Spot { path, offset }) = &part.torn {
                let path = path.display();
                writeln!(
                    f,
                    "{name}: {path} at byte {offset}: a write cut short, never acknowledged"
                )?;
            }
            for Damage { at, what } in &part.damage {
                writeln!(
                    f,
                    "{name}: {} at byte {}: DAMAGED: {what}",
                    at.path.display(),
                    at.offset
                )?;
            }
        }
        write!(f, "{}", if self.is_sound() { "sound" } else { "damaged" })
    }
}

/// Reads all of the data directory `path`, which nobody may have open.
///
/// # Errors
/// `Locked` names the process that has it open; `Schema` when a newer version wrote it; `Io` when the system
/// refuses, also when there is no such directory. Damage is no error but in the report, except that of the
/// `schema` file.
pub fn check(path: impl AsRef<Path>) -> Result<CheckReport, LogError> {
    let path = path.as_ref();
    // Also says that the directory is not there, before the lock would try to make a file in it.
    crate::fs::names(path)?;
    let _held = Held::lock(path)?;
    let schema = read_schema(path)?;
    let parts = vec![
        part(LEDGER, path, |_, _, _| Ok(1), count_records)?,
        part(STATE, path, count_entries, count_writes)?,
    ];
    Ok(CheckReport {
        path: path.to_owned(),
        schema,
        parts,
    })
}

/// Surveys one store; `chunk` and `group` count the records in a chunk and in a group.
fn part(
    name: &'static str,
    path: &Path,
    chunk: impl Fn(&Path, u64, &[u8]) -> Result<u64, LogError>,
    group: impl Fn(&Path, u64, &[u8]) -> Result<u64, LogError>,
) -> Result<PartReport, LogError> {
    let (mut snapshot_records, mut records) = (0, 0);
    let Survey {
        snapshot,
        segments,
        groups,
        bytes,
        torn,
        damage,
    } = survey(&path.join(name), &mut |item| {
        match item {
            Item::Chunk(c) => snapshot_records += chunk(&c.file.path, c.at, c.payload)?,
            Item::Group(g) => records += group(&g.file.path, g.at, g.payload)?,
        }
        Ok(())
    })?;
    let damage = damage.into_iter().map(|(path, offset, what)| Damage {
        at: Spot { path, offset },
        what,
    });
    Ok(PartReport {
        name,
        snapshot,
        snapshot_records,
        segments,
        groups,
        records,
        bytes,
        torn: torn.map(|(path, offset)| Spot { path, offset }),
        damage: damage.collect(),
    })
}
