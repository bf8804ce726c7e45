//! Who may open what: a data directory is for one process at a time, and each store in it for one handle.

use crate::fs::{self, failed};
use plenum_contract::ledger_log::LogError;
use std::fs::{File, TryLockError};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const LOCK_FILE: &str = "lock";

/// A locked data directory, shared by all that keep it locked.
pub(crate) struct Held {
    pub(crate) path: PathBuf,
    ledger_open: AtomicBool,
    state_open: AtomicBool,
    /// Locked; closing it unlocks.
    _lock: File,
}

/// Which store a [`Hold`] is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Store {
    Ledger,
    State,
}

/// The right to be the one open handle of a store.
pub(crate) struct Hold {
    held: Arc<Held>,
    store: Store,
}

impl Held {
    /// Locks the data directory `path`.
    pub(crate) fn lock(path: &Path) -> Result<Arc<Self>, LogError> {
        Ok(Arc::new(Self {
            path: path.to_owned(),
            ledger_open: AtomicBool::new(false),
            state_open: AtomicBool::new(false),
            _lock: lock(path)?,
        }))
    }

    /// The right to open `store`, which one has at a time.
    pub(crate) fn hold(self: &Arc<Self>, store: Store) -> Result<Hold, LogError> {
        if self.open(store).swap(true, Ordering::AcqRel) {
            return Err(LogError::Locked {
                path: self.path.clone(),
                holder: "this process, which has the same store open already".to_owned(),
            });
        }
        let held = self.clone();
        Ok(Hold { held, store })
    }

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
