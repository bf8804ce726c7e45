//! What would happen is what does: each supposition is tried on a copy first and then made true.

use crate::world::{World, facts, node_id, seats, spec, task_id, terms};
use plenum_broker::input::{Held, Input};
use plenum_broker::simulate::{SimulateError, simulate};
use plenum_contract::pool::{Simulation, Suppose};
use plenum_model::amounts::{Amounts, Resource};
use plenum_model::ids::TaskId;
use plenum_model::phase::Phase;
use plenum_model::task::ExitReason;
use plenum_model::tenant::Tenant;
use plenum_model::why::{Block, Cause};
use std::collections::BTreeMap;

fn suppose(world: &World, what: &[Suppose]) -> Simulation {
    let before = world.core.snapshot();
    let simulated = simulate(&world.config, &before, what).unwrap();
    assert_eq!(world.core.snapshot(), before, "nothing is touched");
    simulated
}

fn guaranteed(path: &str, cpu_millis: u64) -> Tenant {
    Tenant {
        guarantee: Amounts {
            cpu_millis,
            ..Amounts::default()
        },
        ..Tenant::new(path.parse().unwrap())
    }
}

fn placed(simulated: &Simulation) -> BTreeMap<String, String> {
    let each = simulated.placed.iter();
    each.map(|(task, node)| (task.name.clone(), node.to_string()))
        .collect()
}

#[test]
fn a_node_that_is_lost_moves_what_finds_room_and_says_what_would_wait() {
    let mut world = World::new();
    for name in ["n1", "n2", "n3"] {
        world.attach(facts(name, 1_000, 1_000));
    }
    world.claim("web", terms("a", 600, 10), seats("web", "a", 0..2));
    world.claim("web", terms("b", 300, 10), seats("web", "b", 0..2));
    let node = |id: TaskId| world.view.task(id).unwrap().on.clone().unwrap();
    let lost = node(task_id("web", "a", 0, 1));
    let there = world.view.on_node(&lost).len();
    let simulated = suppose(&world, &[Suppose::LoseNode(lost.clone())]);
    assert_eq!(simulated.ended.len(), there, "{simulated:?}");
    assert!(
        simulated
            .ended
            .iter()
            .all(|(_, at, why)| *at == lost && *why == ExitReason::NodeLost)
    );
    assert_eq!(simulated.placed.len() + simulated.waits.len(), there);
    // The third node had room for one of them.
    assert!(placed(&simulated).contains_key("a.0"), "{simulated:?}");
    let nowhere = simulate(
        &world.config,
        &world.core.snapshot(),
        &[Suppose::LoseNode(node_id("n9"))],
    );
    assert!(matches!(nowhere, Err(SimulateError::Denied(_))));
}

#[test]
fn a_guarantee_that_is_supposed_stops_whom_it_would_stop_and_places_whom_it_would_place() {
    let mut world = World::new();
    world.attach(facts("n1", 2_000, 1_000));
    let of = |app: &str, tenant: &str| {
        let mut t = terms(app, 1_000, 0);
        t.tenant = tenant.parse().unwrap();
        t
    };
    world.claim("web", of("a", "lent"), seats("web", "a", 0..2));
    world.claim("web", of("g", "gold"), seats("web", "g", 0..1));
    let simulated = suppose(&world, &[Suppose::SetTenant(guaranteed("gold", 1_000))]);
    assert_eq!(placed(&simulated), [("g.0".to_owned(), "n1".to_owned())].into());
    let [(victim, _, ExitReason::Preempted)] = simulated.ended.as_slice() else {
        panic!("{simulated:?}")
    };
    assert!(
        simulated
            .shares
            .iter()
            .any(|change| change.tenant.as_str() == "lent")
    );
    // And so it comes, once it is true.
    world.step(Input::SetTenant(guaranteed("gold", 1_000), "alice".into()));
    world.wait(11_000);
    world.observe(&node_id("n1"), victim.task, 0, Phase::Stopped);
    let gold = world.view.task(task_id("web", "g", 0, 1)).unwrap();
    assert_eq!(gold.held, Held::Full);
}

#[test]
fn more_tasks_are_placed_as_they_would_be_and_the_rest_is_told_why_it_would_wait() {
    let mut world = World::new();
    world.attach(facts("n1", 1_000, 1_000));
    let claim = |count| Suppose::Claim {
        terms: Box::new(terms("x", 400, 10)),
        spec: Box::new(plenum_model::spec::TaskSpec::clone(&spec("process"))),
        count,
    };
    let simulated = suppose(&world, &[claim(3)]);
    assert_eq!(placed(&simulated).len(), 2);
    let [(waits, block)] = simulated.waits.as_slice() else {
        panic!("{simulated:?}")
    };
    assert_eq!(waits.name, "x.2");
    assert_eq!(*block, Some(Block::Nodes(Cause::Short(Resource::Cpu))));
    assert_eq!(simulated.waiting, 1);
    // Two suppositions hold together.
    let both = suppose(&world, &[claim(2), claim(1)]);
    assert_eq!((both.placed.len(), both.waits.len()), (2, 1));
}

#[test]
fn what_comes_anyway_is_not_told() {
    let mut world = World::new();
    world.attach(facts("n1", 1_000, 1_000));
    let mut lent = terms("a", 1_000, 0);
    lent.tenant = "lent".parse().unwrap();
    world.claim("web", lent, seats("web", "a", 0..1));
    world.step(Input::SetTenant(guaranteed("gold", 1_000), "alice".into()));
    let mut gold = terms("g", 1_000, 0);
    gold.tenant = "gold".parse().unwrap();
    world.claim("web", gold, seats("web", "g", 0..1));
    let announced = world.view.task(task_id("web", "a", 0, 1)).unwrap();
    assert!(announced.task.status.preempting.is_some());
    let other = Tenant {
        weight: 7,
        ..Tenant::new("other".parse().unwrap())
    };
    let simulated = suppose(&world, &[Suppose::SetTenant(other)]);
    assert_eq!(simulated, Simulation::default());
}
