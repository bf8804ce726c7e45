//! The simulated broker process: the real core, a log in memory, group commits that take time, and the view
//! that is handed out of what is durable. It can be killed before and after a commit.

use crate::checker::Checker;
use crate::queue::{AgentEvent, BrokerEvent, EPOCH, Event, Life, Link, Queue, Request, SchedulerEvent};
use crate::scheduler::Names;
use plenum_broker::decide::Core;
use plenum_broker::input::{Answer, Attachment, Caller, Change, Denied, Effects, Input, TaskNow};
use plenum_contract::broker::{WatchBatch, WatchEvent, WatchPart};
use plenum_contract::dispatcher::{AgentMessage, Assignment, Assignments, BrokerMessage};
use plenum_model::ids::{Cursor, LeaderEpoch, NodeId, SchedulerId, SessionEpoch, SpecId, TaskId};
use plenum_model::node::NodeFacts;
use plenum_model::phase::Phase;
use plenum_sdk::calls::Reply;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Commits after which the log is replaced by a snapshot.
const SNAPSHOT_EVERY: u32 = 200;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct SimBroker {
    log: Vec<Vec<u8>>,
    snapshot: Option<Vec<u8>>,
    epoch: u64,
    process: Option<Process>,
    dies: Option<Death>,
}

/// When the broker dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    /// What was decided is lost.
    BeforeCommit,
    /// What was decided is durable and nobody was told.
    AfterCommit,
    /// Everybody was told and the disk lied: nothing is durable.
    Forgetful,
}

#[derive(Debug)]
struct Process {
    life: Life,
    core: Core,
    staged: Vec<Staged>,
    committing: bool,
    commits: u32,
    view: View,
    agents: BTreeMap<NodeId, AgentLink>,
    sessions: BTreeMap<SchedulerId, SessionLink>,
    ticking: Option<u64>,
}

#[derive(Debug)]
struct AgentLink {
    index: usize,
    link: Link,
    /// Specs sent on this attachment; none: it has not been welcomed.
    sent: Option<BTreeSet<SpecId>>,
}

#[derive(Debug)]
struct SessionLink {
    index: usize,
    link: Link,
    epoch: Option<SessionEpoch>,
}

/// A step that waits to be durable.
#[derive(Debug)]
struct Staged {
    record: Vec<u8>,
    effects: Effects,
    asker: Asker,
}

#[derive(Debug, Clone)]
enum Asker {
    Nobody,
    Agent(NodeId, Link),
    Scheduler(SchedulerId, Link),
}

/// What readers see: durable facts only.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) tasks: BTreeMap<TaskId, TaskNow>,
    pub(crate) nodes: BTreeMap<NodeId, Arc<NodeFacts>>,
    /// What shall be on each node.
    pub(crate) placed: BTreeMap<NodeId, BTreeSet<TaskId>>,
    cursor: Cursor,
}

impl SimBroker {
    pub(crate) fn view(&self) -> Option<&View> {
        self.process.as_ref().map(|p| &p.view)
    }

    /// The broker dies at its next commit.
    pub(crate) fn doom(&mut self, death: Death) {
        self.dies = Some(death);
    }

    pub(crate) fn calm(&mut self) {
        self.dies = None;
    }

    pub(crate) fn is_up(&self) -> bool {
        self.process.is_some()
    }

    pub(crate) fn kill(&mut self, queue: &mut Queue) {
        let Some(process) = self.process.take() else {
            return;
        };
        self.dies = None;
        for agent in process.agents.into_values() {
            queue.send(
                agent.link,
                false,
                Event::Agent(agent.index, AgentEvent::Cut(agent.link)),
            );
        }
        for session in process.sessions.into_values() {
            let cut = SchedulerEvent::Cut(session.link);
            queue.send(session.link, false, Event::Scheduler(session.index, cut));
        }
        let pause = queue.rng.between(50, 8_000);
        queue.after(pause, Event::Broker(BrokerEvent::Start));
    }

    pub(crate) fn happen(
        &mut self,
        queue: &mut Queue,
        names: &Names,
        checker: &mut Checker,
        event: BrokerEvent,
    ) {
        match event {
            BrokerEvent::Start => self.start(queue, checker),
            BrokerEvent::Commit(life) => self.commit(queue, checker, life),
            BrokerEvent::Tick(life) => {
                if let Some(process) = self.process.as_mut().filter(|p| p.life == life) {
                    process.ticking = None;
                    process.step(queue, Input::Tick, Asker::Nobody);
                }
            }
            BrokerEvent::Tenant(tenant) => match self.process.as_mut() {
                Some(process) => {
                    process.step(queue, Input::SetTenant(tenant, "user".to_owned()), Asker::Nobody);
                }
                None => queue.after(1_000, Event::Broker(BrokerEvent::Tenant(tenant))),
            },
            BrokerEvent::Dialled {
                agent,
                link,
                facts,
                epoch,
            } => {
                match self.process.as_mut() {
                    // It obeyed a newer leader: this one must not lead it.
                    Some(process) if epoch.0 <= self.epoch => process.dialled(queue, agent, link, facts),
                    Some(_) | None => {
                        queue.send(link, false, Event::Agent(agent, AgentEvent::Cut(link)));
                    }
                }
            }
            BrokerEvent::Told(agent, link, message) => {
                if let Some(process) = self.process.as_mut() {
                    process.told(queue, agent, link, message);
                }
            }
            BrokerEvent::Opened { scheduler, link } => match self.process.as_mut() {
                Some(process) => process.open(queue, names, scheduler, link),
                None => {
                    queue.send(
                        link,
                        false,
                        Event::Scheduler(scheduler, SchedulerEvent::Cut(link)),
                    );
                }
            },
            BrokerEvent::Called {
                scheduler,
                link,
                request,
            } => {
                if let Some(process) = self.process.as_mut() {
                    process.called(queue, names, scheduler, link, request);
                }
            }
            BrokerEvent::Hung { scheduler, link } => {
                if let Some(process) = self.process.as_mut() {
                    process.hung(queue, names, scheduler, link);
                }
            }
        }
    }

    fn start(&mut self, queue: &mut Queue, checker: &mut Checker) {
        if self.process.is_some() {
            return;
        }
        let mut view = View::default();
        let restored = Core::restore(
            queue.config.clone(),
            self.snapshot.as_deref(),
            &self.log,
            |change| {
                view.apply(&change);
            },
        );
        let core = match restored {
            Ok(core) => core,
            Err(e) => {
                checker.violated(queue.now, format!("the log does not read back: {e:?}"));
                return;
            }
        };
        checker.restarted(queue.now, &view);
        self.epoch += 1;
        let mut process = Process {
            life: queue.number(),
            core,
            staged: Vec::new(),
            committing: false,
            commits: 0,
            view,
            agents: BTreeMap::new(),
            sessions: BTreeMap::new(),
            ticking: None,
        };
        process.step(queue, Input::Lead(LeaderEpoch(self.epoch)), Asker::Nobody);
        self.process = Some(process);
    }

    fn commit(&mut self, queue: &mut Queue, checker: &mut Checker, life: Life) {
        if self.process.as_ref().is_none_or(|p| p.life != life) {
            return;
        }
        if self.dies == Some(Death::BeforeCommit) {
            self.kill(queue);
            return;
        }
        let Some(process) = self.process.as_mut() else {
            return;
        };
        process.committing = false;
        let staged = std::mem::take(&mut process.staged);
        let lies = self.dies == Some(Death::Forgetful);
        for step in &staged {
            if !step.effects.facts.is_empty() && !lies {
                self.log.push(step.record.clone());
            }
        }
        if self.dies == Some(Death::AfterCommit) {
            self.kill(queue);
            return;
        }
        process.commits += 1;
        if process.commits >= SNAPSHOT_EVERY {
            process.commits = 0;
            self.snapshot = Some(process.core.snapshot());
            self.log.clear();
        }
        for step in staged {
            process.tell(queue, checker, step, LeaderEpoch(self.epoch));
        }
        checker.committed(queue.now, &process.view);
        if lies {
            self.kill(queue);
        }
    }
}

impl Process {
    fn step(&mut self, queue: &mut Queue, input: Input, asker: Asker) {
        let mut effects = Effects::default();
        self.core.step(EPOCH + queue.now, input, &mut effects);
        let record = if effects.facts.is_empty() {
            Vec::new()
        } else {
            self.core.record(&effects.facts)
        };
        self.staged.push(Staged {
            record,
            effects,
            asker,
        });
        if !self.committing {
            self.committing = true;
            let ms = queue.rng.between(1, 3);
            queue.after(ms, Event::Broker(BrokerEvent::Commit(self.life)));
        }
        let timer = self
            .core
            .next_timer()
            .map_or(u64::MAX, |at| at.saturating_sub(EPOCH));
        let at = timer.min(queue.now + 500).max(queue.now + 1);
        if self.ticking.is_none_or(|t| t > at || t < queue.now) {
            self.ticking = Some(at);
            queue.at(at, Event::Broker(BrokerEvent::Tick(self.life)));
        }
    }

    fn dialled(&mut self, queue: &mut Queue, index: usize, link: Link, facts: Box<NodeFacts>) {
        let node = facts.id.clone();
        let old = self.agents.insert(
            node.clone(),
            AgentLink {
                index,
                link,
                sent: None,
            },
        );
        if let Some(old) = old {
            queue.send(
                old.link,
                false,
                Event::Agent(old.index, AgentEvent::Cut(old.link)),
            );
        }
        let attachment = Attachment(link);
        self.step(
            queue,
            Input::Attach { facts, attachment },
            Asker::Agent(node, link),
        );
    }

    fn told(&mut self, queue: &mut Queue, index: usize, link: Link, message: AgentMessage) {
        let found = self
            .agents
            .iter()
            .find(|(_, a)| a.index == index && a.link == link);
        let Some((node, _)) = found else { return };
        let node = node.clone();
        let attachment = Attachment(link);
        let input = match message {
            AgentMessage::Heartbeat => Input::Heard(node.clone(), attachment),
            AgentMessage::Facts(facts) => Input::Facts(facts, attachment),
            AgentMessage::Observed(seen) => Input::Observed(node.clone(), attachment, seen),
        };
        self.step(queue, input, Asker::Agent(node, link));
    }

    fn open(&mut self, queue: &mut Queue, names: &Names, index: usize, link: Link) {
        let hello = names.hello(index);
        let id = hello.scheduler.clone();
        // The simulation has no stand-by: whoever dials takes over.
        if let Some(old) = self.sessions.remove(&id) {
            queue.send(
                old.link,
                false,
                Event::Scheduler(old.index, SchedulerEvent::Cut(old.link)),
            );
        }
        self.sessions.insert(
            id.clone(),
            SessionLink {
                index,
                link,
                epoch: None,
            },
        );
        self.step(queue, Input::Open(hello), Asker::Scheduler(id, link));
    }

    fn caller(&self, names: &Names, index: usize, link: Link) -> Option<Caller> {
        let scheduler = names.hello(index).scheduler;
        let session = self.sessions.get(&scheduler).filter(|s| s.link == link)?;
        Some(Caller {
            epoch: session.epoch?,
            scheduler,
        })
    }

    fn called(&mut self, queue: &mut Queue, names: &Names, index: usize, link: Link, request: Request) {
        let Some(caller) = self.caller(names, index, link) else {
            return;
        };
        let asker = Asker::Scheduler(caller.scheduler.clone(), link);
        let (input, asker) = match request {
            Request::Amend(changes) => (Input::Amend(caller, changes), asker),
            Request::Claim(batch) => (Input::Claim(caller, batch), asker),
            Request::Release(ids, grace) => (Input::Release(caller, ids, grace), asker),
            Request::Forget(ids) => (Input::Forget(caller, ids), asker),
            Request::Ack(cursor) => (Input::Ack(caller, cursor), Asker::Nobody),
        };
        self.step(queue, input, asker);
    }

    fn hung(&mut self, queue: &mut Queue, names: &Names, index: usize, link: Link) {
        if let Some(caller) = self.caller(names, index, link) {
            self.sessions.remove(&caller.scheduler);
            self.step(queue, Input::Close(caller), Asker::Nobody);
        }
    }

    /// Hands out what a durable step decided.
    fn tell(&mut self, queue: &mut Queue, checker: &mut Checker, step: Staged, epoch: LeaderEpoch) {
        let mut deltas: BTreeMap<NodeId, Assignments> = BTreeMap::new();
        for change in &step.effects.changes {
            checker.changed(queue.now, change);
            self.view.apply(change);
        }
        for change in step.effects.changes {
            match change {
                Change::Assign { node, task } => {
                    if let Some(assignment) = self.view.assignment(task) {
                        deltas.entry(node).or_default().assign.push(assignment);
                    }
                }
                Change::Remove { node, task } => deltas.entry(node).or_default().remove.push(task),
                Change::Task(now) => {
                    let scheduler = now.task.scheduler.clone();
                    self.news(queue, &scheduler, now.cursor, WatchEvent::Task(now.task));
                }
                Change::Forgotten {
                    cursor,
                    scheduler,
                    task,
                } => {
                    self.news(queue, &scheduler, cursor, WatchEvent::Forgotten(task));
                }
                Change::Start(_)
                | Change::Node(_)
                | Change::NodeGone(_)
                | Change::Tenant(_)
                | Change::Scheduler { .. }
                | Change::Happened(_) => {}
            }
        }
        for (node, delta) in deltas {
            self.assign(queue, &node, delta, epoch);
        }
        self.answer(queue, step.effects.answer, step.asker, epoch);
    }

    fn news(&mut self, queue: &mut Queue, scheduler: &SchedulerId, cursor: Cursor, event: WatchEvent) {
        if let Some(session) = self.sessions.get(scheduler).filter(|s| s.epoch.is_some()) {
            let batch = WatchBatch {
                cursor,
                part: WatchPart::Delta,
                events: vec![event],
            };
            let news = SchedulerEvent::News(session.link, batch);
            queue.send(session.link, false, Event::Scheduler(session.index, news));
        }
    }

    fn assign(&mut self, queue: &mut Queue, node: &NodeId, mut batch: Assignments, epoch: LeaderEpoch) {
        let Some(agent) = self.agents.get_mut(node) else {
            return;
        };
        let Some(sent) = agent.sent.as_mut() else { return };
        batch.epoch = epoch;
        for assignment in &batch.assign {
            let spec = assignment.terms.spec;
            if sent.insert(spec)
                && let Some(now) = self.view.tasks.get(&assignment.seat.id)
            {
                batch.specs.push(Arc::clone(&now.spec));
            }
        }
        let message = AgentEvent::Told(agent.link, BrokerMessage::Assignments(batch));
        queue.send(agent.link, false, Event::Agent(agent.index, message));
    }

    fn answer(
        &mut self,
        queue: &mut Queue,
        answer: Option<Result<Answer, Denied>>,
        asker: Asker,
        epoch: LeaderEpoch,
    ) {
        match (asker, answer) {
            (Asker::Nobody, _) | (_, None) => {}
            (Asker::Agent(node, link), Some(answer)) => self.answer_agent(queue, &node, link, answer, epoch),
            (Asker::Scheduler(id, link), Some(answer)) => self.answer_scheduler(queue, &id, link, answer),
        }
    }

    fn answer_agent(
        &mut self,
        queue: &mut Queue,
        node: &NodeId,
        link: Link,
        answer: Result<Answer, Denied>,
        epoch: LeaderEpoch,
    ) {
        let Some(agent) = self.agents.get_mut(node).filter(|a| a.link == link) else {
            return;
        };
        let index = agent.index;
        match answer {
            Ok(Answer::Attached { .. }) => {
                agent.sent = Some(BTreeSet::new());
                let welcome = BrokerMessage::Welcome {
                    epoch,
                    lease_ms: queue.config.lease_ms,
                };
                queue.send(link, false, Event::Agent(index, AgentEvent::Told(link, welcome)));
                let placed = self.view.placed.get(node).into_iter().flatten();
                let assign = placed.filter_map(|id| self.view.assignment(*id)).collect();
                let full = Assignments {
                    full: true,
                    assign,
                    ..Assignments::default()
                };
                self.assign(queue, node, full, epoch);
            }
            Ok(Answer::Acked { seq, .. }) => {
                let acked = AgentEvent::Told(link, BrokerMessage::Acked(seq));
                queue.send(link, false, Event::Agent(index, acked));
            }
            Ok(_) => {}
            Err(_) => {
                self.agents.remove(node);
                queue.send(link, false, Event::Agent(index, AgentEvent::Cut(link)));
            }
        }
    }

    fn answer_scheduler(
        &mut self,
        queue: &mut Queue,
        id: &SchedulerId,
        link: Link,
        answer: Result<Answer, Denied>,
    ) {
        let Some(session) = self.sessions.get_mut(id).filter(|s| s.link == link) else {
            return;
        };
        let index = session.index;
        let event = match answer {
            Ok(Answer::Opened(epoch)) => {
                session.epoch = Some(epoch);
                queue.send(link, false, Event::Scheduler(index, SchedulerEvent::Opened(link)));
                let tasks = self.view.tasks.values().map(|now| &now.task);
                let events = tasks
                    .filter(|t| t.scheduler == *id)
                    .cloned()
                    .map(WatchEvent::Task)
                    .collect();
                let cursor = self.view.cursor;
                SchedulerEvent::News(
                    link,
                    WatchBatch {
                        cursor,
                        part: WatchPart::SnapshotEnd,
                        events,
                    },
                )
            }
            Ok(Answer::Claimed(claimed)) => SchedulerEvent::Reply(link, Ok(Reply::Claimed(claimed))),
            Ok(Answer::Refused(refused)) => SchedulerEvent::Reply(link, Ok(Reply::Refused(refused))),
            Ok(Answer::Done) => SchedulerEvent::Reply(link, Ok(Reply::Released)),
            Ok(Answer::Attached { .. } | Answer::Acked { .. }) => return,
            Err(denied) => SchedulerEvent::Reply(link, Err(format!("{denied:?}"))),
        };
        queue.send(link, false, Event::Scheduler(index, event));
    }
}

impl View {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Start(cursor) => {
                *self = Self {
                    cursor: *cursor,
                    ..Self::default()
                }
            }
            Change::Task(now) => {
                self.cursor = self.cursor.max(now.cursor);
                let id = now.task.id();
                let old = self.tasks.insert(id, now.clone());
                if let Some(node) = old.and_then(|o| o.task.status.node.clone()) {
                    self.lift(&node, id);
                }
                if let Some(node) = &now.task.status.node
                    && now.task.status.phase() != Phase::Lost
                {
                    self.placed.entry(node.clone()).or_default().insert(id);
                }
            }
            Change::Forgotten { cursor, task, .. } => {
                self.cursor = self.cursor.max(*cursor);
                let old = self.tasks.remove(task);
                if let Some(node) = old.and_then(|o| o.task.status.node.clone()) {
                    self.lift(&node, *task);
                }
            }
            Change::Node(now) => {
                self.nodes.insert(now.facts.id.clone(), Arc::clone(&now.facts));
            }
            Change::NodeGone(id) => {
                self.nodes.remove(id);
            }
            Change::Assign { .. }
            | Change::Remove { .. }
            | Change::Tenant(_)
            | Change::Scheduler { .. }
            | Change::Happened(_) => {}
        }
    }

    fn lift(&mut self, node: &NodeId, task: TaskId) {
        if let Some(placed) = self.placed.get_mut(node) {
            placed.remove(&task);
        }
    }

    fn assignment(&self, id: TaskId) -> Option<Assignment> {
        let now = self.tasks.get(&id)?;
        let task = &now.task;
        Some(Assignment {
            scheduler: task.scheduler.clone(),
            seat: task.seat.clone(),
            terms: Arc::clone(&task.terms),
            ports: task.status.ports.clone(),
            generation: task.generation,
            desired: task.desired,
            grace_ms: now.grace_ms,
        })
    }
}
