//! The data directory: one process at a time, one layout version, and the two stores in it.

use crate::fs::{self, damaged, failed};
use crate::journal;
use crate::ledger::DiskLog;
use crate::state::DiskState;
use plenum_contract::ledger_log::LogError;
use std::fs::{File, TryLockError};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The layout of a data directory that this build writes, and the newest it reads.
pub const SCHEMA: u32 = 1;
const SCHEMA_FILE: &str = "schema";
const SCHEMA_TEXT: &str = "plenum data directory, schema ";
const LOCK_FILE: &str = "lock";
pub(crate) const LEDGER: &str = "ledger";
pub(crate) const STATE: &str = "state";

/// Settings of the stores on disk; the defaults are meant for production, tests take smaller ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Bytes of a segment of a log, rounded up to a multiple of 4096. Each store keeps one in use and one ready.
    pub segment_bytes: u64,
    /// How many revisions of the state store are kept for `list(at)` and `watch(from)`.
    pub history_revisions: usize,
    /// How many bytes of values the kept revisions may hold together.
    pub history_bytes: u64,
    /// The state store writes a snapshot when its log has grown by this many bytes, and by twice the size of
    /// the last snapshot.
    pub compact_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            // Seconds of the heaviest load; zeroing one takes tens of milliseconds, beside the writer.
            segment_bytes: 16 << 20,
            // A watcher that was away for minutes at hundreds of writes a second need not list again.
            history_revisions: 10_000,
            history_bytes: 64 << 20,
            compact_bytes: 64 << 20,
        }
    }
}

/// An open data directory. The lock is released when this and both stores made from it are dropped.
pub struct DataDir {
    held: Arc<Held>,
    options: Options,
}

struct Held {
    path: PathBuf,
    ledger_open: AtomicBool,
    state_open: AtomicBool,
    /// Locked; closing it unlocks.
    _lock: File,
}

/// Which store a [`Hold`] is for.
#[derive(Debug, Clone, Copy)]
enum Store {
    Ledger,
    State,
}

/// The right to be the one open handle of a store.
pub(crate) struct Hold {
    held: Arc<Held>,
    store: Store,
}

impl Held {
    fn open(&self, store: Store) -> &AtomicBool {
        match store {
            Store::Ledger => &self.ledger_open,
            Store::State => &self.state_open,
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.held.open(self.store).store(false, Ordering::Release);
    }
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
        let lock = lock(path)?;
        if read_schema(path)?.is_none() {
            write_schema(path)?;
        }
        let held = Held {
            path: path.to_owned(),
            ledger_open: AtomicBool::new(false),
            state_open: AtomicBool::new(false),
            _lock: lock,
        };
        Ok(Self {
            held: Arc::new(held),
            options,
        })
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
        let hold = self.hold(Store::Ledger)?;
        Ok(DiskLog::new(
            self.path().join(LEDGER),
            self.journal_options(),
            hold,
        ))
    }

    /// The state store, read from disk.
    ///
    /// # Errors
    /// `Locked` while an earlier one lives; `Damaged` names the file and offset; `Schema`, `Full` and `Io`.
    pub fn state_store(&self) -> Result<Arc<DiskState>, LogError> {
        let hold = self.hold(Store::State)?;
        let dir = self.path().join(STATE);
        DiskState::open(dir, &self.options, &self.journal_options(), hold).map(Arc::new)
    }

    fn journal_options(&self) -> journal::Options {
        journal::Options {
            segment_bytes: self.options.segment_bytes.max(1).next_multiple_of(4096),
        }
    }

    fn hold(&self, store: Store) -> Result<Hold, LogError> {
        if self.held.open(store).swap(true, Ordering::AcqRel) {
            return Err(LogError::Locked {
                path: self.path().to_owned(),
                holder: "this process, which has the same store open already".to_owned(),
            });
        }
        let held = self.held.clone();
        Ok(Hold { held, store })
    }
}

/// Takes the lock of the data directory `path` and leaves this process's id in it.
pub(crate) fn lock(path: &Path) -> Result<File, LogError> {
    let name = path.join(LOCK_FILE);
    let file = fs::open_or_create(&name)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let holder = holder(&file).unwrap_or_else(|| "a process that does not say which".to_owned());
            let path = path.to_owned();
            return Err(LogError::Locked { path, holder });
        }
        Err(TryLockError::Error(e)) => return Err(failed("lock", &name, e)),
    }
    let pid = format!("{}\n", std::process::id());
    // Only for the message of who comes second: a full disk must not keep the owner out.
    if let Err(error) = file
        .set_len(0)
        .and_then(|()| file.write_all_at(pid.as_bytes(), 0))
    {
        tracing::debug!(%error, "the lock does not name its holder");
    }
    Ok(file)
}

fn holder(file: &File) -> Option<String> {
    let mut bytes = [0; 20];
    let len = file.read_at(&mut bytes, 0).ok()?;
    let pid: u32 = std::str::from_utf8(&bytes[..len]).ok()?.trim().parse().ok()?;
    Some(format!("pid {pid}"))
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
