//! The timeline.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Something that happened, over all orchestrators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Its place in the timeline: `after` this one come the later ones.
    pub cursor: u64,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What happened.
    #[schema(example = "task.placed")]
    pub kind: String,
    /// To what: a task's name, a node, a tenant.
    pub object: String,
    /// The task's id, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// On which node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Who caused it: a scheduler, `broker`, `agent`, a user.
    pub actor: String,
    /// In words.
    pub message: String,
}
