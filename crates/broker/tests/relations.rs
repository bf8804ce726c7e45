//! Rules about other tasks, as each orchestrator's own constraints lower to them.

use crate::world::{World, facts, node_id, seats, task_id, terms};
use plenum_broker::CoreConfig;
use plenum_broker::input::Input;
use plenum_model::claim::{Seat, Terms};
use plenum_model::node::NodeFacts;
use plenum_model::phase::Phase;
use plenum_model::rules::{Affinity, Domains, Expr, LimitPerKey, Spread};
use plenum_model::tally::{Among, Scope, Tally};
use plenum_model::why::{Cause, NodeVerdict};
use std::collections::BTreeMap;

/// A world with these nodes, each with its rack (`-`: none).
fn racks(exact_nodes: usize, nodes: &[(&str, &str)]) -> World {
    let mut world = World::with(CoreConfig {
        exact_nodes,
        ..CoreConfig::default()
    });
    for (name, rack) in nodes {
        world.attach(racked(name, rack, 4_000));
    }
    world
}

fn racked(name: &str, rack: &str, cpu: u64) -> NodeFacts {
    let mut f = facts(name, cpu, 4_000);
    if rack != "-" {
        f.attributes.insert("rack".into(), rack.into());
    }
    f
}

fn by_labels(labels: &[(&str, &str)]) -> Among {
    Among::labelled(labels.iter().map(|(k, v)| Expr::equals(*k, *v)).collect())
}

fn spread(tally: Tally, over: Domains, min_domains: u32, hard: bool) -> Spread {
    Spread {
        tally,
        max_skew: 1,
        min_domains,
        over,
        hard,
    }
}

fn affinity(tally: Tally, away: bool, hard: bool) -> Affinity {
    Affinity { tally, away, hard }
}

impl World {
    fn ask(&mut self, t: &Terms, slots: std::ops::Range<u64>) {
        let app = t.workload.uid.clone();
        let refused = self.claim("web", t.clone(), seats("web", &app, slots)).refused();
        assert!(refused.is_empty(), "{refused:?}");
    }

    fn end(&mut self, app: &str, slot: u64) {
        let id = task_id("web", app, slot, 1);
        let node = self.view.task(id).unwrap().on.clone().unwrap();
        self.observe(&node, id, 0, Phase::Finished);
    }

    /// Where the tasks of a workload stand, by slot; `-` for those that wait.
    fn places(&self, app: &str, slots: u64) -> Vec<String> {
        let place = |slot| {
            let now = self.view.task(task_id("web", app, slot, 1)).unwrap();
            now.on.as_ref().map_or("-".to_owned(), ToString::to_string)
        };
        (0..slots).map(place).collect()
    }

    fn by_rack(&self, app: &str, slots: u64) -> BTreeMap<String, u32> {
        let mut counts = BTreeMap::new();
        for place in self.places(app, slots) {
            let node = self.view.node(&node_id(&place));
            let rack = node.and_then(|n| n.facts.attributes.get("rack").cloned());
            *counts.entry(rack.unwrap_or(place)).or_insert(0) += 1;
        }
        counts
    }

    fn verdicts(&self, app: &str, slot: u64) -> Vec<NodeVerdict> {
        self.view
            .explain(task_id("web", app, slot, 1), false)
            .unwrap()
            .nodes
    }
}

const BOTH: [usize; 2] = [64, 0];

#[test]
fn a_unique_host_counts_the_old_version_or_not_as_its_scope_says() {
    for exact in BOTH {
        for (scope, stands) in [(Scope::Workload, "-"), (Scope::Version, "n1")] {
            let mut world = racks(exact, &[("n1", "a")]);
            let mut t = terms("web", 100, 10);
            let mut tally = Tally::of_workload("@node");
            tally.among.scope = scope;
            t.rules.limits = vec![LimitPerKey { tally, max: 1 }];
            world.ask(&t, 0..1);
            t.workload.version = "2".into();
            world.ask(&t, 1..3);
            assert_eq!(world.places("web", 3), ["n1", stands, "-"], "{scope:?}");
            let verdicts = world.verdicts("web", 2);
            assert_eq!(verdicts[0].cause, Some(Cause::LimitPerKey("@node".into())));
            assert_eq!(verdicts[0].detail, "@node n1 has 1 of at most 1");
        }
    }
}

#[test]
fn a_limit_among_labels_counts_tasks_of_other_workloads() {
    for exact in BOTH {
        let mut world = racks(exact, &[("n1", "a"), ("n2", "a"), ("n3", "b")]);
        let mut db = terms("db", 100, 10);
        db.labels.insert("disk".into(), "heavy".into());
        world.ask(&db, 0..1);
        let mut etl = db.clone();
        etl.workload.uid = "etl".into();
        let tally = Tally {
            among: by_labels(&[("disk", "heavy")]),
            ..Tally::of_workload("rack")
        };
        etl.rules.limits = vec![LimitPerKey { tally, max: 1 }];
        world.ask(&etl, 0..2);
        assert_eq!(
            world.by_rack("etl", 2),
            BTreeMap::from([("-".into(), 1), ("b".into(), 1)])
        );
        world.end("db", 0);
        assert_eq!(
            world.by_rack("etl", 2),
            BTreeMap::from([("a".into(), 1), ("b".into(), 1)])
        );
    }
}

#[test]
fn group_by_fills_new_groups_first_and_then_the_smallest() {
    for exact in BOTH {
        let mut world = racks(exact, &[("n1", "a"), ("n2", "a"), ("n3", "b"), ("n4", "-")]);
        let mut t = terms("web", 100, 10);
        t.rules.spread = vec![spread(Tally::of_workload("rack"), Domains::Seen, 0, true)];
        world.ask(&t, 0..5);
        let counts = world.by_rack("web", 5);
        assert_eq!(counts["a"].abs_diff(counts["b"]), 1, "{counts:?}");
        // a group that is full stops the others one above it
        let mut full = terms("wall", 3_500, 10);
        full.rules.required = vec![vec![Expr::equals("rack", "b")]];
        world.ask(&full, 0..1);
        world.ask(&t, 5..20);
        let counts = world.by_rack("web", 20);
        assert_eq!(
            (counts["b"] + 1, counts["-"]),
            (counts["a"], 20 - counts["a"] - counts["b"])
        );
        let verdicts = world.verdicts("web", 19);
        assert_eq!(verdicts[0].cause, Some(Cause::Spread("rack".into())));
        assert!(
            verdicts[0].detail.starts_with("rack a has"),
            "{}",
            verdicts[0].detail
        );
        assert_eq!(verdicts[3].detail, "it has no rack");
    }
}

#[test]
fn group_by_a_number_keeps_known_groups_closed_until_so_many_are_seen() {
    for exact in BOTH {
        let mut world = racks(exact, &[("n1", "a"), ("n2", "b")]);
        let mut t = terms("web", 100, 10);
        t.rules.spread = vec![spread(Tally::of_workload("rack"), Domains::Seen, 3, true)];
        world.ask(&t, 0..6);
        assert_eq!(
            world.by_rack("web", 6),
            BTreeMap::from([("a".into(), 1), ("b".into(), 1), ("-".into(), 4)])
        );
        world.attach(racked("n3", "c", 4_000));
        assert_eq!(
            world.by_rack("web", 6),
            BTreeMap::from([("a".into(), 2), ("b".into(), 2), ("c".into(), 2)])
        );
    }
}

#[test]
fn cluster_without_a_value_follows_the_first() {
    for exact in BOTH {
        let mut world = racks(exact, &[("n1", "a"), ("n2", "b"), ("n3", "b"), ("n4", "-")]);
        let mut t = terms("web", 1_000, 10);
        t.rules.affinity = vec![affinity(Tally::of_workload("rack"), false, true)];
        t.rules.required = vec![vec![Expr {
            op: plenum_model::rules::Op::NotIn,
            ..Expr::equals("@node", "n1")
        }]];
        world.ask(&t, 0..1);
        t.rules.required.clear();
        t.workload.version = "2".into();
        world.ask(&t, 1..10);
        let counts = world.by_rack("web", 10);
        assert_eq!(counts, BTreeMap::from([("b".into(), 8), ("-".into(), 2)]));
        let verdicts = world.verdicts("web", 9);
        assert_eq!(verdicts[0].cause, Some(Cause::Near("rack".into())));
        assert_eq!(verdicts[0].detail, "rack a has none that it must be near to");
        // where all of it has ended, the next begins anew
        for slot in 0..8 {
            world.end("web", slot);
        }
        assert!(world.places("web", 10)[8..].iter().all(|place| place != "-"));
    }
}

#[test]
fn a_preference_over_zones_fills_the_emptiest_and_is_only_a_wish() {
    for exact in BOTH {
        for (count, expected) in [(4, [1, 1, 2]), (7, [2, 2, 3]), (8, [2, 2, 4])] {
            let mut world = racks(exact, &[("n1", "a"), ("n2", "a"), ("n3", "b")]);
            let mut t = terms("web", 100, 10);
            t.rules.spread = vec![spread(Tally::of_workload("rack"), Domains::Seen, 0, false)];
            world.ask(&t, 0..count);
            let places = world.places("web", count);
            let on = |name| places.iter().filter(|place| *place == name).count();
            let mut got = [on("n1"), on("n2"), on("n3")];
            got[..2].sort_unstable();
            assert_eq!((count, got), (count, expected));
        }
        let mut world = racks(exact, &[("n1", "a")]);
        world.attach(racked("n2", "b", 200));
        let mut t = terms("web", 100, 10);
        t.rules.spread = vec![spread(Tally::of_workload("rack"), Domains::Seen, 0, false)];
        world.ask(&t, 0..10);
        assert_eq!(
            world.by_rack("web", 10),
            BTreeMap::from([("a".into(), 8), ("b".into(), 2)])
        );
    }
}

#[test]
fn an_inner_preference_is_over_the_branch_of_the_outer_one() {
    for exact in BOTH {
        let nodes = [("n1", "east", "1"), ("n2", "east", "2"), ("n3", "west", "1")];
        let mut world = racks(exact, &nodes.map(|(name, ..)| (name, "-")));
        let outer = nodes.map(|(name, zone, _)| (node_id(name), zone.to_owned()));
        let inner = nodes.map(|(name, zone, rack)| (node_id(name), format!("{zone}/{rack}")));
        let listed = |key: &str, nodes: [(_, String); 3]| Tally {
            nodes: nodes.into_iter().collect(),
            ..Tally::of_workload(key)
        };
        let mut t = terms("web", 100, 10);
        t.rules.spread = vec![
            spread(listed("node.labels.zone", outer), Domains::Seen, 0, false),
            spread(listed("node.labels.rack", inner), Domains::Seen, 0, false),
        ];
        world.ask(&t, 0..8);
        let places = world.places("web", 8);
        let on = |name| places.iter().filter(|place| *place == name).count();
        assert_eq!([on("n1"), on("n2"), on("n3")], [2, 2, 4]);
    }
}

#[test]
fn a_topology_spread_counts_domains_that_have_none_as_long_as_they_are_eligible() {
    for exact in BOTH {
        let mut world = racks(exact, &[("n1", "a"), ("n2", "b")]);
        world.attach(racked("n3", "c", 50));
        let mut t = terms("web", 100, 10);
        t.labels.insert("app".into(), "web".into());
        let tally = Tally {
            among: by_labels(&[("app", "web")]),
            ..Tally::of_workload("rack")
        };
        t.rules.spread = vec![spread(tally, Domains::Eligible, 0, true)];
        world.ask(&t, 0..4);
        // c is eligible and full: nobody may have more than one above its none
        assert_eq!(
            world.by_rack("web", 4),
            BTreeMap::from([("a".into(), 1), ("b".into(), 1), ("-".into(), 2)])
        );
        let mut elsewhere = t.clone();
        elsewhere.workload.version = "2".into();
        elsewhere.rules.required = vec![vec![Expr {
            op: plenum_model::rules::Op::NotIn,
            ..Expr::equals("rack", "c")
        }]];
        world.ask(&elsewhere, 4..6);
        assert!(world.places("web", 6)[4..].iter().all(|place| place != "-"));
        // the node leaves, and its domain with it
        world.silent.push(node_id("n3"));
        world.wait(60_000);
        world.step(Input::RemoveNode(node_id("n3"), "t".into()));
        assert!(world.places("web", 4).iter().all(|place| place != "-"));
    }
}

#[test]
fn few_domains_count_as_one_that_has_none() {
    for exact in BOTH {
        let mut world = racks(exact, &[("n1", "a"), ("n2", "b")]);
        let mut t = terms("web", 100, 10);
        t.rules.spread = vec![spread(Tally::of_workload("rack"), Domains::Eligible, 3, true)];
        world.ask(&t, 0..4);
        assert_eq!(world.by_rack("web", 4)["-"], 2);
        world.attach(racked("n3", "c", 4_000));
        assert_eq!(
            world
                .places("web", 4)
                .iter()
                .filter(|place| *place == "-")
                .count(),
            0
        );
    }
}

#[test]
fn a_pod_that_keeps_away_keeps_later_ones_away_too() {
    for exact in BOTH {
        let mut world = racks(exact, &[("n1", "a"), ("n2", "a"), ("n3", "b"), ("n4", "-")]);
        let mut quiet = terms("quiet", 100, 10);
        quiet.labels.insert("app".into(), "quiet".into());
        let tally = Tally {
            among: by_labels(&[("noise", "loud")]),
            ..Tally::of_workload("rack")
        };
        quiet.rules.affinity = vec![affinity(tally, true, true)];
        quiet.rules.required = vec![vec![Expr::equals("@node", "n1")]];
        // one of the loud was there before the rule, one comes after it
        let mut loud = terms("loud", 100, 10);
        loud.labels.insert("noise".into(), "loud".into());
        loud.rules.required = vec![vec![Expr::equals("@node", "n3")]];
        world.ask(&loud, 0..1);
        world.ask(&quiet, 0..1);
        loud.workload.uid = "late".into();
        loud.rules.required = vec![vec![Expr::equals("rack", "a")]];
        world.ask(&loud, 0..1);
        assert_eq!(world.places("late", 1), ["-"]);
        let verdicts = world.verdicts("late", 0);
        assert_eq!(verdicts[1].cause, Some(Cause::KeptAway("rack".into())));
        assert_eq!(verdicts[1].detail, "rack a has 1 that must be away from it");
        quiet.workload.uid = "calm".into();
        quiet.rules.required = vec![vec![Expr::equals("rack", "b")]];
        world.ask(&quiet, 0..1);
        assert_eq!(
            world.verdicts("calm", 0)[2].cause,
            Some(Cause::Away("rack".into()))
        );
        // it ends, and lets the other in
        world.end("quiet", 0);
        assert_ne!(world.places("late", 1), ["-"]);
    }
}

#[test]
fn a_pod_goes_where_those_it_must_be_near_to_are_and_waits_for_the_first() {
    for exact in BOTH {
        let mut world = racks(exact, &[("n1", "a"), ("n2", "b")]);
        let mut web = terms("web", 100, 10);
        let tally = Tally {
            among: by_labels(&[("app", "cache")]),
            ..Tally::of_workload("rack")
        };
        web.rules.affinity = vec![affinity(tally, false, true)];
        world.ask(&web, 0..2);
        assert_eq!(world.places("web", 2), ["-", "-"]);
        let mut cache = terms("cache", 100, 10);
        cache.labels.insert("app".into(), "cache".into());
        cache.rules.required = vec![vec![Expr::equals("@node", "n2")]];
        world.ask(&cache, 0..1);
        assert_eq!(world.places("web", 2), ["n2", "n2"]);
    }
}

#[test]
fn soft_affinities_choose_the_fullest_or_the_emptiest_domain() {
    for exact in BOTH {
        let mut world = racks(exact, &[("n1", "a"), ("n2", "b"), ("n3", "-")]);
        let mut cache = terms("cache", 100, 10);
        cache.labels.insert("app".into(), "cache".into());
        cache.rules.required = vec![vec![Expr::equals("@node", "n2")]];
        world.ask(&cache, 0..1);
        let tally = Tally {
            among: by_labels(&[("app", "cache")]),
            ..Tally::of_workload("rack")
        };
        let mut near = terms("near", 100, 10);
        near.rules.affinity = vec![affinity(tally.clone(), false, false)];
        world.ask(&near, 0..3);
        assert_eq!(world.places("near", 3), ["n2", "n2", "n2"]);
        let mut away = terms("away", 100, 10);
        away.rules.affinity = vec![affinity(tally, true, false)];
        world.ask(&away, 0..4);
        assert!(world.places("away", 4).iter().all(|place| place != "n2"));
    }
}

#[test]
fn labels_that_change_count_from_then_on() {
    for exact in BOTH {
        let mut world = racks(exact, &[("n1", "a")]);
        let plain = terms("plain", 100, 10);
        world.ask(&plain, 0..1);
        let mut shy = terms("shy", 100, 10);
        let tally = Tally {
            among: by_labels(&[("noise", "loud")]),
            ..Tally::of_workload("@node")
        };
        shy.rules.affinity = vec![affinity(tally, true, true)];
        world.relabel("plain", &[("noise", "loud")]);
        world.ask(&shy, 0..1);
        assert_eq!(world.places("shy", 1), ["-"]);
        world.relabel("plain", &[]);
        assert_eq!(world.places("shy", 1), ["n1"]);
    }
}

impl World {
    fn relabel(&mut self, app: &str, labels: &[(&str, &str)]) {
        let id = task_id("web", app, 0, 1);
        let amend = plenum_contract::broker::Amend {
            task: id,
            generation: self.view.task(id).unwrap().task.generation,
            change: plenum_model::claim::Amendment::Labels(
                labels
                    .iter()
                    .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                    .collect(),
            ),
        };
        let caller = self.caller("web");
        assert!(self.step(Input::Amend(caller, vec![amend])).refused().is_empty());
    }
}

#[test]
fn schedulers_do_not_count_each_others_tasks() {
    let mut world = racks(64, &[("n1", "a")]);
    let mut t = terms("web", 100, 10);
    t.rules.limits = vec![LimitPerKey {
        tally: Tally {
            among: by_labels(&[]),
            ..Tally::of_workload("@node")
        },
        max: 1,
    }];
    world.ask(&t, 0..2);
    let other = Seat::new(task_id("other", "web", 0, 1), "web.0", 0);
    world.claim("other", t, vec![other.clone()]);
    assert_eq!(world.places("web", 2), ["n1", "-"]);
    assert!(world.view.task(other.id).unwrap().on.is_some());
}

#[test]
fn a_node_that_moves_to_another_rack_takes_what_stands_there_along() {
    for exact in BOTH {
        let mut world = racks(exact, &[("n1", "a"), ("n2", "b")]);
        let mut t = terms("web", 100, 10);
        t.rules.limits = vec![LimitPerKey::of_workload("rack", 1)];
        world.ask(&t, 0..3);
        assert_eq!(world.by_rack("web", 3)["-"], 1);
        world.attach(racked("n2", "a", 4_000));
        world.attach(racked("n3", "b", 4_000));
        assert_eq!(world.places("web", 3)[2], "n3");
    }
}
