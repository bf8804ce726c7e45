//! What the tests share: small stores, and a disk that can be copied as a crash would leave it.

use plenum_contract::ledger_log::{LedgerLog, Loaded, LogError};
use plenum_model::ids::LeaderEpoch;
use plenum_store::{DataDir, DiskLog, Options};
use std::path::{Path, PathBuf};

/// Settings under which a few records fill a segment.
pub(crate) fn small() -> Options {
    Options {
        segment_bytes: 4096,
        history_revisions: 50,
        history_bytes: 1 << 20,
        compact_bytes: 64 << 10,
    }
}

pub(crate) fn open(path: &Path) -> DataDir {
    DataDir::open_with(path, small()).unwrap()
}

/// A loaded log.
pub(crate) fn loaded(path: &Path) -> (DiskLog, Loaded) {
    let mut log = open(path).ledger_log().unwrap();
    let loaded = log.load().unwrap();
    (log, loaded)
}

/// What a load of the log at `path` finds or says.
pub(crate) fn load(path: &Path) -> Result<Loaded, LogError> {
    open(path).ledger_log()?.load()
}

/// A record of `len` bytes that tells `n`; none of them is zero.
pub(crate) fn record(n: u64, len: usize) -> Vec<u8> {
    let text = format!("{n:08}-");
    text.bytes().cycle().take(len).collect()
}

pub(crate) fn append(log: &mut DiskLog, records: &[Vec<u8>]) {
    log.append(LeaderEpoch(1), records).unwrap();
}

/// Copies the whole directory, without its lock: what a crash at this moment would leave.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else if entry.file_name() != "lock" {
            // A spare may be renamed or removed beside us; it holds nothing.
            match std::fs::copy(entry.path(), target) {
                Ok(_) => {}
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => panic!("{e}"),
            }
        }
    }
}

/// The files in `dir` whose names end so, in order.
pub(crate) fn files(dir: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(suffix))
        .collect();
    found.sort();
    found
}

/// Where the last byte that is not zero stands, plus one.
pub(crate) fn written(path: &Path) -> usize {
    let bytes = std::fs::read(path).unwrap();
    bytes.iter().rposition(|b| *b != 0).map_or(0, |at| at + 1)
}

/// Changes a file in place.
pub(crate) fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

/// Asserts that the error names this file, and a byte in it.
pub(crate) fn names(error: &LogError, path: &Path) -> u64 {
    match error {
        LogError::Damaged {
            path: named, offset, ..
        } if named == path => *offset,
        other => panic!("{other:?} does not name {}", path.display()),
    }
}
