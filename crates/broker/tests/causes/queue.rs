//! Others: limits, guarantees, turns, room that is kept, gangs.

use super::{Blocks, Case, Row, of, pool, x};
use crate::world::{facts, seats, task_id, terms};
use plenum_model::amounts::Resource;
use plenum_model::claim::{Priority, Seat, Terms};
use plenum_model::why::{Because, Cause};

pub(super) fn rows() -> Vec<Row> {
    [limits(), turns(), kept()].concat()
}

fn limits() -> Vec<Row> {
    vec![
        (
            "the limit of its tenant",
            || {
                let mut world = pool(&[facts("n1", 4_000, 4_000)]);
                world.cpu_of("team", 0, 1_000);
                world.fill("a", &of("team", terms("a", 800, 64)), 1);
                Case::new(world, of("team", x()))
            },
            Blocks::Limit("team", Resource::Cpu),
        ),
        (
            "the limit of a tenant above",
            || {
                let mut world = pool(&[facts("n1", 4_000, 4_000)]);
                world.cpu_of("org", 0, 1_000);
                world.fill("a", &of("org/b", terms("a", 800, 64)), 1);
                Case::new(world, of("org/a", x()))
            },
            Blocks::Limit("org", Resource::Cpu),
        ),
        (
            "a limit under which others wait longer",
            || {
                let mut world = pool(&[facts("n1", 4_000, 4_000)]);
                world.cpu_of("team", 0, 1_000);
                world.fill("a", &of("team", terms("a", 800, 64)), 3);
                Case::new(world, of("team", x()))
            },
            Blocks::Limit("team", Resource::Cpu),
        ),
        (
            "a limit that a gang would break",
            || {
                let mut world = pool(&[facts("n1", 4_000, 4_000)]);
                world.cpu_of("team", 0, 1_200);
                Case {
                    seats: seats("web", "x", 0..3),
                    gang: true,
                    ..Case::new(world, of("team", x()))
                }
            },
            Blocks::Limit("team", Resource::Cpu),
        ),
    ]
}

fn turns() -> Vec<Row> {
    vec![
        (
            "another within its guarantee goes first",
            || {
                let mut world = pool(&[facts("n1", 2_000, 4_000)]);
                world.fill("a", &of("lent", terms("a", 1_000, 64)), 2);
                // Its guarantee does not name memory: it goes first, but nobody is stopped for it.
                world.cpu_of("gold", 10_000, 0);
                world.fill("g", &of("gold", terms("g", 2_000, 64)), 1);
                Case::new(world, of("lent", x()))
            },
            Blocks::Turn("gold", Because::Guarantee),
        ),
        (
            "a borrower whose turn comes later",
            || {
                let mut world = pool(&[facts("n1", 2_000, 4_000)]);
                world.fill("a", &of("greedy", terms("a", 1_000, 64)), 2);
                world.fill("b", &of("modest", terms("b", 1_000, 64)), 2);
                Case::new(world, of("greedy", x()))
            },
            Blocks::Turn("modest", Because::Share),
        ),
        (
            "a higher priority of its own tenant goes first",
            || {
                let mut world = pool(&[facts("n1", 2_000, 4_000)]);
                world.fill("a", &terms("a", 1_000, 64), 2);
                let mut high = terms("b", 1_000, 64);
                high.priority.value = 5;
                world.fill("b", &high, 1);
                Case::new(world, x())
            },
            Blocks::Turn("default", Because::Priority),
        ),
        (
            "a priority that counts above both goes first",
            || {
                let mut world = pool(&[facts("n1", 2_000, 4_000)]);
                world.fill("a", &of("org/a", terms("a", 1_000, 64)), 2);
                let mut high = of("org/b", terms("b", 1_000, 64));
                high.priority = Priority {
                    value: 5,
                    scope: Some("org".parse().unwrap()),
                };
                world.fill("b", &high, 1);
                Case::new(world, of("org/c", x()))
            },
            Blocks::Turn("org/b", Because::Priority),
        ),
        (
            "another tenant of the same share has waited longer",
            || {
                let mut world = pool(&[facts("n1", 2_000, 4_000)]);
                world.fill("a", &of("old", terms("a", 2_000, 64)), 1);
                world.fill("b", &of("first", terms("b", 500, 64)), 1);
                Case::new(world, of("second", x()))
            },
            Blocks::Turn("first", Because::Age),
        ),
    ]
}

fn kept() -> Vec<Row> {
    vec![
        (
            "room is kept for another that is guaranteed it",
            || {
                let mut world = pool(&[facts("n1", 4_000, 4_000)]);
                world.cpu_of("gold", 4_000, 0);
                world.fill("a", &of("lent", terms("a", 1_000, 0)), 4);
                world.fill("g", &of("gold", terms("g", 3_000, 0)), 1);
                // One of the three that are to go has gone.
                let mut all = (0..4).map(|n| task_id("web", "a", n, 1));
                let goes = |id: &_| world.view.task(*id).unwrap().task.status.preempting.is_some();
                let first = all.find(goes).unwrap();
                world.be_rid_of(first);
                Case::new(world, of("lent", x()))
            },
            Blocks::Kept("n1", "gold", true),
        ),
        (
            "room is kept for a successor",
            || {
                let mut world = pool(&[facts("n1", 2_000, 4_000)]);
                world.fill("a", &terms("a", 1_000, 64), 1);
                world.fill("b", &terms("b", 500, 64), 1);
                world.claim("web", larger(), vec![successor("a")]);
                Case::new(world, x())
            },
            Blocks::Kept("n1", "default", false),
        ),
        (
            "its own seat is not free yet",
            || {
                let mut world = pool(&[facts("n1", 2_000, 4_000)]);
                world.fill("a", &terms("a", 1_000, 64), 1);
                Case {
                    seats: vec![Seat {
                        replaces: Some(task_id("web", "a", 0, 1)),
                        ..seats("web", "x", 0..1).remove(0)
                    }],
                    ..Case::new(world, x())
                }
            },
            Blocks::Seat("n1"),
        ),
        (
            "a gang is one short",
            || Case {
                seats: seats("web", "x", 0..3),
                gang: true,
                ..Case::new(pool(&[facts("n1", 1_000, 1_000)]), x())
            },
            Blocks::Gang(3, 2, Cause::Short(Resource::Cpu)),
        ),
    ]
}

/// The next version of `a`, which asks more than the one that runs.
fn larger() -> Terms {
    let mut next = terms("a", 1_500, 64);
    next.workload.version = "2".into();
    next
}

fn successor(of: &str) -> Seat {
    Seat {
        id: task_id("web", of, 0, 2),
        replaces: Some(task_id("web", of, 0, 1)),
        ..seats("web", of, 0..1).remove(0)
    }
}
