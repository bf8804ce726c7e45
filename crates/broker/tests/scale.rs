//! The index at work: many nodes, many tasks, and a choice as good as looking at every node.

use crate::world::{World, facts, seats, terms};
use plenum_broker::CoreConfig;
use plenum_model::rules::{Affinity, Domains, Expr, LimitPerKey, Rules, Spread, Strategy};
use plenum_model::tally::Tally;
use std::collections::BTreeMap;
use std::time::Instant;

fn pool(nodes: u64, exact_nodes: usize) -> World {
    let mut world = World::with(CoreConfig {
        exact_nodes,
        ..CoreConfig::default()
    });
    for n in 0..nodes {
        let mut f = facts(&format!("n{n:04}"), 8_000 + 1_000 * (n % 5), 32_000);
        f.attributes.insert("rack".into(), format!("r{}", n % 10));
        f.attributes.insert("rack125".into(), format!("r{}", n % 125));
        f.attributes.insert("zone".into(), format!("z{}", n % 3));
        world.attach(f);
    }
    world
}

/// How many tasks each node has.
fn counts(world: &World) -> BTreeMap<String, u32> {
    let nodes = world.view.nodes();
    nodes
        .iter()
        .map(|n| (n.facts.id.to_string(), n.tasks.values().sum()))
        .collect()
}

#[test]
fn a_workload_is_spread_evenly_whether_every_node_is_looked_at_or_the_index_chooses() {
    for exact in [0, 10_000] {
        let mut world = pool(200, exact);
        world.claim("web", terms("a", 100, 10), seats("web", "a", 0..500));
        let counts: Vec<_> = counts(&world).into_values().collect();
        assert_eq!(
            (counts.iter().min(), counts.iter().max()),
            (Some(&2), Some(&3)),
            "exact {exact}"
        );
    }
}

#[test]
fn packing_fills_one_node_after_the_other() {
    for exact in [0, 10_000] {
        let mut world = pool(200, exact);
        let mut t = terms("a", 1_000, 10);
        t.rules.strategy = Strategy::Pack;
        world.claim("web", t, seats("web", "a", 0..80));
        let used: Vec<_> = counts(&world).into_values().filter(|n| *n > 0).collect();
        assert_eq!(used, vec![8; 10], "exact {exact}");
    }
}

#[test]
fn the_last_fitting_node_is_found_however_coarse_the_index_is() {
    let mut world = pool(300, 0);
    // 7,900 of 8,000 to 12,000 free: all of one level or two, and only one node passes the rule and the port.
    let mut t = terms("a", 7_900, 10);
    t.rules.required = vec![vec![Expr::equals("rack", "r7")]];
    world.claim("web", t.clone(), seats("web", "a", 0..31));
    assert_eq!(world.core.counts().pending, 1);
    let last = seats("web", "a", 30..31)[0].id;
    let why = world.view.task(last).unwrap().task.status.why.clone().unwrap();
    assert_eq!(
        why.to_string(),
        "300 nodes: 270 attribute rack does not match, 30 short of cpu"
    );
}

/// Not a promise but a figure: run with `--ignored --nocapture`, in release.
#[test]
#[ignore = "it measures"]
fn claims_placed_per_second() {
    let mut world = pool(1_000, 64);
    let begun = Instant::now();
    let mut placed = 0;
    for round in 0..100_u64 {
        let app = format!("app{}", round % 20);
        world.claim(
            "web",
            terms(&app, 10, 10),
            seats("web", &app, round * 500..round * 500 + 500),
        );
        placed += 500;
    }
    let took = begun.elapsed();
    println!(
        "{placed} tasks claimed and placed on 1,000 nodes in {took:?}: {:.1} us each",
        { took.as_secs_f64() * 1e6 / f64::from(placed) }
    );
    assert_eq!(world.core.counts().pending, 0);
}

/// Not a promise but a figure: run with `--ignored --nocapture`, in release.
#[test]
#[ignore = "it measures"]
fn ends_that_make_room_for_one_of_many_waiters_per_second() {
    let mut world = pool(1_000, 64);
    world.claim("web", terms("a", 1_000, 10), seats("web", "a", 0..60_000));
    let placed = world.core.counts().tasks - world.core.counts().pending;
    let begun = Instant::now();
    let nodes: Vec<_> = world.view.nodes().iter().map(|n| n.facts.id.clone()).collect();
    let mut ends = 0_u32;
    for node in nodes.iter().cycle().take(10_000) {
        let id = world.view.on_node(node).into_iter().find(|id| {
            let now = world.view.task(*id).unwrap();
            !now.task.status.phase().is_terminal()
        });
        world.observe(node, id.unwrap(), 0, plenum_model::phase::Phase::Finished);
        ends += 1;
    }
    let took = begun.elapsed();
    println!(
        "{ends} of {placed} tasks ended, {} wait, in {took:?}: {:.1} us each",
        world.core.counts().pending,
        { took.as_secs_f64() * 1e6 / f64::from(ends) }
    );
    assert_eq!(
        world.core.counts().tasks - world.core.counts().pending,
        placed + 10_000
    );
}

/// Not a promise but a figure: run with `--ignored --nocapture`, in release.
#[test]
#[ignore = "it measures"]
fn claims_placed_per_second_under_rules_about_others() {
    let racks = |hard| {
        vec![Spread {
            tally: Tally::of_workload("rack125"),
            max_skew: 1,
            min_domains: 0,
            over: Domains::Seen,
            hard,
        }]
    };
    let table: [(&str, Rules); 6] = [
        ("nothing", Rules::default()),
        (
            "spread over 125 racks",
            Rules {
                spread: racks(true),
                ..Rules::default()
            },
        ),
        (
            "soft spread over 125 racks",
            Rules {
                spread: racks(false),
                ..Rules::default()
            },
        ),
        (
            "spread over 3 zones, eligible ones",
            Rules {
                spread: vec![Spread {
                    tally: Tally::of_workload("zone"),
                    over: Domains::Eligible,
                    ..racks(true)[0].clone()
                }],
                ..Rules::default()
            },
        ),
        (
            "unique hosts",
            Rules {
                limits: vec![LimitPerKey::of_workload("@node", 1)],
                ..Rules::default()
            },
        ),
        (
            "away from itself by host",
            Rules {
                affinity: vec![Affinity {
                    tally: Tally::of_workload("@node"),
                    away: true,
                    hard: true,
                }],
                ..Rules::default()
            },
        ),
    ];
    for nodes in [1_000, 5_000, 20_000] {
        for (name, rules) in &table {
            let mut world = pool(nodes, 64);
            let begun = Instant::now();
            for app in 0..100_u64 {
                let name = format!("app{app}");
                let mut t = terms(&name, 10, 10);
                t.rules = rules.clone();
                world.claim("web", t, seats("web", &name, 0..500));
            }
            assert_eq!(world.core.counts().pending, 0);
            let each = begun.elapsed().as_secs_f64() * 1e6 / 50_000.0;
            println!("{nodes} nodes, {name}: {each:.2} us a task");
        }
    }
}
