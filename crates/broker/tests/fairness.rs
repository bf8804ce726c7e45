//! A pool that everybody floods: who has how much once many have come and gone, how soon somebody has what is his by
//! right, and what a raised limit does.

use crate::world::{MIB, World, facts, seats, terms};
use plenum_broker::input::Input;
use plenum_model::amounts::Amounts;
use plenum_model::claim::{Desired, Terms};
use plenum_model::ids::{NodeId, TaskId};
use plenum_model::phase::Phase;
use plenum_model::tenant::Tenant;
use std::collections::BTreeMap;

const NODES: u64 = 60;
/// Of one node.
const CPU: u64 = 32_000;
const MEMORY_MIB: u64 = 128 * 1024;

/// Who floods: a path, its weight among those beside it, and what one task asks.
type Crowd = (&'static str, u32, u64, u64);

/// Eight tenants of three schedulers. Half of them ask more of the memory than of the processors. All ask as much of what
/// is used up first: whoever asks more than others leave waits until somebody is stopped for him.
const CROWD: [Crowd; 8] = [
    ("a", 1, 1_000, 1_024),
    ("b", 2, 1_000, 8_192),
    ("c", 3, 1_000, 512),
    ("org/d", 1, 1_000, 1_024),
    ("org/e", 2, 1_000, 8_192),
    ("org/f", 1, 1_000, 2_048),
    ("g", 1, 1_000, 8_192),
    ("h", 2, 1_000, 6_144),
];
/// The weight of `org`.
const ORG: u32 = 4;

/// The share of the pool that each gets of what it asks most of, when all are given more at the same pace, each by its
/// weight, until something is used up.
fn reference() -> BTreeMap<&'static str, f64> {
    let org: u32 = CROWD
        .iter()
        .filter(|c| c.0.starts_with("org/"))
        .map(|c| c.1)
        .sum();
    // Within org the parts are by weight, but what org has is counted by the resource that all of it asks most of.
    let part = |cpu: u64, memory: u64| (cpu as f64 / CPU as f64, memory as f64 / MEMORY_MIB as f64);
    let per_share = |c: &Crowd| {
        let (cpu, memory) = part(c.2, c.3);
        (cpu / cpu.max(memory), memory / cpu.max(memory))
    };
    let inside = CROWD.iter().filter(|c| c.0.starts_with("org/"));
    let of_org = inside.fold((0.0, 0.0), |sum: (f64, f64), c| {
        let (cpu, memory) = per_share(c);
        let weight = f64::from(c.1) / f64::from(org);
        (sum.0 + cpu * weight, sum.1 + memory * weight)
    });
    let scale = f64::from(ORG) / of_org.0.max(of_org.1);
    let pace = |c: &Crowd| match c.0.starts_with("org/") {
        true => scale * f64::from(c.1) / f64::from(org),
        false => f64::from(c.1),
    };
    let (cpu, memory) = CROWD.iter().fold((0.0, 0.0), |sum: (f64, f64), c| {
        let (cpu, memory) = per_share(c);
        (sum.0 + cpu * pace(c), sum.1 + memory * pace(c))
    });
    let full = cpu.max(memory);
    CROWD.iter().map(|c| (c.0, pace(c) / full)).collect()
}

fn share(world: &World, path: &str) -> f64 {
    let tenants = world.view.tenants();
    let used = &tenants
        .iter()
        .find(|t| t.tenant.path.as_str() == path)
        .unwrap()
        .used;
    let cpu = used.cpu_millis as f64 / (CPU * NODES) as f64;
    let memory = used.memory_bytes as f64 / (MEMORY_MIB * MIB * NODES) as f64;
    cpu.max(memory)
}

fn of(path: &str, app: &str, cpu: u64, memory: u64) -> Terms {
    let mut t = terms(app, cpu, memory);
    t.tenant = path.parse().unwrap();
    t
}

fn tenant(world: &mut World, path: &str, change: impl FnOnce(&mut Tenant)) {
    let path = path.parse().unwrap();
    let known = world.view.tenants().into_iter().find(|t| t.tenant.path == path);
    let mut tenant = known.map_or_else(|| Tenant::new(path), |known| known.tenant);
    change(&mut tenant);
    world.step(Input::SetTenant(tenant, "alice".into()));
}

/// The pool, flooded: the first of the crowd was there before all others and had all of it.
fn flooded() -> World {
    let mut world = World::new();
    for n in 0..NODES {
        let mut f = facts(&format!("n{n:03}"), CPU, MEMORY_MIB);
        f.capacity.slots = 1_000;
        world.attach(f);
    }
    tenant(&mut world, "org", |t| t.weight = ORG);
    for (n, (path, weight, cpu, memory)) in CROWD.into_iter().enumerate() {
        tenant(&mut world, path, |t| t.weight = weight);
        let (scheduler, app) = (["one", "two", "three"][n % 3], path.replace('/', "-"));
        let all = seats(scheduler, &app, 0..6_000);
        world.claim(scheduler, of(path, &app, cpu, memory), all);
    }
    world
}

/// Tasks end all over the pool, whoever's they are.
fn churn(world: &mut World, ends: usize) {
    let names: Vec<NodeId> = world.view.nodes().iter().map(|n| n.facts.id.clone()).collect();
    let mut chance = 7_u64;
    for _ in 0..ends {
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let node = &names[usize::try_from(chance >> 33).unwrap() % names.len()];
        let live: Vec<TaskId> = live(world, node);
        let id = live[usize::try_from(chance >> 40).unwrap() % live.len()];
        let scheduler = world.view.task(id).unwrap().task.scheduler.to_string();
        world.observe(node, id, 0, Phase::Finished);
        let caller = world.caller(&scheduler);
        world.step(Input::Forget(caller, vec![id]));
    }
}

fn live(world: &World, node: &NodeId) -> Vec<TaskId> {
    let ends = |id: &TaskId| world.view.task(*id).unwrap().task.status.phase().is_terminal();
    let mut there = world.view.on_node(node);
    there.retain(|id| !ends(id));
    there
}

/// Agents stop what they are told to.
fn obey(world: &mut World) {
    let nodes: Vec<NodeId> = world.view.nodes().iter().map(|n| n.facts.id.clone()).collect();
    for node in nodes {
        for id in live(world, &node) {
            if world.view.task(id).unwrap().task.desired == Desired::Stopped {
                world.observe(&node, id, 0, Phase::Stopped);
            }
        }
    }
}

fn placed(world: &World, scheduler: &str, app: &str, count: u64) -> usize {
    let ids = seats(scheduler, app, 0..count).into_iter().map(|seat| seat.id);
    ids.filter(|id| world.view.task(*id).unwrap().on.is_some())
        .count()
}

/// Milliseconds from the announcement to the stop.
fn notice(world: &World) -> u64 {
    world.config.notice_ms
}

#[test]
fn once_many_have_come_and_gone_everybody_has_his_share() {
    let mut world = flooded();
    churn(&mut world, 12_000);
    for (path, expected) in reference() {
        let has = share(&world, path);
        let off = (has / expected - 1.0).abs();
        assert!(
            off <= 0.03,
            "{path} has {has:.4} of the pool, the reference {expected:.4}"
        );
    }

    // A fourth scheduler, whose tenant is guaranteed a tenth of the pool: all of it within one deadline.
    tenant(&mut world, "gold", |t| {
        t.guarantee = Amounts::task(CPU * NODES / 10, MEMORY_MIB * MIB * NODES / 10, 0);
        t.guarantee.slots = 1_000;
    });
    let count = NODES * 32 / 10;
    world.claim(
        "four",
        of("gold", "gold", 1_000, 2_048),
        seats("four", "gold", 0..count),
    );
    world.wait(notice(&world));
    obey(&mut world);
    assert_eq!(
        placed(&world, "four", "gold", count),
        usize::try_from(count).unwrap()
    );
}

#[test]
fn a_task_as_large_as_a_node_finds_room_among_small_ones() {
    for guaranteed in [true, false] {
        let mut world = World::new();
        for n in 0..20 {
            world.attach(facts(&format!("n{n:03}"), CPU, MEMORY_MIB));
        }
        // 95 of a hundred parts are in use, on every node.
        let small = seats("one", "small", 0..20 * 19);
        world.claim("one", of("poor", "small", CPU / 20, 100), small);
        let most = world.view.nodes().iter().map(|n| n.tasks["one"]).max();
        assert_eq!(most, Some(19));
        let mut large = of(if guaranteed { "gold" } else { "poor" }, "large", CPU, 1_000);
        if guaranteed {
            tenant(&mut world, "gold", |t| {
                t.guarantee = Amounts::task(CPU, 4_000 * MIB, 0)
            });
        } else {
            large.priority.value = 1;
            large.may_preempt = true;
        }
        world.claim("two", large, seats("two", "large", 0..1));
        world.wait(notice(&world) - 1_000);
        obey(&mut world);
        assert_eq!(
            placed(&world, "two", "large", 1),
            0,
            "nobody goes before his time"
        );
        world.wait(1_000);
        obey(&mut world);
        assert_eq!(placed(&world, "two", "large", 1), 1, "guaranteed: {guaranteed}");
        let nodes: Vec<NodeId> = world.view.nodes().iter().map(|n| n.facts.id.clone()).collect();
        let stay: usize = nodes.iter().map(|node| live(&world, node).len()).sum();
        assert_eq!(stay, 19 * 19 + 1, "only those of one node went");
    }
}

#[test]
fn a_raised_limit_takes_effect_at_once() {
    let mut world = World::new();
    world.attach(facts("n1", CPU, MEMORY_MIB));
    let limit = |world: &mut World, path: &str, cpu_millis: u64| {
        tenant(world, path, |t| t.limit.cpu_millis = cpu_millis);
    };
    limit(&mut world, "org", 6_000);
    limit(&mut world, "org/a", 4_000);
    world.claim("one", of("org/a", "a", 1_000, 10), seats("one", "a", 0..30));
    assert_eq!(placed(&world, "one", "a", 30), 4);
    limit(&mut world, "org/a", 20_000);
    assert_eq!(placed(&world, "one", "a", 30), 6, "the limit above holds");
    limit(&mut world, "org", 0);
    assert_eq!(placed(&world, "one", "a", 30), 20);
    limit(&mut world, "org/a", 0);
    assert_eq!(placed(&world, "one", "a", 30), 30);
}
