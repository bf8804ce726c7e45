//! The data directory: one process at a time, one layout version, and the two stores in it.

use crate::fs::{self, damaged, failed};
use crate::hold::{Held, Store};
use crate::ledger::DiskLog;
use crate::options::Options;
use crate::state::DiskState;
use plenum_contract::ledger_log::LogError;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// The layout of a data directory that this build writes, and the newest it reads.
pub const SCHEMA: u32 = 1;
const SCHEMA_FILE: &str = "schema";
const SCHEMA_TEXT: &str = "plenum data directory, schema ";
pub(crate) const LEDGER: &str = "ledger";
pub(crate) const STATE: &str = "state";

/// An open data directory. The lock is released when this and both stores made from it are dropped.
pub struct DataDir {
    held: Arc<Held>,
    options: Options,
}

impl DataDir {
    /// Opens the data directory `path` with default [`Options`]; made, for its owner only, if it is not there.
    ///
    /// # Errors
    /// `Locked` names the process that has it open; `Schema` when a newer version wrote it; `Damaged` when
    /// its `schema` file does not read back; `Full` and `Io`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, LogError> {
        Self::open_with(path, Options::default())
    }

    /// As [`DataDir::open`], with other settings. They may differ from one opening to the next.
    ///
    /// # Errors
    /// As for `open`.
    pub fn open_with(path: impl AsRef<Path>, options: Options) -> Result<Self, LogError> {
        let path = path.as_ref();
        fs::make_dir(path)?;
        let held = Held::lock(path)?;
        if read_schema(path)?.is_none() {
            write_schema(path)?;
        }
        Ok(Self { held, options })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.held.path
    }

    /// The ledger log; nothing is read before its `load`.
    ///
    /// # Errors
    /// `Locked` while an earlier one lives.
    pub fn ledger_log(&self) -> Result<DiskLog, LogError> {
        let hold = self.held.hold(Store::Ledger)?;
        Ok(DiskLog::new(self.path().join(LEDGER), &self.options, hold))
    }

    /// The state store, read from disk.
    ///
    /// # Errors
    /// `Locked` while an earlier one lives; `Damaged` names the file and offset; `Schema`, `Full` and `Io`.
    pub fn state_store(&self) -> Result<Arc<DiskState>, LogError> {
        let hold = self.held.hold(Store::State)?;
        let dir = self.path().join(STATE);
        DiskState::open(dir, &self.options, hold).map(Arc::new)
    }
}

/// The schema version of the data directory `path`; none when it is new.
pub(crate) fn read_schema(path: &Path) -> Result<Option<u32>, LogError> {
    let name = path.join(SCHEMA_FILE);
    let text = match std::fs::read_to_string(&name) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            if path.join(LEDGER).exists() || path.join(STATE).exists() {
                return Err(damaged(
                    &name,
                    0,
                    "there is data, but no file that says its version",
                ));
            }
            return Ok(None);
        }
        Err(e) if e.kind() == std::io::ErrorKind::InvalidData => String::new(),
        Err(e) => return Err(failed("read", &name, e)),
    };
    let found = text
        .strip_prefix(SCHEMA_TEXT)
        .and_then(|rest| rest.strip_suffix('\n'))
        .and_then(|version| version.parse::<u32>().ok());
    match found {
        Some(SCHEMA) => Ok(Some(SCHEMA)),
        Some(found) if found > SCHEMA => Err(LogError::Schema {
            path: name,
            found,
            known: SCHEMA,
        }),
        Some(_) | None => {
            let what = format!("it does not say `{SCHEMA_TEXT}{SCHEMA}`");
            Err(damaged(&name, 0, what))
        }
    }
}

fn write_schema(path: &Path) -> Result<(), LogError> {
    let (part, name) = (path.join("schema.part"), path.join(SCHEMA_FILE));
    let file = fs::open_or_create(&part)?;
    file.set_len(0)
        .and_then(|()| file.write_all_at(format!("{SCHEMA_TEXT}{SCHEMA}\n").as_bytes(), 0))
        .and_then(|()| file.sync_all())
        .map_err(|e| failed("write", &part, e))?;
    fs::rename(&part, &name)?;
    fs::sync_dir(path)
}
