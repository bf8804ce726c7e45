//! An instance as Marathon's users know it: one attempt of one slot of an app, which is one task of the pool.

use crate::app::App;
use crate::probes;
use crate::stamp::Stamp;
use plenum_model::ids::TaskId;
use plenum_model::phase::Phase;
use plenum_model::task::Task;
use serde::Serialize;

/// The state of a task in Mesos' words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// Has a node, does not run yet.
    TaskStaging,
    /// Being started.
    TaskStarting,
    /// Runs.
    TaskRunning,
    /// Asked to stop.
    TaskKilling,
    /// Its node is silent.
    TaskUnreachable,
    /// Ended by itself with success.
    TaskFinished,
    /// Ended by itself otherwise, or could not start.
    TaskFailed,
    /// Ended because it was asked to.
    TaskKilled,
    /// Its node was silent too long.
    TaskGone,
    /// It can never run as asked.
    TaskError,
}

/// Which part of an instance's life it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    /// Waits in the queue.
    Scheduled,
    /// Has a node; this is its state. May have been asked to stop.
    Active(State),
    /// Is over; how.
    Ended(State),
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The pool's id.
    pub id: TaskId,
    /// Its slot; no two instances that are not over share one.
    pub slot: u64,
    /// Which configuration it runs; none if the pool's record cannot be read as ours.
    pub version: Option<Stamp>,
    /// Where in its life.
    pub condition: Condition,
    /// Whether it shall stop.
    pub stopping: bool,
    /// Whether it counts as able to serve.
    pub ready: bool,
    /// When it got its node.
    pub staged_at: Option<Stamp>,
    /// When it started to run.
    pub started_at: Option<Stamp>,
    /// Whether its node has been silent so long that a replacement is due.
    pub inactive: bool,
    /// The value that its node has of each `GROUP_BY` field of its app.
    pub groups: Vec<Option<String>>,
}

impl Instance {
    /// The instance that `task` is.
    #[must_use]
    pub fn of(task: &Task, inactive: bool, groups: Vec<Option<String>>) -> Self {
        let condition = condition(task);
        let running = matches!(condition, Condition::Active(State::TaskRunning));
        Self {
            id: task.id(),
            slot: task.seat.slot,
            version: task.terms.workload.version.parse().ok(),
            condition,
            stopping: task.released || task.status.phase() == Phase::Stopping,
            ready: running && task.status.ready != Some(false),
            staged_at: task.status.placed_at.map(stamp),
            started_at: task.status.started_at.map(stamp),
            inactive,
            groups,
        }
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.condition, Condition::Ended(_))
    }

    /// Whether it counts among the instances wanted.
    #[must_use]
    pub fn counts(&self) -> bool {
        !self.is_over() && !self.stopping && !self.inactive
    }
}

/// Where in its life a task is.
#[must_use]
pub fn condition(task: &Task) -> Condition {
    let status = &task.status;
    let active = |state| {
        if task.released {
            return Condition::Active(State::TaskKilling);
        }
        Condition::Active(if status.unreachable {
            State::TaskUnreachable
        } else {
            state
        })
    };
    match status.phase() {
        Phase::Pending => Condition::Scheduled,
        Phase::Placed | Phase::Preparing | Phase::Prepared => active(State::TaskStaging),
        Phase::Starting => active(State::TaskStarting),
        Phase::Running => active(State::TaskRunning),
        Phase::Stopping => Condition::Active(State::TaskKilling),
        Phase::Finished => Condition::Ended(if task.released {
            State::TaskKilled
        } else {
            State::TaskFinished
        }),
        Phase::Failed => Condition::Ended(if task.released {
            State::TaskKilled
        } else {
            State::TaskFailed
        }),
        Phase::Stopped => Condition::Ended(State::TaskKilled),
        Phase::Lost => Condition::Ended(State::TaskGone),
        Phase::Rejected => Condition::Ended(State::TaskError),
    }
}

/// A time of the pool.
#[must_use]
pub fn stamp(unix_ms: u64) -> Stamp {
    Stamp::from_ms(i64::try_from(unix_ms).unwrap_or(i64::MAX))
}

/// When `task` of `app` failed so that the app shows it as its last failure; none if it did not. A kill for failed
/// checks is one as soon as it is asked for.
#[must_use]
pub fn failed_at(app: &App, task: &Task) -> Option<u64> {
    match condition(task) {
        Condition::Ended(state) if state.is_failure() => {
            Some(task.status.ended_at.unwrap_or(task.status.claimed_at))
        }
        Condition::Ended(State::TaskKilled) | Condition::Active(State::TaskKilling) => {
            probes::deadly(app, task)?.last_failure
        }
        Condition::Ended(_) | Condition::Active(_) | Condition::Scheduled => None,
    }
}

impl State {
    /// Whether an end in this state slows the next launch down.
    #[must_use]
    pub fn delays_launch(self) -> bool {
        match self {
            Self::TaskFinished | Self::TaskFailed | Self::TaskGone | Self::TaskError => true,
            Self::TaskKilled
            | Self::TaskStaging
            | Self::TaskStarting
            | Self::TaskRunning
            | Self::TaskKilling
            | Self::TaskUnreachable => false,
        }
    }

    /// Whether an end in this state becomes the app's `lastTaskFailure`.
    #[must_use]
    pub fn is_failure(self) -> bool {
        self.delays_launch() && self != Self::TaskFinished
    }
}
