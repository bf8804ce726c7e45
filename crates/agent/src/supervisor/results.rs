//! What the end of a piece of work means: the class of an error picks the next state. `Refused` fails the
//! task with the runtime's reason, what may pass is tried again with back-off, a container that vanished is
//! made again before its start and counts as ended after it.

use super::advance::exit;
use super::backoff::ATTEMPTS;
use super::io::{Answer, Done, Now, VerbKind, WorkError};
use super::live::{Live, Making, Signalled, Slot, SlotState, Stage, Step, Verdict};
use super::memory::Remembered;
use super::turn::Turn;
use plenum_contract::runtime::RuntimeError;
use plenum_model::ids::TaskId;
use plenum_model::task::{Exit, ExitReason};

/// Takes in the end of a piece of work on the current incarnation.
pub(super) fn take(live: &mut Live, turn: &mut Turn<'_>, id: TaskId, done: Done) {
    let index = turn
        .task(id)
        .and_then(|(_, spec)| spec.containers.iter().position(|c| c.name == done.key.container))
        .unwrap_or(0);
    match done.verb {
        VerbKind::Wait => {
            if let Some(slot) = live.slots.get_mut(index) {
                waited(slot, turn.now, done.result);
            }
        }
        VerbKind::Stop | VerbKind::Kill => {
            let slot = live.slots.get_mut(index);
            let senseless = slot.is_some_and(|slot| signalled(slot, turn.now, done.verb, done.result));
            // A signal that the runtime does not know cannot be what its spec means by it: the kill remains.
            if let (true, Stage::Stopping { kill_at, .. }) = (senseless, &mut live.stage) {
                *kill_at = (*kill_at).min(turn.now.tick);
            }
        }
        // Asked for only where containers are restarted one by one.
        VerbKind::MakeVolumes | VerbKind::MakeNetwork | VerbKind::Hook | VerbKind::RemoveVolumes => {}
        VerbKind::MakeSandbox
        | VerbKind::Fetch
        | VerbKind::Prepare
        | VerbKind::CheckPorts
        | VerbKind::Start
        | VerbKind::Remove
        | VerbKind::RemoveFiles
        | VerbKind::RemoveSandbox => {
            // An answer from before a restart of the supervisor, or twice: nothing waits for it.
            if live.op != Some(done.verb) {
                return;
            }
            live.op = None;
            live.cancelled = false;
            match done.result {
                Ok(_) => succeeded(live, turn, id, index, done.verb),
                Err(error) => failed(live, turn, id, index, done.verb, error),
            }
        }
    }
}

/// The wait for a container's end is answered.
pub(super) fn waited(slot: &mut Slot, now: Now, result: Result<Answer, WorkError>) {
    slot.waiting = false;
    if slot.state != SlotState::Started {
        return;
    }
    slot.state = match result {
        Ok(Answer::Exit(exit)) => SlotState::Ended(exit),
        Err(WorkError::Runtime(RuntimeError::NotFound { .. })) => {
            SlotState::Ended(exit(ExitReason::Gone, "the container vanished".to_owned()))
        }
        Err(WorkError::Runtime(RuntimeError::Refused { reason, why })) => SlotState::Ended(exit(reason, why)),
        // It may well be running: only its runtime can say that it ended.
        Ok(Answer::Done | Answer::Network(_) | Answer::Made(_))
        | Err(WorkError::Runtime(RuntimeError::Failed { .. }) | WorkError::Away(_) | WorkError::Cancelled) => {
            slot.wait_retry.failed(now);
            SlotState::Started
        }
    };
}

/// A signal is answered. Returns whether the runtime does not know it.
pub(super) fn signalled(
    slot: &mut Slot,
    now: Now,
    verb: VerbKind,
    result: Result<Answer, WorkError>,
) -> bool {
    slot.signalling = false;
    match result {
        // The wait tells what became of a container that is not there.
        Ok(_) | Err(WorkError::Runtime(RuntimeError::NotFound { .. })) => {}
        Err(WorkError::Runtime(RuntimeError::Refused { .. })) => return true,
        Err(WorkError::Runtime(RuntimeError::Failed { .. }) | WorkError::Away(_) | WorkError::Cancelled) => {
            slot.signalled = if verb == VerbKind::Kill {
                Signalled::Stop
            } else {
                Signalled::No
            };
            slot.signal_retry.failed(now);
        }
    }
    false
}

fn succeeded(live: &mut Live, turn: &Turn<'_>, id: TaskId, index: usize, verb: VerbKind) {
    match (verb, live.stage) {
        (VerbKind::MakeSandbox, Stage::Preparing(_)) => {
            let has = |(task, _): (&Remembered, _)| !task.assigned.terms.files.is_empty();
            live.go(Stage::Preparing(if turn.task(id).is_some_and(has) {
                Making::Files
            } else {
                Making::Container(0)
            }));
        }
        (VerbKind::Fetch, Stage::Preparing(_)) => live.go(Stage::Preparing(Making::Container(0))),
        (VerbKind::Prepare, Stage::Preparing(_)) => live.go(Stage::Preparing(Making::Container(index + 1))),
        (VerbKind::CheckPorts, Stage::Starting(_)) => live.go(Stage::Starting(Step::Container(0))),
        (VerbKind::Start, Stage::Starting(_)) => {
            live.slots[index].state = SlotState::Started;
            live.go(Stage::Starting(Step::Container(index + 1)));
        }
        (VerbKind::Remove, Stage::Stopping { .. }) => live.slots[index].state = SlotState::Idle,
        (VerbKind::Remove, Stage::Removing(_)) => live.go(Stage::Removing(Step::Container(index + 1))),
        (VerbKind::RemoveFiles, Stage::Clearing) => live.go(Stage::Ended),
        (VerbKind::RemoveSandbox, Stage::Removing(_)) => live.go(Stage::Gone),
        // `advance` leaves none of these stages while the verb is under way.
        _ => {}
    }
}

fn failed(live: &mut Live, turn: &mut Turn<'_>, id: TaskId, index: usize, verb: VerbKind, error: WorkError) {
    let error = match error {
        WorkError::Cancelled => return,
        WorkError::Away(_) => {
            live.retry.failed(turn.now);
            return;
        }
        WorkError::Runtime(error) => error,
    };
    let bounded = matches!(live.stage, Stage::Preparing(_) | Stage::Starting(_));
    let exit = match error {
        // What cannot be removed keeps its record until it can: nothing is forgotten half.
        _ if !bounded => {
            live.retry.failed(turn.now);
            return;
        }
        RuntimeError::Refused { reason, why } => {
            if verb == VerbKind::Start {
                live.slots[index].state = SlotState::Idle;
            }
            exit(reason, why)
        }
        RuntimeError::NotFound { .. } if verb == VerbKind::Start && live.vanished < ATTEMPTS => {
            live.slots[index].state = SlotState::Idle;
            live.vanished += 1;
            live.go(Stage::Preparing(Making::Sandbox));
            return;
        }
        RuntimeError::NotFound { .. } | RuntimeError::Failed { .. } => {
            if live.retry.failed(turn.now) < ATTEMPTS {
                return;
            }
            exit(ExitReason::Runtime, error.to_string())
        }
    };
    end(live, turn, id, exit);
}

fn end(live: &mut Live, turn: &mut Turn<'_>, id: TaskId, exit: Exit) {
    live.verdict = Some(Verdict::Failed(exit));
    let kill_at = turn.now.tick.saturating_add(turn.grace_ms(id));
    live.go(Stage::Stopping { kill_at, since: None });
}
