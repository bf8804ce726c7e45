//! Room and ports.

use super::{Blocks, Case, Row, of, one, pool, x};
use crate::world::{MIB, World, facts, node_id, seats, task_id, terms};
use plenum_broker::input::Input;
use plenum_contract::broker::Amend;
use plenum_model::amounts::Resource;
use plenum_model::claim::{Amendment, Budget, Desired, HostPort, PortAsk, Terms};
use plenum_model::node::Scheduling;
use plenum_model::phase::Phase;
use plenum_model::rules::Expr;
use plenum_model::why::Cause;

pub(super) fn rows() -> Vec<Row> {
    [memory_and_cpu(), others(), held_by_others()].concat()
}

fn short(resource: Resource) -> Blocks {
    Blocks::Nodes(Cause::Short(resource))
}

fn only_on(node: &str, t: Terms) -> Terms {
    let mut t = t;
    t.rules.required = vec![vec![Expr::equals("@node", node)]];
    t
}

fn memory_and_cpu() -> Vec<Row> {
    vec![
        (
            "memory is short everywhere",
            || {
                let mut world = pool(&[facts("n1", 4_000, 1_000), facts("n2", 4_000, 1_000)]);
                world.fill("a", &terms("a", 100, 980), 2);
                Case::new(world, x())
            },
            short(Resource::Memory),
        ),
        (
            "memory is short on every node but one, which is cordoned",
            || {
                let nodes = ["n1", "n2", "n3"].map(|name| facts(name, 4_000, 1_000));
                let mut world = pool(&nodes);
                world.close("n3", Scheduling::Cordoned);
                world.fill("a", &terms("a", 100, 980), 2);
                Case::new(world, x())
            },
            short(Resource::Memory),
        ),
        (
            "cpu is short, on one node only a little",
            || {
                let mut world = pool(&[facts("n1", 4_000, 1_000), facts("n2", 4_000, 1_000)]);
                world.fill("a", &only_on("n1", terms("a", 4_000, 1)), 1);
                world.fill("b", &terms("b", 1_800, 1), 2);
                Case::new(world, x())
            },
            short(Resource::Cpu),
        ),
        (
            "the only node that it names is full",
            || {
                let mut world = pool(&[facts("n1", 1_000, 1_000), facts("n2", 1_000, 1_000)]);
                world.fill("a", &only_on("n1", terms("a", 1_000, 1)), 1);
                Case::new(world, only_on("n1", x()))
            },
            short(Resource::Cpu),
        ),
        (
            "it is larger than any node",
            || {
                let world = pool(&[facts("n1", 4_000, 1_000), facts("n2", 4_000, 1_000)]);
                Case::new(world, terms("x", 5_000, 64))
            },
            short(Resource::Cpu),
        ),
        (
            "others of its own wait longer",
            || {
                let mut world = pool(&[facts("n1", 1_000, 1_000)]);
                world.fill("a", &terms("a", 1_000, 1), 3);
                Case::new(world, x())
            },
            short(Resource::Cpu),
        ),
    ]
}

fn others() -> Vec<Row> {
    vec![
        (
            "disk is short",
            || {
                let mut world = pool(&[facts("n1", 4_000, 1_000)]);
                let mut big = terms("a", 100, 1);
                big.charge.disk_bytes = 99_990 * MIB;
                world.fill("a", &big, 1);
                let mut t = x();
                t.charge.disk_bytes = 100 * MIB;
                Case::new(world, t)
            },
            short(Resource::Disk),
        ),
        (
            "slots are short",
            || {
                let mut node = facts("n1", 4_000, 1_000);
                node.capacity.slots = 2;
                let mut world = pool(&[node]);
                world.fill("a", &terms("a", 100, 1), 2);
                Case::new(world, x())
            },
            short(Resource::Slot),
        ),
        (
            "no node has an extended resource",
            || {
                let mut t = x();
                t.charge.set(&Resource::Extended("fpga".into()), 1);
                Case::new(pool(&[facts("n1", 4_000, 1_000)]), t)
            },
            short(Resource::Extended("fpga".into())),
        ),
        (
            "its fixed port is held",
            || with_ports(&[HostPort::Fixed(80)]),
            Blocks::Nodes(Cause::Port(80)),
        ),
        (
            "no port of the range is left",
            || with_ports(&[HostPort::Dynamic, HostPort::Dynamic]),
            Blocks::Nodes(Cause::DynamicPorts),
        ),
    ]
}

/// Another asks the same ports, of a node that has them once.
fn with_ports(hosts: &[HostPort]) -> Case {
    let mut node = facts("n1", 4_000, 1_000);
    (node.ports.low, node.ports.high) = (31_000, 31_001);
    let mut world = pool(&[node]);
    let ask = |host: &HostPort| PortAsk {
        host: *host,
        ..PortAsk::default()
    };
    let ports: Vec<_> = hosts.iter().map(ask).collect();
    let before = Terms {
        ports: ports.clone(),
        ..terms("a", 100, 1)
    };
    world.fill("a", &before, 1);
    Case::new(world, Terms { ports, ..x() })
}

fn held_by_others() -> Vec<Row> {
    vec![
        (
            "nobody of a budget can be spared for a guarantee",
            || {
                let mut world = pool(&[facts("n1", 1_000, 1_000)]);
                let mut healthy = of("lent", terms("a", 1_000, 0));
                healthy.budget = Some(Budget {
                    group: "a".into(),
                    min_healthy: 1,
                });
                world.fill("a", &healthy, 1);
                world.observe(&node_id("n1"), task_id("web", "a", 0, 1), 0, Phase::Running);
                world.cpu_of("gold", 1_000, 0);
                Case::new(world, of("gold", terms("x", 500, 0)))
            },
            short(Resource::Cpu),
        ),
        (
            "it is to run again where others are now",
            || {
                let mut world = pool(&[facts("n1", 1_000, 1_000), facts("n2", 1_000, 1_000)]);
                let t = only_on("n1", x());
                world.claim("web", t.clone(), seats("web", "x", 0..1));
                wants(&mut world, Desired::Stopped);
                world.observe(&node_id("n1"), one(), 0, Phase::Stopped);
                world.fill("a", &only_on("n1", terms("a", 1_000, 1)), 1);
                wants(&mut world, Desired::Running);
                Case::new(world, t)
            },
            short(Resource::Cpu),
        ),
    ]
}

/// Amends what shall be true of the one that waits.
fn wants(world: &mut World, desired: Desired) {
    let caller = world.caller("web");
    let generation = world.view.task(one()).unwrap().task.generation;
    let amend = Amend {
        task: one(),
        generation,
        change: Amendment::Desired(desired),
    };
    let refused = world.step(Input::Amend(caller, vec![amend])).refused();
    assert!(refused.is_empty(), "{refused:?}");
}
