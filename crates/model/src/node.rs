//! A node: a machine that runs the agent, as its agent describes it and as the broker knows it.

use crate::amounts::Amounts;
use crate::expr::keys;
use crate::ids::NodeId;
use crate::taint::Taint;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What an agent says of its node. Said again whole whenever it changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFacts {
    /// Its name.
    pub id: NodeId,
    /// The host name of the machine.
    pub hostname: String,
    /// The address on which ports of tasks are published.
    pub address: String,
    /// All it offers to the pool, what is kept for the system included.
    pub capacity: Amounts,
    /// What of that is kept for the system.
    pub system: Amounts,
    /// Sets of named things (`gpu`: {`0`, `1`}).
    pub devices: BTreeMap<String, BTreeSet<String>>,
    /// Attributes by key, detected and configured.
    pub attributes: BTreeMap<String, String>,
    /// Runtimes by name.
    pub runtimes: BTreeMap<String, RuntimeFacts>,
    /// Host ports that may be given out when any will do.
    pub ports: PortRange,
    /// Version of the agent.
    pub agent_version: String,
    /// Taints that its configuration names.
    #[serde(default)]
    pub taints: Vec<Taint>,
}

/// What a node's runtime can do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeFacts {
    /// Its own version.
    pub version: String,
    /// What it can enforce or serve, from [`capability`].
    pub capabilities: BTreeSet<String>,
}

/// Names of what a runtime may be able to do. A task that needs one goes only where it is.
pub mod capability {
    /// Hard limit of memory.
    pub const MEMORY_LIMIT: &str = "memory-limit";
    /// Weight and quota of processor time.
    pub const CPU_LIMIT: &str = "cpu-limit";
    /// Limit of processes.
    pub const PIDS_LIMIT: &str = "pids-limit";
    /// Process trees that do not see each other.
    pub const PID_NAMESPACE: &str = "pid-namespace";
    /// To run as another user.
    pub const USER: &str = "user";
    /// Addresses of their own and forwarded ports.
    pub const BRIDGE: &str = "bridge";
    /// Images.
    pub const IMAGES: &str = "images";
    /// An address that the containers of one task share, and the pieces of a network with it.
    pub const SHARED_ADDRESS: &str = "shared-address";
    /// Tasks that restart their containers one by one, and share volumes. The agent says so of all runtimes.
    pub const CONTAINERS: &str = "containers";
    /// Secrets, which are kept in memory only. The agent says so of all runtimes or of none.
    pub const SECRETS: &str = "secrets";
}

/// Host ports from `low` to `high`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRange {
    /// The lowest.
    pub low: u16,
    /// The highest.
    pub high: u16,
}

impl NodeFacts {
    /// What tasks can have: capacity less what is kept for the system.
    #[must_use]
    pub fn allocatable(&self) -> Amounts {
        self.capacity.saturating_sub(&self.system)
    }

    /// The value of an attribute, those every node answers by itself included.
    #[must_use]
    pub fn attribute(&self, key: &str) -> Option<&str> {
        match key {
            keys::NODE => Some(self.id.as_str()),
            keys::HOSTNAME => Some(&self.hostname),
            keys::ADDRESS => Some(&self.address),
            _ => self.attributes.get(key).map(String::as_str),
        }
    }
}

/// Whether the node is heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Liveness {
    /// Its agent is connected.
    Ready,
    /// Its agent has been silent longer than its lease.
    Unreachable,
}

/// Whether new tasks may go there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheduling {
    /// Yes.
    Open,
    /// No; what runs there stays.
    Cordoned,
    /// No, and every scheduler moves away what it has there, at the pace and in the order of its own rules.
    Draining,
}

impl Scheduling {
    /// Whether new tasks may go there.
    #[must_use]
    pub fn is_open(self) -> bool {
        match self {
            Self::Open => true,
            Self::Cordoned | Self::Draining => false,
        }
    }
}

/// A node as the broker knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// What its agent says.
    pub facts: NodeFacts,
    /// Whether it is heard of.
    pub liveness: Liveness,
    /// Whether new tasks may go there.
    pub scheduling: Scheduling,
    /// What the ledger holds there, by scheduler.
    pub held: BTreeMap<String, Amounts>,
    /// Tasks there, by scheduler.
    pub tasks: BTreeMap<String, u32>,
    /// When it joined, in Unix milliseconds.
    pub joined_at: u64,
    /// When its state last changed, in Unix milliseconds.
    pub since: u64,
    /// Taints that an operator gave it, beside those of its configuration.
    #[serde(default)]
    pub taints: Vec<Taint>,
}

impl Node {
    /// All its taints.
    pub fn all_taints(&self) -> impl Iterator<Item = &Taint> {
        self.facts.taints.iter().chain(&self.taints)
    }

    /// What nobody holds.
    #[must_use]
    pub fn free(&self) -> Amounts {
        self.held
            .values()
            .fold(self.facts.allocatable(), |free, held| free.saturating_sub(held))
    }
}
