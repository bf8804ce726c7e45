//! Where things are in the data directory:
//!
//! ```text
//! DIR/config.toml        the configuration, if there is one
//! DIR/endpoints.json     where the doors are
//! DIR/broker/            ledger and state store, locked by the broker
//! DIR/agents/NAME/       journal, sandboxes and logs of one agent, locked by it
//! ```

use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};

/// The default data directory: of the machine for root, of the user for anybody else.
#[must_use]
pub(crate) fn default_dir() -> PathBuf {
    if nix::unistd::geteuid().is_root() {
        return PathBuf::from("/var/lib/plenum");
    }
    std::env::var_os("HOME").map_or_else(
        || PathBuf::from(".plenum"),
        |home| PathBuf::from(home).join(".plenum"),
    )
}

/// The broker's part.
#[must_use]
pub(crate) fn broker(dir: &Path) -> PathBuf {
    dir.join("broker")
}

/// The part of one agent.
#[must_use]
pub(crate) fn agent(dir: &Path, name: &str) -> PathBuf {
    dir.join("agents").join(name)
}

/// The parts of all agents that ever had data here, by name.
#[must_use]
pub(crate) fn agents(dir: &Path) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(dir.join("agents"))
        .into_iter()
        .flatten()
        .flatten();
    let mut agents: Vec<_> = entries
        .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()))
        .filter_map(|e| Some((e.file_name().into_string().ok()?, e.path())))
        .collect();
    agents.sort();
    agents
}

/// A name for what an agent leaves on the machine (containers, cgroups), unique to its data directory: two
/// pools on one machine may both have a `node-1`.
#[must_use]
pub(crate) fn owner(agent_dir: &Path, name: &str) -> String {
    let whole = agent_dir.canonicalize().unwrap_or_else(|_| agent_dir.to_owned());
    let digest = Sha256::digest(whole.to_string_lossy().as_bytes());
    let short: String = digest.iter().take(4).map(|b| format!("{b:02x}")).collect();
    format!("{name}-{short}")
}
