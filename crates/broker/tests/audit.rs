//! The offline audit finds what a broker must never write.

use crate::world::{World, facts, node_id, seats, task_id, terms};
use plenum_broker::codec;
use plenum_broker::fact::Fact;

#[test]
fn a_node_that_was_promised_twice_is_found_in_the_log() {
    let mut world = World::new();
    world.attach(facts("n1", 1_000, 1_000));
    world.claim("s", terms("web", 600, 10), seats("s", "web", 0..2));
    let honest = world.audit();
    assert!(honest.checks > 0 && honest.records == world.records.len());
    assert_eq!(honest.violations, Vec::<String>::new());

    let (node, _) = world.core.ledger().nodes.find(&node_id("n1")).unwrap();
    let twice = Fact::Placed {
        task: task_id("s", "web", 1, 1),
        node,
        ports: Vec::new(),
    };
    world.records.push(codec::encode(world.now, &[twice]));
    let found = world.audit().violations;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].ends_with("n1 has 1.0 cpu, its tasks hold 1.2 cpu"),
        "{found:?}"
    );
}
