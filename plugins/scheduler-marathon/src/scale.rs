//! What to start and stop for one app: pure, level-triggered, the same whether nothing happened before or a
//! scheduler crashed half-way. Numbers while tasks are replaced are those of Marathon's rolling restart.

use crate::app::{App, KillSelection, UpgradeStrategy};
use crate::instance::{Condition, Instance, State};
use crate::plan::Mode;
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

/// What to start and stop of `app`.
#[must_use]
pub fn steps(app: &App, instances: &[Instance], mode: Mode, victims: &BTreeSet<TaskId>) -> Steps {
    match mode {
        Mode::Hold => Steps {
            done: true,
            ..Steps::default()
        },
        Mode::Keep => scale(app, instances, &BTreeSet::new()),
        Mode::Scale => scale(app, instances, victims),
        Mode::Restart => restart(app, instances),
    }
}

fn scale(app: &App, instances: &[Instance], victims: &BTreeSet<TaskId>) -> Steps {
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
    let stop: Vec<_> = counted.iter().take(stop).map(|i| i.id).collect();
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

/// How many may run, and how many must, while instances are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// At least so many of the instances that count are kept.
    pub min_healthy: usize,
    /// At most so many exist.
    pub max_capacity: usize,
}

/// The bounds for `wanted` instances of which `active` exist.
#[must_use]
pub fn bounds(wanted: u32, upgrade: UpgradeStrategy, active: usize) -> Bounds {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // fractions of a u32, from 0 to 2
    let part = |v: f64| v as usize;
    let min_healthy = part((f64::from(wanted) * upgrade.minimum_health_capacity).ceil());
    let mut max_capacity = part(f64::from(wanted) * (1.0 + upgrade.maximum_over_capacity));
    if min_healthy == max_capacity && max_capacity <= active {
        max_capacity += 1; // or nothing could ever be replaced
    }
    Bounds {
        min_healthy,
        max_capacity,
    }
}

fn restart(app: &App, instances: &[Instance]) -> Steps {
    let wanted = app.instances as usize;
    let current = app.config_version();
    let (new, old): (Vec<_>, Vec<_>) = instances
        .iter()
        .filter(|i| !i.is_over())
        .partition(|i| i.version == Some(current));
    let mut old_counted: Vec<_> = old.iter().copied().filter(|i| i.counts()).collect();
    let mut new_counted: Vec<_> = new.iter().copied().filter(|i| i.counts()).collect();
    let ready = new_counted.iter().filter(|i| i.ready).count();
    let bounds = bounds(
        app.instances,
        app.config.upgrade,
        old_counted.len() + new_counted.len(),
    );

    let keep_old = if ready >= wanted {
        0
    } else {
        bounds.min_healthy.saturating_sub(ready)
    };
    let selection = app.config.kill_selection;
    old_counted.sort_by(|a, b| kill_order(selection, a, b));
    let stop_old = old_counted.len().saturating_sub(keep_old);
    new_counted.sort_by(|a, b| kill_order(selection, a, b));
    let stop_new = new_counted.len().saturating_sub(wanted);
    let stop: Vec<_> = old_counted
        .iter()
        .take(stop_old)
        .chain(new_counted.iter().take(stop_new))
        .map(|i| i.id)
        .collect();

    // what was asked to stop holds its room until it is gone
    let room = bounds.max_capacity.saturating_sub(old.len() + new.len());
    let start = wanted.saturating_sub(new_counted.len()).min(room);
    let done = old.is_empty() && stop.is_empty() && new_counted.len() == wanted && ready == wanted;
    Steps { start, stop, done }
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

    const OLD: i64 = 1;
    const NEW: i64 = 2;

    fn id(slot: u64) -> TaskId {
        TaskId::derive(&SchedulerId::new("m").unwrap(), "u", slot, 1)
    }

    fn instance(slot: u64, version: i64, state: State, started: i64) -> Instance {
        Instance {
            id: id(slot),
            slot,
            version: Some(Stamp::from_ms(version)),
            condition: Condition::Active(state),
            stopping: state == State::TaskKilling,
            ready: state == State::TaskRunning,
            staged_at: Some(Stamp::from_ms(started)),
            started_at: (state == State::TaskRunning).then(|| Stamp::from_ms(started)),
            inactive: false,
        }
    }

    fn running(slots: std::ops::Range<u64>, version: i64) -> Vec<Instance> {
        slots
            .map(|s| instance(s, version, State::TaskRunning, i64::try_from(s).unwrap()))
            .collect()
    }

    fn app(instances: u32, healthy: f64, over: f64) -> App {
        let text = format!(
            r#"{{"id":"a","cmd":"xx","instances":{instances},
                "upgradeStrategy":{{"minimumHealthCapacity":{healthy},"maximumOverCapacity":{over}}}}}"#
        );
        app_at(&text, NEW)
    }

    #[test]
    fn scaling_starts_what_is_missing_and_stops_the_youngest_of_the_surplus() {
        let none = BTreeSet::new();
        let up = steps(&app(3, 1.0, 1.0), &running(0..1, NEW), Mode::Keep, &none);
        assert_eq!((up.start, up.stop.len(), up.done), (2, 0, false));
        let down = steps(&app(1, 1.0, 1.0), &running(0..3, NEW), Mode::Scale, &none);
        assert_eq!((down.start, down.stop, down.done), (0, vec![id(2), id(1)], false));
        let right = steps(&app(2, 1.0, 1.0), &running(0..2, NEW), Mode::Scale, &none);
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
        let mut instances = running(0..3, NEW);
        let first = steps(&app(2, 1.0, 1.0), &instances, Mode::Scale, &victims);
        assert_eq!((first.stop, first.start), (vec![id(0)], 0));
        instances[0].stopping = true;
        let then = steps(&app(2, 1.0, 1.0), &instances, Mode::Scale, &victims);
        assert_eq!(then, Steps::default());
        instances[0].condition = Condition::Ended(State::TaskKilled);
        assert!(steps(&app(2, 1.0, 1.0), &instances, Mode::Scale, &victims).done);
    }

    #[test]
    fn those_that_run_are_stopped_before_those_that_wait() {
        let mut instances = running(0..5, NEW);
        for i in &mut instances[2..] {
            (i.condition, i.ready, i.started_at, i.staged_at) = (Condition::Scheduled, false, None, None);
        }
        let down = steps(&app(3, 1.0, 1.0), &instances, Mode::Scale, &BTreeSet::new());
        assert_eq!(down.stop, [id(1), id(0)]);
    }

    #[test]
    fn bounds_are_marathons() {
        let strategy = |healthy, over| UpgradeStrategy {
            minimum_health_capacity: healthy,
            maximum_over_capacity: over,
        };
        for (wanted, healthy, over, active, min, max) in [
            (10, 1.0, 1.0, 10, 10, 20),
            (10, 0.5, 0.0, 10, 5, 10),
            (10, 1.0, 0.0, 10, 10, 11),
            (10, 1.0, 0.0, 9, 10, 10),
            (3, 0.5, 0.5, 3, 2, 4),
            (1, 0.0, 0.0, 1, 0, 1),
            (1, 1.0, 0.0, 1, 1, 2),
        ] {
            let b = bounds(wanted, strategy(healthy, over), active);
            assert_eq!(
                (b.min_healthy, b.max_capacity),
                (min, max),
                "{wanted} {healthy} {over} {active}"
            );
        }
    }

    /// Plays a whole restart, one random-ish event at a time, and checks the bounds at every moment.
    fn play(count: u32, healthy: f64, over: f64) {
        let app = app(count, healthy, over);
        let mut world = running(0..u64::from(count), OLD);
        let limits = bounds(count, app.config.upgrade, world.len());
        for round in 0..200 {
            let now = steps(&app, &world, Mode::Restart, &BTreeSet::new());
            if now.done {
                assert!(
                    world
                        .iter()
                        .all(|i| i.is_over() || i.version == Some(app.config_version()))
                );
                return;
            }
            for stop in &now.stop {
                let victim = world.iter_mut().find(|i| i.id == *stop).unwrap();
                (victim.stopping, victim.condition) = (true, Condition::Active(State::TaskKilling));
                victim.ready = false;
            }
            for slot in free_slots(&world, now.start) {
                world.retain(|i| i.slot != slot);
                world.push(instance(slot, NEW, State::TaskStaging, round));
            }
            let alive = world.iter().filter(|i| !i.is_over()).count();
            let serving = world.iter().filter(|i| i.ready).count();
            assert!(
                alive <= limits.max_capacity,
                "{count} {healthy} {over}: {alive} alive"
            );
            assert!(
                serving >= limits.min_healthy,
                "{count} {healthy} {over}: {serving} serve"
            );
            if let Some(next) = world.iter_mut().find(|i| i.stopping && !i.is_over()) {
                next.condition = Condition::Ended(State::TaskKilled);
            } else if let Some(next) = world
                .iter_mut()
                .find(|i| i.condition == Condition::Active(State::TaskStaging))
            {
                *next = instance(next.slot, NEW, State::TaskRunning, round);
            }
        }
        panic!("{count} {healthy} {over}: never done");
    }

    #[test]
    fn a_rolling_restart_stays_within_its_bounds_at_every_moment_and_ends() {
        for count in [1, 2, 3, 4, 7] {
            for healthy in [0.0, 0.5, 1.0] {
                for over in [0.0, 0.5, 1.0] {
                    play(count, healthy, over);
                }
            }
        }
    }

    #[test]
    fn a_restart_with_a_new_count_ends_at_that_count() {
        for (before, after) in [(4, 2), (2, 4)] {
            let app = app(after, 1.0, 1.0);
            let world = running(0..before, OLD);
            let first = steps(&app, &world, Mode::Restart, &BTreeSet::new());
            assert!(
                !first.done && first.start > 0 || first.stop.len() == 2,
                "{before} {after}: {first:?}"
            );
        }
    }

    #[test]
    fn new_instances_take_the_lowest_slots_that_nobody_holds() {
        let mut world = running(0..3, NEW);
        world[1].condition = Condition::Ended(State::TaskFailed);
        assert_eq!(free_slots(&world, 2), [1, 3]);
    }
}
