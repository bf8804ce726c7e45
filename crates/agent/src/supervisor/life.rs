//! The two machines of a task behind one face: restarted as a whole (`advance`), or container by container (`group`).
//! Which one it is stands in the spec and never changes.

use super::io::{Done, Saw};
use super::live::{Live, Making, Stage};
use super::memory::Remembered;
use super::turn::Turn;
use super::{advance, group, plan, probes, recovery, results};
use plenum_contract::runtime::{ContainerKey, Found};
use plenum_contract::streams::Health;
use plenum_model::ids::{Incarnation, TaskId};
use plenum_model::phase::Phase;
use plenum_model::spec::{RestartUnit, TaskSpec};
use plenum_model::task::ExitReason;
use std::collections::BTreeMap;

/// What a living agent knows of a task beside its memory.
#[derive(Debug)]
pub(super) enum Life {
    Whole(Live),
    Each(Box<group::Group>),
}

impl Life {
    /// A remembered task before its runtimes were asked.
    pub(super) fn before(task: &Remembered, spec: &TaskSpec) -> Self {
        match spec.restart_unit {
            RestartUnit::Task => Self::Whole(recovery::before(task, spec)),
            RestartUnit::Container => Self::Each(Box::new(group::before(task, spec))),
        }
    }

    /// A task that has just come.
    pub(super) fn fresh(spec: &TaskSpec) -> Self {
        match spec.restart_unit {
            RestartUnit::Task => Self::Whole(Live::new(
                Stage::Preparing(Making::Sandbox),
                spec.containers.len(),
            )),
            RestartUnit::Container => Self::Each(Box::new(group::fresh(spec))),
        }
    }

    /// Takes up a task that has just come, or rejects it.
    pub(super) fn take_up(&mut self, turn: &mut Turn<'_>, id: TaskId) {
        let Some((task, spec)) = turn.task(id) else { return };
        let objection =
            plan::objection(turn.node, task, &spec).or_else(|| probes::objection(turn.node, task, &spec));
        if let Some(why) = objection {
            let exit = advance::exit(ExitReason::Setup, why.clone());
            turn.observe(id, Phase::Rejected, Some(exit), why);
            return match self {
                Self::Whole(live) => live.go(Stage::Ended),
                Self::Each(group) => group.go(group::Stage::Ended),
            };
        }
        match self {
            Self::Whole(_) => turn.observe(id, Phase::Preparing, None, String::new()),
            Self::Each(_) => group::enlist(turn, id, &spec),
        }
    }

    /// Makes every step that can be made now. Returns whether the task still exists.
    pub(super) fn advance(&mut self, turn: &mut Turn<'_>, id: TaskId) -> bool {
        match self {
            Self::Whole(live) => advance::advance(live, turn, id),
            Self::Each(group) => group::advance(group, turn, id),
        }
    }

    /// Takes in the end of a piece of work on the current incarnation.
    pub(super) fn done(&mut self, turn: &mut Turn<'_>, id: TaskId, done: Done) {
        match self {
            Self::Whole(live) => results::take(live, turn, id, done),
            Self::Each(group) => group::take(group, turn, id, done),
        }
    }

    /// Takes in the result of a probe.
    pub(super) fn probed(
        &mut self,
        turn: &mut Turn<'_>,
        id: TaskId,
        which: (&str, usize),
        result: &Result<(), String>,
    ) {
        match self {
            Self::Whole(live) => probes::probed(live, turn, id, which, result),
            Self::Each(group) => group::probed(group, turn, id, which, result),
        }
    }

    /// Takes in what a probe saw. Where containers are restarted one by one nobody asks for it.
    pub(super) fn checked(&mut self, turn: &mut Turn<'_>, id: TaskId, which: (&str, usize), saw: Saw) {
        match self {
            Self::Whole(live) => probes::checked(live, turn, id, which, saw),
            Self::Each(_) => {}
        }
    }

    /// How the probes of container `index` went lately, and whether one of them is its image's own check.
    pub(super) fn health(&self, spec: &TaskSpec, index: usize) -> (Health, bool) {
        match self {
            Self::Whole(live) => probes::health(spec, live.probes.as_deref().unwrap_or_default(), index),
            Self::Each(_) => (Health::default(), false),
        }
    }

    /// Whether a runtime of it has not yet said what it has.
    pub(super) fn is_recovering(&self) -> bool {
        match self {
            Self::Whole(live) => live.stage == Stage::Recovering,
            Self::Each(group) => group.stage == group::Stage::Recovering,
        }
    }

    /// Every runtime of the task has been asked: goes on from what was found.
    pub(super) fn resume(&mut self, turn: &mut Turn<'_>, id: TaskId, found: &BTreeMap<ContainerKey, Found>) {
        match self {
            Self::Whole(live) => recovery::resume(live, turn, id, found),
            Self::Each(group) => group::resume(group, turn, id, found),
        }
    }

    /// The grace may have become shorter while the task is being stopped.
    pub(super) fn shorten(&mut self, turn: &Turn<'_>, id: TaskId) {
        let kill_at = match self {
            Self::Whole(live) => match &mut live.stage {
                Stage::Stopping { kill_at, .. } => kill_at,
                Stage::Recovering
                | Stage::Delayed { .. }
                | Stage::Preparing(_)
                | Stage::Prepared
                | Stage::Starting(_)
                | Stage::Running { .. }
                | Stage::Clearing
                | Stage::Ended
                | Stage::Removing(_)
                | Stage::Gone => return,
            },
            Self::Each(group) => match group.kill_at() {
                Some(kill_at) => kill_at,
                None => return,
            },
        };
        *kill_at = (*kill_at).min(turn.now.tick.saturating_add(turn.grace_ms(id)));
    }

    /// The tick at which to look again.
    pub(super) fn wake(&self) -> Option<u64> {
        match self {
            Self::Whole(live) => live.wake,
            Self::Each(group) => group.wake,
        }
    }

    /// The incarnation of container `index` that is newest of those that were made, and the one before that.
    pub(super) fn made(
        &self,
        task: &Remembered,
        name: &str,
        index: usize,
    ) -> (Incarnation, Option<Incarnation>) {
        let (Incarnation(n), made) = match self {
            Self::Whole(live) => {
                let made = !matches!(
                    live.stage,
                    Stage::Delayed { .. } | Stage::Preparing(_) | Stage::Recovering
                );
                (task.incarnation, made)
            }
            Self::Each(group) => {
                let run = task.runs.get(name);
                let started = run.is_some_and(|r| r.started);
                (
                    run.map_or(task.incarnation, |r| r.incarnation),
                    started || group.is_made(index),
                )
            }
        };
        let before = n.checked_sub(1).map(Incarnation);
        match (made, before) {
            // Nothing of the present one is there: the one before is the newest, and it is over.
            (false, Some(before)) => (before, Some(before)),
            (_, before) => (Incarnation(n), before),
        }
    }
}
