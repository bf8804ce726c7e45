//! A history: schedulers, agents and people who know only what they were told, and a broker between them.

use super::account::{Account, leaves};
use super::claims::ids;
use super::line::{Asked, Line, Rebuilt, Told};
use super::op::{Op, Rng, Turn};
use super::pool::{self, SCHEDULERS};
use super::seen::Seen;
use crate::world::{START, node_id};
use plenum_broker::CoreConfig;
use plenum_broker::input::{Answer, Attachment, Caller, Denied, Input, TaskNow};
use plenum_broker::view::View;
use plenum_contract::broker::{Amend, Hello};
use plenum_model::amounts::Amounts;
use plenum_model::claim::{Amendment, ClaimBatch, Desired};
use plenum_model::ids::{NodeId, TaskId};
use plenum_model::node::Scheduling;
use plenum_model::task::Observation;
use plenum_model::tenant::Tenant;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(crate) struct History {
    pub(crate) line: Line,
    pub(crate) account: Account,
    pub(crate) seen: Seen,
    view: View,
    strict_caps: bool,
    agents: BTreeMap<NodeId, (Attachment, u64)>,
    silent: BTreeSet<NodeId>,
    pub(super) sessions: [Option<Caller>; 3],
    /// Those that were taken over from.
    fenced: [Option<Caller>; 3],
    pub(super) claims: Vec<(usize, ClaimBatch)>,
    /// The claim by which a task came to be.
    pub(super) made_by: BTreeMap<TaskId, usize>,
    attachments: u64,
    seq: u64,
}

/// Tasks that there are at most when something is claimed: a pool and a queue that are full show no more when they are
/// larger, and cost more.
const MOST: usize = 40;

/// Milliseconds between two signs of life.
const BEAT: u64 = 4_000;

impl History {
    pub(crate) fn new(config: CoreConfig) -> Self {
        Self {
            strict_caps: config.strict_caps,
            line: Line::new(config, START),
            account: Account::default(),
            seen: Seen::default(),
            view: View::new(100, 100),
            agents: BTreeMap::new(),
            silent: BTreeSet::new(),
            sessions: [const { None }; 3],
            fenced: [const { None }; 3],
            claims: Vec::new(),
            made_by: BTreeMap::new(),
            attachments: 0,
            seq: 0,
        }
    }

    pub(crate) fn play(&mut self, turn: &Turn) {
        self.act(turn.op);
        self.line.persist(usize::from(turn.persist));
        let told = self.line.tell(usize::from(turn.tell));
        told.into_iter().for_each(|told| self.told(told));
    }

    pub(super) fn tell_all(&mut self) {
        self.line.persist(usize::MAX);
        let told = self.line.tell(usize::MAX);
        told.into_iter().for_each(|told| self.told(told));
    }

    /// Looks at all there is.
    pub(crate) fn check(&mut self) {
        self.tell_all();
        self.account.check_all(&self.view, self.strict_caps);
        let mut all = Vec::new();
        self.line.core.ledger().export(|change| all.push(change));
        self.account.assert_same(&Account::of(&all));
        self.line.check();
    }

    fn told(&mut self, told: Told) {
        let mut mine = Vec::new();
        if let (Asked::Claim(number), Some(Ok(Answer::Claimed(claimed)))) = (told.asked, &told.answer) {
            let (_, batch) = &self.claims[number];
            let ids: Vec<TaskId> = ids(batch).collect();
            if batch.all_or_nothing && claimed.refused.is_empty() {
                let whole = Arc::new(ids.clone());
                let mates = ids.iter().map(|id| (*id, Arc::clone(&whole)));
                self.account.gangs.extend(mates);
            }
            let known =
                |id: &TaskId| self.made_by.get(id) == Some(&number) && self.account.tasks.contains_key(id);
            mine = ids.into_iter().filter(known).collect();
        }
        self.account.see(&told.changes);
        for change in told.changes {
            self.seen.see(&change, |id| self.account.gangs.contains_key(&id));
            self.view.apply(change);
        }
        match (told.asked, told.answer) {
            (Asked::Claim(number), Some(answer)) => self.claimed(number, answer, &mine),
            (Asked::Session(at), Some(Ok(Answer::Opened(epoch)))) => {
                let scheduler = SCHEDULERS[at].parse().unwrap();
                let before = self.sessions[at].replace(Caller { scheduler, epoch });
                self.fenced[at] = before.or(self.fenced[at].take());
            }
            (Asked::Fenced, answer) => {
                let fenced = matches!(answer, Some(Err(Denied::Fenced(_))));
                assert!(fenced, "a session that was taken over from was heard: {answer:?}");
                self.seen.fenced += 1;
            }
            (Asked::Else | Asked::Claim(_) | Asked::Session(_), _) => {}
        }
    }

    /// The live session of a scheduler, opened if need be.
    pub(super) fn caller(&mut self, at: usize) -> Caller {
        if self.sessions[at].is_none() {
            self.open(at);
            self.tell_all();
        }
        self.sessions[at].clone().expect("a session was opened")
    }

    fn open(&mut self, at: usize) {
        let hello = Hello {
            scheduler: SCHEDULERS[at].parse().unwrap(),
            kind: "test".into(),
            api: (1, 1),
            watch_nodes: false,
        };
        self.line.step(Asked::Session(at), Input::Open(hello));
    }

    fn act(&mut self, op: Op) {
        let node = |n: u8| node_id(&format!("n{n}"));
        match op {
            Op::Attach { node, variant } => self.attach(pool::node(node, variant)),
            Op::Silence(n) => {
                self.silent.insert(node(n));
            }
            Op::Pass(quarters) => self.pass(u64::from(quarters) * 250),
            Op::Claim { .. } | Op::Pin { .. } | Op::Gang { .. } | Op::Replace { .. } | Op::Retry(_) => {
                if self.account.tasks.len() < MOST {
                    self.act_on_claims(op);
                } else {
                    self.make_way();
                }
            }
            Op::Release(n, grace) => self.of_task(n, |_, caller, now| {
                Input::Release(caller, vec![now.task.id()], grace.map(u64::from))
            }),
            Op::Forget(n) => {
                self.of_task(n, |_, caller, now| Input::Forget(caller, vec![now.task.id()]));
            }
            Op::Amend(n, what) => {
                self.of_task(n, |_, caller, now| Input::Amend(caller, vec![amend(now, what)]))
            }
            Op::Stop(n) => self.of_task(n, |_, _, now| Input::StopTask(now.task.id(), None, "t".into())),
            Op::Clean(n) => self.clean(usize::from(n)),
            Op::See { task, phase, later } => self.see(task, phase, later),
            Op::Obey(n) => self.obey(&node(n)),
            Op::Scheduling(n, to) => {
                let to = match to {
                    0 => Scheduling::Cordoned,
                    1 => Scheduling::Draining,
                    _ => Scheduling::Open,
                };
                self.line
                    .step(Asked::Else, Input::SetScheduling(node(n), to, "t".into()));
            }
            Op::Remove(n) => self
                .line
                .step(Asked::Else, Input::RemoveNode(node(n), "t".into())),
            Op::Limit(..) | Op::Guarantee { .. } => self.set_tenant(op),
            Op::Open(n) => self.open(usize::from(n)),
            Op::Close(_) | Op::Fenced(..) | Op::Ack(_) => self.act_on_session(op),
            Op::Compact => self.line.compact(),
            Op::Crash(more) => {
                self.line.persist(usize::from(more));
                let crash = self.line.crash();
                self.over_again(crash);
                for at in 0..SCHEDULERS.len() {
                    self.fenced[at] = self.sessions[at].take().or(self.fenced[at].take());
                }
                self.attach_again();
                self.seen.crashes += 1;
            }
            Op::Refuse(more) => {
                self.line.persist(usize::from(more));
                let refusal = self.line.refuse();
                self.over_again(refusal);
                self.attach_again();
            }
        }
    }

    /// What the log gave back is what was told and what was durable besides; nothing more, nothing less.
    fn over_again(&mut self, rebuilt: Rebuilt) {
        rebuilt.untold.into_iter().for_each(|told| self.told(told));
        let there = Account::of(&rebuilt.there);
        let mut view = View::new(100, 100);
        rebuilt.changes.into_iter().for_each(|change| view.apply(change));
        self.account.assert_same(&there);
        self.account = there.after(std::mem::take(&mut self.account));
        self.view = view;
        self.agents.clear();
    }

    fn attach(&mut self, facts: plenum_model::node::NodeFacts) {
        self.attachments += 1;
        let attachment = Attachment(self.attachments);
        self.agents.insert(facts.id.clone(), (attachment, self.line.now));
        self.silent.remove(&facts.id);
        let facts = Box::new(facts);
        self.line.step(Asked::Else, Input::Attach { facts, attachment });
    }

    /// After the broker came back most agents come, too.
    fn attach_again(&mut self) {
        let all: Vec<_> = self
            .account
            .nodes
            .values()
            .map(|book| Arc::clone(&book.now.facts))
            .collect();
        let late = usize::try_from(self.line.steps % 5).unwrap();
        for (_, facts) in all.iter().enumerate().filter(|(at, _)| *at != late) {
            self.attach(facts.as_ref().clone());
        }
    }

    /// Time passes; agents that are there and not silent give signs of life.
    fn pass(&mut self, mut millis: u64) {
        while millis > 0 {
            let part = millis.min(BEAT);
            millis -= part;
            self.line.now += part;
            let now = self.line.now;
            let due = |(node, (_, heard)): &(&NodeId, &mut (Attachment, u64))| {
                now - *heard >= BEAT && !self.silent.contains(*node)
            };
            for (node, (attachment, heard)) in self.agents.iter_mut().filter(due) {
                *heard = now;
                self.line
                    .step(Asked::Else, Input::Heard(node.clone(), *attachment));
            }
            self.line.step(Asked::Else, Input::Tick);
        }
    }

    /// A task that was told of, by number, and the session of its owner.
    fn of_task(&mut self, n: u16, input: impl FnOnce(&Self, Caller, &TaskNow) -> Input) {
        let all = &self.account.tasks;
        let Some(now) = all.values().nth(usize::from(n) % all.len().max(1)).cloned() else {
            return;
        };
        let at = SCHEDULERS
            .iter()
            .position(|name| *name == now.task.scheduler.as_str());
        let caller = self.caller(at.unwrap());
        let input = input(self, caller, &now);
        self.line.step(Asked::Else, input);
    }

    pub(super) fn clean(&mut self, at: usize) {
        let caller = self.caller(at);
        let theirs =
            self.account.tasks.values().filter(|now| {
                now.task.scheduler == caller.scheduler && now.task.status.phase().is_terminal()
            });
        let ids = theirs.map(|now| now.task.id()).collect();
        self.line.step(Asked::Else, Input::Forget(caller, ids));
    }

    fn act_on_session(&mut self, op: Op) {
        match op {
            Op::Close(at) => {
                if let Some(caller) = self.sessions[usize::from(at)].take() {
                    self.line.step(Asked::Else, Input::Close(caller));
                }
            }
            Op::Fenced(at, n) => {
                if let Some(caller) = self.fenced[usize::from(at)].clone() {
                    let id = self.account.tasks.keys().nth(usize::from(n) % 32).copied();
                    let input = Input::Release(caller, id.into_iter().collect(), None);
                    self.line.step(Asked::Fenced, input);
                }
            }
            _ => {
                let Op::Ack(at) = op else { return };
                let (caller, cursor) = (self.caller(usize::from(at)), self.view.cursor());
                self.line.step(Asked::Else, Input::Ack(caller, cursor));
            }
        }
    }

    fn set_tenant(&mut self, op: Op) {
        let (Op::Limit(n, _) | Op::Guarantee { tenant: n, .. }) = op else {
            return;
        };
        let path = pool::tenant(n);
        let known = self.account.tenants.get(&path).map(|book| book.tenant.clone());
        let mut tenant = known.unwrap_or_else(|| Tenant::new(path));
        match op {
            Op::Limit(_, cpu) => {
                tenant.limit = Amounts {
                    cpu_millis: u64::from(cpu) * 1_200,
                    slots: [0, 0, 0, 9][usize::from(cpu % 4)],
                    ..Amounts::default()
                };
            }
            Op::Guarantee { cpu, weight, .. } => {
                tenant.weight = u32::from(weight);
                tenant.guarantee = Amounts {
                    cpu_millis: u64::from(cpu) * 500,
                    memory_bytes: u64::from(cpu) << 30,
                    disk_bytes: u64::from(cpu) << 30,
                    ..Amounts::default()
                };
            }
            _ => return,
        }
        self.line.step(Asked::Else, Input::SetTenant(tenant, "t".into()));
    }

    /// An agent sees something of one of its tasks, plausible or not.
    fn see(&mut self, n: u16, phase: u8, later: u8) {
        let there: Vec<_> = self
            .account
            .tasks
            .values()
            .filter(|now| now.on.is_some())
            .collect();
        let Some(now) = there.get(usize::from(n) % there.len().max(1)) else {
            return;
        };
        let seen = super::seen::observation(now, n, phase, later);
        let node = now.on.clone().expect("it is there");
        self.observe(&node, vec![seen]);
    }

    /// An agent does all as it is told.
    fn obey(&mut self, node: &NodeId) {
        let there = self
            .account
            .tasks
            .values()
            .filter(|now| now.on.as_ref() == Some(node));
        let seen: Vec<_> = there.map(|now| super::seen::obeyed(now, leaves(now))).collect();
        self.observe(node, seen);
    }

    fn observe(&mut self, node: &NodeId, mut seen: Vec<Observation>) {
        let Some((attachment, heard)) = self.agents.get_mut(node) else {
            return;
        };
        *heard = self.line.now;
        let attachment = *attachment;
        for observation in &mut seen {
            self.seq += 1;
            (observation.seq.0, observation.at) = (self.seq, self.line.now);
        }
        self.line
            .step(Asked::Else, Input::Observed(node.clone(), attachment, seen));
    }
}

fn amend(now: &TaskNow, what: u8) -> Amend {
    let change = match what {
        0 | 1 => Amendment::Desired(Desired::Running),
        2 => Amendment::Desired(Desired::Stopped),
        3 => Amendment::Desired(Desired::Held { deadline_ms: 5_000 }),
        4 => Amendment::Charge(Amounts::task(1, 1, 1)),
        n => Amendment::Labels(pool::labels(n)),
    };
    Amend {
        task: now.task.id(),
        generation: now.task.generation,
        change,
    }
}

/// A history from its beginning to its end; what there is is looked at every so many turns. Says how many turns it has
/// come to.
pub(crate) fn play(seed: u64, turns: &[Turn], reached: &Cell<usize>) -> History {
    /// A look at all costs as much as many turns.
    const EVERY: usize = 64;
    let mut history = History::new(pool::config(&mut Rng::new(seed)));
    (0..4).for_each(|node| history.attach(pool::node(node, 0)));
    for (at, turn) in (1..).zip(turns) {
        reached.set(at);
        history.play(turn);
        if at % EVERY == 0 {
            history.check();
        }
    }
    history.check();
    history
}
