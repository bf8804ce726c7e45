//! One container of a task on its way: made when its turn has come (or early, while the task is held), started,
//! watched, and after its end started again by its policy.

use super::state::{Group, Member, Stop, Verdict};
use super::{checks, order, stopping};
use crate::supervisor::advance::{exit, with_code, words};
use crate::supervisor::backoff::restart_delay;
use crate::supervisor::io::{Verb, VerbKind};
use crate::supervisor::live::SlotState;
use crate::supervisor::memory::{Record, Run};
use crate::supervisor::orphans::{self, Orphan};
use crate::supervisor::plan;
use crate::supervisor::turn::Turn;
use plenum_contract::runtime::{ContainerKey, ContainerNames};
use plenum_model::claim::Desired;
use plenum_model::ids::{Incarnation, TaskId};
use plenum_model::spec::TaskSpec;
use plenum_model::task::{ContainerEnd, Exit, ExitReason};

/// Makes the next step of one container.
///
/// # Errors
/// Why the task cannot go on.
pub(super) fn drive(group: &mut Group, turn: &mut Turn<'_>, id: TaskId, index: usize) -> Result<(), Verdict> {
    match group.members[index].slot.state {
        SlotState::Started => {
            watch(group, turn, id, index);
            Ok(())
        }
        SlotState::Ended(_) => Ok(()),
        SlotState::Idle | SlotState::Uncertain => rise(group, turn, id, index),
    }
}

/// One that runs: its end is waited for, its probes are done, and it is stopped if that is due.
fn watch(group: &mut Group, turn: &mut Turn<'_>, id: TaskId, index: usize) {
    wait_for_end(group, turn, id, index);
    match group.members[index].stop.as_ref().map(|stop| stop.kill_at) {
        Some(kill_at) => stopping::press(group, turn, id, index, kill_at),
        None => checks::due(group, turn, id, index),
    }
}

/// One that does not run: it is made and started if it may be.
fn rise(group: &mut Group, turn: &mut Turn<'_>, id: TaskId, index: usize) -> Result<(), Verdict> {
    let Some((task, spec)) = turn.task(id) else {
        return Ok(());
    };
    let held = task.assigned.desired != Desired::Running;
    let is_turn = order::is_turn(task, &spec, index);
    let key = plan::key(task, &spec, index);
    // What an earlier life left under the same name goes first.
    let blocked = turn.orphans.contains_key(&key);
    let (due, at) = {
        let retry = group.members[index].retry;
        (retry.due(turn.now), retry.at())
    };
    let member = &mut group.members[index];
    if member.op.is_some() || blocked || !(is_turn || held) {
        return Ok(());
    }
    if let Some((until, _)) = &member.back_off {
        if turn.now.tick < *until {
            let until = *until;
            group.look_at(until);
            return Ok(());
        }
        member.back_off = None;
    }
    if !due {
        group.look_at(at);
        return Ok(());
    }
    if member.made || member.slot.state == SlotState::Uncertain {
        if is_turn && !held {
            start(group, turn, id, index);
        }
        return Ok(());
    }
    if group.unseen {
        group.stale = true;
        return Ok(());
    }
    prepare(group, turn, id, &spec, index)
}

fn prepare(
    group: &mut Group,
    turn: &mut Turn<'_>,
    id: TaskId,
    spec: &TaskSpec,
    index: usize,
) -> Result<(), Verdict> {
    let Some(((task, _), c)) = turn.task(id).zip(spec.containers.get(index)) else {
        return Ok(());
    };
    let plan = plan::container(turn.node, task, spec, c)
        .map_err(|e| Verdict::Rejected(exit(ExitReason::Setup, format!("container {}: {e}", c.name))))?;
    group.members[index].op = Some(VerbKind::Prepare);
    turn.work(id, index, Verb::Prepare(Box::new(plan)));
    Ok(())
}

fn start(group: &mut Group, turn: &mut Turn<'_>, id: TaskId, index: usize) {
    let member = &mut group.members[index];
    // Until the answer comes, and if the agent dies before it, the container may run.
    member.slot.state = SlotState::Uncertain;
    member.op = Some(VerbKind::Start);
    let names = member.names.clone();
    let intent = turn.run(id, index).is_some_and(|run| run.started);
    if !intent {
        turn.change_run(id, index, |run| {
            run.started = true;
            run.id = names.id.or(run.id.take());
            run.image_id = names.image_id.or(run.image_id.take());
        });
    }
    turn.work(id, index, Verb::Start);
}

/// It is known to run, from now on as far as anybody can tell.
pub(super) fn started(group: &mut Group, turn: &mut Turn<'_>, id: TaskId, index: usize) {
    let at = turn.now.unix;
    let checked = turn
        .task(id)
        .is_some_and(|(_, spec)| spec.containers.get(index).is_some_and(|c| c.startup.is_some()));
    turn.change_run(id, index, |run| {
        run.started_at = Some(at);
        run.passed |= !checked;
    });
    let member = &mut group.members[index];
    member.slot.state = SlotState::Started;
    member.since = turn.now.tick;
    member.trouble = None;
    checks::begin(group, turn, id, index, false);
}

/// Keeps a wait under way for every container that runs.
pub(super) fn wait_for_ends(group: &mut Group, turn: &mut Turn<'_>, id: TaskId) {
    for index in 0..group.members.len() {
        wait_for_end(group, turn, id, index);
    }
}

pub(super) fn wait_for_end(group: &mut Group, turn: &mut Turn<'_>, id: TaskId, index: usize) {
    let slot = &mut group.members[index].slot;
    if slot.state != SlotState::Started || slot.waiting {
        return;
    }
    if slot.wait_retry.due(turn.now) {
        slot.waiting = true;
        turn.work(id, index, Verb::Wait);
    } else {
        let at = slot.wait_retry.at();
        group.look_at(at);
    }
}

/// One that has to go because of `cause`.
pub(super) fn stop_alone(group: &mut Group, turn: &Turn<'_>, id: TaskId, index: usize, cause: Exit) {
    let grace = turn.grace_of(id, index);
    group.members[index].stop.get_or_insert(Stop {
        kill_at: turn.now.tick.saturating_add(grace),
        cause,
    });
}

/// Writes down how a container ended, unless that is done.
pub(super) fn record_end(group: &Group, turn: &mut Turn<'_>, id: TaskId, index: usize, asked: bool) {
    if let Some(end) = new_end(group, turn, id, index, asked) {
        turn.change_run(id, index, |run| run.end = Some(end));
    }
}

fn new_end(group: &Group, turn: &Turn<'_>, id: TaskId, index: usize, asked: bool) -> Option<ContainerEnd> {
    let member = &group.members[index];
    let SlotState::Ended(seen) = &member.slot.state else {
        return None;
    };
    let run = turn.run(id, index).filter(|run| run.end.is_none())?;
    let exit = match &member.stop {
        Some(stop) => with_code(stop.cause.clone(), Some(seen.clone())),
        None if asked && seen.reason == ExitReason::Exited => Exit {
            reason: ExitReason::Asked,
            ..seen.clone()
        },
        None => seen.clone(),
    };
    Some(ContainerEnd {
        exit,
        started_at: run.started_at,
        ended_at: turn.now.unix,
        id: run.id.clone(),
    })
}

/// One that has just ended: for good, or its next incarnation begins.
pub(super) fn settle_end(group: &mut Group, turn: &mut Turn<'_>, id: TaskId, index: usize) {
    let Some(end) = new_end(group, turn, id, index, false) else {
        return;
    };
    let Some((task, spec)) = turn.task(id) else { return };
    let Some((c, run)) = spec
        .containers
        .get(index)
        .and_then(|c| Some((c, task.runs.get(&c.name)?)))
    else {
        return;
    };
    if !order::again(c, run, &end.exit) {
        turn.change_run(id, index, |run| run.end = Some(end));
        return;
    }
    let ran = turn.now.tick.saturating_sub(group.members[index].since);
    let good_run = run.started_at.is_some() && ran >= spec.backoff.good_run_ms;
    let next = Run {
        incarnation: run.incarnation.next(),
        restarts: run.restarts.saturating_add(1),
        streak: if good_run { 1 } else { run.streak.saturating_add(1) },
        image_id: run.image_id.clone(),
        last: Some(end.clone()),
        ..Run::default()
    };
    let (streak, incarnation) = (next.streak, next.incarnation);
    turn.remember(Record::Container {
        task: id,
        name: c.name.clone(),
        run: Box::new(next),
    });
    // The log of the run before this one stays.
    if let Some(old) = incarnation.0.checked_sub(2) {
        discard(turn, id, index, Incarnation(old));
    }
    let delay = restart_delay(spec.backoff, streak);
    let why = format!("waits {delay} ms to be started again: {}", words(&end.exit));
    let names = std::mem::take(&mut group.members[index].names);
    group.members[index] = Member {
        back_off: (delay > 0).then(|| (turn.now.tick.saturating_add(delay), why)),
        names: ContainerNames { id: None, ..names },
        ..Member::default()
    };
}

/// Has an incarnation of a container that is no more destroyed.
pub(super) fn discard(turn: &mut Turn<'_>, id: TaskId, index: usize, incarnation: Incarnation) {
    let Some((_, spec)) = turn.task(id) else { return };
    let Some(c) = spec.containers.get(index) else {
        return;
    };
    let key = ContainerKey {
        task: id,
        container: c.name.clone(),
        incarnation,
    };
    orphans::take(turn, key, Orphan::new(c.runtime.clone()));
}
