//! The few file operations the store needs, with errors that name the operation and the path. A device
//! without room is told apart here, once, so that nobody else looks at error codes.

use nix::fcntl::{FallocateFlags, fallocate};
use plenum_contract::ledger_log::LogError;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A file of the store together with the name it is known by, for errors.
#[derive(Debug)]
pub(crate) struct DataFile {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
}

impl DataFile {
    /// Reads exactly `len` bytes at `offset`.
    pub(crate) fn read_at(&self, offset: u64, len: usize) -> Result<Vec<u8>, LogError> {
        let mut bytes = vec![0; len];
        match self.file.read_exact_at(&mut bytes, offset) {
            Ok(()) => Ok(bytes),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                Err(damaged(&self.path, offset, "the file ends before its data does"))
            }
            Err(e) => Err(failed("read", &self.path, e)),
        }
    }

    /// Writes all of `bytes` at `offset`; not durable until `sync`.
    pub(crate) fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), LogError> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(|e| failed("write", &self.path, e))
    }

    /// Makes everything written so far durable; the size of the file must not have changed since it was made.
    pub(crate) fn sync(&self) -> Result<(), LogError> {
        self.file.sync_data().map_err(|e| failed("sync", &self.path, e))
    }
}

/// What the system said about `path`, as an error of the contract.
pub(crate) fn failed(op: &'static str, path: &Path, source: io::Error) -> LogError {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => LogError::Full {
            path: path.to_owned(),
        },
        _ => LogError::Io {
            op,
            path: path.to_owned(),
            source,
        },
    }
}

/// Damage at a place, as an error of the contract.
pub(crate) fn damaged(path: &Path, offset: u64, what: impl Into<String>) -> LogError {
    LogError::Damaged {
        path: path.to_owned(),
        offset,
        what: what.into(),
    }
}

/// Makes `path` and its parents, for the owner only; what exists already is left as it is.
pub(crate) fn make_dir(path: &Path) -> Result<(), LogError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|e| failed("create", path, e))
}

/// Opens `path` for reading and writing, made for the owner only if it is not there.
pub(crate) fn open_or_create(path: &Path) -> Result<File, LogError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|e| failed("open", path, e))
}

/// Opens an existing file for reading and writing.
pub(crate) fn open_existing(path: &Path) -> Result<File, LogError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(|e| failed("open", path, e))
}

/// Opens an existing file for reading.
pub(crate) fn open_read(path: &Path) -> Result<File, LogError> {
    File::open(path).map_err(|e| failed("open", path, e))
}

/// The length of an open file, in bytes.
pub(crate) fn length(file: &File, path: &Path) -> Result<u64, LogError> {
    file.metadata()
        .map(|m| m.len())
        .map_err(|e| failed("stat", path, e))
}

/// Reserves `bytes` of the device for `file`, so that writing there cannot run out of room.
pub(crate) fn reserve(file: &File, path: &Path, bytes: u64) -> Result<(), LogError> {
    let len =
        i64::try_from(bytes).map_err(|_| failed("reserve", path, io::ErrorKind::FileTooLarge.into()))?;
    match fallocate(file, FallocateFlags::empty(), 0, len) {
        // Not every file system can; the zeros written afterwards allocate just as well.
        Ok(()) | Err(nix::errno::Errno::EOPNOTSUPP | nix::errno::Errno::ENOSYS) => Ok(()),
        Err(e) => Err(failed("reserve", path, e.into())),
    }
}

/// Makes renames and removals in `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), LogError> {
    let handle = open_read(dir)?;
    handle.sync_all().map_err(|e| failed("sync", dir, e))
}

/// Renames within a directory; durable after `sync_dir`.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), LogError> {
    std::fs::rename(from, to).map_err(|e| failed("rename", from, e))
}

/// Removes a file; one that is gone already is as wished.
pub(crate) fn remove(path: &Path) -> Result<(), LogError> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(failed("remove", path, e)),
    }
}

/// The names in `dir`, sorted; names that are not text are not ours and are left out.
pub(crate) fn names(dir: &Path) -> Result<Vec<String>, LogError> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|e| failed("list", dir, e))? {
        let entry = entry.map_err(|e| failed("list", dir, e))?;
        if let Ok(name) = entry.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
