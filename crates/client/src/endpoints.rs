//! `endpoints.json` in the data directory: where the Plenum that runs there listens. Written by the server when
//! all its doors listen, read by the CLI on the same machine.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Where a running Plenum listens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// The public API (`http://127.0.0.1:7717`).
    pub api: String,
    /// The doors by name (`marathon`: `http://127.0.0.1:8080`).
    #[serde(default)]
    pub doors: BTreeMap<String, String>,
}

impl Endpoints {
    /// The file's name within the data directory.
    pub const FILE: &'static str = "endpoints.json";

    /// Reads the file of a data directory; none: there is none.
    ///
    /// # Errors
    /// What the system said, or `InvalidData` when the file is not what [`Endpoints::save`] writes.
    pub fn load(data_dir: &Path) -> io::Result<Option<Self>> {
        match std::fs::read(data_dir.join(Self::FILE)) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::from),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Writes the file as a whole: a reader sees the old one or the new one.
    ///
    /// # Errors
    /// What the system said.
    pub fn save(&self, data_dir: &Path) -> io::Result<()> {
        let next = data_dir.join(format!(".{}.{}", Self::FILE, std::process::id()));
        std::fs::write(&next, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(&next, data_dir.join(Self::FILE))
    }
}
