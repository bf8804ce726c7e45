//! Nodes.

use super::amounts::Amounts;
use jiff::Timestamp;
use plenum_model::node::{Liveness, Scheduling};
use plenum_model::taint::Effect;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;

/// A machine of the pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// The host name of the machine.
    pub hostname: String,
    /// The address on which ports of tasks are published.
    pub address: String,
    /// Whether it is heard of: `ready` or `unreachable`.
    #[schema(value_type = String, example = "ready")]
    pub state: Liveness,
    /// Whether new tasks may go there: `open`, `cordoned` or `draining`.
    #[schema(value_type = String, example = "open")]
    pub scheduling: Scheduling,
    /// Its attribute `zone`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// All it offers, what is kept for the system included.
    pub capacity: Amounts,
    /// What of that is kept for the system.
    pub system: Amounts,
    /// What nobody holds.
    pub free: Amounts,
    /// What is held there, by scheduler.
    pub held: BTreeMap<String, Amounts>,
    /// Tasks there, by scheduler.
    pub tasks: BTreeMap<String, u32>,
    /// Sets of named things (`gpu`: [`0`, `1`]).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub devices: BTreeMap<String, BTreeSet<String>>,
    /// Attributes by key.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// What keeps off tasks that do not bear it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taints: Vec<Taint>,
    /// Runtimes by name.
    #[serde(default)]
    pub runtimes: BTreeMap<String, Runtime>,
    /// Version of its agent.
    pub agent_version: String,
    /// When it joined.
    #[schema(value_type = String, format = DateTime)]
    pub joined_at: Timestamp,
    /// When its state last changed.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
}

/// A taint of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value; may be empty.
    #[serde(default)]
    pub value: String,
    /// `NoSchedule` and `NoExecute` keep new tasks away, `PreferNoSchedule` sends them elsewhere if there is room.
    #[schema(value_type = String, example = "NoSchedule")]
    pub effect: Effect,
    /// Whether the agent's configuration names it; if not, an operator gave it.
    #[serde(default)]
    pub configured: bool,
}

/// What to change about a node's taints. Said again it changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TaintRequest {
    /// To be there, as `key=value:effect`; one of the same key and effect is replaced.
    #[serde(default)]
    pub set: Vec<String>,
    /// To be gone, as `key:effect`, or `key` for all of that key.
    #[serde(default)]
    pub remove: Vec<String>,
}

/// What runs containers on a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Runtime {
    /// Its own version.
    pub version: String,
    /// What it can enforce or serve.
    pub capabilities: BTreeSet<String>,
}
