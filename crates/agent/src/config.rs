//! What an agent is told of itself. Plain values; whoever starts an agent reads files, variables and flags.

use plenum_model::amounts::Amounts;
use plenum_model::ids::NodeId;
use plenum_model::node::PortRange;
use plenum_model::taint::Taint;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Places for tasks where nothing else is said: more than a machine of today starts in earnest, few enough
/// that its logs (20 MB each by default) and processes stay within a small machine's limits.
pub const DEFAULT_SLOTS: u64 = 1000;

/// The directory of plain files in the data directory.
pub(crate) const FILES: &str = "files";

/// The directory of volumes in the data directory.
pub(crate) const VOLUMES: &str = "volumes";

/// The directory of secrets in the data directory.
pub(crate) const SECRETS: &str = "secrets";

/// An agent's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentConfig {
    /// The node's name, unique in the pool.
    pub node: NodeId,
    /// The machine's host name; none: the system's.
    pub hostname: Option<String>,
    /// The address on which ports of tasks are published.
    pub address: String,
    /// Host ports that may be given out when any will do.
    pub ports: PortRange,
    /// Where journal, lock and the tasks' own directories are. One agent each. Without root, secrets can be had only
    /// if `secrets` in it is on a file system in memory, as a link to a directory in `/dev/shm` is.
    pub data_dir: PathBuf,
    /// What the node offers, instead of what is detected.
    pub capacity: CapacityOverrides,
    /// What of that is kept for the system.
    pub system: Amounts,
    /// Sets of named things the node has.
    pub devices: BTreeMap<String, BTreeSet<String>>,
    /// Attributes; they win over detected ones of the same key.
    pub attributes: BTreeMap<String, String>,
    /// Taints of the node, beside those that operators give it.
    pub taints: Vec<Taint>,
}

/// What a node offers, instead of what is detected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CapacityOverrides {
    /// Thousandths of a core; none: all processors the agent may use.
    pub cpu_millis: Option<u64>,
    /// Bytes; none: the machine's, or its cgroup's limit if that is less.
    pub memory_bytes: Option<u64>,
    /// Bytes; none: the size of the file system of `data_dir`.
    pub disk_bytes: Option<u64>,
    /// Places for tasks; none: [`DEFAULT_SLOTS`].
    pub slots: Option<u64>,
    /// Extended resources by name.
    pub extended: BTreeMap<String, u64>,
}

impl AgentConfig {
    /// A node that offers all that is detected.
    #[must_use]
    pub fn new(
        node: NodeId,
        address: impl Into<String>,
        ports: PortRange,
        data_dir: impl Into<PathBuf>,
    ) -> Self {
        Self {
            node,
            hostname: None,
            address: address.into(),
            ports,
            data_dir: data_dir.into(),
            capacity: CapacityOverrides::default(),
            system: Amounts::default(),
            devices: BTreeMap::new(),
            attributes: BTreeMap::new(),
            taints: Vec::new(),
        }
    }
}
