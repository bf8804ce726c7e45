//! What the broker is told: the phase of the task, which only goes forward, and what each container does. Told
//! whenever it changes.

use super::checks;
use super::order::is_turn;
use super::state::{Group, Stage, Verdict};
use crate::supervisor::advance::{is_success, words};
use crate::supervisor::live::SlotState;
use crate::supervisor::memory::{Remembered, Run};
use crate::supervisor::plan;
use crate::supervisor::turn::{Seen, Turn};
use plenum_contract::runtime::ContainerNames;
use plenum_model::claim::Desired;
use plenum_model::ids::TaskId;
use plenum_model::phase::Phase;
use plenum_model::spec::{ContainerSpec, Role, TaskSpec};
use plenum_model::task::{ContainerState, ContainerStatus, Exit, WaitReason};

/// Tells where the task stands, if that is news. Its end is told by [`tell_end`].
pub(super) fn tell(group: &Group, turn: &mut Turn<'_>, id: TaskId) {
    let Some((task, spec)) = turn.task(id) else { return };
    let phase = match group.stage {
        Stage::Making(_) | Stage::Up => rising(group, task, &spec),
        Stage::Stopping { .. } | Stage::Leaving if group.verdict == Some(Verdict::Asked) => Phase::Stopping,
        Stage::Stopping { .. } | Stage::Leaving => Phase::Preparing,
        Stage::Recovering | Stage::Clearing(_) | Stage::Ended | Stage::Removing(_) | Stage::Gone => return,
    };
    let seen = seen(group, task, &spec, phase);
    turn.observe_if_new(id, seen);
}

/// Tells how the task ended.
pub(super) fn tell_end(group: &Group, turn: &mut Turn<'_>, id: TaskId, phase: Phase, exit: Exit) {
    let Some((task, spec)) = turn.task(id) else { return };
    let seen = Seen {
        ready: Some(false),
        message: words(&exit),
        exit: Some(exit),
        ..seen(group, task, &spec, phase)
    };
    turn.observe_if_new(id, seen);
}

fn seen(group: &Group, task: &Remembered, spec: &TaskSpec, phase: Phase) -> Seen {
    let containers = containers(group, task, spec);
    let counts = spec.containers.iter().zip(&containers);
    let ready = counts
        .filter(|(c, _)| c.role != Role::Init)
        .all(|(_, status)| status.ready);
    let troubled = group.members.iter().zip(&spec.containers);
    let message = troubled
        .filter_map(|(m, c)| {
            m.trouble
                .as_ref()
                .map(|(_, why)| format!("container {}: {why}", c.name))
        })
        .next();
    Seen {
        phase,
        ready: Some(ready),
        address: plan::own_address(task).map(str::to_owned),
        exit: None,
        message: message.unwrap_or_default(),
        containers,
    }
}

/// How far a task has come that is not asked to stop.
fn rising(group: &Group, task: &Remembered, spec: &TaskSpec) -> Phase {
    let all = || spec.containers.iter().zip(&group.members);
    let run = |c: &ContainerSpec| task.runs.get(&c.name);
    let mut mains = all().filter(|(c, _)| c.role == Role::Main);
    let came_to_run = |(c, m): (&ContainerSpec, &super::state::Member)| {
        matches!(m.slot.state, SlotState::Started | SlotState::Ended(_))
            || run(c).is_some_and(|r| r.restarts > 0)
    };
    if mains.all(came_to_run) {
        Phase::Running
    } else if all().any(|(c, _)| run(c).is_some_and(|r| r.started || r.restarts > 0)) {
        Phase::Starting
    } else if task.assigned.desired != Desired::Running && all().all(|(_, m)| m.made) {
        Phase::Prepared
    } else {
        Phase::Preparing
    }
}

fn containers(group: &Group, task: &Remembered, spec: &TaskSpec) -> Vec<ContainerStatus> {
    let default = Run::default();
    let all = spec.containers.iter().enumerate();
    all.map(|(index, c)| {
        let run = task.runs.get(&c.name).unwrap_or(&default);
        let member = &group.members[index];
        let state = state(group, task, spec, (index, run));
        let running = matches!(state, ContainerState::Running { .. });
        let ContainerNames { id, image_id } = &member.names;
        ContainerStatus {
            name: c.name.clone(),
            restarts: run.restarts,
            last: run.last.clone(),
            ready: match c.role {
                Role::Init => run.end.as_ref().is_some_and(|end| is_success(&end.exit)),
                Role::Main | Role::Sidecar => checks::is_ready(group, c, run.passed, index),
            },
            started: running && run.passed,
            id: id
                .clone()
                .or_else(|| run.id.clone())
                .or_else(|| run.last.as_ref()?.id.clone()),
            image_id: image_id.clone().or_else(|| run.image_id.clone()),
            state,
        }
    })
    .collect()
}

fn state(group: &Group, task: &Remembered, spec: &TaskSpec, (index, run): (usize, &Run)) -> ContainerState {
    let member = &group.members[index];
    if let Some(end) = &run.end {
        return ContainerState::Ended(end.clone());
    }
    if member.slot.state == SlotState::Started {
        return ContainerState::Running {
            started_at: run.started_at.unwrap_or_default(),
        };
    }
    let waiting = |reason, message: &str| ContainerState::Waiting {
        reason,
        message: message.to_owned(),
    };
    if let Some((_, why)) = &member.back_off {
        return waiting(WaitReason::BackOff, why);
    }
    if let Some((reason, why)) = &member.trouble {
        return waiting(*reason, why);
    }
    let held = task.assigned.desired != Desired::Running;
    if member.made && held {
        return waiting(WaitReason::Held, "");
    }
    if held || is_turn(task, spec, index) {
        return waiting(WaitReason::Creating, "");
    }
    waiting(WaitReason::Turn, "")
}
