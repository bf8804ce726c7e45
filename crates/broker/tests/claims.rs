//! What is not honoured is refused by name, and refusing one task leaves the others of its batch alone.

use crate::world::{World, batch, facts, gang, node_id, seats, spec, terms};
use plenum_broker::CoreConfig;
use plenum_broker::input::{Answer, Denied, Input};
use plenum_contract::broker::RefusalReason;
use plenum_model::amounts::{Amounts, Resource};
use plenum_model::claim::{Budget, Desired, FileRef, HostPort, PortAsk, Terms};
use plenum_model::node::{RuntimeFacts, capability};
use plenum_model::phase::Phase;
use plenum_model::rules::{Domains, Expr, LimitPerKey, Op, Spread};
use plenum_model::spec::{Caps, Image, Network, Pull, RestartUnit, TaskSpec};
use plenum_model::tally::{Among, Tally};
use plenum_model::tenant::Tenant;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Change = fn(&mut Terms);

/// Each change makes terms that are refused at this field.
fn refused_at(reason: RefusalReason, table: &[(&str, Change)]) {
    let mut world = World::new();
    world.attach(facts("n1", 4_000, 4_000));
    for (field, change) in table {
        let mut t = terms("a", 100, 1);
        change(&mut t);
        let refused = world.claim("web", t, seats("web", "a", 0..2)).refused();
        assert_eq!(refused.len(), 2, "{field}");
        for r in refused {
            assert_eq!((r.field.as_str(), r.reason), (*field, reason), "{r}");
        }
    }
    assert!(
        world
            .claim("web", terms("a", 100, 1), seats("web", "a", 0..2))
            .refused()
            .is_empty()
    );
}

#[test]
fn each_thing_that_is_not_honoured_is_refused_by_its_name() {
    let table: &[(&str, Change)] = &[
        ("devices", |t| t.devices = BTreeMap::from([("gpu".into(), 1)])),
        ("desired", |t| t.desired = Desired::Stopped),
    ];
    refused_at(RefusalReason::NotSupported, table);
}

#[test]
fn what_makes_no_sense_is_refused_at_its_field() {
    let table: &[(&str, Change)] = &[
        ("budget.group", |t| {
            t.budget = Some(Budget {
                group: String::new(),
                min_healthy: 1,
            });
        }),
        ("priority.scope", |t| {
            t.priority.scope = Some("default/below".parse().unwrap());
        }),
        ("rules.spread.max_skew", |t| {
            t.rules.spread = vec![Spread {
                tally: Tally::of_workload("rack"),
                max_skew: 0,
                min_domains: 0,
                over: Domains::Seen,
                hard: true,
            }];
        }),
        ("rules", |t| {
            let tally = Tally {
                among: Among::labelled(vec![Expr {
                    op: Op::Regex,
                    ..Expr::equals("tier", "(")
                }]),
                ..Tally::of_workload("rack")
            };
            t.rules.limits = vec![LimitPerKey { tally, max: 1 }];
        }),
        ("rules", |t| {
            t.rules.required = vec![vec![Expr {
                op: Op::Regex,
                ..Expr::equals("rack", "(")
            }]];
        }),
        ("charge.slots", |t| t.charge.slots = 0),
        ("charge", |t| t.charge.memory_bytes = u64::MAX),
        ("tenant", |t| t.tenant = "a//b".parse().unwrap()),
        ("workload.uid", |t| t.workload.uid.clear()),
        ("files", |t| {
            t.files = vec![FileRef {
                key: "k".into(),
                revision: 1,
                target: "/run/../k".into(),
                mode: 0o400,
                secret: false,
                volume: None,
            }];
        }),
        ("ports", |t| {
            t.ports = vec![
                PortAsk {
                    host: HostPort::Fixed(80),
                    ..PortAsk::default()
                };
                2
            ];
        }),
        ("ports", |t| {
            t.ports = vec![PortAsk {
                host: HostPort::Fixed(0),
                ..PortAsk::default()
            }];
        }),
        ("spec", |t| t.spec = spec("never sent").id()),
    ];
    refused_at(RefusalReason::Invalid, table);
}

#[test]
fn one_refused_seat_leaves_the_others_alone_and_a_gang_is_refused_whole() {
    let mut world = World::new();
    let mut all = seats("web", "a", 0..3);
    all[1].replaces = Some(all[1].id);
    all.push(all[0].clone());
    let all_seats = all.clone();
    let refused = world.claim("web", terms("a", 100, 1), all).refused();
    let fields: Vec<_> = refused.iter().map(|r| r.field.as_str()).collect();
    assert_eq!(fields, ["id", "replaces"]);
    assert_eq!(world.core.counts().tasks, 2);

    let caller = world.caller("web");
    let mut members = seats("web", "g", 0..3);
    members[1].replaces = Some(all_seats[0].id);
    let refused = world
        .step(Input::Claim(
            caller.clone(),
            gang(terms("g", 100, 1), members.clone()),
        ))
        .refused();
    let fields: Vec<_> = refused.iter().map(|r| r.field.as_str()).collect();
    assert_eq!(fields, ["replaces", "all_or_nothing", "all_or_nothing"]);
    members[1].replaces = None;
    let part = gang(terms("g", 100, 1), members[..2].to_vec());
    assert!(
        world
            .step(Input::Claim(caller.clone(), part))
            .refused()
            .is_empty()
    );
    let refused = world
        .step(Input::Claim(caller.clone(), gang(terms("g", 100, 1), members)))
        .refused();
    assert_eq!(refused.len(), 1, "the gang was claimed without it: {refused:?}");
    let mut willing = terms("h", 100, 1);
    willing.may_preempt = true;
    let refused = world.step(Input::Claim(
        caller.clone(),
        gang(willing, seats("web", "h", 0..2)),
    ));
    assert!(refused.refused().iter().all(|r| r.field == "may_preempt"));
    let mut alone = batch(terms("alone", 100, 1), seats("web", "alone", 0..1));
    alone.all_or_nothing = true;
    assert!(
        world.step(Input::Claim(caller, alone)).refused().is_empty(),
        "one is all of itself"
    );
}

#[test]
fn a_session_that_was_replaced_is_fenced_in_every_verb() {
    let mut world = World::new();
    let stale = world.caller("web");
    let live = world.open(&stale.scheduler.clone());
    let inputs = [
        Input::Claim(stale.clone(), batch(terms("a", 1, 1), seats("web", "a", 0..1))),
        Input::Amend(stale.clone(), Vec::new()),
        Input::Release(stale.clone(), Vec::new(), None),
        Input::Forget(stale.clone(), Vec::new()),
        Input::Ack(stale.clone(), world.view.cursor()),
    ];
    for input in inputs {
        assert_eq!(world.step(input).answer, Some(Err(Denied::Fenced(stale.clone()))));
    }
    world.step(Input::Close(stale));
    assert_eq!(
        world.step(Input::Release(live, Vec::new(), None)).answer,
        Some(Ok(Answer::Done))
    );
}

/// Claims one task with this spec, and says where it went.
fn placed(world: &mut World, app: &str, spec: TaskSpec) -> Option<String> {
    let mut t = terms(app, 100, 1);
    t.spec = spec.id();
    let mut claim = batch(t, seats("web", app, 0..1));
    claim.specs.push(Arc::new(spec));
    let caller = world.caller("web");
    let outcome = world.step(Input::Claim(caller, claim));
    assert!(outcome.refused().is_empty(), "{:?}", outcome.refused());
    let task = &world.view.task(seats("web", app, 0..1)[0].id).unwrap().task;
    task.status.node.as_ref().map(ToString::to_string)
}

fn changed(change: impl FnOnce(&mut TaskSpec)) -> TaskSpec {
    let mut spec = TaskSpec::clone(&spec("process"));
    change(&mut spec);
    spec
}

#[test]
fn what_a_runtime_must_be_able_to_do_decides_and_what_it_should_prefers() {
    let limited = changed(|s| {
        s.containers[0].caps = Caps {
            memory_limit_bytes: Some(1 << 20),
            ..Caps::default()
        };
    });
    for strict_caps in [false, true] {
        let mut world = World::with(CoreConfig {
            strict_caps,
            ..CoreConfig::default()
        });
        world.attach(facts("plain", 4_000, 4_000));
        let there = placed(&mut world, "limited", limited.clone());
        assert_eq!(
            there.as_deref(),
            (!strict_caps).then_some("plain"),
            "best effort unless told otherwise"
        );
        let mut able = facts("able", 1_000, 1_000);
        let can = [
            capability::MEMORY_LIMIT,
            capability::BRIDGE,
            capability::USER,
            capability::IMAGES,
        ];
        let capabilities: BTreeSet<_> = can.iter().map(|c| (*c).to_owned()).collect();
        able.runtimes = BTreeMap::from([(
            "process".into(),
            RuntimeFacts {
                version: "1".into(),
                capabilities,
            },
        )]);
        world.attach(able);
        assert_eq!(
            placed(&mut world, "preferring", limited.clone()).as_deref(),
            Some("able")
        );
        let must = [
            changed(|s| s.network = Network::Bridge),
            changed(|s| s.containers[0].user = Some("nobody".into())),
            changed(|s| {
                s.containers[0].image = Some(Image {
                    reference: "x".into(),
                    pull: Pull::IfMissing,
                });
            }),
        ];
        for (app, spec) in ["bridge", "user", "image"].into_iter().zip(must) {
            assert_eq!(placed(&mut world, app, spec).as_deref(), Some("able"), "{app}");
        }
    }
}

#[test]
fn a_task_of_several_containers_goes_where_the_agent_runs_them_one_by_one() {
    let several = |change: fn(&mut TaskSpec)| {
        changed(|s| {
            let mut second = s.containers[0].clone();
            second.name = "second".into();
            s.containers.push(second);
            s.restart_unit = RestartUnit::Container;
            change(s);
        })
    };
    let mut world = World::new();
    let node = |name: &str, can: &[&str]| {
        let mut facts = facts(name, 1_000, 1_000);
        let capabilities = can.iter().map(|c| (*c).to_owned()).collect();
        let version = "1".into();
        facts.runtimes = BTreeMap::from([(
            "process".into(),
            RuntimeFacts {
                version,
                capabilities,
            },
        )]);
        facts
    };
    world.attach(node("old", &[capability::BRIDGE]));
    assert_eq!(
        placed(&mut world, "early", several(|_| {})),
        None,
        "an older agent would not know how"
    );
    world.attach(node("new", &[capability::CONTAINERS, capability::BRIDGE]));
    assert_eq!(
        placed(&mut world, "pair", several(|_| {})).as_deref(),
        Some("new")
    );
    let shared = several(|s| s.network = Network::Bridge);
    assert_eq!(
        placed(&mut world, "waits", shared.clone()),
        None,
        "no runtime shares an address"
    );
    world.attach(node(
        "able",
        &[capability::CONTAINERS, capability::SHARED_ADDRESS],
    ));
    assert_eq!(placed(&mut world, "shares", shared).as_deref(), Some("able"));
}

#[test]
fn a_spec_whose_parts_do_not_fit_is_refused() {
    type Change = fn(&mut TaskSpec);
    let mut world = World::new();
    let table: [(Change, &str); 2] = [
        (
            |s| s.containers.push(s.containers[0].clone()),
            "restart unit container",
        ),
        (
            |s| {
                s.restart_unit = RestartUnit::Container;
                s.containers.push(s.containers[0].clone());
            },
            "two containers",
        ),
    ];
    for (change, words) in table {
        let spec = changed(change);
        let mut t = terms("app", 100, 1);
        t.spec = spec.id();
        let mut claim = batch(t, seats("web", "app", 0..1));
        claim.specs.push(Arc::new(spec));
        let caller = world.caller("web");
        let refused = world.step(Input::Claim(caller, claim)).refused();
        assert_eq!((refused.len(), refused[0].reason), (1, RefusalReason::Invalid));
        assert!(refused[0].to_string().contains(words), "{}", refused[0]);
    }
}

#[test]
fn extended_resources_are_counted_like_the_others() {
    let mut world = World::new();
    let mut node = facts("n1", 4_000, 4_000);
    node.capacity.set(&Resource::Extended("licence".into()), 2);
    world.attach(node);
    let mut t = terms("a", 100, 1);
    t.charge.set(&Resource::Extended("licence".into()), 1);
    world.claim("web", t, seats("web", "a", 0..3));
    let waiting = world.view.task(seats("web", "a", 2..3)[0].id).unwrap();
    assert_eq!(
        waiting.task.status.why.as_ref().unwrap().to_string(),
        "1 node: 1 short of licence"
    );
    let first = seats("web", "a", 0..1)[0].id;
    world.observe(&node_id("n1"), first, 0, Phase::Finished);
    assert!(!world.view.task(seats("web", "a", 2..3)[0].id).unwrap().waits);
}

#[test]
fn a_tenant_that_would_not_be_kept_is_refused() {
    let mut world = World::new();
    let tenant = || Tenant::new("team".parse().unwrap());
    let table = [
        (
            "weight",
            Tenant {
                weight: 0,
                ..tenant()
            },
        ),
        (
            "guarantee",
            Tenant {
                guarantee: Amounts::task((1 << 48) + 1, 0, 0),
                ..tenant()
            },
        ),
        ("path", Tenant::new("/team".parse().unwrap())),
    ];
    for (name, tenant) in table {
        let answer = world.step(Input::SetTenant(tenant, "alice".into())).answer;
        let Some(Err(Denied::Refused { field, .. })) = answer else {
            panic!("{name}: {answer:?}")
        };
        assert_eq!(field, name);
    }
}

#[test]
fn what_an_agent_starts_without_a_charge_is_charged_or_stopped() {
    let mut world = World::new();
    world.attach(facts("n1", 1_000, 1_000));
    world.claim("web", terms("a", 800, 1), seats("web", "a", 0..1));
    let id = seats("web", "a", 0..1)[0].id;
    world.observe(&node_id("n1"), id, 0, Phase::Failed);
    world.observe(&node_id("n1"), id, 1, Phase::Running);
    assert_eq!(
        world.view.nodes()[0].free().cpu_millis,
        200,
        "there was room: it is charged again"
    );
    world.observe(&node_id("n1"), id, 1, Phase::Failed);
    world.claim("web", terms("b", 800, 1), seats("web", "b", 0..1));
    world.observe(&node_id("n1"), id, 2, Phase::Running);
    let (assignment, _) = world.view.assignment(&node_id("n1"), id).unwrap();
    assert_eq!(
        assignment.desired,
        Desired::Stopped,
        "there was none: it is stopped"
    );
}
