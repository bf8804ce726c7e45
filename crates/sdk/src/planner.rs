//! The one thing a scheduler writes: what to do, given what is.

use crate::observed::Observed;
use crate::plan::Plan;
use crate::time::Moment;
use plenum_contract::broker::Refusal;
use plenum_model::ids::{NodeId, TaskId};
use plenum_model::task::Task;
use std::sync::Arc;

/// Decides. Called by one driver, from one task, never concurrently; it may keep memory (launch delays, the
/// moment a rollout began) but must come to a sound plan without it, since a restart loses it.
///
/// It may be called at any time and as often as the driver likes: it looks at desired and observed state and
/// takes no hint why it was called. With nothing to do it returns an empty plan.
pub trait Planner: Send + 'static {
    /// What shall be done now.
    fn plan(&mut self, now: Moment, observed: &Observed) -> Plan;

    /// What has changed since the last call, in order; always before `plan` sees it. For events and for
    /// memory such as launch delays. A snapshot is told as the difference to what was known before.
    fn noticed(&mut self, now: Moment, changes: &[Change]);

    /// Steps of the last plan that the broker refused. Ids that were used up are handled by the driver and
    /// are not told here.
    fn refused(&mut self, now: Moment, refusals: &[Refusal]);
}

/// A change of what is observed.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A task is new or changed.
    Task {
        /// As it was; none: it is new.
        before: Option<Arc<Task>>,
        /// As it is.
        after: Arc<Task>,
    },
    /// A task's record is gone.
    Forgotten(Arc<Task>),
    /// Room is freed and kept for this waiting task on this node.
    Nominated {
        /// Which task.
        task: TaskId,
        /// Where.
        node: NodeId,
    },
    /// The task will be stopped for another unless something else is released before.
    Preempting {
        /// Which task.
        task: TaskId,
        /// Until when.
        deadline: Moment,
    },
}
