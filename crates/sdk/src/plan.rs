//! A plan: what a planner wants done. It leaves no choice to the driver that applies it: ids, specs and
//! batches are all said.

use crate::time::Moment;
use plenum_contract::broker::Amend;
use plenum_model::claim::{Seat, Terms};
use plenum_model::ids::TaskId;
use plenum_model::spec::TaskSpec;
use std::sync::Arc;

/// What shall be done now, in this order: amendments, claims, releases, forgetting. A step that cannot be done
/// ends the plan; the planner is asked again.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Changes to live tasks.
    pub amends: Vec<Amend>,
    /// New tasks, each taken or refused for itself.
    pub claims: Vec<Claim>,
    /// New tasks of which all are placed or none.
    pub gangs: Vec<Vec<Claim>>,
    /// Tasks to withdraw or stop.
    pub releases: Vec<Release>,
    /// Ended tasks whose record may go.
    pub forgets: Vec<TaskId>,
    /// When to plan again although nothing has happened.
    pub wake_at: Option<Moment>,
}

/// A new task.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// What it shares with others. Use one `Arc` for all tasks of a version: they travel as one group.
    pub terms: Arc<Terms>,
    /// What to run; its id is `terms.spec`. The driver sends it once a session.
    pub spec: Arc<TaskSpec>,
    /// What is its own; its id comes from [`crate::observed::Observed::next_id`].
    pub seat: Seat,
}

/// A task to withdraw or stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// Which task.
    pub id: TaskId,
    /// Milliseconds from the stop signal to the kill; none: the spec's.
    pub grace_ms: Option<u64>,
}

impl Plan {
    /// Whether nothing is to be done now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.amends.is_empty()
            && self.claims.is_empty()
            && self.gangs.is_empty()
            && self.releases.is_empty()
            && self.forgets.is_empty()
    }

    /// Plans again no later than `at`.
    pub fn wake_by(&mut self, at: Moment) {
        self.wake_at = Some(self.wake_at.map_or(at, |have| have.min(at)));
    }

    /// Asks for a task's end with its spec's grace.
    pub fn release(&mut self, id: TaskId) {
        self.releases.push(Release { id, grace_ms: None });
    }

    /// Takes over all of another plan, after what is in this one.
    pub fn merge(&mut self, other: Self) {
        self.amends.extend(other.amends);
        self.claims.extend(other.claims);
        self.gangs.extend(other.gangs);
        self.releases.extend(other.releases);
        self.forgets.extend(other.forgets);
        if let Some(at) = other.wake_at {
            self.wake_by(at);
        }
    }
}
