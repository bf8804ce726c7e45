//! What a living agent knows of such a task beside its memory. Lost with the process and built again by `recovery`.

use crate::supervisor::io::VerbKind;
use crate::supervisor::live::{Retry, Slot};
use crate::supervisor::probes::Watched;
use plenum_contract::runtime::ContainerNames;
use plenum_model::task::{Exit, WaitReason};

/// What a step leads to.
pub(super) enum Next {
    /// Another step.
    Step,
    /// Nothing until something happens, or until the tick that was asked for.
    Rest,
    /// The task is gone.
    Gone,
}

/// The work on one task.
#[derive(Debug, Clone)]
pub(in crate::supervisor) struct Group {
    pub(in crate::supervisor) stage: Stage,
    /// One per container of the spec.
    pub(super) members: Vec<Member>,
    /// The verb under way for the task as a whole.
    pub(super) op: Option<VerbKind>,
    /// Attempts of the next one.
    pub(super) retry: Retry,
    /// Whether fetches and prepares under way were asked to give up.
    pub(super) cancelled: bool,
    /// Whether a wait for the end of the sandbox is under way.
    pub(super) watching: bool,
    /// Attempts of the next such wait.
    pub(super) watch_retry: Retry,
    /// Whether what is shared was not yet seen to be there by this living agent.
    pub(super) unseen: bool,
    /// Whether it must be seen to now: a container is to be made.
    pub(super) stale: bool,
    /// Why the task ends, once that is settled.
    pub(super) verdict: Option<Verdict>,
    /// The tick at which to look again.
    pub(in crate::supervisor) wake: Option<u64>,
}

/// Where the work on a task stands. The way: `Making`, `Up`, `Stopping`, `Leaving`, `Clearing`, `Ended`, and from
/// there to the next incarnation or to `Removing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::supervisor) enum Stage {
    /// A runtime of it has not yet said what it has.
    Recovering,
    /// What its containers share is made, or seen to be there.
    Making(Making),
    /// Each container goes its own way.
    Up,
    /// The verdict stands; what may run is being ended.
    Stopping {
        /// The tick of `SIGKILL`.
        kill_at: u64,
    },
    /// Nothing runs: its sandbox goes, and its ports with it. Then the end is reported.
    Leaving,
    /// What it was given, and what it holds of memory, goes.
    Clearing(Clearing),
    /// Nothing of it runs, nothing is under way.
    Ended,
    /// All it left goes.
    Removing(Removing),
    /// Nothing is left of it.
    Gone,
}

/// What containers share, in the order in which it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::supervisor) enum Making {
    Directory,
    Files,
    Volumes,
    Ports,
    Network,
}

/// What goes with the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::supervisor) enum Clearing {
    Files,
    Memory,
}

/// What goes with the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::supervisor) enum Removing {
    Containers,
    Volumes,
    Directory,
}

/// Why a task ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was asked to stop.
    Asked,
    /// Its main containers have ended for good; so.
    Finished(Exit),
    /// It cannot go on.
    Failed(Exit),
    /// It can never run as asked.
    Rejected(Exit),
}

/// One container in its current incarnation.
#[derive(Debug, Clone, Default)]
pub(super) struct Member {
    /// What is known of its process, its wait and its signals.
    pub(super) slot: Slot,
    /// Whether it is made.
    pub(super) made: bool,
    /// Prepare, start or remove, if under way.
    pub(super) op: Option<VerbKind>,
    /// Attempts of the next one.
    pub(super) retry: Retry,
    /// Why it could not be made or started so far.
    pub(super) trouble: Option<(WaitReason, String)>,
    /// The tick before which it is not started again, and why it waits.
    pub(super) back_off: Option<(u64, String)>,
    /// The tick of its start.
    pub(super) since: u64,
    /// It is being stopped alone.
    pub(super) stop: Option<Stop>,
    /// How far what is done before the stop signal is.
    pub(super) hook: Hook,
    /// Its probes, while it runs: the startup check alone, then the others.
    pub(super) watched: Vec<Watched>,
    /// What its runtime calls it and its image.
    pub(super) names: ContainerNames,
}

/// Why and until when one container is being stopped.
#[derive(Debug, Clone)]
pub(super) struct Stop {
    /// The tick of `SIGKILL`.
    pub(super) kill_at: u64,
    /// What its end counts as.
    pub(super) cause: Exit,
}

/// How far what is done before the stop signal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Hook {
    #[default]
    Due,
    /// A command is under way.
    UnderWay,
    /// It is over at this tick.
    Until(u64),
    Done,
}

impl Group {
    /// A task about whose containers nothing is known yet.
    pub(super) fn new(stage: Stage, containers: usize) -> Self {
        Self {
            stage,
            members: vec![Member::default(); containers],
            op: None,
            retry: Retry::default(),
            cancelled: false,
            watching: false,
            watch_retry: Retry::default(),
            unseen: true,
            stale: false,
            verdict: None,
            wake: None,
        }
    }

    /// The tick of `SIGKILL`, if it is being stopped.
    pub(in crate::supervisor) fn kill_at(&mut self) -> Option<&mut u64> {
        match &mut self.stage {
            Stage::Stopping { kill_at } => Some(kill_at),
            Stage::Recovering
            | Stage::Making(_)
            | Stage::Up
            | Stage::Leaving
            | Stage::Clearing(_)
            | Stage::Ended
            | Stage::Removing(_)
            | Stage::Gone => None,
        }
    }

    /// Whether the current incarnation of container `index` is made.
    pub(in crate::supervisor) fn is_made(&self, index: usize) -> bool {
        self.members.get(index).is_some_and(|m| m.made)
    }

    /// Goes to `stage`, with a fresh count of attempts.
    pub(in crate::supervisor) fn go(&mut self, stage: Stage) {
        self.stage = stage;
        self.retry = Retry::default();
    }

    /// Asks to be looked at again at this tick.
    pub(super) fn look_at(&mut self, tick: u64) {
        self.wake = Some(self.wake.map_or(tick, |w| w.min(tick)));
    }
}
