//! What to start and stop of one app while nothing is replaced: pure, level-triggered, the same whether nothing
//! happened before or a scheduler crashed half-way. Replacing is the rollout engine's.

use crate::app::{App, KillSelection};
use crate::group_by::{self, Candidate};
use crate::instance::{Condition, Instance, State};
use plenum_model::ids::TaskId;
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// What to do, and whether what was wanted is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Steps {
    /// How many to launch.
    pub start: usize,
    /// Whom to ask to stop.
    pub stop: Vec<TaskId>,
    /// Whether the deployment's action on this app is done.
    pub done: bool,
}

/// What to start and stop so that `app` has the instances it wants; of `victims`, all go.
#[must_use]
pub fn scale(app: &App, instances: &[Instance], victims: &BTreeSet<TaskId>) -> Steps {
    let wanted = app.instances as usize;
    let mut counted: Vec<_> = instances.iter().filter(|i| i.counts()).collect();
    let named = counted.iter().filter(|i| victims.contains(&i.id)).count();
    let stop = counted.len().saturating_sub(wanted).max(named);
    counted.sort_by(|a, b| {
        let first = |i: &Instance| !victims.contains(&i.id);
        first(a)
            .cmp(&first(b))
            .then_with(|| kill_order(app.config.kill_selection, a, b))
    });
    let mut stop_ids: Vec<_> = counted.iter().take(named).map(|i| i.id).collect();
    stop_ids.extend(even_victims(&counted[named..], stop - named));
    let others = counted.iter().map(|i| i.id);
    let others: Vec<_> = others.filter(|id| !stop_ids.contains(id)).collect();
    stop_ids.extend(others.into_iter().take(stop - stop_ids.len()));
    let stop = stop_ids;
    let ending = instances.iter().any(|i| i.stopping && !i.is_over());
    let start = if ending && !victims.is_empty() {
        0 // kills come first, their ends are awaited, then the rest starts
    } else {
        wanted.saturating_sub(counted.len() - stop.len())
    };
    let all_run = counted.len() == wanted && counted.iter().all(|i| i.ready);
    Steps {
        done: stop.is_empty() && all_run && !ending,
        start,
        stop,
    }
}

/// Whom `GROUP_BY` chooses among those that run; those that wait have no node yet.
fn even_victims(ordered: &[&Instance], count: usize) -> Vec<TaskId> {
    let candidate = |i: &&Instance| Candidate {
        id: i.id,
        groups: i.groups.clone(),
    };
    let runs = |i: &&&Instance| i.condition != Condition::Scheduled;
    let candidates: Vec<_> = ordered.iter().filter(runs).map(candidate).collect();
    group_by::victims(&candidates, count)
}

/// Who goes first: whoever is furthest from serving, but those that still wait in the queue last, as
/// Marathon has it; among equals by the time of their start.
#[must_use]
pub fn kill_order(selection: KillSelection, a: &Instance, b: &Instance) -> Ordering {
    let weight = |i: &Instance| match i.condition {
        Condition::Active(State::TaskUnreachable) => 1,
        Condition::Active(State::TaskStaging) => 2,
        Condition::Active(State::TaskStarting) => 3,
        Condition::Active(State::TaskRunning) => 4,
        Condition::Active(_) | Condition::Scheduled | Condition::Ended(_) => 5,
    };
    let since = |i: &Instance| i.started_at.or(i.staged_at);
    let by_time = match (since(a), since(b)) {
        (Some(a), Some(b)) => match selection {
            KillSelection::YoungestFirst => b.cmp(&a),
            KillSelection::OldestFirst => a.cmp(&b),
        },
        (a, b) => a.is_some().cmp(&b.is_some()),
    };
    weight(a).cmp(&weight(b)).then(by_time).then(a.id.cmp(&b.id))
}

/// Slots for `count` new instances: the lowest that nobody holds.
#[must_use]
pub fn free_slots(instances: &[Instance], count: usize) -> Vec<u64> {
    let held: BTreeSet<u64> = instances
        .iter()
        .filter(|i| !i.is_over())
        .map(|i| i.slot)
        .collect();
    (0..).filter(|slot| !held.contains(slot)).take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stamp::Stamp;
    use crate::tests::app_at;
    use plenum_model::ids::SchedulerId;

    fn id(slot: u64) -> TaskId {
        TaskId::derive(&SchedulerId::new("m").unwrap(), "u", slot, 1)
    }

    fn instance(slot: u64, state: State, started: i64) -> Instance {
        Instance {
            id: id(slot),
            slot,
            version: Some(Stamp::from_ms(2)),
            condition: Condition::Active(state),
            stopping: state == State::TaskKilling,
            ready: state == State::TaskRunning,
            staged_at: Some(Stamp::from_ms(started)),
            started_at: (state == State::TaskRunning).then(|| Stamp::from_ms(started)),
            inactive: false,
            groups: Vec::new(),
        }
    }

    fn running(slots: std::ops::Range<u64>) -> Vec<Instance> {
        slots
            .map(|s| instance(s, State::TaskRunning, i64::try_from(s).unwrap()))
            .collect()
    }

    fn app(instances: u32) -> App {
        app_at(&format!(r#"{{"id":"a","cmd":"xx","instances":{instances}}}"#), 2)
    }

    #[test]
    fn scaling_starts_what_is_missing_and_stops_the_youngest_of_the_surplus() {
        let none = BTreeSet::new();
        let up = scale(&app(3), &running(0..1), &none);
        assert_eq!((up.start, up.stop.len(), up.done), (2, 0, false));
        let down = scale(&app(1), &running(0..3), &none);
        assert_eq!((down.start, down.stop, down.done), (0, vec![id(2), id(1)], false));
        let right = scale(&app(2), &running(0..2), &none);
        assert_eq!(
            right,
            Steps {
                done: true,
                ..Steps::default()
            }
        );
    }

    #[test]
    fn named_victims_go_first_and_a_scaling_is_done_when_they_are_gone() {
        let victims = [id(0)].into();
        let mut instances = running(0..3);
        let first = scale(&app(2), &instances, &victims);
        assert_eq!((first.stop, first.start), (vec![id(0)], 0));
        instances[0].stopping = true;
        let then = scale(&app(2), &instances, &victims);
        assert_eq!(then, Steps::default());
        instances[0].condition = Condition::Ended(State::TaskKilled);
        assert!(scale(&app(2), &instances, &victims).done);
    }

    #[test]
    fn those_that_run_are_stopped_before_those_that_wait() {
        let mut instances = running(0..5);
        for i in &mut instances[2..] {
            (i.condition, i.ready, i.started_at, i.staged_at) = (Condition::Scheduled, false, None, None);
        }
        let down = scale(&app(3), &instances, &BTreeSet::new());
        assert_eq!(down.stop, [id(1), id(0)]);
    }

    #[test]
    fn new_instances_take_the_lowest_slots_that_nobody_holds() {
        let mut world = running(0..3);
        world[1].condition = Condition::Ended(State::TaskFailed);
        assert_eq!(free_slots(&world, 2), [1, 3]);
    }
}
