//! Random histories under random rules about other tasks. Whatever came before, nothing is placed that a rule
//! forbids at that moment (counted anew, task by task, from what readers are shown), and nobody waits for what
//! has become possible.

use crate::checker::Checker;
use crate::long::pool::labels;
use crate::world::{World, facts, node_id, seats, terms};
use plenum_broker::CoreConfig;
use plenum_broker::input::{Change, Held, Input, TaskEvent, What};
use plenum_contract::broker::Amend;
use plenum_contract::pool::TaskFilter;
use plenum_model::claim::{Amendment, Terms};
use plenum_model::ids::{NodeId, TaskId};
use plenum_model::node::{NodeFacts, Scheduling};
use plenum_model::phase::Phase;
use plenum_model::rules::{Affinity, Domains, Expr, LimitPerKey, Op as Test, Rules, Spread};
use plenum_model::tally::{Among, Scope, Tally};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Debug, Clone)]
enum Op {
    /// A node comes, or comes again with other attributes.
    Attach(u8, u8),
    Silence(u8),
    Second,
    Remove(u8),
    Scheduling(u8, bool),
    Claim {
        app: u8,
        slots: u8,
        rules: u16,
    },
    End(u16),
    Relabel(u16, u8),
    Forget(u16),
    Restart,
    Compact,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (0..7_u8, 0..8_u8).prop_map(|(n, a)| Op::Attach(n, a)),
        1 => (0..7_u8).prop_map(Op::Silence),
        1 => (0..7_u8).prop_map(Op::Remove),
        1 => (0..7_u8, any::<bool>()).prop_map(|(n, open)| Op::Scheduling(n, open)),
        6 => (0..5_u8, 1..6_u8, any::<u16>())
            .prop_map(|(app, slots, rules)| Op::Claim { app, slots, rules }),
        5 => any::<u16>().prop_map(Op::End),
        2 => (any::<u16>(), 0..4_u8).prop_map(|(t, l)| Op::Relabel(t, l)),
        1 => any::<u16>().prop_map(Op::Forget),
        1 => Just(Op::Restart),
        1 => Just(Op::Compact),
    ]
}

/// A node in one of three racks and two zones, or in none.
fn attributed(n: u8, a: u8) -> NodeFacts {
    let mut f = facts(&format!("n{n}"), 600 + 300 * u64::from(n % 3), 1_000);
    let mut say = |key: &str, value: &str| f.attributes.insert(key.into(), value.into());
    match a % 4 {
        0 => say("rack", "a"),
        1 => say("rack", "b"),
        2 => say("rack", "c"),
        _ => None,
    };
    if a < 6 {
        say("zone", if a < 3 { "x" } else { "y" });
    }
    f
}

fn tally(n: u16) -> Tally {
    let among = match n / 4 % 5 {
        0 => Among::default(),
        1 => Among {
            scope: Scope::Version,
            ..Among::default()
        },
        2 => Among::labelled(vec![Expr::equals("app", "web")]),
        3 => Among::labelled(vec![Expr {
            op: Test::Exists,
            values: Vec::new(),
            ..Expr::equals("tier", "")
        }]),
        _ => Among::labelled(Vec::new()),
    };
    let listed = (0..5).map(|i| (node_id(&format!("n{i}")), format!("group{}", i % 2)));
    let (key, nodes) = match n % 4 {
        0 => ("@node", BTreeMap::new()),
        1 => ("rack", BTreeMap::new()),
        2 => ("zone", BTreeMap::new()),
        _ => ("group", listed.collect()),
    };
    let key = key.to_owned();
    Tally { key, nodes, among }
}

fn rules(n: u16) -> Rules {
    let mut rules = Rules::default();
    let (which, rest) = (n % 8, n / 8);
    let tally = tally(rest);
    let hard = rest / 64 % 4 > 0;
    match which {
        0 | 1 => {
            rules.limits = vec![LimitPerKey {
                tally,
                max: 1 + u32::from(rest / 32 % 2),
            }]
        }
        2..=4 => {
            rules.spread = vec![Spread {
                tally,
                max_skew: 1 + u32::from(rest / 32 % 2),
                min_domains: u32::from(rest / 128 % 4),
                over: [Domains::Seen, Domains::Eligible, Domains::All][usize::from(which % 3)],
                hard,
            }];
        }
        5 | 6 => {
            rules.affinity = vec![Affinity {
                tally,
                away: which == 5,
                hard,
            }]
        }
        _ => rules.required = vec![vec![Expr::equals("rack", "a")]],
    }
    if rest / 512 % 3 == 0 {
        rules.required = vec![vec![Expr {
            op: Test::Exists,
            values: Vec::new(),
            ..Expr::equals("zone", "")
        }]];
    }
    rules
}

/// Who stands where, and how a placement is judged; it knows of the broker's own counts nothing.
#[derive(Default)]
struct Judge {
    full: BTreeMap<TaskId, (Arc<Terms>, NodeId)>,
    nodes: BTreeMap<NodeId, NodeFacts>,
}

impl Judge {
    fn of(world: &World) -> Self {
        let tasks = world.view.tasks(&TaskFilter::default()).tasks;
        let now = tasks.iter().filter_map(|task| world.view.task(task.id()));
        let full = now.filter(|now| now.held == Held::Full);
        Self {
            full: full
                .map(|now| {
                    (
                        now.task.id(),
                        (Arc::clone(&now.task.terms), now.on.clone().unwrap()),
                    )
                })
                .collect(),
            nodes: world
                .view
                .nodes()
                .iter()
                .map(|n| (n.facts.id.clone(), n.facts.clone()))
                .collect(),
        }
    }

    /// Goes through what one step placed, in its order.
    fn judge(&self, world: &World, changes: &[Change]) {
        let mut now = Self::of(world);
        let after = std::mem::take(&mut now.full);
        let stayed = after.iter().filter(|(id, _)| self.full.contains_key(id));
        now.full = stayed.map(|(id, at)| (*id, at.clone())).collect();
        for change in changes {
            let Change::Happened(happened) = change else {
                continue;
            };
            if let What::Task(TaskEvent::Placed, task, _) = &happened.what {
                let node = task.status.node.clone().unwrap();
                now.allows(&task.terms, &node);
                now.full.insert(task.id(), (Arc::clone(&task.terms), node));
            }
        }
    }

    fn counts(&self, own: &Terms, tally: &Tally) -> BTreeMap<String, u32> {
        let picked = tally.among.compile().unwrap();
        let mut counts = BTreeMap::new();
        for (terms, node) in self.full.values() {
            if picked.counts(&own.subject(), &terms.subject())
                && let Some(domain) = tally.domain(&self.nodes[node])
            {
                *counts.entry(domain.to_owned()).or_insert(0) += 1;
            }
        }
        counts
    }

    fn allows(&self, terms: &Terms, node: &NodeId) {
        let facts = &self.nodes[node];
        let here = |counts: &BTreeMap<String, u32>, tally: &Tally| {
            let domain = tally.domain(facts)?;
            Some(counts.get(domain).copied().unwrap_or(0))
        };
        for limit in &terms.rules.limits {
            let here = here(&self.counts(terms, &limit.tally), &limit.tally).expect("a node in a domain");
            assert!(here < limit.max, "{node} has {here} already: {limit:?}");
        }
        for rule in terms.rules.spread.iter().filter(|r| r.hard) {
            let counts = self.counts(terms, &rule.tally);
            let here = here(&counts, &rule.tally).expect("a node in a domain");
            self.even(terms, rule, &counts, here);
        }
        for rule in terms.rules.affinity.iter().filter(|r| r.hard) {
            let counts = self.counts(terms, &rule.tally);
            let picked = rule.tally.among.compile().unwrap();
            let itself = picked.counts(&terms.subject(), &terms.subject());
            match (here(&counts, &rule.tally), rule.away) {
                (None | Some(0), true) => {}
                (None, false) => panic!("{node} is in no domain: {rule:?}"),
                (Some(n), true) => panic!("{n} are at {node}: {rule:?}"),
                (Some(n), false) => assert!(n > 0 || (counts.is_empty() && itself), "{node}: {rule:?}"),
            }
        }
        for (other, at) in self.full.values() {
            for rule in other.rules.affinity.iter().filter(|r| r.hard && r.away) {
                let picked = rule.tally.among.compile().unwrap();
                let about = picked.counts(&other.subject(), &terms.subject());
                let (a, b) = (rule.tally.domain(&self.nodes[at]), rule.tally.domain(facts));
                assert!(
                    !about || a.is_none() || a != b,
                    "{at} keeps it away from {node}: {rule:?}"
                );
            }
        }
    }

    fn even(&self, terms: &Terms, rule: &Spread, counts: &BTreeMap<String, u32>, here: u32) {
        let domains: BTreeSet<&str> = match rule.over {
            Domains::Seen => counts.keys().map(String::as_str).collect(),
            Domains::All => self
                .nodes
                .values()
                .filter_map(|node| rule.tally.domain(node))
                .collect(),
            Domains::Eligible => {
                let passes = |node: &&NodeFacts| {
                    terms.rules.required.is_empty()
                        || terms.rules.required.iter().any(|all| {
                            all.iter()
                                .all(|e| e.compile().unwrap().matches(node.attribute(&e.key)))
                        })
                };
                let eligible = self.nodes.values().filter(passes);
                eligible.filter_map(|node| rule.tally.domain(node)).collect()
            }
        };
        let counted = domains.iter().map(|d| counts.get(*d).copied().unwrap_or(0));
        let mut fewest = counted.min().unwrap_or(0);
        if domains.len() < rule.min_domains as usize {
            fewest = 0;
        }
        let picked = rule.tally.among.compile().unwrap();
        let itself = u32::from(picked.counts(&terms.subject(), &terms.subject()));
        assert!(
            here + itself <= fewest + rule.max_skew,
            "{here} over {counts:?}: {rule:?}"
        );
    }
}

struct History {
    world: World,
    checker: Checker,
    claims: u64,
}

impl History {
    fn pick(&self, n: u16) -> Option<TaskId> {
        let tasks = self.checker.tasks();
        Some(tasks.get(usize::from(n) % tasks.len().max(1))?.task.id())
    }

    fn act(&mut self, op: Op) -> Vec<Change> {
        let node = |n: u8| node_id(&format!("n{n}"));
        match op {
            Op::Attach(n, a) => self.world.attach(attributed(n, a)).changes,
            Op::Silence(n) => {
                self.world.silent.push(node(n));
                Vec::new()
            }
            Op::Second => self.world.wait(1_000),
            Op::Remove(n) => self.world.step(Input::RemoveNode(node(n), "t".into())).changes,
            Op::Scheduling(n, open) => {
                let to = if open {
                    Scheduling::Open
                } else {
                    Scheduling::Cordoned
                };
                self.world
                    .step(Input::SetScheduling(node(n), to, "t".into()))
                    .changes
            }
            Op::Claim { app, slots, rules: n } => {
                let mut t = terms(&format!("app{app}"), 100 + 50 * u64::from(app), 10);
                t.workload.version = (n % 2).to_string();
                t.rules = rules(n);
                t.labels = labels(app);
                let name = format!("claim{}", self.claims);
                self.claims += 1;
                let seats = seats("web", &name, 0..u64::from(slots));
                let outcome = self.world.claim("web", t, seats);
                assert!(outcome.refused().is_empty(), "{:?}", outcome.refused());
                outcome.changes
            }
            Op::End(_) | Op::Relabel(..) | Op::Forget(_) => self.act_on_task(&op),
            Op::Restart => {
                let mut changes = self.world.restart().changes;
                let facts: Vec<_> = self.world.view.nodes().iter().map(|n| n.facts.clone()).collect();
                for facts in facts {
                    changes.extend(self.world.attach(facts).changes);
                }
                changes
            }
            Op::Compact => {
                self.world.compact();
                Vec::new()
            }
        }
    }

    fn act_on_task(&mut self, op: &Op) -> Vec<Change> {
        match *op {
            Op::End(n) => {
                let placed = self.checker.placed(&self.world.view);
                let Some((node, now)) = placed.get(usize::from(n) % placed.len().max(1)) else {
                    return Vec::new();
                };
                self.world
                    .observe(node, now.task.id(), now.task.restarts(), Phase::Finished)
                    .changes
            }
            Op::Relabel(n, l) => {
                let Some(task) = self.pick(n) else {
                    return Vec::new();
                };
                let generation = self.world.view.task(task).unwrap().task.generation;
                let change = Amendment::Labels(labels(l));
                let caller = self.world.caller("web");
                let amend = Amend {
                    task,
                    generation,
                    change,
                };
                self.world.step(Input::Amend(caller, vec![amend])).changes
            }
            Op::Forget(n) => {
                let Some(task) = self.pick(n) else {
                    return Vec::new();
                };
                let caller = self.world.caller("web");
                self.world.step(Input::Forget(caller, vec![task])).changes
            }
            _ => Vec::new(),
        }
    }
}

/// A node is removed only after it has been silent long enough.
fn steps(op: Op) -> Vec<Op> {
    let Op::Remove(n) = op else { return vec![op] };
    let mut steps = vec![Op::Silence(n)];
    steps.extend(std::iter::repeat_n(Op::Second, 35));
    steps.push(Op::Remove(n));
    steps
}

fn play(ops: Vec<Op>, exact_nodes: usize) {
    let mut history = History {
        world: World::with(CoreConfig {
            exact_nodes,
            ..CoreConfig::default()
        }),
        checker: Checker::default(),
        claims: 0,
    };
    for op in ops.into_iter().flat_map(steps) {
        let before = Judge::of(&history.world);
        let changes = history.act(op);
        if !changes.is_empty() {
            before.judge(&history.world, &changes);
            history.checker.see(&changes);
            history.checker.check(&history.world.view);
            history.checker.nobody_waits_in_vain(&history.world.view);
        }
    }
    let restored = history.world.restored();
    assert_eq!(restored.snapshot(), history.world.core.snapshot());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, ..ProptestConfig::default() })]

    #[test]
    fn rules_about_others_hold_where_each_node_is_looked_at(ops in proptest::collection::vec(op(), 1..60)) {
        play(ops, 64);
    }

    #[test]
    fn rules_about_others_hold_where_the_index_chooses(ops in proptest::collection::vec(op(), 1..60)) {
        play(ops, 0);
    }
}
