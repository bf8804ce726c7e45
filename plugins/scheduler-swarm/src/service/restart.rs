//! When an ended task of a slot is replaced: a swarm's restart policy. A replacement is a new task in the same
//! slot.

use super::spec::{RestartPolicy, TaskTemplate};
use plenum_model::phase::Phase;
use plenum_model::task::Task;
use plenum_sdk::time::Moment;
use std::sync::Arc;
use std::time::Duration;

/// A restart policy with its defaults filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restarts {
    condition: Condition,
    delay: Duration,
    max_attempts: u64,
    window: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    None,
    OnFailure,
    Any,
}

/// What a slot in which nothing runs may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A task may start, not before this moment.
    From(Moment),
    /// Nothing more starts in this version.
    Over,
}

impl Restarts {
    /// The policy of a task template. Condition any, 5 s, without bound unless it says otherwise.
    #[must_use]
    pub fn of(task: Option<&TaskTemplate>) -> Self {
        let none = RestartPolicy::default();
        let policy = task.and_then(|t| t.restart.as_ref()).unwrap_or(&none);
        let nanos = |n: Option<i64>, default: u64| {
            Duration::from_nanos(n.map_or(default, |n| u64::try_from(n).unwrap_or(0)))
        };
        Self {
            condition: match policy.condition.as_deref() {
                Some("none") => Condition::None,
                Some("on-failure") => Condition::OnFailure,
                Some(_) | None => Condition::Any,
            },
            delay: nanos(policy.delay, 5_000_000_000),
            max_attempts: policy.max_attempts.unwrap_or(0),
            window: nanos(policy.window, 0),
        }
    }

    /// How many ended tasks a slot must keep for the attempts to be counted.
    #[must_use]
    pub fn remembers(&self) -> usize {
        usize::try_from(self.max_attempts).map_or(usize::MAX, |n| n.saturating_add(1))
    }

    /// What may happen in a slot, given its tasks of the wanted version, oldest first.
    #[must_use]
    pub fn verdict(&self, now: Moment, tasks: &[&Arc<Task>]) -> Verdict {
        let ended: Vec<&Task> = tasks
            .iter()
            .map(|t| &***t)
            .filter(|t| ended_by_itself(t))
            .collect();
        let Some(newest) = tasks.last().filter(|t| ended_by_itself(t)) else {
            return Verdict::From(Moment(0));
        };
        let allowed = match self.condition {
            Condition::None => false,
            Condition::OnFailure => newest.status.phase() != Phase::Finished,
            Condition::Any => true,
        };
        let counts = |t: &&&Task| self.window.is_zero() || ended_at(t).plus(self.window) >= now;
        let attempts = ended.iter().filter(counts).count() as u64;
        if !allowed || (self.max_attempts > 0 && attempts > self.max_attempts) {
            return Verdict::Over;
        }
        Verdict::From(ended_at(newest).plus(self.delay))
    }
}

/// When a task ended.
#[must_use]
pub fn ended_at(task: &Task) -> Moment {
    Moment(task.status.ended_at.unwrap_or(task.status.claimed_at))
}

/// The label of a task that had to go because its node no longer meets the constraints: why it was released is
/// known for as long as the task is.
pub const EVICTED: &str = "plenum.swarm.evicted";

/// Whether a task had to go because its node no longer meets the constraints.
#[must_use]
pub fn was_evicted(task: &Task) -> bool {
    task.terms.labels.contains_key(EVICTED)
}

/// Whether a task ended without its user having asked for it.
#[must_use]
pub fn ended_by_itself(task: &Task) -> bool {
    match task.status.phase() {
        Phase::Finished | Phase::Failed | Phase::Lost | Phase::Rejected => {
            !task.released || was_evicted(task)
        }
        Phase::Stopped => was_evicted(task),
        Phase::Pending
        | Phase::Placed
        | Phase::Preparing
        | Phase::Prepared
        | Phase::Starting
        | Phase::Running
        | Phase::Stopping => false,
    }
}
