//! What agents say they see, and what came to pass in a history: a history in which nothing happens proves nothing.

use plenum_broker::input::{Change, TaskEvent, TaskNow, What};
use plenum_model::claim::Desired;
use plenum_model::ids::{Incarnation, Seq, TaskId};
use plenum_model::phase::{Phase, Progress};
use plenum_model::task::{Exit, ExitReason, Observation};
use std::collections::BTreeMap;

/// How often what came to pass.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) events: BTreeMap<String, u64>,
    pub(crate) refused: u64,
    pub(crate) fenced: u64,
    pub(crate) crashes: u64,
    /// Tasks of gangs that were placed.
    pub(crate) in_gangs: u64,
}

impl Seen {
    pub(crate) fn see(&mut self, change: &Change, in_a_gang: impl Fn(TaskId) -> bool) {
        let Change::Happened(happened) = change else {
            return;
        };
        if let What::Task(TaskEvent::Placed, task, _) = &happened.what {
            self.in_gangs += u64::from(in_a_gang(task.id()));
        }
        let name = match &happened.what {
            What::Task(TaskEvent::Ended, task, _) => format!("{:?}", task.status.phase()),
            What::Task(TaskEvent::Stopping, task, _) if task.status.preempting.is_some() => {
                "Preempted".to_owned()
            }
            What::Task(event, ..) => format!("{event:?}"),
            What::Node(kind, ..) | What::Scheduler(kind, ..) => (*kind).to_owned(),
            What::Tenant(..) | What::Led(_) => return,
        };
        *self.events.entry(name).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (name, n) in other.events {
            *self.events.entry(name).or_default() += n;
        }
        self.refused += other.refused;
        self.fenced += other.fenced;
        self.crashes += other.crashes;
        self.in_gangs += other.in_gangs;
    }

    /// Whether all came to pass that these histories are about.
    pub(crate) fn is_eventful(&self) -> bool {
        let names = [
            "Claimed",
            "Pending",
            "Nominated",
            "Preempting",
            "Preempted",
            "Spared",
            "Placed",
            "Running",
            "Released",
            "Stopping",
            "Finished",
            "Failed",
            "Stopped",
            "Lost",
            "Rejected",
            "node.unreachable",
            "node.removed",
            "node.draining",
            "scheduler.connected",
            "scheduler.disconnected",
        ];
        let others = [self.refused, self.fenced, self.crashes, self.in_gangs];
        names.iter().all(|name| self.events.contains_key(*name)) && others.iter().all(|n| *n > 0)
    }
}

/// Something of a task: the phase is chosen by number, as is whether it says that it is ready.
pub(crate) fn observation(now: &TaskNow, n: u16, phase: u8, later: u8) -> Observation {
    let phase = match phase {
        0 => Phase::Preparing,
        1 => Phase::Prepared,
        2 => Phase::Starting,
        3 => Phase::Stopping,
        4 => Phase::Finished,
        5 => Phase::Failed,
        6 => Phase::Stopped,
        _ => Phase::Running,
    };
    let incarnation = now.task.restarts() + u32::from(later);
    let ready = match n % 7 {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    };
    Observation {
        ready: ready.filter(|_| phase == Phase::Running),
        ..seen(now, incarnation, phase)
    }
}

/// What was asked of a task was done.
pub(crate) fn obeyed(now: &TaskNow, leaves: bool) -> Observation {
    let phase = match now.task.desired {
        _ if leaves => Phase::Stopped,
        Desired::Held { .. } => Phase::Prepared,
        Desired::Running | Desired::Stopped => Phase::Running,
    };
    let ended = now.task.status.phase().is_terminal();
    let again = u32::from(ended && phase == Phase::Running);
    seen(now, now.task.restarts() + again, phase)
}

fn seen(now: &TaskNow, incarnation: u32, phase: Phase) -> Observation {
    let exit = phase.is_terminal().then(|| Exit {
        code: Some(i32::from(phase == Phase::Failed)),
        signal: None,
        reason: match phase {
            Phase::Stopped => ExitReason::Asked,
            _ => ExitReason::Exited,
        },
        message: String::new(),
    });
    Observation {
        task: now.task.id(),
        seq: Seq(0),
        progress: Progress {
            incarnation: Incarnation(incarnation),
            phase,
        },
        ready: None,
        address: None,
        exit,
        message: String::new(),
        at: 0,
        containers: Vec::new(),
        checks: Vec::new(),
    }
}
