//! One line of the pool's timeline.

use crate::ids::{Cursor, NodeId};
use serde::{Deserialize, Serialize};

/// Something that happened, over all orchestrators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its place in the timeline; ask for what follows it.
    pub cursor: Cursor,
    /// Unix milliseconds.
    pub at: u64,
    /// What happened (`task.placed`, `node.unreachable`).
    pub kind: String,
    /// To what: a task's name, a node, a tenant.
    pub object: String,
    /// The task's id, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<crate::ids::TaskId>,
    /// On which node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    /// Who caused it: a scheduler, `broker`, `agent`, a user.
    pub actor: String,
    /// In words.
    pub message: String,
}
