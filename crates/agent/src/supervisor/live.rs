//! What a living agent knows of a task beside its memory: how far the work on the current incarnation is.
//! Lost with the process and built again by `recovery`.

use super::backoff::retry_delay;
use super::io::{Now, VerbKind};
use super::probes::Watched;
use plenum_model::task::Exit;

/// The work on one task.
#[derive(Debug, Clone)]
pub(super) struct Live {
    /// Where it stands.
    pub(super) stage: Stage,
    /// One per container of the spec.
    pub(super) slots: Vec<Slot>,
    /// The verb under way, waits and signals apart.
    pub(super) op: Option<VerbKind>,
    /// Whether the verb under way was asked to give up.
    pub(super) cancelled: bool,
    /// Attempts of the next verb.
    pub(super) retry: Retry,
    /// How often a container vanished between `Prepare` and `Start`.
    pub(super) vanished: u32,
    /// Why the incarnation ends, once that is settled.
    pub(super) verdict: Option<Verdict>,
    /// Its probes, once all its containers run.
    pub(super) probes: Option<Vec<Watched>>,
    /// The tick at which to look again.
    pub(super) wake: Option<u64>,
}

/// Where the work on a task stands. The way: `Delayed`, `Preparing`, `Prepared`, `Starting`, `Running`,
/// `Stopping`, `Clearing`, `Ended`, and from there to the next incarnation or to `Removing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// A runtime of it has not yet said what it has.
    Recovering,
    /// Waiting for the restart in place.
    Delayed {
        /// The tick at which it goes on.
        until: u64,
    },
    /// Its directory, its files, then container by container.
    Preparing(Making),
    /// All is made.
    Prepared,
    /// Its ports, then container by container.
    Starting(Step),
    /// All are started.
    Running {
        /// Since this tick.
        since: u64,
    },
    /// The verdict stands; what may run is being ended.
    Stopping {
        /// The tick of `SIGKILL`.
        kill_at: u64,
        /// Ran since this tick, if it ever was all started.
        since: Option<u64>,
    },
    /// The end is reported; the files it was given go.
    Clearing,
    /// Nothing of it runs, nothing is under way.
    Ended,
    /// Its containers go, then its directory.
    Removing(Step),
    /// Nothing is left of it.
    Gone,
}

/// What is made before a task can start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Making {
    /// Its own directory.
    Sandbox,
    /// The files its claim refers to.
    Files,
    /// This container.
    Container(usize),
}

/// A step over the containers of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// What concerns the whole task.
    Task,
    /// This container.
    Container(usize),
}

/// Why an incarnation ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was asked to stop.
    Asked,
    /// A container ended: this one, so.
    Ended(usize, Exit),
    /// It could not be prepared or started. Not restarted in place.
    Failed(Exit),
    /// It can never run as asked.
    Rejected(Exit),
}

/// One container of the current incarnation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Slot {
    pub(super) state: SlotState,
    /// Whether a wait is under way.
    pub(super) waiting: bool,
    /// Attempts of the next wait.
    pub(super) wait_retry: Retry,
    /// Whether a signal is under way.
    pub(super) signalling: bool,
    /// Which signal was delivered last.
    pub(super) signalled: Signalled,
    /// Attempts of the next signal.
    pub(super) signal_retry: Retry,
}

/// What is known of one container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum SlotState {
    /// Nothing runs: not made, or made and never started.
    #[default]
    Idle,
    /// Whether it was started is unknown: it must be got rid of.
    Uncertain,
    /// It was started.
    Started,
    /// It ended so.
    Ended(Exit),
}

/// How far the stopping of a container went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Signalled {
    #[default]
    No,
    Stop,
    Kill,
}

/// Attempts of a verb that may fail for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Retry {
    failed: u32,
    at: u64,
}

impl Retry {
    /// Whether the next attempt may be made.
    pub(super) fn due(self, now: Now) -> bool {
        now.tick >= self.at
    }

    /// The tick of the next attempt.
    pub(super) fn at(self) -> u64 {
        self.at
    }

    /// Puts the next attempt off until this tick.
    pub(super) fn not_before(&mut self, tick: u64) {
        self.at = self.at.max(tick);
    }

    /// Counts a failed attempt and returns how many there were.
    pub(super) fn failed(&mut self, now: Now) -> u32 {
        self.failed += 1;
        self.at = now.tick + retry_delay(self.failed);
        self.failed
    }
}

impl Live {
    /// A task about which nothing is known yet.
    pub(super) fn new(stage: Stage, containers: usize) -> Self {
        Self {
            stage,
            slots: vec![Slot::default(); containers],
            op: None,
            cancelled: false,
            retry: Retry::default(),
            vanished: 0,
            verdict: None,
            probes: None,
            wake: None,
        }
    }

    /// Goes to `stage`, with a fresh count of attempts.
    pub(super) fn go(&mut self, stage: Stage) {
        self.stage = stage;
        self.retry = Retry::default();
    }

    /// The first container that has ended.
    pub(super) fn first_ended(&self) -> Option<(usize, &Exit)> {
        self.slots.iter().enumerate().find_map(|(i, s)| match &s.state {
            SlotState::Ended(exit) => Some((i, exit)),
            SlotState::Idle | SlotState::Uncertain | SlotState::Started => None,
        })
    }
}
