//! The index at work: many nodes, many tasks, and a choice as good as looking at every node.

use crate::world::{World, facts, seats, terms};
use plenum_broker::CoreConfig;
use plenum_model::rules::{Expr, Strategy};
use std::collections::BTreeMap;

fn pool(nodes: u64, exact_nodes: usize) -> World {
    let mut world = World::with(CoreConfig {
        exact_nodes,
        ..CoreConfig::default()
    });
    for n in 0..nodes {
        let mut f = facts(&format!("n{n:04}"), 8_000 + 1_000 * (n % 5), 32_000);
        f.attributes.insert("rack".into(), format!("r{}", n % 10));
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
