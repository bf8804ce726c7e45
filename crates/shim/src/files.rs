//! The files in a container's directory and how they are written: whole or not at all, and on disk when
//! the call returns.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The agent's order, [`crate::config::Config`].
pub const CONFIG: &str = "config.json";
/// Who runs it, [`crate::state::Status`].
pub const STATUS: &str = "status.json";
/// How it ended, [`crate::state::Exit`].
pub const EXIT: &str = "exit.json";
/// Locked by the shim for as long as it lives.
pub const LOCK: &str = "lock";
/// Where the shim listens, see [`crate::wire`].
pub const SOCKET: &str = "control.sock";
/// The folder of log segments, see [`crate::logs`].
pub const LOGS: &str = "logs";
/// What the shim itself has to say; empty unless something is wrong with it.
pub const SHIM_LOG: &str = "shim.log";

/// Replaces `dir/name` by the JSON of `value`, durable when it returns.
///
/// # Errors
/// What the system said; the old content stands then.
pub fn write_json<T: Serialize>(dir: &Path, name: &str, value: &T) -> io::Result<()> {
    write(dir, name, &serde_json::to_vec(value)?, 0o600)
}

/// Replaces `dir/name` by `bytes` with permissions `mode`, durable when it returns.
///
/// # Errors
/// What the system said; the old content stands then.
pub fn write(dir: &Path, name: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
    let temporary = dir.join(format!(".{name}.{}", std::process::id()));
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&temporary, dir.join(name))
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
        return written;
    }
    File::open(dir)?.sync_all()
}

/// Reads `dir/name`; `None` when it is not there.
///
/// # Errors
/// What the system said, or `InvalidData` when it is not what was expected.
pub fn read_json<T: DeserializeOwned>(dir: &Path, name: &str) -> io::Result<Option<T>> {
    match fs::read(dir.join(name)) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
