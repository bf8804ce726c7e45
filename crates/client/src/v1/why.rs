//! Why something waits.

use super::amounts::Amounts;
use super::node::Node;
use super::task::Task;
use super::tenant::Tenant;
use plenum_model::fix::Fix;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a task waits: counts of nodes by first cause, and the limit that was reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Why {
    /// In one sentence.
    pub text: String,
    /// Nodes there are.
    pub nodes: u32,
    /// How many of them fail first by which cause, in the order in which causes are asked.
    pub by: Vec<CauseCount>,
    /// The limit reached, if that is what blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<LimitReached>,
}

/// Nodes that fail by the same cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CauseCount {
    /// The cause, in words (`short of memory`).
    pub cause: String,
    /// How many nodes.
    pub nodes: u32,
}

/// A hard limit of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LimitReached {
    /// Whose.
    pub tenant: String,
    /// Of what.
    pub resource: String,
    /// The limit.
    pub limit: u64,
    /// What the tenant uses of it.
    pub used: u64,
}

/// Why a task waits, in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// In one sentence; also when it does not wait.
    pub verdict: String,
    /// The task.
    pub task: Task,
    /// Counts by cause; left out: it does not wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
    /// What keeps it waiting before all else; left out: it does not wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<Blocks>,
    /// Node by node.
    pub nodes: Vec<NodeVerdict>,
    /// Who would be placed before it.
    #[serde(default)]
    pub ahead: Ahead,
    /// Who holds what it lacks.
    pub holders: Vec<Holder>,
    /// One change that would help, if one is known, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// The same change as something to be done: `change` says which, the other fields what it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub change: Option<Fix>,
}

/// What keeps tasks waiting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Blocks {
    /// `limit`, `gang`, `seat` (its own room is not free yet), `kept` (room is kept for others), `turn` (others go
    /// first), `nodes` (what they lack) or `no_nodes`.
    #[schema(example = "limit")]
    pub kind: String,
    /// In words.
    pub text: String,
}

/// Waiting tasks that want the same room, or are under the same limit, and go first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ahead {
    /// How many; at most 10000 are counted.
    pub tasks: u32,
    /// The first few of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub first: Vec<Other>,
    /// Why the first of them goes before it, in words; left out: nobody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

/// Another task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Other {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Who is charged.
    pub tenant: String,
}

/// What a node refuses, what is kept there, and who waits for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeExplanation {
    /// The node.
    pub node: Node,
    /// Tasks of the pool that wait.
    pub waiting: u32,
    /// How many of them it refuses first for which cause, in the order in which causes are asked.
    pub refuses: Vec<TaskCount>,
    /// For whom room is kept there.
    pub kept: Vec<KeptRoom>,
    /// How many wait that can go nowhere else.
    pub waits_for_it: u32,
    /// The oldest few of them.
    pub first: Vec<Other>,
}

/// Tasks that a node refuses for the same cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskCount {
    /// The cause, in words (`short of memory`).
    pub cause: String,
    /// How many tasks.
    pub tasks: u32,
}

/// Room that is kept for a task that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeptRoom {
    /// Which task.
    pub task: Other,
    /// What of it is free.
    pub amounts: Amounts,
}

/// Where a tenant stands, and what waits under it for what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TenantExplanation {
    /// The tenant and what it uses.
    pub tenant: Tenant,
    /// What it can always have, what those below it are guaranteed included.
    pub guarantee: Amounts,
    /// What it uses beyond that.
    pub borrowed: Amounts,
    /// What of that others may have meanwhile.
    pub unused: Amounts,
    /// The largest part that any resource it borrows is of the pool, over its weight, in thousandths. Whoever has the
    /// smaller one goes first.
    pub share_per_mille: u64,
    /// Whether it has less than it is guaranteed, and so goes before all who have not.
    pub within_guarantee: bool,
    /// What its tasks and those below it wait for, most tasks first.
    pub waits: Vec<WaitsFor>,
}

/// Tasks that the same keeps waiting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WaitsFor {
    /// What.
    pub blocks: Blocks,
    /// How many.
    pub tasks: u32,
    /// The oldest of them.
    pub first: Other,
}

/// What one node answers for the task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeVerdict {
    /// Which node.
    pub node: String,
    /// The first cause against it; left out: it could take the task now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The cause in numbers (`wants 4.0 cpu, 1.2 free`).
    pub detail: String,
}

/// What a scheduler holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Holder {
    /// Which one.
    pub scheduler: String,
    /// How much.
    pub held: Amounts,
}
