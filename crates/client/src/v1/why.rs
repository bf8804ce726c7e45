//! Why something waits.

use super::amounts::Amounts;
use super::task::Task;
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
    /// Node by node.
    pub nodes: Vec<NodeVerdict>,
    /// Waiting tasks that would be placed before it.
    pub ahead: u32,
    /// Who holds what it lacks.
    pub holders: Vec<Holder>,
    /// One change that would help, if one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
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
