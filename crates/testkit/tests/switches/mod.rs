//! Tasks that are switched off and on through storms: the same task runs again, and never twice.

use crate::storms::seeds;
use plenum_model::ids::SchedulerId;
use plenum_sdk::health::is_ready;
use plenum_testkit::machine::{RUNTIME, Temper};
use plenum_testkit::rng::Rng;
use plenum_testkit::sim::Sim;
use plenum_testkit::switches::{Board, Switches, UID};

fn is_as_wanted(sim: &Sim, board: &Board) -> bool {
    let Some(observed) = sim.observed(0).filter(|_| sim.is_whole()) else {
        return false;
    };
    let board = board.lock();
    let on = board.values().filter(|on| **on).count();
    let each = board.iter().all(|(slot, on)| {
        let newest = observed.slot(UID, *slot).last();
        newest.is_some_and(|t| {
            if *on {
                is_ready(t)
            } else {
                t.status.phase().is_terminal()
            }
        })
    });
    each && sim.running().count() == on
}

fn storm(seed: u64, nodes: usize, switches: u64, misfortunes: u32) {
    let mut rng = Rng::new(seed ^ 0x5117);
    let board = Board::default();
    board.lock().extend((0..switches).map(|n| (n, true)));
    let wanted = board.clone();
    let mut sim = Sim::seeded(seed)
        .temper(Temper {
            flaky: 20,
            no_image: 0,
            mortal: 20,
        })
        .nodes(nodes)
        .scheduler(
            SchedulerId::new("switches").unwrap(),
            Box::new(move || Box::new(Switches::new(wanted.clone(), RUNTIME))),
        );
    for _ in 0..misfortunes {
        sim.run_for(rng.between(10, 3_000));
        sim.misfortune();
        let slot = rng.below(switches);
        if let Some(on) = board.lock().get_mut(&slot) {
            *on = !*on;
        }
        sim.wake(0);
        sim.check_copies();
        assert!(
            sim.violations().is_empty(),
            "seed {seed}: {:#?}",
            sim.violations()
        );
    }
    sim.calm();
    let settled = sim.until(600_000, |s| is_as_wanted(s, &board));
    sim.check_copies();
    assert!(
        sim.violations().is_empty(),
        "seed {seed}: {:#?}",
        sim.violations()
    );
    assert!(settled, "seed {seed}: {}", describe(&sim, &board));
}

fn describe(sim: &Sim, board: &Board) -> String {
    let mut out = format!("whole: {}, running: {}", sim.is_whole(), sim.running().count());
    let Some(observed) = sim.observed(0) else {
        return out;
    };
    for (slot, on) in board.lock().iter() {
        let Some(task) = observed.slot(UID, *slot).last() else {
            continue;
        };
        let phase = task.status.phase();
        if if *on { is_ready(task) } else { phase.is_terminal() } {
            continue;
        }
        out += &format!(
            "\nslot {slot}, on {on}: {phase}, wants {:?}\n{}",
            task.desired,
            sim.dossier(task.id())
        );
        break;
    }
    out
}

#[test]
fn switches_survive_many_storms() {
    for seed in seeds(0..40) {
        storm(seed, 4, 12, 40);
    }
}
