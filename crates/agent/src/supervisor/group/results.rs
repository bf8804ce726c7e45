//! What the end of a piece of work means. What cannot be made is tried again for as long as it takes; what cannot be
//! started has ended, and its policy says what comes; what the task as a whole cannot have fails it.

use super::making;
use super::members;
use super::state::{Group, Hook, Stage, Verdict};
use super::stopping;
use crate::supervisor::advance::exit;
use crate::supervisor::backoff::{ATTEMPTS, restart_delay};
use crate::supervisor::io::{Answer, Done, VerbKind, WorkError};
use crate::supervisor::live::SlotState;
use crate::supervisor::results::{signalled, waited};
use crate::supervisor::turn::Turn;
use plenum_contract::runtime::RuntimeError;
use plenum_model::ids::TaskId;
use plenum_model::task::{ExitReason, WaitReason};

/// Takes in the end of a piece of work on the current incarnation of the task or of a container.
pub(in crate::supervisor) fn take(group: &mut Group, turn: &mut Turn<'_>, id: TaskId, done: Done) {
    if done.key.container.is_empty() {
        return shared(group, turn, id, done.verb, done.result);
    }
    let named = turn
        .task(id)
        .and_then(|(_, spec)| spec.containers.iter().position(|c| c.name == done.key.container));
    let Some(index) = named else { return };
    match done.verb {
        VerbKind::Wait => waited(&mut group.members[index].slot, turn.now, done.result),
        VerbKind::Stop | VerbKind::Kill => {
            let senseless = signalled(&mut group.members[index].slot, turn.now, done.verb, done.result);
            if senseless {
                kill_now(group, index, turn.now.tick);
            }
        }
        VerbKind::Hook => group.members[index].hook = Hook::Done,
        VerbKind::Prepare | VerbKind::Start | VerbKind::Remove => {
            // An answer from before a restart of the supervisor, or twice: nothing waits for it.
            if group.members[index].op != Some(done.verb) {
                return;
            }
            group.members[index].op = None;
            member(group, turn, id, index, done.verb, done.result);
        }
        VerbKind::MakeSandbox
        | VerbKind::Fetch
        | VerbKind::MakeVolumes
        | VerbKind::MakeNetwork
        | VerbKind::CheckPorts
        | VerbKind::RemoveFiles
        | VerbKind::RemoveVolumes
        | VerbKind::RemoveSandbox => {}
    }
}

/// A stop signal that the runtime does not know cannot be what its spec means by it: the kill remains.
fn kill_now(group: &mut Group, index: usize, now: u64) {
    if let Some(stop) = &mut group.members[index].stop {
        stop.kill_at = stop.kill_at.min(now);
    }
    if let Stage::Stopping { kill_at } = &mut group.stage {
        *kill_at = (*kill_at).min(now);
    }
}

fn member(
    group: &mut Group,
    turn: &mut Turn<'_>,
    id: TaskId,
    index: usize,
    verb: VerbKind,
    result: Result<Answer, WorkError>,
) {
    let m = &mut group.members[index];
    match (verb, result) {
        (VerbKind::Prepare, Ok(answer)) => {
            m.made = true;
            m.trouble = None;
            m.retry = Default::default();
            if let Answer::Made(names) = answer {
                m.names = names;
            }
        }
        (VerbKind::Start, Ok(_)) => {
            m.retry = Default::default();
            members::started(group, turn, id, index);
        }
        (VerbKind::Remove, Ok(_)) => m.slot.state = SlotState::Idle,
        (_, Err(WorkError::Cancelled)) => {}
        (_, Err(WorkError::Away(why))) => {
            m.retry.failed(turn.now);
            m.trouble = Some((WaitReason::Setup, why));
        }
        (verb, Err(WorkError::Runtime(error))) => not_done(group, turn, id, index, verb, &error),
        (_, Ok(_)) => {}
    }
}

fn not_done(
    group: &mut Group,
    turn: &mut Turn<'_>,
    id: TaskId,
    index: usize,
    verb: VerbKind,
    error: &RuntimeError,
) {
    let backoff = turn.task(id).map(|(_, spec)| spec.backoff).unwrap_or_default();
    let m = &mut group.members[index];
    match error {
        // Only somebody else can mend it: asked again, more and more rarely.
        RuntimeError::Refused { reason, why } if verb == VerbKind::Prepare => {
            let failed = m.retry.failed(turn.now);
            m.retry.not_before(
                turn.now
                    .tick
                    .saturating_add(restart_delay(backoff, failed.saturating_add(backoff.immediate))),
            );
            let reason = if *reason == ExitReason::Image {
                WaitReason::Image
            } else {
                WaitReason::Setup
            };
            m.trouble = Some((reason, why.clone()));
        }
        RuntimeError::Refused { reason, why } if verb == VerbKind::Start => {
            m.slot.state = SlotState::Ended(exit(*reason, why.clone()));
        }
        // It vanished before its start: made again.
        RuntimeError::NotFound { .. } if verb == VerbKind::Start => {
            m.slot.state = SlotState::Idle;
            m.made = false;
            m.retry.failed(turn.now);
        }
        RuntimeError::Refused { .. } | RuntimeError::NotFound { .. } | RuntimeError::Failed { .. } => {
            m.retry.failed(turn.now);
            m.trouble = Some((WaitReason::Setup, error.to_string()));
        }
    }
}

/// The end of a piece of work for the task as a whole.
fn shared(
    group: &mut Group,
    turn: &mut Turn<'_>,
    id: TaskId,
    verb: VerbKind,
    result: Result<Answer, WorkError>,
) {
    if verb == VerbKind::Wait {
        return sandbox_ended(group, turn, result);
    }
    if group.op != Some(verb) {
        return;
    }
    group.op = None;
    match result {
        Ok(answer) => done(group, turn, id, answer),
        Err(error) => failed(group, turn, id, error),
    }
}

fn sandbox_ended(group: &mut Group, turn: &Turn<'_>, result: Result<Answer, WorkError>) {
    group.watching = false;
    let going_on = matches!(group.stage, Stage::Making(_) | Stage::Up);
    match result {
        Ok(Answer::Exit(_))
        | Err(WorkError::Runtime(RuntimeError::NotFound { .. } | RuntimeError::Refused { .. })) => {
            if going_on && group.verdict.is_none() {
                group.verdict = Some(sandbox_lost());
            }
        }
        Ok(Answer::Done | Answer::Network(_) | Answer::Made(_))
        | Err(WorkError::Runtime(RuntimeError::Failed { .. }) | WorkError::Away(_) | WorkError::Cancelled) => {
            group.watch_retry.failed(turn.now);
        }
    }
}

pub(super) fn sandbox_lost() -> Verdict {
    Verdict::Failed(exit(ExitReason::Gone, SANDBOX_LOST.to_owned()))
}

const SANDBOX_LOST: &str =
    "the task's sandbox is gone: the machine or its engine was restarted, or somebody removed it";

fn done(group: &mut Group, turn: &mut Turn<'_>, id: TaskId, answer: Answer) {
    match group.stage {
        Stage::Making(what) => {
            let address = match answer {
                Answer::Network(facts) => Some(facts.address),
                Answer::Done | Answer::Exit(_) | Answer::Made(_) => None,
            };
            making::next(group, what);
            if group.stage == Stage::Up {
                making::is_there(turn, id, address);
            }
        }
        Stage::Leaving => stopping::conclude(group, turn, id),
        Stage::Clearing(what) => stopping::cleared(group, what),
        Stage::Removing(what) => stopping::removed(group, what),
        // Given up while something was made: nothing follows from it.
        Stage::Stopping { .. } | Stage::Recovering | Stage::Up | Stage::Ended | Stage::Gone => {}
    }
}

fn failed(group: &mut Group, turn: &mut Turn<'_>, id: TaskId, error: WorkError) {
    let making = matches!(group.stage, Stage::Making(_));
    let attempts = match error {
        WorkError::Cancelled => return,
        WorkError::Away(_) => {
            group.retry.failed(turn.now);
            return;
        }
        WorkError::Runtime(RuntimeError::Refused { reason, why }) if making => {
            group.verdict = Some(Verdict::Failed(exit(reason, why)));
            return;
        }
        WorkError::Runtime(RuntimeError::NotFound { .. }) if making => {
            group.verdict = Some(sandbox_lost());
            return;
        }
        WorkError::Runtime(error) => {
            let why = error.to_string();
            (group.retry.failed(turn.now), why)
        }
    };
    // What is up already waits for as long as its runtime needs to come back.
    let is_up = turn.memory.tasks.get(&id).is_some_and(|t| t.shared.is_some());
    if making && !is_up && attempts.0 >= ATTEMPTS {
        group.verdict = Some(Verdict::Failed(exit(ExitReason::Runtime, attempts.1)));
    }
}
