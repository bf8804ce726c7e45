//! The offline audit finds what a broker must never write.

use crate::world::{World, facts, node_id, seats, task_id, terms};
use plenum_broker::codec::{self, VERSION};

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

#[test]
fn a_node_that_has_less_than_before_is_no_promise_twice() {
    let mut world = World::new();
    world.attach(facts("n1", 1_000, 1_000));
    world.claim("s", terms("web", 300, 10), seats("s", "web", 0..3));
    world.attach(facts("n1", 500, 1_000));
    assert_eq!(world.audit().violations, Vec::<String>::new());
    let (node, _) = world.core.ledger().nodes.find(&node_id("n1")).unwrap();
    world.claim("s", terms("web", 300, 10), seats("s", "web", 3..4));
    let more = Fact::Placed {
        task: task_id("s", "web", 3, 1),
        node,
        ports: Vec::new(),
    };
    world.records.push(codec::encode(world.now, &[more]));
    let found = world.audit().violations;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].ends_with("n1 has 0.5 cpu, its tasks hold 1.2 cpu"),
        "{found:?}"
    );
}

#[test]
fn records_of_older_versions_read_as_they_did() {
    let mut world = World::new();
    world.attach(facts("n1", 1_000, 1_000));
    world.claim("web", terms("a", 400, 100), seats("web", "a", 0..3));
    let expected = world.core.snapshot();
    for older in (1..VERSION).rev() {
        for record in &mut world.records {
            // The first field of each.
            assert_eq!(record[0], 0x08);
            record[1] = u8::try_from(older).unwrap();
        }
        assert_eq!(world.restored().snapshot(), expected);
    }
    let mut newer = world.records[0].clone();
    newer[1] = u8::try_from(VERSION + 1).unwrap();
    let error = plenum_broker::codec::decode(&newer).unwrap_err();
    let said = format!(
        "a record has version {}, this build reads up to {VERSION}",
        VERSION + 1
    );
    assert_eq!(error.to_string(), said);
}
