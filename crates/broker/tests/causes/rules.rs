//! Nodes as they are, and rules about them and about other tasks.

use super::{Blocks, Case, Row, as_user, pool, racked, x};
use crate::world::{World, facts, node_id, seats, terms};
use plenum_broker::input::Input;
use plenum_model::claim::Terms;
use plenum_model::node::{RuntimeFacts, Scheduling};
use plenum_model::rules::{Affinity, Domains, Expr, LimitPerKey, Op, Spread};
use plenum_model::taint::TaintChange;
use plenum_model::tally::{Among, Tally};
use plenum_model::why::Cause;

pub(super) fn rows() -> Vec<Row> {
    [states(), facts_of_nodes(), counts(), near_and_away()].concat()
}

fn required(expr: Expr) -> Terms {
    let mut t = x();
    t.rules.required = vec![vec![expr]];
    t
}

fn attribute(key: &str) -> Blocks {
    Blocks::Nodes(Cause::Attribute(key.into()))
}

fn states() -> Vec<Row> {
    vec![
        (
            "there are no nodes",
            || Case::new(pool(&[]), x()),
            Blocks::NoNodes,
        ),
        (
            "every node is cordoned",
            || {
                let mut world = pool(&[facts("n1", 1_000, 1_000)]);
                world.close("n1", Scheduling::Cordoned);
                Case::new(world, x())
            },
            Blocks::Nodes(Cause::Cordoned),
        ),
        (
            "the one that would do is drained",
            || {
                let mut world = pool(&[racked("n1", "a"), racked("n2", "b"), racked("n3", "a")]);
                world.close("n2", Scheduling::Draining);
                Case::new(world, required(Expr::equals("rack", "b")))
            },
            Blocks::Nodes(Cause::Cordoned),
        ),
        (
            "the only one is silent",
            || {
                let mut world = pool(&[facts("n1", 1_000, 1_000)]);
                world.silent.push(node_id("n1"));
                world.wait(20_000);
                Case::new(world, x())
            },
            Blocks::Nodes(Cause::Unreachable),
        ),
        (
            "a taint is not borne",
            || {
                let mut world = pool(&[facts("n1", 1_000, 1_000)]);
                let change = TaintChange {
                    set: vec!["gpu=a100:NoSchedule".parse().unwrap()],
                    remove: Vec::new(),
                };
                world.step(Input::Taint(node_id("n1"), change, "alice".into()));
                Case::new(world, x())
            },
            Blocks::Nodes(Cause::Taint("gpu".into())),
        ),
    ]
}

fn facts_of_nodes() -> Vec<Row> {
    vec![
        (
            "an attribute has another value",
            || Case::new(pool(&[racked("n1", "a")]), required(Expr::equals("rack", "b"))),
            attribute("rack"),
        ),
        (
            "an attribute is none of several",
            || {
                let several = Expr {
                    values: vec!["b".into(), "c".into()],
                    ..Expr::equals("rack", "")
                };
                Case::new(pool(&[racked("n1", "a")]), required(several))
            },
            attribute("rack"),
        ),
        (
            "no node has the attribute",
            || {
                let there = Expr {
                    op: Op::Exists,
                    values: Vec::new(),
                    ..Expr::equals("ssd", "")
                };
                Case::new(pool(&[facts("n1", 1_000, 1_000)]), required(there))
            },
            attribute("ssd"),
        ),
        (
            "an attribute is not large enough",
            || {
                let more = Expr {
                    op: Op::Greater,
                    ..Expr::equals("generation", "7")
                };
                let mut node = facts("n1", 1_000, 1_000);
                node.attributes.insert("generation".into(), "7".into());
                Case::new(pool(&[node]), required(more))
            },
            attribute("generation"),
        ),
        (
            "no node has the runtime",
            || {
                let mut node = facts("n1", 1_000, 1_000);
                node.runtimes = [("docker".to_owned(), RuntimeFacts::default())].into();
                Case::new(pool(&[node]), x())
            },
            Blocks::Nodes(Cause::Runtime("process".into())),
        ),
        (
            "no node can do what it needs",
            || {
                let spec = as_user().id();
                Case::new(pool(&[facts("n1", 1_000, 1_000)]), Terms { spec, ..x() })
            },
            Blocks::Nodes(Cause::Capability("user".into())),
        ),
    ]
}

/// One of its workload is placed before it.
fn beside_one(mut world: World, t: Terms) -> Case {
    world.claim("web", t.clone(), seats("web", "x", 1..2));
    Case::new(world, t)
}

fn one_per_rack(mut t: Terms) -> Terms {
    t.rules.limits = vec![LimitPerKey::of_workload("rack", 1)];
    t
}

fn even(mut t: Terms) -> Terms {
    t.rules.spread = vec![Spread {
        tally: Tally::of_workload("rack"),
        max_skew: 1,
        min_domains: 0,
        over: Domains::All,
        hard: true,
    }];
    t
}

fn counts() -> Vec<Row> {
    vec![
        (
            "the most per rack are there",
            || beside_one(pool(&[racked("n1", "a")]), one_per_rack(x())),
            Blocks::Nodes(Cause::LimitPerKey("rack".into())),
        ),
        (
            "the most are there, and it names that rack",
            || {
                let t = one_per_rack(required(Expr::equals("rack", "a")));
                beside_one(pool(&[racked("n1", "a")]), t)
            },
            Blocks::Nodes(Cause::LimitPerKey("rack".into())),
        ),
        (
            "it would be uneven, and the other rack is closed",
            || {
                let mut world = pool(&[racked("n1", "a"), racked("n2", "b")]);
                world.close("n2", Scheduling::Cordoned);
                beside_one(world, even(x()))
            },
            Blocks::Nodes(Cause::Spread("rack".into())),
        ),
        (
            "it would be uneven, and names the rack that has more",
            || {
                let world = pool(&[racked("n1", "a"), racked("n2", "b")]);
                beside_one(world, even(required(Expr::equals("rack", "a"))))
            },
            Blocks::Nodes(Cause::Spread("rack".into())),
        ),
    ]
}

fn affinity(app: &str, away: bool) -> Affinity {
    let tally = Tally {
        among: Among::labelled(vec![Expr::equals("app", app)]),
        ..Tally::of_workload("rack")
    };
    Affinity {
        tally,
        away,
        hard: true,
    }
}

fn labelled(app: &str, cpu_millis: u64) -> Terms {
    let mut t = terms(app, cpu_millis, 1);
    t.labels.insert("app".into(), app.into());
    t
}

fn beside(app: &str, away: bool) -> Terms {
    let mut t = x();
    t.rules.affinity = vec![affinity(app, away)];
    t
}

fn near_and_away() -> Vec<Row> {
    vec![
        (
            "where what it must be near to is there is no room",
            || {
                let mut world = pool(&[racked("n1", "a"), racked("n2", "b")]);
                for (app, cpu_millis) in [("db", 300), ("full", 600)] {
                    let mut t = labelled(app, cpu_millis);
                    t.rules.required = vec![vec![Expr::equals("rack", "a")]];
                    world.fill(app, &t, 1);
                }
                Case::new(world, beside("db", false))
            },
            Blocks::Nodes(Cause::Short(plenum_model::amounts::Resource::Cpu)),
        ),
        (
            "where what it must be near to is it may not go",
            || {
                let mut world = pool(&[racked("n1", "a"), racked("n2", "b")]);
                let mut db = labelled("db", 100);
                db.rules.required = vec![vec![Expr::equals("rack", "a")]];
                world.fill("db", &db, 1);
                let mut t = beside("db", false);
                t.rules.required = vec![vec![Expr::equals("rack", "b")]];
                Case::new(world, t)
            },
            Blocks::Nodes(Cause::Near("rack".into())),
        ),
        (
            "what it must be near to is nowhere",
            || Case::new(pool(&[racked("n1", "a")]), beside("db", false)),
            Blocks::Nodes(Cause::Near("rack".into())),
        ),
        (
            "what it must be away from is everywhere",
            || {
                let mut world = pool(&[racked("n1", "a")]);
                world.fill("loud", &labelled("loud", 100), 1);
                Case::new(world, beside("loud", true))
            },
            Blocks::Nodes(Cause::Away("rack".into())),
        ),
        (
            "others must be away from it",
            || {
                let mut world = pool(&[racked("n1", "a")]);
                let mut quiet = terms("quiet", 100, 1);
                quiet.rules.affinity = vec![affinity("x", true)];
                world.fill("quiet", &quiet, 1);
                let mut t = x();
                t.labels.insert("app".into(), "x".into());
                Case::new(world, t)
            },
            Blocks::Nodes(Cause::KeptAway("rack".into())),
        ),
    ]
}
