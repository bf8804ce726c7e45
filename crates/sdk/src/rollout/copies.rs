//! What the engine sees: copies, one per task, read from the mirror through the health gate.

use crate::health::{HealthGate, Readiness};
use crate::observed::Observed;
use crate::time::Moment;
use plenum_model::ids::TaskId;
use plenum_model::phase::Phase;
use plenum_model::task::Task;
use std::time::Duration;

/// One task as the engine sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copy {
    /// Its id; within a slot the newer one is greater.
    pub id: TaskId,
    /// Its slot.
    pub slot: u64,
    /// Whether it is of the version that is wanted.
    pub current: bool,
    /// How far it is.
    pub state: CopyState,
    /// Which slots go first when there are too many: the higher, then the higher slot.
    pub drop_rank: u64,
}

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyState {
    /// Waiting, starting or not ready.
    Coming {
        /// When it will count as ready if nothing happens.
        ready_at: Option<Moment>,
    },
    /// It counts as ready.
    Ready {
        /// Since when.
        since: Moment,
    },
    /// Asked to stop, not gone yet.
    Leaving,
    /// Nothing of it runs any more.
    Ended {
        /// When.
        at: Moment,
        /// Whether it ended without having been asked to.
        failed: bool,
        /// How long it had run; none: it never did.
        ran: Option<Duration>,
    },
}

impl CopyState {
    /// Whether something of it may run, or will.
    #[must_use]
    pub fn is_live(&self) -> bool {
        !matches!(self, Self::Ended { .. })
    }

    /// Whether it runs or comes and was not asked to stop.
    #[must_use]
    pub fn is_staying(&self) -> bool {
        matches!(self, Self::Coming { .. } | Self::Ready { .. })
    }

    /// Whether it counts as ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready { .. })
    }
}

/// The copies of a workload. What is not ready is dropped first, then what has the highest slot; overwrite
/// `drop_rank` for another order. Tasks that their own agent restarts in place are not for this engine.
#[must_use]
pub fn of_workload(
    observed: &Observed,
    uid: &str,
    now: Moment,
    gate: HealthGate,
    is_current: impl Fn(&Task) -> bool,
) -> Vec<Copy> {
    observed
        .workload(uid)
        .map(|task| {
            let state = state(observed, task, now, gate);
            Copy {
                id: task.id(),
                slot: task.seat.slot,
                current: is_current(task),
                state,
                drop_rank: u64::from(!state.is_ready()),
            }
        })
        .collect()
}

/// How far one task is.
#[must_use]
pub fn state(observed: &Observed, task: &Task, now: Moment, gate: HealthGate) -> CopyState {
    let status = &task.status;
    let phase = status.phase();
    if phase.is_terminal() {
        let at = Moment(status.ended_at.unwrap_or(status.claimed_at));
        return CopyState::Ended {
            at,
            failed: !task.released && phase != Phase::Stopped,
            ran: status.started_at.map(|started| at.since(Moment(started))),
        };
    }
    if task.released || phase == Phase::Stopping {
        return CopyState::Leaving;
    }
    match gate.check(now, observed, task) {
        Readiness::No => CopyState::Coming { ready_at: None },
        Readiness::From(at) => CopyState::Coming { ready_at: Some(at) },
        Readiness::Yes { since } => CopyState::Ready { since },
    }
}
