//! The machine of a task whose containers are restarted one by one. The task goes through its stages as a whole:
//! what its containers share is made, then each of them goes its own way (`members`) while the task is up, then all
//! are stopped and the end is reported. Several verbs may be under way: one of the task, one of each container,
//! waits and signals apart.
//!
//! A restart of a container is a new incarnation of that container: the task stays in its phase, and what each
//! container does is told whenever it changes (`status`). The incarnation of the task counts its runs as a whole:
//! with each, what is shared is made anew and every container begins anew. If the sandbox is lost the task fails.

mod checks;
mod making;
mod members;
mod order;
mod recovery;
mod results;
mod state;
mod status;
mod stopping;

pub(super) use checks::probed;
pub(super) use recovery::{before, resume};
pub(super) use results::take;
pub(super) use state::{Group, Stage};

use super::memory::{Record, Run};
use super::turn::Turn;
use plenum_model::ids::TaskId;
use plenum_model::spec::TaskSpec;
use state::{Making, Next, Verdict};

/// The group of a task that has just come: its containers are remembered from now on.
pub(super) fn fresh(spec: &TaskSpec) -> Group {
    Group::new(Stage::Making(Making::Directory), spec.containers.len())
}

/// Remembers the containers of a task that has just come, those that are not remembered yet.
pub(super) fn enlist(turn: &mut Turn<'_>, id: TaskId, spec: &TaskSpec) {
    let known = |name: &str| {
        turn.memory
            .tasks
            .get(&id)
            .is_some_and(|t| t.runs.contains_key(name))
    };
    let new: Vec<_> = spec.containers.iter().filter(|c| !known(&c.name)).collect();
    for c in new {
        turn.remember(Record::Container {
            task: id,
            name: c.name.clone(),
            run: Box::new(Run::default()),
        });
    }
}

/// Makes every step that can be made now and tells what changed. Returns whether the task still exists.
pub(super) fn advance(group: &mut Group, turn: &mut Turn<'_>, id: TaskId) -> bool {
    loop {
        // Whoever rests says anew when to look again.
        group.wake = None;
        match step(group, turn, id) {
            Next::Step => {}
            Next::Rest => break,
            Next::Gone => return false,
        }
    }
    status::tell(group, turn, id);
    true
}

fn step(group: &mut Group, turn: &mut Turn<'_>, id: TaskId) -> Next {
    match group.stage {
        Stage::Recovering => Next::Rest,
        Stage::Making(what) => making::step(group, turn, id, what),
        Stage::Up => up(group, turn, id),
        Stage::Stopping { kill_at } => stopping::stop(group, turn, id, kill_at),
        Stage::Leaving => stopping::leave(group, turn, id),
        Stage::Clearing(what) => stopping::clear(group, turn, id, what),
        Stage::Ended => stopping::ended(group, turn, id),
        Stage::Removing(what) => stopping::remove(group, turn, id, what),
        Stage::Gone => {
            turn.remember(Record::Removed(id));
            Next::Gone
        }
    }
}

fn up(group: &mut Group, turn: &mut Turn<'_>, id: TaskId) -> Next {
    if turn.shall_end(id) {
        return stopping::condemn(group, turn, id, Verdict::Asked);
    }
    if let Some(verdict) = group.verdict.take() {
        return stopping::condemn(group, turn, id, verdict);
    }
    for index in 0..group.members.len() {
        members::settle_end(group, turn, id, index);
    }
    if let Some(verdict) = order::verdict(turn, id) {
        return stopping::condemn(group, turn, id, verdict);
    }
    making::watch_network(group, turn, id);
    for index in 0..group.members.len() {
        if let Err(verdict) = members::drive(group, turn, id, index) {
            return stopping::condemn(group, turn, id, verdict);
        }
    }
    if group.stale {
        group.go(Stage::Making(Making::Directory));
        return Next::Step;
    }
    Next::Rest
}
