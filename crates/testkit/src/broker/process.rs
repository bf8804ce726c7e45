//! What is lost when the simulated broker dies: the core, its connections, and what is decided and not durable.

use super::view::View;
use crate::checker::Checker;
use crate::queue::{AgentEvent, BrokerEvent, EPOCH, Event, Life, Link, Queue, Request, SchedulerEvent};
use crate::scheduler::Names;
use plenum_broker::decide::Core;
use plenum_broker::input::{Answer, Attachment, Caller, Change, Denied, Effects, Input};
use plenum_contract::broker::{WatchBatch, WatchEvent, WatchPart};
use plenum_contract::dispatcher::{AgentMessage, Assignments, BrokerMessage};
use plenum_model::ids::{Cursor, LeaderEpoch, NodeId, SchedulerId, SessionEpoch, SpecId};
use plenum_model::node::NodeFacts;
use plenum_sdk::calls::Reply;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Process {
    pub(super) life: Life,
    pub(super) core: Core,
    pub(super) staged: Vec<Staged>,
    pub(super) committing: bool,
    pub(super) commits: u32,
    pub(super) view: View,
    pub(super) agents: BTreeMap<NodeId, AgentLink>,
    pub(super) sessions: BTreeMap<SchedulerId, SessionLink>,
    pub(super) ticking: Option<u64>,
}

#[derive(Debug)]
pub(super) struct AgentLink {
    pub(super) index: usize,
    pub(super) link: Link,
    /// Specs sent on this attachment; none: it has not been welcomed.
    pub(super) sent: Option<BTreeSet<SpecId>>,
}

#[derive(Debug)]
pub(super) struct SessionLink {
    pub(super) index: usize,
    pub(super) link: Link,
    pub(super) epoch: Option<SessionEpoch>,
}

/// A step that waits to be durable.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) record: Vec<u8>,
    pub(super) effects: Effects,
    pub(super) asker: Asker,
}

#[derive(Debug, Clone)]
pub(super) enum Asker {
    Nobody,
    Agent(NodeId, Link),
    Scheduler(SchedulerId, Link),
}

impl Process {
    pub(super) fn step(&mut self, queue: &mut Queue, input: Input, asker: Asker) {
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

    pub(super) fn dialled(&mut self, queue: &mut Queue, index: usize, link: Link, facts: Box<NodeFacts>) {
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

    pub(super) fn told(&mut self, queue: &mut Queue, index: usize, link: Link, message: AgentMessage) {
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

    pub(super) fn open(&mut self, queue: &mut Queue, names: &Names, index: usize, link: Link) {
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

    pub(super) fn caller(&self, names: &Names, index: usize, link: Link) -> Option<Caller> {
        let scheduler = names.hello(index).scheduler;
        let session = self.sessions.get(&scheduler).filter(|s| s.link == link)?;
        Some(Caller {
            epoch: session.epoch?,
            scheduler,
        })
    }

    pub(super) fn called(
        &mut self,
        queue: &mut Queue,
        names: &Names,
        index: usize,
        link: Link,
        request: Request,
    ) {
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

    pub(super) fn hung(&mut self, queue: &mut Queue, names: &Names, index: usize, link: Link) {
        if let Some(caller) = self.caller(names, index, link) {
            self.sessions.remove(&caller.scheduler);
            self.step(queue, Input::Close(caller), Asker::Nobody);
        }
    }

    /// Hands out what a durable step decided.
    pub(super) fn tell(
        &mut self,
        queue: &mut Queue,
        checker: &mut Checker,
        step: Staged,
        epoch: LeaderEpoch,
    ) {
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

    pub(super) fn news(
        &mut self,
        queue: &mut Queue,
        scheduler: &SchedulerId,
        cursor: Cursor,
        event: WatchEvent,
    ) {
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

    pub(super) fn assign(
        &mut self,
        queue: &mut Queue,
        node: &NodeId,
        mut batch: Assignments,
        epoch: LeaderEpoch,
    ) {
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

    pub(super) fn answer(
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

    pub(super) fn answer_agent(
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

    pub(super) fn answer_scheduler(
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
