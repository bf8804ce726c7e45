//! Names that both sides share: of nodes, labels and annotations.

use plenum_model::ids::NodeId;

/// Marks the nodes that an adapter registered; its value is the name of the scheduler.
pub const OWN_LABEL: &str = "plenum.dev/scheduler";
/// The pool's name of a node.
pub const NODE_ANNOTATION: &str = "plenum.dev/node";
/// Whether the pool's node was open when both sides last agreed: `open` or `cordoned`.
pub const AGREED_ANNOTATION: &str = "plenum.dev/scheduling";
/// Which of a node's taints are the pool's.
pub const TAINTS_ANNOTATION: &str = "plenum.dev/taints";
/// Before the names of resources that have no domain of their own.
pub const RESOURCE_PREFIX: &str = "plenum.dev/";
/// Who writes.
pub const MANAGER: &str = "plenum";

/// A node's name in the API: lower case, without underscores.
#[must_use]
pub fn node(id: &NodeId) -> String {
    id.as_str().to_ascii_lowercase().replace('_', "-")
}
