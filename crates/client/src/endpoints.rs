//! `endpoints.json` in the data directory: where the Plenum that runs there listens. Written by the server when
//! all its doors listen, read by the CLI on the same machine.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Where a running Plenum listens: URLs by name, `api` and one per door (`marathon`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Endpoints(pub BTreeMap<String, String>);

impl Endpoints {
    /// The file's name within the data directory.
    pub const FILE: &'static str = "endpoints.json";
    /// The name of the public API.
    pub const API: &'static str = "api";

    /// Reads the file of a data directory; none: there is none.
    ///
    /// # Errors
    /// What the system said, or `InvalidData` when the file is not a map of texts.
    pub fn load(data_dir: &Path) -> io::Result<Option<Self>> {
        match std::fs::read(data_dir.join(Self::FILE)) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::from),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The URL of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}
