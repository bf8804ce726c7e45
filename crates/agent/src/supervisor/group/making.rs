//! What the containers of a task share: its directory, its files, its volumes, its address. Made before the first
//! container, and seen to again before any is made after a restart of the agent.

use super::state::{Group, Making, Next, Stage, Verdict};
use super::{members, stopping};
use crate::supervisor::io::Verb;
use crate::supervisor::memory::Record;
use crate::supervisor::plan;
use crate::supervisor::turn::Turn;
use plenum_model::ids::TaskId;

pub(super) fn step(group: &mut Group, turn: &mut Turn<'_>, id: TaskId, what: Making) -> Next {
    members::wait_for_ends(group, turn, id);
    if turn.shall_end(id) {
        return stopping::condemn(group, turn, id, Verdict::Asked);
    }
    if let Some(verdict) = group.verdict.take() {
        return stopping::condemn(group, turn, id, verdict);
    }
    if group.op.is_some() {
        return Next::Rest;
    }
    if !group.retry.due(turn.now) {
        group.look_at(group.retry.at());
        return Next::Rest;
    }
    let Some(verb) = verb(turn, id, what) else {
        next(group, what);
        if group.stage == Stage::Up {
            is_there(turn, id, None);
        }
        return Next::Step;
    };
    group.op = Some(verb.kind());
    turn.work_shared(id, verb);
    Next::Rest
}

/// What has to be done for this part; none: nothing.
fn verb(turn: &Turn<'_>, id: TaskId, what: Making) -> Option<Verb> {
    let (task, spec) = turn.task(id)?;
    match what {
        Making::Directory => Some(Verb::MakeSandbox(plan::sandbox(turn.node, id))),
        Making::Files => {
            let files = plan::files(turn.node, task);
            (!files.is_empty()).then_some(Verb::Fetch(files))
        }
        Making::Volumes => {
            let volumes = plan::volumes(turn.node, task, &spec);
            (!volumes.is_empty()).then_some(Verb::MakeVolumes(volumes))
        }
        // Once it is up the task holds them itself.
        Making::Ports => {
            let ports = plan::ports(turn.node, task);
            (task.shared.is_none() && !ports.is_empty()).then_some(Verb::CheckPorts(ports))
        }
        Making::Network => {
            plan::network(turn.node, task, &spec).map(|network| Verb::MakeNetwork(Box::new(network)))
        }
    }
}

/// This part is there.
pub(super) fn next(group: &mut Group, what: Making) {
    let stage = match what {
        Making::Directory => Stage::Making(Making::Files),
        Making::Files => Stage::Making(Making::Volumes),
        Making::Volumes => Stage::Making(Making::Ports),
        Making::Ports => Stage::Making(Making::Network),
        Making::Network => {
            group.unseen = false;
            group.stale = false;
            Stage::Up
        }
    };
    group.go(stage);
}

/// Keeps a wait for the end of the sandbox under way.
pub(super) fn watch_network(group: &mut Group, turn: &mut Turn<'_>, id: TaskId) {
    let has = turn
        .task(id)
        .is_some_and(|(task, spec)| plan::network(turn.node, task, &spec).is_some());
    if !has || group.watching {
        return;
    }
    if !group.watch_retry.due(turn.now) {
        return group.look_at(group.watch_retry.at());
    }
    group.watching = true;
    turn.work_shared(id, Verb::Wait);
}

/// All that is shared is there.
pub(super) fn is_there(turn: &mut Turn<'_>, id: TaskId, address: Option<String>) {
    let known = turn
        .memory
        .tasks
        .get(&id)
        .is_some_and(|t| t.shared.as_ref() == Some(&address));
    if !known {
        turn.remember(Record::Shared { task: id, address });
    }
}
