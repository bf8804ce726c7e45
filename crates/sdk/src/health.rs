//! The health gate: when a task counts as ready, the same way for every orchestrator.

use crate::observed::Observed;
use crate::time::Moment;
use plenum_model::phase::Phase;
use plenum_model::task::Task;
use std::time::Duration;

/// When a task counts as available.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HealthGate {
    /// How long it must have been ready without a break (`minReadySeconds`).
    pub min_ready: Duration,
}

/// Whether a task counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// Not ready.
    No,
    /// Ready, but not for long enough; it counts from this moment on.
    From(Moment),
    /// It counts.
    Yes {
        /// Since when it is ready.
        since: Moment,
    },
}

/// Whether the newest state of a task is a ready one: it runs, is not asked to stop, its node is heard of, and
/// its checks pass where it has any.
#[must_use]
pub fn is_ready(task: &Task) -> bool {
    task.status.phase() == Phase::Running
        && !task.released
        && !task.status.unreachable
        && task.status.ready != Some(false)
}

impl HealthGate {
    /// Whether a task counts as available now.
    #[must_use]
    pub fn check(&self, now: Moment, observed: &Observed, task: &Task) -> Readiness {
        if !is_ready(task) {
            return Readiness::No;
        }
        let since = observed.ready_since(task.id()).unwrap_or(now);
        let from = since.plus(self.min_ready);
        if from > now {
            Readiness::From(from)
        } else {
            Readiness::Yes { since }
        }
    }
}
