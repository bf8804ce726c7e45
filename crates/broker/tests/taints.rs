//! Taints: what an agent's configuration and operators say, and who bears it.

use crate::world::{World, facts, node_id, seats, task_id, terms};
use plenum_broker::CoreConfig;
use plenum_broker::input::{Denied, Input};
use plenum_model::claim::{Pin, Terms};
use plenum_model::phase::Phase;
use plenum_model::rules::{Expr, Preference};
use plenum_model::taint::{Effect, Taint, TaintChange, Toleration};
use plenum_model::why::Cause;

fn taint(text: &str) -> Taint {
    text.parse().unwrap()
}

impl World {
    fn taint(&mut self, node: &str, set: &[&str], remove: &[&str]) -> crate::world::Outcome {
        let change = TaintChange {
            set: set.iter().map(|text| taint(text)).collect(),
            remove: remove.iter().map(|key| ((*key).to_owned(), None)).collect(),
        };
        self.step(Input::Taint(node_id(node), change, "alice".into()))
    }

    fn one(&mut self, t: &Terms) -> plenum_model::ids::TaskId {
        let app = t.workload.uid.clone();
        let refused = self.claim("web", t.clone(), seats("web", &app, 0..1)).refused();
        assert!(refused.is_empty(), "{refused:?}");
        task_id("web", &app, 0, 1)
    }

    fn node_of(&self, id: plenum_model::ids::TaskId) -> Option<String> {
        let node = &self.view.task(id).unwrap().task.status.node;
        node.as_ref().map(ToString::to_string)
    }
}

fn bearing(app: &str, key: &str) -> Terms {
    let mut t = terms(app, 100, 1);
    t.rules.tolerations = vec![Toleration {
        key: Some(key.into()),
        value: None,
        effect: None,
    }];
    t
}

/// With few nodes every one is looked at, with many the index chooses: both must keep to taints.
fn worlds() -> [World; 2] {
    [64, 0].map(|exact_nodes| {
        World::with(CoreConfig {
            exact_nodes,
            ..CoreConfig::default()
        })
    })
}

#[test]
fn what_does_not_bear_a_taint_waits_until_it_is_gone() {
    for mut world in worlds() {
        world.attach(facts("n1", 4_000, 4_000));
        let runs = world.one(&terms("before", 100, 1));
        world.taint("n1", &["gpu=a100:NoSchedule"], &[]);
        let waits = world.one(&terms("plain", 100, 1));
        let why = world.view.task(waits).unwrap().task.status.why.clone().unwrap();
        assert_eq!(why.by, [(Cause::Taint("gpu".into()), 1)]);
        let explained = world.view.explain(waits, false).unwrap();
        assert_eq!(explained.nodes[0].detail, "gpu=a100:NoSchedule");
        assert_eq!(
            world.node_of(runs).as_deref(),
            Some("n1"),
            "what runs there stays"
        );
        let bears = world.one(&bearing("gpu", "gpu"));
        assert_eq!(world.node_of(bears).as_deref(), Some("n1"));
        world.taint("n1", &[], &["gpu"]);
        assert_eq!(world.node_of(waits).as_deref(), Some("n1"));
    }
}

#[test]
fn the_configuration_of_an_agent_and_an_operator_both_taint_and_each_takes_away_its_own() {
    let mut world = World::new();
    let mut n1 = facts("n1", 4_000, 4_000);
    n1.taints = vec![taint("own:NoExecute")];
    world.attach(n1.clone());
    world.taint("n1", &["ops:NoSchedule"], &[]);
    let waits = world.one(&bearing("a", "ops"));
    assert_eq!(
        world.view.explain(waits, false).unwrap().nodes[0].cause,
        Some(Cause::Taint("own".into()))
    );
    let denied = world.taint("n1", &[], &["own"]).answer;
    assert!(matches!(denied, Some(Err(Denied::Conflict { .. }))), "{denied:?}");
    n1.taints.clear();
    world.attach(n1);
    assert_eq!(world.node_of(waits).as_deref(), Some("n1"));
    let node = world.view.node(&node_id("n1")).unwrap();
    assert_eq!(
        node.taints,
        [taint("ops:NoSchedule")],
        "the operator's stays when the agent comes again"
    );
    let nowhere = world.taint("n9", &["a:NoSchedule"], &[]).answer;
    assert!(
        matches!(nowhere, Some(Err(Denied::NotFound { .. }))),
        "{nowhere:?}"
    );
}

#[test]
fn taints_outlive_the_broker_by_record_and_by_snapshot() {
    let mut world = World::new();
    world.attach(facts("n1", 4_000, 4_000));
    world.taint("n1", &["b=2:NoExecute", "a:NoSchedule"], &[]);
    let said = world.taint("n1", &["a:NoSchedule"], &["never"]);
    assert!(
        said.changes.is_empty(),
        "said again it changes nothing: {:?}",
        said.changes
    );
    for compacts in [false, true] {
        if compacts {
            world.compact();
        }
        assert_eq!(world.restored().snapshot(), world.core.snapshot());
        world.restart();
        let node = world.view.node(&node_id("n1")).unwrap();
        assert_eq!(node.taints, [taint("a:NoSchedule"), taint("b=2:NoExecute")]);
    }
}

#[test]
fn a_taint_that_asks_to_be_avoided_comes_before_every_wish_and_keeps_nobody_waiting() {
    for mut world in worlds() {
        world.attach(facts("n1", 4_000, 4_000));
        world.attach(facts("n2", 1_000, 4_000));
        world.taint("n1", &["old:PreferNoSchedule"], &[]);
        let mut t = terms("a", 900, 1);
        t.rules.preferred = vec![Preference {
            weight: i32::MAX,
            all: vec![Expr::equals("@node", "n1")],
        }];
        let first = world.one(&t);
        assert_eq!(world.node_of(first).as_deref(), Some("n2"));
        let second = world.one(&terms("b", 900, 1));
        assert_eq!(
            world.node_of(second).as_deref(),
            Some("n1"),
            "there is room nowhere else"
        );
    }
}

#[test]
fn a_pin_gets_past_the_taints_that_it_bears_and_is_told_of_the_others() {
    let mut world = World::new();
    world.attach(facts("n1", 4_000, 4_000));
    world.taint("n1", &["gpu:NoSchedule"], &[]);
    let mut pinned = |app: &str, t: Terms| {
        let mut seat = seats("web", app, 0..1);
        seat[0].pin = Some(Pin {
            node: node_id("n1"),
            past_cordon: true,
        });
        world.claim("web", t, seat);
        let task = &world.view.task(task_id("web", app, 0, 1)).unwrap().task;
        (task.status.phase(), task.status.message.clone())
    };
    let (phase, message) = pinned("a", terms("a", 100, 1));
    assert_eq!(phase, Phase::Rejected);
    assert_eq!(message, "node n1: tainted gpu (gpu:NoSchedule)");
    let mut past = terms("b", 100, 1);
    past.rules.tolerations = vec![Toleration {
        key: None,
        value: None,
        effect: Some(Effect::NoSchedule),
    }];
    assert_eq!(pinned("b", past).0, Phase::Placed);
}

#[test]
fn a_node_that_an_older_agent_described_has_none() {
    let mut node = serde_json::to_value(facts("n1", 1_000, 1_000)).unwrap();
    node.as_object_mut().unwrap().remove("taints");
    let node: plenum_model::node::NodeFacts = serde_json::from_value(node).unwrap();
    assert_eq!(node, facts("n1", 1_000, 1_000));
}
