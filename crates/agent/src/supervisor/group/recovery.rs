//! After a start of the agent: what is remembered of a task is joined with what its runtimes have, container by
//! container. What runs is adopted, what ended meanwhile has ended, what should be there and is not is gone.

use super::results::sandbox_lost;
use super::state::{Clearing, Group, Making, Stage};
use super::{checks, order};
use crate::supervisor::advance::exit;
use crate::supervisor::backoff::restart_delay;
use crate::supervisor::live::SlotState;
use crate::supervisor::memory::{Remembered, Run};
use crate::supervisor::plan;
use crate::supervisor::recovery::GONE;
use crate::supervisor::turn::Turn;
use plenum_contract::runtime::{ContainerKey, ContainerNames, Found, FoundState};
use plenum_model::ids::TaskId;
use plenum_model::spec::{Network, TaskSpec};
use plenum_model::task::ExitReason;
use std::collections::BTreeMap;

/// The live state of a remembered task before its runtimes were asked.
pub(in crate::supervisor) fn before(task: &Remembered, spec: &TaskSpec) -> Group {
    let stage = if task.ended().is_some() {
        Stage::Clearing(Clearing::Files)
    } else {
        Stage::Recovering
    };
    Group::new(stage, spec.containers.len())
}

/// Every runtime of the task has been asked: goes on from what was found.
pub(in crate::supervisor) fn resume(
    group: &mut Group,
    turn: &mut Turn<'_>,
    id: TaskId,
    found: &BTreeMap<ContainerKey, Found>,
) {
    let Some((task, spec)) = turn.task(id) else { return };
    if task.runs.len() < spec.containers.len() {
        // The agent died between the assignment and this.
        super::enlist(turn, id, &spec);
    }
    let Some((task, spec)) = turn.task(id) else { return };
    let is_up = task.shared.is_some();
    let sandbox = found.get(&plan::sandbox_key(task)).map(|f| &f.state);
    let members: Vec<_> = (0..spec.containers.len())
        .map(|i| found.get(&plan::key(task, &spec, i)).cloned())
        .collect();
    for (index, found) in members.into_iter().enumerate() {
        adopt(group, turn, id, &spec, index, found);
    }
    if !is_up {
        return group.go(Stage::Making(Making::Directory));
    }
    if spec.network == Network::Bridge && sandbox != Some(&FoundState::Running) {
        // What has ended for good before that has ended well.
        let finished = order::verdict(turn, id);
        group.verdict = Some(finished.unwrap_or_else(sandbox_lost));
    }
    group.go(Stage::Up);
}

fn adopt(
    group: &mut Group,
    turn: &mut Turn<'_>,
    id: TaskId,
    spec: &TaskSpec,
    index: usize,
    found: Option<Found>,
) {
    let run = turn.run(id, index).cloned().unwrap_or_default();
    let was_ready = was_ready(turn, id, spec, index);
    let now = turn.now.tick;
    let member = &mut group.members[index];
    member.since = now;
    // What was only made when the agent died is known from nowhere else.
    let (state, names) = found.map(|f| (f.state, f.names)).unzip();
    let names = names.unwrap_or_default();
    member.names = ContainerNames {
        id: run.id.clone().or(names.id),
        image_id: run.image_id.clone().or(names.image_id),
    };
    member.made = state == Some(FoundState::Prepared);
    member.slot.state = match (&run.end, state) {
        (Some(end), _) => SlotState::Ended(end.exit.clone()),
        (None, Some(FoundState::Running)) => SlotState::Started,
        (None, Some(FoundState::Ended(exit))) => SlotState::Ended(exit),
        (None, Some(FoundState::Prepared)) => SlotState::Idle,
        (None, None) if run.started => SlotState::Ended(exit(ExitReason::Gone, GONE.to_owned())),
        (None, None) => SlotState::Idle,
    };
    if member.slot.state == SlotState::Idle && run.streak > 0 && !run.started {
        let delay = restart_delay(spec.backoff, run.streak);
        let why = format!("waits {delay} ms to be started again");
        member.back_off = (delay > 0).then(|| (now.saturating_add(delay), why));
    }
    if member.slot.state == SlotState::Started {
        let startup = spec.containers.get(index).is_some_and(|c| c.startup.is_some());
        // An agent that died between the start and its answer does not know when that was.
        if run.started_at.is_none() || (!startup && !run.passed) {
            let at = turn.now.unix;
            turn.change_run(id, index, |run: &mut Run| {
                run.started = true;
                run.started_at.get_or_insert(at);
                run.passed |= !startup;
            });
        }
        checks::begin(group, turn, id, index, was_ready);
    }
}

/// Whether it was ready when it was last seen.
fn was_ready(turn: &Turn<'_>, id: TaskId, spec: &TaskSpec, index: usize) -> bool {
    let task = turn.memory.tasks.get(&id);
    let newest = task.and_then(|t| t.newest.as_ref());
    let c = spec.containers.get(index);
    newest.zip(c).is_some_and(|(seen, c)| {
        let mut all = seen.containers.iter();
        all.any(|status| status.name == c.name && status.ready)
    })
}
