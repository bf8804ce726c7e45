//! Whose turn it is, who is started again, and when the task has ended: rules over the spec and what is remembered.

use super::state::Verdict;
use crate::supervisor::advance::{is_success, words};
use crate::supervisor::memory::{Remembered, Run};
use crate::supervisor::turn::Turn;
use plenum_model::ids::TaskId;
use plenum_model::spec::{ContainerSpec, Restart, Role, TaskSpec};
use plenum_model::task::{Exit, ExitReason};

/// Whether container `index` may run: all that come before it are done.
pub(super) fn is_turn(task: &Remembered, spec: &TaskSpec, index: usize) -> bool {
    let main = spec.containers.get(index).is_some_and(|c| c.role == Role::Main);
    let before = spec.containers.iter().enumerate();
    let mut before = before.filter(|(i, c)| c.role != Role::Main && (main || *i < index));
    before.all(|(_, c)| task.runs.get(&c.name).is_some_and(|run| is_done(c, run)))
}

/// Whether what comes after this one need not wait for it any more.
fn is_done(c: &ContainerSpec, run: &Run) -> bool {
    match c.role {
        Role::Init => run.end.as_ref().is_some_and(|end| is_success(&end.exit)),
        // One that has run before is started again beside the others.
        Role::Sidecar => run.passed || run.restarts > 0,
        Role::Main => false,
    }
}

/// Whether a container that ended so is started again.
pub(super) fn again(c: &ContainerSpec, run: &Run, exit: &Exit) -> bool {
    let by_policy = |failed: bool| match c.restart {
        Restart::Never => false,
        Restart::Always => true,
        Restart::OnFailure { max } => failed && (max == 0 || run.restarts < max),
    };
    match c.role {
        Role::Main => by_policy(!is_success(exit)),
        Role::Init => !is_success(exit) && by_policy(true),
        Role::Sidecar => true,
    }
}

/// How the task ends, if its containers have settled that.
pub(super) fn verdict(turn: &Turn<'_>, id: TaskId) -> Option<Verdict> {
    let (task, spec) = turn.task(id)?;
    let ends = || {
        spec.containers
            .iter()
            .filter_map(|c| Some((c, &task.runs.get(&c.name)?.end.as_ref()?.exit)))
    };
    let failed = ends().find(|(c, exit)| c.role == Role::Init && !is_success(exit));
    if let Some((c, exit)) = failed {
        let message = format!("init container {}: {}", c.name, words(exit));
        return Some(Verdict::Failed(Exit {
            message,
            ..exit.clone()
        }));
    }
    let mains = spec.containers.iter().filter(|c| c.role == Role::Main).count();
    if ends().filter(|(c, _)| c.role == Role::Main).count() < mains {
        return None;
    }
    Some(Verdict::Finished(of_mains(task, &spec).unwrap_or_else(succeeded)))
}

/// The end of the first main container that failed, else of the first.
pub(super) fn of_mains(task: &Remembered, spec: &TaskSpec) -> Option<Exit> {
    let mains = || {
        let all = spec.containers.iter().filter(|c| c.role == Role::Main);
        all.filter_map(|c| Some(&task.runs.get(&c.name)?.end.as_ref()?.exit))
    };
    mains()
        .find(|exit| !is_success(exit))
        .or_else(|| mains().next())
        .cloned()
}

fn succeeded() -> Exit {
    Exit {
        code: Some(0),
        signal: None,
        reason: ExitReason::Exited,
        message: String::new(),
    }
}
