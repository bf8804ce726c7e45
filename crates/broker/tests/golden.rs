//! Transcripts: what is said to the core, and below each line, indented, what follows. They are read like a
//! protocol; `UPDATE=1 cargo test -p plenum-broker` writes them anew, and the diff is the review.

use crate::world::{MIB, START, World, facts, gang, node_id, seats, spec, task_id, terms};
use plenum_broker::input::{Answer, Change, Denied, Input, TaskNow};
use plenum_contract::broker::Amend;
use plenum_model::amounts::Amounts;
use plenum_model::claim::{
    Amendment, Budget, Desired, HostPort, LostAfter, Pin, PortAsk, Protocol, Seat, Terms,
};
use plenum_model::ids::{Cursor, TaskId};
use plenum_model::node::{NodeFacts, RuntimeFacts, Scheduling};
use plenum_model::phase::Phase;
use plenum_model::rules::{Affinity, Domains, Expr, LimitPerKey, Preference, Spread, Strategy};
use plenum_model::tally::{Among, Tally};
use plenum_model::tenant::Tenant;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

#[test]
fn every_transcript_says_what_the_core_does() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut names: Vec<_> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    names.sort();
    assert!(!names.is_empty());
    let mut stale = Vec::new();
    for path in names {
        let text = std::fs::read_to_string(&path).unwrap();
        let played = play(&text);
        if played != text {
            if std::env::var_os("UPDATE").is_some() {
                std::fs::write(&path, &played).unwrap();
            } else {
                stale.push(format!(
                    "{}:\n{}",
                    path.display(),
                    first_difference(&text, &played)
                ));
            }
        }
    }
    assert!(
        stale.is_empty(),
        "transcripts differ; UPDATE=1 writes them anew\n{}",
        stale.join("\n")
    );
}

fn first_difference(old: &str, new: &str) -> String {
    let mut lines = old.lines().zip(new.lines()).enumerate();
    match lines.find(|(_, (a, b))| a != b) {
        Some((n, (a, b))) => format!("line {}\n- {a}\n+ {b}", n + 1),
        None => "one ends before the other".to_owned(),
    }
}

fn play(text: &str) -> String {
    let mut stage = Stage {
        world: World::new(),
        names: BTreeMap::new(),
        nodes: BTreeMap::new(),
    };
    let mut out = String::new();
    for line in text.lines().filter(|l| !l.starts_with("  ")) {
        writeln!(out, "{line}").unwrap();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        for said in stage.act(line) {
            writeln!(out, "  {said}").unwrap();
        }
    }
    out
}

struct Stage {
    world: World,
    /// The scheduler and id of each task by name.
    names: BTreeMap<String, (String, TaskId)>,
    nodes: BTreeMap<String, NodeFacts>,
}

/// `key=value` words of a line.
struct Words<'a>(Vec<&'a str>);

impl<'a> Words<'a> {
    fn get(&self, key: &str) -> Option<&'a str> {
        self.0
            .iter()
            .find_map(|w| w.split_once('=').filter(|(k, _)| *k == key).map(|(_, v)| v))
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.get(key)
            .map(|v| v.parse().unwrap_or_else(|_| panic!("{key}={v} is no number")))
    }

    fn cpu(&self) -> u64 {
        self.get("cpu")
            .map_or(0, |v| (v.parse::<f64>().unwrap() * 1000.0).round() as u64)
    }

    fn seconds(&self, key: &str) -> Option<u64> {
        self.get(key)
            .map(|v| v.trim_end_matches('s').parse::<u64>().unwrap() * 1000)
    }
}

impl Stage {
    fn act(&mut self, line: &str) -> Vec<String> {
        let words: Vec<_> = line.split_whitespace().collect();
        let (verb, rest) = (words[0], Words(words[1..].to_vec()));
        let first = rest.0.first().copied().unwrap_or_default();
        let outcome = match verb {
            "node" => {
                let facts = node_facts(first, &rest);
                self.nodes.insert(first.to_owned(), facts.clone());
                self.world.attach(facts)
            }
            "silent" => {
                self.world.silent.push(node_id(first));
                return Vec::new();
            }
            "back" => self.world.attach(self.nodes[first].clone()),
            "wait" => {
                let seconds: u64 = first.trim_end_matches('s').parse().unwrap();
                let changes = self.world.wait(seconds * 1000);
                return self.told(&changes);
            }
            "claim" => self.claim(first, &rest),
            "release" => {
                let (caller, ids) = self.tasks_of(&rest);
                self.world
                    .step(Input::Release(caller, ids, rest.seconds("grace")))
            }
            "forget" => {
                let (caller, ids) = self.tasks_of(&rest);
                self.world.step(Input::Forget(caller, ids))
            }
            "amend" => self.amend(first, &rest),
            "observe" => {
                let id = self.names[first].1;
                let node = self
                    .world
                    .view
                    .task(id)
                    .unwrap()
                    .task
                    .status
                    .node
                    .clone()
                    .unwrap();
                let phase = Phase::ALL.into_iter().find(|p| p.as_str() == rest.0[1]).unwrap();
                let incarnation = rest.number("incarnation").unwrap_or(0);
                self.world.observe(&node, id, incarnation as u32, phase)
            }
            "cordon" => self.scheduling(first, Scheduling::Cordoned),
            "open" => self.scheduling(first, Scheduling::Open),
            "remove" => self.world.step(Input::RemoveNode(node_id(first), "alice".into())),
            "stop" => self.world.step(Input::StopTask(
                self.names[first].1,
                rest.seconds("grace"),
                "alice".into(),
            )),
            "tenant" => self.tenant(first, &rest),
            "ack" => {
                let caller = self.world.caller(first);
                let newest = self.world.view.cursor();
                self.world.step(Input::Ack(caller, newest.max(Cursor(1))))
            }
            "leave" => {
                let caller = self.world.caller(first);
                self.world.sessions.remove(&caller.scheduler);
                self.world.step(Input::Close(caller))
            }
            "restart" => self.world.restart(),
            "compact" => {
                self.world.compact();
                return Vec::new();
            }
            "show" => return self.show(first),
            "why" => return self.why(first),
            other => panic!("unknown word {other}"),
        };
        let mut said = answered(&outcome.answer, &self.names);
        said.extend(self.told(&outcome.changes));
        said
    }

    fn tenant(&mut self, path: &str, words: &Words<'_>) -> crate::world::Outcome {
        let limit = Amounts {
            cpu_millis: words.cpu(),
            memory_bytes: words.number("mem").unwrap_or(0) * MIB,
            slots: words.number("slots").unwrap_or(0),
            ..Amounts::default()
        };
        let guarantee = Amounts {
            cpu_millis: words.number("guarantee").unwrap_or(0) * 1000,
            memory_bytes: words.number("guarantee_mem").unwrap_or(0) * MIB,
            ..Amounts::default()
        };
        let weight = words.number("weight").unwrap_or(1) as u32;
        let tenant = Tenant {
            weight,
            guarantee,
            limit,
            ..Tenant::new(path.parse().unwrap())
        };
        self.world.step(Input::SetTenant(tenant, "alice".into()))
    }

    fn scheduling(&mut self, node: &str, to: Scheduling) -> crate::world::Outcome {
        self.world
            .step(Input::SetScheduling(node_id(node), to, "alice".into()))
    }

    fn claim(&mut self, app: &str, words: &Words<'_>) -> crate::world::Outcome {
        let scheduler = words.get("by").unwrap_or("web");
        let count = words.number("n").unwrap_or(1);
        let from = words.number("slot").unwrap_or(0);
        let attempt = words.number("attempt").unwrap_or(1) as u32;
        let pin = words.get("pin").map(|node| Pin {
            node: node_id(node),
            past_cordon: words.get("past_cordon").is_some(),
        });
        let name = |slot: u64| match attempt {
            1 => format!("{app}.{slot}"),
            n => format!("{app}.{slot}#{n}"),
        };
        let mut claimed: Vec<Seat> = seats(scheduler, app, from..from + count);
        for seat in &mut claimed {
            seat.id = task_id(scheduler, app, seat.slot, attempt);
            seat.name = name(seat.slot);
            seat.pin = pin.clone();
            seat.replaces = words
                .get("replaces")
                .map(|old| self.names[&format!("{old}.{}", seat.slot)].1);
            self.names
                .insert(seat.name.clone(), (scheduler.to_owned(), seat.id));
        }
        if words.get("gang").is_some() {
            let caller = self.world.caller(scheduler);
            let batch = gang(claim_terms(app, words), claimed);
            return self.world.step(Input::Claim(caller, batch));
        }
        self.world.claim(scheduler, claim_terms(app, words), claimed)
    }

    fn amend(&mut self, name: &str, words: &Words<'_>) -> crate::world::Outcome {
        let (scheduler, id) = self.names[name].clone();
        let change = match words.0[1] {
            "running" => Amendment::Desired(Desired::Running),
            "stopped" => Amendment::Desired(Desired::Stopped),
            "held" => Amendment::Desired(Desired::Held {
                deadline_ms: words.seconds("for").unwrap(),
            }),
            "charge" => Amendment::Charge(Amounts::task(words.cpu(), 0, 0)),
            label => {
                let (key, value) = label.split_once('=').unwrap();
                Amendment::Labels(BTreeMap::from([(key.to_owned(), value.to_owned())]))
            }
        };
        let generation = self
            .world
            .view
            .task(id)
            .map_or_else(Default::default, |now| now.task.generation);
        let caller = self.world.caller(&scheduler);
        self.world.step(Input::Amend(
            caller,
            vec![Amend {
                task: id,
                generation,
                change,
            }],
        ))
    }

    fn tasks_of(&mut self, words: &Words<'_>) -> (plenum_broker::input::Caller, Vec<TaskId>) {
        let named: Vec<_> = words
            .0
            .iter()
            .filter(|w| !w.contains('='))
            .map(|name| self.names[*name].clone())
            .collect();
        let caller = self.world.caller(&named[0].0);
        (caller, named.into_iter().map(|(_, id)| id).collect())
    }

    fn told(&self, changes: &[Change]) -> Vec<String> {
        let name = |id: &TaskId| name_of(&self.names, *id);
        changes
            .iter()
            .filter_map(|change| match change {
                Change::Task(now) => Some(task_line(now)),
                Change::Forgotten { task, .. } => Some(format!("{} forgotten", name(task))),
                Change::Assign { node, task } => {
                    let (a, _) = self.world.view.assignment(node, *task)?;
                    let grace = a
                        .grace_ms
                        .map_or(String::new(), |ms| format!(" grace {} s", ms / 1000));
                    let desired = match a.desired {
                        Desired::Held { .. } => "held",
                        Desired::Running => "running",
                        Desired::Stopped => "stopped",
                    };
                    Some(format!(
                        "{node} <- {} {desired} (generation {}){grace}",
                        name(task),
                        a.generation
                    ))
                }
                Change::Remove { node, task } => Some(format!("{node} <- remove {}", name(task))),
                Change::Node(_)
                | Change::NodeGone(_)
                | Change::Tenant(_)
                | Change::Scheduler { .. }
                | Change::Happened(_)
                | Change::Start(_) => None,
            })
            .collect()
    }

    fn show(&self, what: &str) -> Vec<String> {
        match what {
            "nodes" => {
                let line = |node: &std::sync::Arc<plenum_model::node::Node>| {
                    let free = node.free();
                    let tasks: u32 = node.tasks.values().sum();
                    let (id, cpu, memory) = (&node.facts.id, free.cpu_millis, free.memory_bytes / MIB);
                    format!(
                        "{id} {:?} {:?}: {tasks} tasks, free cpu {}.{} mem {memory}",
                        node.liveness,
                        node.scheduling,
                        cpu / 1000,
                        cpu % 1000 / 100,
                    )
                };
                self.world.view.nodes().iter().map(line).collect()
            }
            "tenants" => {
                let line = |t: &plenum_model::tenant::TenantUsage| {
                    let (used, pending) = (&t.used, &t.pending);
                    format!(
                        "{}: {} tasks, cpu {} m, mem {}, waiting for cpu {} m",
                        t.tenant.path,
                        t.tasks,
                        used.cpu_millis,
                        used.memory_bytes / MIB,
                        pending.cpu_millis
                    )
                };
                self.world.view.tenants().iter().map(line).collect()
            }
            "events" => {
                let timeline = self.world.view.timeline();
                let events = timeline.after(timeline.floor(), 100).unwrap();
                let line = |e: &plenum_model::event::Event| {
                    format!("{} {} by {}: {}", e.kind, e.object, e.actor, e.message)
                };
                events.iter().map(line).collect()
            }
            other => panic!("nothing to show of {other}"),
        }
    }

    fn why(&self, name: &str) -> Vec<String> {
        let explained = self.world.view.explain(self.names[name].1, false).unwrap();
        let Some(why) = explained.why else {
            return vec!["it does not wait".into()];
        };
        let mut lines = vec![format!("{why}; {} ahead", explained.ahead.tasks)];
        lines.extend(explained.block.map(|block| format!("blocks: {block}")));
        for verdict in explained.nodes {
            let cause = verdict
                .cause
                .map_or_else(|| "could take it".to_owned(), |c| c.to_string());
            let detail = if verdict.detail.is_empty() {
                String::new()
            } else {
                format!(" ({})", verdict.detail)
            };
            lines.push(format!("{}: {cause}{detail}", verdict.node));
        }
        lines.extend(explained.holders.iter().map(|(s, held)| {
            let held: Vec<_> = held.iter().map(|(r, n)| format!("{n} of {r}")).collect();
            format!("{s} holds {}", held.join(", "))
        }));
        lines.extend(explained.fix.map(|fix| format!("fix: {fix}")));
        lines
    }
}

fn name_of(names: &BTreeMap<String, (String, TaskId)>, id: TaskId) -> String {
    names
        .iter()
        .find(|(_, (_, known))| *known == id)
        .map_or_else(|| id.to_string(), |(n, _)| n.clone())
}

fn task_line(now: &TaskNow) -> String {
    let (task, status) = (&now.task, &now.task.status);
    let mut line = format!("{} {}", task.seat.name, status.phase());
    if status.progress.incarnation.0 > 0 {
        write!(line, " (incarnation {})", status.progress.incarnation).unwrap();
    }
    if let Some(node) = &status.node {
        write!(line, " on {node}").unwrap();
    }
    if !status.ports.is_empty() {
        write!(line, " ports {:?}", status.ports).unwrap();
    }
    if let Some(node) = &status.nominated {
        write!(line, " nominated {node}").unwrap();
    }
    if let Some(announced) = &status.preempting {
        let seconds = announced.deadline.saturating_sub(START) / 1000;
        write!(line, " preempting at {seconds} s").unwrap();
    }
    if status.unreachable {
        line.push_str(" unreachable");
    }
    if let Some(why) = &status.why {
        write!(line, " because {why}").unwrap();
    }
    if let Some(exit) = status.exit.as_ref().filter(|_| status.phase().is_terminal()) {
        write!(line, " ({:?} {})", exit.reason, exit.message).unwrap();
    }
    line.trim_end().replace(" )", ")")
}

fn answered(
    answer: &Option<Result<Answer, Denied>>,
    names: &BTreeMap<String, (String, TaskId)>,
) -> Vec<String> {
    let name = |id: TaskId| name_of(names, id);
    let refused = |r: &plenum_contract::broker::Refusal| {
        format!(
            "refused {} at {}: {:?}: {}",
            name(r.task),
            r.field,
            r.reason,
            r.why
        )
    };
    match answer {
        Some(Ok(Answer::Claimed(claimed))) => {
            let known = claimed.known.iter().map(|id| format!("known {}", name(*id)));
            known.chain(claimed.refused.iter().map(refused)).collect()
        }
        Some(Ok(Answer::Refused(all))) => all.iter().map(refused).collect(),
        Some(Err(denied)) => vec![format!("denied: {denied:?}")],
        Some(Ok(Answer::Opened(_) | Answer::Done | Answer::Attached { .. } | Answer::Acked { .. }))
        | None => Vec::new(),
    }
}

fn node_facts(name: &str, words: &Words<'_>) -> NodeFacts {
    let mut facts = facts(name, words.cpu(), words.number("mem").unwrap_or(100_000));
    for word in &words.0[1..] {
        let (key, value) = word.split_once('=').unwrap();
        match key {
            "cpu" | "mem" => {}
            "slots" => facts.capacity.slots = value.parse().unwrap(),
            "runtime" => {
                let (name, can) = value.split_once(':').unwrap_or((value, ""));
                let capabilities = can
                    .split('+')
                    .filter(|c| !c.is_empty())
                    .map(str::to_owned)
                    .collect();
                let runtime = RuntimeFacts {
                    version: "1".into(),
                    capabilities,
                };
                facts.runtimes = BTreeMap::from([(name.to_owned(), runtime)]);
            }
            "ports" => {
                let (low, high) = value.split_once('-').unwrap();
                (facts.ports.low, facts.ports.high) = (low.parse().unwrap(), high.parse().unwrap());
            }
            key => {
                facts.attributes.insert(key.to_owned(), value.to_owned());
            }
        }
    }
    facts
}

/// `even=KEY:SKEW`, `near=KEY` or `away=KEY` of the same workload, `away=KEY:LABEL:VALUE` of others.
fn relations(words: &Words<'_>, t: &mut Terms) {
    if let Some((key, value)) = words.get("label").and_then(|l| l.split_once(':')) {
        t.labels.insert(key.to_owned(), value.to_owned());
    }
    if let Some((key, skew)) = words.get("even").and_then(|even| even.split_once(':')) {
        t.rules.spread = vec![Spread {
            tally: Tally::of_workload(key),
            max_skew: skew.parse().unwrap(),
            min_domains: 0,
            over: Domains::Seen,
            hard: true,
        }];
    }
    for (word, away) in [("near", false), ("away", true)] {
        let Some(rule) = words.get(word) else { continue };
        let mut tally = Tally::of_workload(rule.split(':').next().unwrap());
        if let [_, label, value] = rule.split(':').collect::<Vec<_>>()[..] {
            tally.among = Among::labelled(vec![Expr::equals(label, value)]);
        }
        t.rules.affinity.push(Affinity {
            tally,
            away,
            hard: true,
        });
    }
}

fn claim_terms(app: &str, words: &Words<'_>) -> Terms {
    let mut t = terms(app, words.cpu(), words.number("mem").unwrap_or(0));
    if let Some(disk) = words.number("disk") {
        t.charge.disk_bytes = disk * MIB;
    }
    if let Some(tenant) = words.get("tenant") {
        t.tenant = tenant.parse().unwrap();
    }
    if let Some(seconds) = words.seconds("held") {
        t.desired = Desired::Held { deadline_ms: seconds };
    }
    match words.get("lost_after") {
        Some("never") => t.lost_after = LostAfter::Never,
        Some(_) => t.lost_after = LostAfter::Millis(words.seconds("lost_after").unwrap()),
        None => {}
    }
    t.rules.strategy = match words.get("strategy") {
        Some("pack") => Strategy::Pack,
        Some("random") => Strategy::Random,
        Some("spread") | None => Strategy::Spread,
        Some(other) => panic!("no strategy {other}"),
    };
    if let Some(rule) = words.get("rule") {
        let (key, value) = rule.split_once(':').unwrap();
        t.rules.required = vec![vec![Expr::equals(key, value)]];
    }
    if let Some(rule) = words.get("prefer") {
        let (key, value) = rule.split_once(':').unwrap();
        t.rules.preferred = vec![Preference {
            weight: 10,
            all: vec![Expr::equals(key, value)],
        }];
    }
    if let Some(limit) = words.get("most") {
        let (key, max) = limit.split_once(':').unwrap();
        let max = max.parse().unwrap();
        t.rules.limits = vec![LimitPerKey::of_workload(key, max)];
    }
    relations(words, &mut t);
    for port in words.get("ports").into_iter().flat_map(|p| p.split(',')) {
        let (port, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
        let host = if port == "any" {
            HostPort::Dynamic
        } else {
            HostPort::Fixed(port.parse().unwrap())
        };
        let protocol = if protocol == "udp" {
            Protocol::Udp
        } else {
            Protocol::Tcp
        };
        t.ports.push(PortAsk {
            host,
            protocol,
            ..PortAsk::default()
        });
    }
    if let Some(runtime) = words.get("runtime") {
        t.spec = spec(runtime).id();
    }
    t.keep_ended = words.number("keep").unwrap_or(0) as u32;
    if let Some(priority) = words.get("priority") {
        t.priority.value = priority.parse().unwrap();
    }
    t.may_preempt = words.get("preempts").is_some();
    t.budget = words
        .get("budget")
        .and_then(|b| b.split_once(':'))
        .map(|(group, least)| Budget {
            group: group.into(),
            min_healthy: least.parse().unwrap(),
        });
    t.priority.scope = words.get("scope").map(|path| path.parse().unwrap());
    t
}
