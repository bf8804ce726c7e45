//! One agent per data directory: a lock that the system takes back when the process ends, and in it who holds.

use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Held while it lives.
#[derive(Debug)]
pub(crate) struct DirLock {
    _file: Flock<File>,
}

/// Why a directory could not be locked.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Somebody holds it: as far as can be told, who.
    Held(String),
    /// The system refused.
    Io(io::Error),
}

impl DirLock {
    /// Takes the lock of `dir` and writes `holder` into it.
    pub(crate) fn take(dir: &Path, holder: &str) -> Result<Self, LockError> {
        let path = dir.join("agent.lock");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(LockError::Io)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut file) => {
                file.set_len(0).map_err(LockError::Io)?;
                file.write_all(holder.as_bytes()).map_err(LockError::Io)?;
                Ok(Self { _file: file })
            }
            Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
                let mut who = String::new();
                // Whoever holds it may not have written yet: then the holder has no name.
                let _ = file.read_to_string(&mut who);
                Err(LockError::Held(if who.is_empty() {
                    "another agent".to_owned()
                } else {
                    who
                }))
            }
            Err((_, errno)) => Err(LockError::Io(errno.into())),
        }
    }
}
