//! The static executable of the shim, carried inside whatever links this library.

use crate::files;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The executable, built by `build.rs` for this target.
pub static BINARY: &[u8] = include_bytes!(env!("PLENUM_SHIM_BINARY"));

/// A name made of its content.
pub const HASH: &str = env!("PLENUM_SHIM_HASH");

/// Puts the executable into `dir` under a name made of its content, and gives its path. An upgrade thus
/// never touches the file that running shims were started from.
///
/// # Errors
/// What the system said.
pub fn install(dir: &Path) -> io::Result<PathBuf> {
    let name = concat!("plenum-shim-", env!("PLENUM_SHIM_HASH"));
    let path = dir.join(name);
    if fs::read(&path).is_ok_and(|bytes| bytes == BINARY) {
        return Ok(path);
    }
    fs::create_dir_all(dir)?;
    files::write(dir, name, BINARY, 0o700)?;
    Ok(path)
}
