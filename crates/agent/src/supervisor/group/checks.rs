//! Probes of one container: the startup check alone until it has passed, then the others. A liveness probe that
//! fails stops the container alone.

use super::members::stop_alone;
use super::state::{Group, Stage, Verdict};
use crate::supervisor::live::SlotState;
use crate::supervisor::plan;
use crate::supervisor::probes::{ProbeWork, Watched, planned, settle, unhealthy};
use crate::supervisor::turn::Turn;
use plenum_model::ids::TaskId;
use plenum_model::spec::{ContainerSpec, OnFailure, Probe};

/// A probe of a container by its index: its startup check is the one after its others.
fn probe(c: &ContainerSpec, index: usize) -> Option<&Probe> {
    let startup = || c.startup.as_ref().filter(|_| index == c.probes.len());
    c.probes.get(index).or_else(startup)
}

/// The probes of a container that has come to run, or was adopted, or has passed its startup check. One that was
/// ready stays so until its probes say otherwise.
pub(super) fn begin(group: &mut Group, turn: &Turn<'_>, id: TaskId, index: usize, was_ready: bool) {
    let Some((task, spec)) = turn.task(id) else { return };
    let Some(c) = spec.containers.get(index) else {
        return;
    };
    let passed = task.runs.get(&c.name).is_some_and(|run| run.passed);
    let member = &mut group.members[index];
    let first = |probe: &Probe| member.since.saturating_add(probe.delay_ms);
    let watched = match (&c.startup, passed) {
        (Some(startup), false) => vec![Watched::new(index, c.probes.len(), first(startup), None)],
        (_, true) | (None, false) => {
            let all = c.probes.iter().enumerate();
            all.map(|(n, probe)| Watched::new(index, n, first(probe), was_ready.then_some(true)))
                .collect()
        }
    };
    member.watched = watched;
}

/// Hands out the probes of a running container that are due.
pub(super) fn due(group: &mut Group, turn: &mut Turn<'_>, id: TaskId, index: usize) {
    let mut watched = std::mem::take(&mut group.members[index].watched);
    for one in watched.iter_mut().filter(|w| !w.under_way) {
        if turn.now.tick < one.next_at {
            group.look_at(one.next_at);
            continue;
        }
        let work = work(turn, id, index, one.index);
        one.under_way = work.is_some();
        turn.probes.extend(work);
    }
    group.members[index].watched = watched;
}

fn work(turn: &Turn<'_>, id: TaskId, index: usize, which: usize) -> Option<ProbeWork> {
    let (task, spec) = turn.task(id)?;
    let c = spec.containers.get(index)?;
    let probe = probe(c, which)?;
    Some(ProbeWork {
        key: plan::key(task, &spec, index),
        index: which,
        runtime: c.runtime.clone(),
        // What cannot be filled in was rejected when the task came.
        check: planned(turn.node, task, &spec, plan::own_address(task), &probe.check).ok()?,
        timeout_ms: probe.timeout_ms.max(1),
    })
}

/// Whether a container counts as ready: it runs, is started, and its probes that say so pass.
pub(super) fn is_ready(group: &Group, c: &ContainerSpec, passed: bool, index: usize) -> bool {
    let member = &group.members[index];
    let mut reporting = member
        .watched
        .iter()
        .filter(|w| probe(c, w.index).is_some_and(|p| p.on_failure.gates()));
    passed
        && member.slot.state == SlotState::Started
        && member.stop.is_none()
        && reporting.all(|w| w.passes == Some(true))
}

/// Takes in a result.
pub(in crate::supervisor) fn probed(
    group: &mut Group,
    turn: &mut Turn<'_>,
    id: TaskId,
    (container, which): (&str, usize),
    result: &Result<(), String>,
) {
    if !matches!(group.stage, Stage::Making(_) | Stage::Up) {
        return;
    }
    let Some((_, spec)) = turn.task(id) else { return };
    let named = spec
        .containers
        .iter()
        .enumerate()
        .find(|(_, c)| c.name == container);
    let Some((index, c)) = named else { return };
    let Some(probe) = probe(c, which) else { return };
    let now = turn.now.tick;
    let member = &mut group.members[index];
    let found = member
        .watched
        .iter_mut()
        .find(|w| w.under_way && w.index == which);
    let Some(watched) = found.filter(|_| member.slot.state == SlotState::Started) else {
        return;
    };
    watched.under_way = false;
    watched.next_at = now.saturating_add(probe.period_ms.max(1));
    let in_grace = now < member.since.saturating_add(probe.grace_ms);
    if !watched.counts(result.is_ok(), in_grace) {
        return;
    }
    let failed = settle(watched, probe, result.is_ok());
    let passed = watched.passes == Some(true);
    if which == c.probes.len() && passed {
        turn.change_run(id, index, |run| run.passed = true);
        begin(group, turn, id, index, false);
    }
    if let (true, Err(why)) = (failed, result) {
        match probe.on_failure {
            OnFailure::Report => {}
            OnFailure::Restart => stop_alone(group, turn, id, index, unhealthy(why)),
            OnFailure::Fail => {
                group.verdict.get_or_insert(Verdict::Failed(unhealthy(why)));
            }
        }
    }
}
