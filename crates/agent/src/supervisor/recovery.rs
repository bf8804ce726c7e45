//! After a start of the agent: what is remembered is joined with what the runtimes have. What runs is adopted,
//! what ended meanwhile is reported, what was only prepared goes on, what should be there and is not is gone.
//! A task waits until every runtime of its containers has said what it has; of a runtime that cannot be asked
//! nothing is assumed.

use super::advance::exit;
use super::backoff::restart_delay;
use super::live::{Live, Making, SlotState, Stage, Step};
use super::memory::Remembered;
use super::plan;
use super::turn::Turn;
use plenum_contract::runtime::{ContainerKey, Found, FoundState};
use plenum_model::ids::TaskId;
use plenum_model::phase::Phase;
use plenum_model::spec::TaskSpec;
use plenum_model::task::ExitReason;
use std::collections::BTreeMap;

/// The live state of a remembered task that is restarted as a whole before its runtimes were asked.
pub(super) fn before(task: &Remembered, spec: &TaskSpec) -> Live {
    let stage = if task.ended().is_some() {
        Stage::Clearing
    } else {
        Stage::Recovering
    };
    Live::new(stage, spec.containers.len())
}

/// Whether a found container is of use: of the current incarnation, or the one before with its log.
pub(super) fn belongs(task: Option<&Remembered>, found: &Found) -> bool {
    let Some(task) = task else { return false };
    let runs = found.state == FoundState::Running;
    if task.is_current(&found.key) {
        return !(runs && task.ended().is_some());
    }
    let later = ContainerKey {
        incarnation: found.key.incarnation.next(),
        ..found.key.clone()
    };
    task.is_current(&later) && !runs
}

/// Every runtime of the task has been asked: goes on from what was found.
pub(super) fn resume(
    live: &mut Live,
    turn: &mut Turn<'_>,
    id: TaskId,
    found: &BTreeMap<ContainerKey, Found>,
) {
    let Some((task, spec)) = turn.task(id) else { return };
    let (started, streak) = (task.started, task.streak);
    let has_files = !task.assigned.terms.files.is_empty();
    let said = task.newest.as_ref().is_some_and(|o| {
        o.progress.incarnation == task.incarnation
            && matches!(o.progress.phase, Phase::Running | Phase::Stopping)
    });
    let states: Vec<_> = (0..spec.containers.len())
        .map(|i| found.get(&plan::key(task, &spec, i)).map(|f| &f.state))
        .collect();
    let any = states
        .iter()
        .any(|s| matches!(s, Some(FoundState::Running | FoundState::Ended(_))));
    if !started && !any {
        live.go(match streak {
            0 => Stage::Preparing(Making::Sandbox),
            n => Stage::Delayed {
                until: turn.now.tick.saturating_add(restart_delay(spec.backoff, n)),
            },
        });
        return;
    }
    for (slot, state) in live.slots.iter_mut().zip(&states) {
        slot.state = match state {
            Some(FoundState::Running) => SlotState::Started,
            Some(FoundState::Ended(exit)) => SlotState::Ended(exit.clone()),
            Some(FoundState::Prepared) => SlotState::Idle,
            None => SlotState::Ended(exit(ExitReason::Gone, GONE.to_owned())),
        };
    }
    let to_start = states
        .iter()
        .position(|s| matches!(s, Some(FoundState::Prepared)));
    match to_start {
        // A reboot may have taken what was in memory.
        Some(0) if has_files => live.go(Stage::Preparing(Making::Sandbox)),
        Some(0) => live.go(Stage::Starting(Step::Task)),
        Some(i) => live.go(Stage::Starting(Step::Container(i))),
        None => {
            if !said && live.first_ended().is_none() {
                turn.observe(id, Phase::Running, None, String::new());
            }
            live.go(Stage::Running { since: turn.now.tick });
        }
    }
}

pub(super) const GONE: &str = "the container is gone: the machine was restarted, or somebody removed it";
