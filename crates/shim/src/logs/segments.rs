//! The segment files of a log: their names and which there are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// One segment as of a listing; the last one may have grown since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Position of its first byte.
    pub start: u64,
    /// Its length in bytes.
    pub len: u64,
    /// The file.
    pub path: PathBuf,
}

/// The file of the segment that starts at `start`.
pub fn path(logs: &Path, start: u64) -> PathBuf {
    logs.join(format!("{start:020}"))
}

/// The segments there are, oldest first; none when nothing was ever written.
///
/// # Errors
/// What the system said.
pub fn list(logs: &Path) -> io::Result<Vec<Segment>> {
    let entries = match fs::read_dir(logs) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut segments = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(start) = name
            .to_str()
            .filter(|name| name.len() == 20)
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        match entry.metadata() {
            Ok(found) => segments.push(Segment {
                start,
                len: found.len(),
                path: entry.path(),
            }),
            // Deleted by the writer between the two calls.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    segments.sort_by_key(|segment| segment.start);
    Ok(segments)
}
