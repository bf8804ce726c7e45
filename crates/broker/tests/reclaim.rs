//! What is guaranteed is found again however large the pool is and however many look for it, though a single look
//! goes through few nodes and few of those who wait.

use crate::world::{World, facts, seats, terms};
use plenum_broker::input::Input;
use plenum_model::amounts::Amounts;
use plenum_model::claim::{Budget, Terms};
use plenum_model::ids::TaskId;
use plenum_model::phase::Phase;
use plenum_model::tenant::Tenant;

const NODES: u64 = 600;
const EACH: u64 = 1_000;

fn of(tenant: &str, app: &str) -> Terms {
    Terms {
        tenant: tenant.parse().unwrap(),
        ..terms(app, EACH, 10)
    }
}

fn guarantee(world: &mut World, path: &str, tasks: u64) {
    let tenant = Tenant {
        guarantee: Amounts {
            slots: tasks,
            ..Amounts::task(EACH * tasks, (10 << 20) * tasks, 0)
        },
        ..Tenant::new(path.parse().unwrap())
    };
    world.step(Input::SetTenant(tenant, "alice".into()));
}

/// Every node has room for one task.
fn pool() -> World {
    let mut world = World::new();
    for n in 0..NODES {
        world.attach(facts(&format!("n{n:04}"), EACH, 1_000));
    }
    world
}

/// Claims tasks and has them run.
fn run(world: &mut World, terms: Terms, app: &str, slots: std::ops::Range<u64>) -> Vec<TaskId> {
    let all = seats("web", app, slots);
    world.claim("web", terms, all.clone());
    let ids: Vec<_> = all.iter().map(|seat| seat.id).collect();
    for id in &ids {
        let node = world.view.task(*id).unwrap().task.status.node.clone().unwrap();
        world.observe(&node, *id, 0, Phase::Running);
    }
    ids
}

fn nominated(world: &World, ids: &[TaskId]) -> usize {
    let nominated = |id: &&TaskId| world.view.task(**id).unwrap().task.status.nominated.is_some();
    ids.iter().filter(nominated).count()
}

#[test]
fn the_one_node_that_was_lent_is_found_among_many_that_were_not() {
    let mut world = pool();
    guarantee(&mut world, "safe", NODES - 1);
    run(&mut world, of("safe", "kept"), "kept", 0..NODES - 1);
    run(&mut world, of("guest", "lent"), "lent", 0..1);
    guarantee(&mut world, "owner", 1);
    let mine = seats("web", "mine", 0..1)[0].id;
    world.claim("web", of("owner", "mine"), seats("web", "mine", 0..1));
    assert_eq!(nominated(&world, &[mine]), 1);
}

#[test]
fn whoever_finds_nobody_at_first_looks_on_behind_the_nodes_it_saw() {
    let mut world = pool();
    // Nobody of a group may be stopped: what is lent is found on the last nodes only.
    let mut whole = of("guest", "whole");
    whole.budget = Some(Budget {
        group: "all".into(),
        min_healthy: u32::try_from(NODES).unwrap(),
    });
    run(&mut world, whole, "whole", 0..NODES - 1);
    run(&mut world, of("guest", "single"), "single", 0..1);
    guarantee(&mut world, "owner", 1);
    let mine = seats("web", "mine", 0..1)[0].id;
    world.claim("web", of("owner", "mine"), seats("web", "mine", 0..1));
    let mut looks = 0;
    while nominated(&world, &[mine]) == 0 {
        world.wait(1_000);
        looks += 1;
        assert!(looks < 10, "it does not look on");
    }
}

#[test]
fn of_more_than_look_at_once_each_has_its_turn() {
    let mut world = pool();
    guarantee(&mut world, "guest", NODES);
    run(&mut world, of("guest", "lent"), "lent", 0..NODES);
    let mut waiting = Vec::new();
    for n in 0..40 {
        let (tenant, app) = (format!("owner{n}"), format!("mine{n}"));
        guarantee(&mut world, &tenant, 1);
        waiting.push(seats("web", &app, 0..1)[0].id);
        world.claim("web", of(&tenant, &app), seats("web", &app, 0..1));
    }
    world.wait(3_000);
    assert_eq!(nominated(&world, &waiting), 0, "nothing is lent");
    guarantee(&mut world, "guest", 0);
    world.wait(9_000);
    assert_eq!(nominated(&world, &waiting), waiting.len());
}
