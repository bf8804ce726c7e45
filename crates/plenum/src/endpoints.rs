//! The files that tell clients where the doors are: `endpoints.json` and what each door adds.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A file that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{path}`")]
pub(crate) struct WriteError {
    path: PathBuf,
    source: std::io::Error,
}

/// Writes `endpoints.json` (door name to URL) and the client files into `dir`, each whole or not at all, for
/// their owner only.
///
/// # Errors
/// The first file that could not be written.
pub(crate) fn write(
    dir: &Path,
    endpoints: &BTreeMap<String, String>,
    client_files: &BTreeMap<String, String>,
) -> Result<(), WriteError> {
    let json = serde_json::to_string_pretty(endpoints).expect("a map of texts is JSON");
    write_whole(&dir.join("endpoints.json"), &(json + "\n"))?;
    client_files
        .iter()
        .try_for_each(|(name, content)| write_whole(&dir.join(name), content))
}

fn write_whole(path: &Path, content: &str) -> Result<(), WriteError> {
    let error = |source| WriteError {
        path: path.to_owned(),
        source,
    };
    let draft = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .map_err(error)?;
    file.write_all(content.as_bytes()).map_err(error)?;
    std::fs::rename(&draft, path).map_err(error)
}
