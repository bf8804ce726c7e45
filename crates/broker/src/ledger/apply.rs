//! What each fact does to the ledger. The only way it changes, live or read back from the log; every fact of
//! one record bears the record's time.

use super::tasks::TaskRow;
use super::{Ledger, SchedulerRow};
use crate::fact::{Fact, NodeIx, Order, TermsIx};
use crate::input::{Change, Held, TaskEvent, What};
use crate::ledger::queue::{ClassKey, Queue, Whom};
use crate::ledger::tenants::{TenantIx, Tenants};
use crate::ledger::turns::{Rank, Stand};
use crate::place::needs::Needs;
use plenum_model::claim::{Seat, Terms};
use plenum_model::ids::{Generation, LeaderEpoch, SchedulerId, TaskId};
use plenum_model::phase::Phase;
use plenum_model::task::{Exit, ExitReason, Observation, Status, Task};
use plenum_model::why::Why;
use std::sync::Arc;

/// A fact that does not fit the ledger it is applied to: the log is not the one this ledger was made from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a fact refers to {what}, which is not there")]
pub struct BadFact {
    /// What it refers to.
    pub what: String,
}

pub(super) fn missing(what: impl std::fmt::Debug) -> BadFact {
    BadFact {
        what: format!("{what:?}"),
    }
}

/// How tasks of these terms stand beside others that wait.
pub(crate) fn stand(terms: &Terms, tenant: TenantIx, tenants: &Tenants, system: bool) -> Stand {
    let scope = terms.priority.scope.as_ref().and_then(|path| tenants.find(path));
    let rank = match terms.priority.value {
        _ if system => Rank::System,
        0 => Rank::Plain,
        value => Rank::Within(scope.unwrap_or(tenant), value),
    };
    Stand {
        tenant,
        depth: tenants.row(tenant).depth,
        rank,
    }
}

impl Ledger {
    /// Applies one fact of time `at`.
    ///
    /// # Errors
    /// `BadFact`; the ledger is then not to be used any more.
    pub fn apply(&mut self, at: u64, fact: &Fact) -> Result<(), BadFact> {
        self.at = self.at.max(at);
        match fact {
            Fact::Led { epoch } => self.led(*epoch),
            Fact::SessionOpened {
                scheduler,
                kind,
                epoch,
            } => {
                let row = SchedulerRow {
                    kind: kind.clone(),
                    epoch: *epoch,
                    connected: true,
                };
                self.schedulers.insert(scheduler.clone(), row);
                self.say_scheduler(scheduler, "scheduler.connected");
            }
            Fact::SessionClosed { scheduler, epoch } => {
                let row = self
                    .schedulers
                    .get_mut(scheduler)
                    .filter(|row| row.epoch == *epoch);
                row.ok_or_else(|| missing(scheduler))?.connected = false;
                self.say_scheduler(scheduler, "scheduler.disconnected");
            }
            Fact::Spec { id, spec } => self.terms.add_spec(*id, Arc::clone(spec)),
            Fact::Terms { ix, scheduler, terms } => self.termed(*ix, scheduler, terms)?,
            Fact::Claimed { terms, seats, gang } => self.claimed(*terms, seats, *gang)?,
            Fact::Placed { task, node, ports } => self.placed(*task, *node, ports)?,
            Fact::Nominated { task, room } => self.nominate(*task, room.clone()),
            Fact::Passed { task } => {
                self.leave(*task);
                self.denominate(*task);
                self.enter(*task);
            }
            Fact::Waiting { tasks, why } => tasks.iter().for_each(|id| self.waiting(*id, why)),
            Fact::Seen { seen } => self.seen(seen)?,
            Fact::Ended { task, phase, exit } => self.ended(*task, *phase, exit)?,
            Fact::Ordered { task, order } => self.ordered(*task, order)?,
            Fact::Reworded { task, terms } => self.reworded(*task, *terms)?,
            Fact::Forgotten { tasks } => tasks.iter().for_each(|id| self.forgotten(*id)),
            Fact::NodeJoined { ix, facts } => self.node_joined(*ix, facts),
            Fact::NodeChanged { ix, facts } => self.node_changed(*ix, facts)?,
            Fact::NodeLiveness { ix, liveness } => self.node_liveness(*ix, *liveness)?,
            Fact::NodeScheduling { ix, to, actor } => {
                let since = self.at;
                self.nodes.state(*ix, |n| (n.scheduling, n.since) = (*to, since));
                let kind = match to {
                    plenum_model::node::Scheduling::Open => "node.opened",
                    plenum_model::node::Scheduling::Cordoned => "node.cordoned",
                    plenum_model::node::Scheduling::Draining => "node.draining",
                };
                self.say_node(*ix, kind, actor);
            }
            Fact::NodeTainted { ix, taints, actor } => self.node_tainted(*ix, taints, actor)?,
            Fact::NodeRemoved { ix, actor } => self.node_removed(*ix, actor)?,
            Fact::TenantSet { tenant, actor } => {
                if self.tenants.set(tenant.clone()) {
                    self.line_up_again();
                }
                self.news.rows.push(Change::Tenant(tenant.clone()));
                self.news.events.push(What::Tenant(tenant.clone(), actor.clone()));
            }
        }
        Ok(())
    }

    fn led(&mut self, epoch: LeaderEpoch) {
        self.epoch = epoch;
        let connected = self.schedulers.iter_mut().filter(|(_, row)| row.connected);
        for (id, row) in connected {
            row.connected = false;
            let (id, kind) = (id.clone(), row.kind.clone());
            self.news.rows.push(Change::Scheduler {
                id,
                kind,
                connected: false,
            });
        }
        self.news.events.push(What::Led(epoch));
    }

    fn say_scheduler(&mut self, id: &SchedulerId, event: &'static str) {
        if let Some(row) = self.schedulers.get(id) {
            let (kind, connected) = (row.kind.clone(), row.connected);
            self.news.rows.push(Change::Scheduler {
                id: id.clone(),
                kind,
                connected,
            });
            self.news
                .events
                .push(What::Scheduler(event, id.clone(), row.epoch));
        }
    }

    fn termed(&mut self, ix: TermsIx, scheduler: &SchedulerId, terms: &Arc<Terms>) -> Result<(), BadFact> {
        let spec = self.terms.spec(&terms.spec).ok_or_else(|| missing(terms.spec))?;
        let needs = Needs::new(Arc::clone(terms), Arc::clone(spec), self.strict_caps).map_err(
            |(_, field, why)| BadFact {
                what: format!("{field} ({why})"),
            },
        )?;
        let workload = self.workloads.refer(scheduler, &terms.workload.uid);
        self.terms.add(ix, scheduler.clone(), needs, workload);
        self.relate(ix);
        Ok(())
    }

    fn claimed(&mut self, ix: TermsIx, seats: &[Seat], gang: Option<u64>) -> Result<(), BadFact> {
        let row = self.terms.get(ix).ok_or_else(|| missing(ix))?;
        let (scheduler, terms) = (row.scheduler.clone(), Arc::clone(&row.needs.terms));
        if row.tenant.is_none() {
            let tenant = self.tenants.find(&terms.tenant);
            self.terms
                .charge_to(ix, tenant.ok_or_else(|| missing(&terms.tenant))?);
        }
        for seat in seats {
            self.ages += 1;
            let (id, age) = (seat.id, self.ages);
            let highest = self.slots.entry(id.slot_key()).or_insert(0);
            *highest = (*highest).max(id.attempt());
            let task = Task {
                scheduler: scheduler.clone(),
                seat: seat.clone(),
                terms: Arc::clone(&terms),
                generation: Generation(1),
                desired: terms.desired,
                released: false,
                status: Status::pending(self.at),
            };
            self.tasks.insert(TaskRow {
                task: Arc::new(task),
                cursor: self.cursor,
                age,
                terms: ix,
                claimed_terms: ix,
                node: None,
                held: Held::Nothing,
                grace_ms: None,
                cause: None,
                readmit: false,
                gang,
                touched: false,
            });
            // By what it was claimed with, and by what it has now.
            self.terms.refer(ix, 2);
            if let Some(budget) = &terms.budget {
                self.budgets.put(&scheduler, budget, id, true);
            }
            if let Some(from) = seat.replaces {
                self.nominations.inherit(from, id, true);
            }
            self.touch(id);
            self.enter(id);
            self.tell(TaskEvent::Claimed, id, "");
        }
        Ok(())
    }

    fn class(&self, row: &TaskRow) -> ClassKey {
        let id = row.task.id();
        match self.nominations.get(id) {
            Some(nomination) => ClassKey {
                terms: row.terms,
                node: Some(nomination.room.node),
                whom: Whom::Nominated(id),
            },
            None if row.gang.is_some() && !row.readmit => ClassKey {
                // Its tasks may have different terms.
                terms: TermsIx(u64::MAX),
                node: None,
                whom: Whom::Gang(row.gang.unwrap_or_default()),
            },
            None => ClassKey {
                terms: row.terms,
                node: row.node.filter(|_| row.readmit),
                whom: Whom::Each,
            },
        }
    }

    pub(super) fn enter(&mut self, id: TaskId) {
        if let Some(row) = self.tasks.get(id).filter(|row| row.waits()) {
            let (terms, tenants, system) = (&row.task.terms, &self.tenants, self.system.as_ref());
            let tenant = || self.terms.row(row.terms).tenant.unwrap_or_default();
            let stand = || stand(terms, tenant(), tenants, system == Some(&row.task.scheduler));
            let key = self.class(row);
            self.queue.enter(key, stand, row.age, id);
        }
    }

    /// Tenants stand in another order: so does everybody who waits.
    fn line_up_again(&mut self) {
        self.queue = Queue::default();
        let mut waiting: Vec<_> = self.tasks.in_order();
        waiting.retain(|row| row.waits());
        let waiting: Vec<_> = waiting.into_iter().map(|row| row.task.id()).collect();
        waiting.into_iter().for_each(|id| self.enter(id));
    }

    pub(super) fn leave(&mut self, id: TaskId) {
        if let Some(row) = self.tasks.get(id).filter(|row| row.waits()) {
            let key = self.class(row);
            self.queue.leave(key, row.age, id);
        }
    }

    /// A task waits no longer: nothing is kept for it.
    fn waits_no_longer(&mut self, id: TaskId) {
        self.leave(id);
        self.denominate(id);
        if let Some(from) = self.tasks.get(id).and_then(|row| row.task.seat.replaces) {
            self.nominations.inherit(from, id, false);
        }
    }

    fn placed(&mut self, id: TaskId, node: NodeIx, ports: &[u16]) -> Result<(), BadFact> {
        self.waits_no_longer(id);
        let at = self.at;
        let host = self.nodes.get(node).ok_or_else(|| missing(node))?;
        let name = host.facts.id.clone();
        let row = self.tasks.get_mut(id).ok_or_else(|| missing(id))?;
        let again = std::mem::replace(&mut row.readmit, false);
        row.node = Some(node);
        let (age, terms) = (row.age, row.terms);
        let task = Arc::make_mut(&mut row.task);
        task.status.node = Some(name);
        task.status.ports = ports.to_vec();
        task.status.why = None;
        task.status.placed_at = Some(at);
        if again || task.status.phase().is_terminal() {
            task.generation = task.generation.next();
        }
        if let Some(phase) = task.status.progress.phase.next(Phase::Placed) {
            task.status.progress.phase = phase;
        }
        let workload = self.terms.row(terms).workload;
        self.workloads.get_mut(workload).ended.remove(&(age, id));
        self.nodes.tasks_mut(node).map(|tasks| tasks.insert(id));
        self.book(id, Held::Full);
        self.touch(id);
        self.assign(id);
        self.tell(TaskEvent::Placed, id, "");
        Ok(())
    }

    fn waiting(&mut self, id: TaskId, why: &Arc<Why>) {
        let Some(row) = self.tasks.get_mut(id).filter(|row| row.waits()) else {
            return;
        };
        let first = row.task.status.why.is_none();
        Arc::make_mut(&mut row.task).status.why = Some(Why::clone(why));
        self.touch(id);
        if first {
            self.tell(TaskEvent::Pending, id, "");
        }
    }

    fn seen(&mut self, seen: &Observation) -> Result<(), BadFact> {
        let row = self.tasks.get_mut(seen.task).ok_or_else(|| missing(seen.task))?;
        let before = row.task.status.progress;
        let cause = row.cause;
        let status = &mut Arc::make_mut(&mut row.task).status;
        status.observe(seen);
        let after = status.progress;
        if let (true, Some(cause), Some(exit)) = (after.phase == Phase::Stopped, cause, &mut status.exit) {
            exit.reason = cause;
            if cause == ExitReason::HeldTooLong {
                "held longer than its deadline without being started".clone_into(&mut exit.message);
            }
        }
        self.touch(seen.task);
        if before == after {
            return Ok(());
        }
        if after.phase.is_terminal() {
            self.came_to_an_end(seen.task, Held::Disk);
        } else if after.phase == Phase::Running {
            self.tell(TaskEvent::Running, seen.task, "");
        }
        Ok(())
    }

    fn came_to_an_end(&mut self, id: TaskId, still: Held) {
        self.book(id, still);
        if let Some(row) = self.tasks.get_mut(id) {
            let announced = Arc::make_mut(&mut row.task).status.preempting.take();
            if let Some(announced) = announced {
                // Should it start again it takes nothing from that one: what it let go of is kept.
                self.nominations.spare(announced.by, id);
            }
            let workload = self.terms.row(row.terms).workload;
            self.workloads.get_mut(workload).ended.insert((row.age, id));
        }
        self.tell(TaskEvent::Ended, id, "");
    }

    fn ended(&mut self, id: TaskId, phase: Phase, exit: &Exit) -> Result<(), BadFact> {
        self.waits_no_longer(id);
        let at = self.at;
        let row = self.tasks.get_mut(id).ok_or_else(|| missing(id))?;
        row.readmit = false;
        let status = &mut Arc::make_mut(&mut row.task).status;
        let Some(phase) = status.progress.phase.next(phase) else {
            return Ok(());
        };
        status.progress.phase = phase;
        status.exit = Some(exit.clone());
        exit.message.clone_into(&mut status.message);
        status.ended_at = Some(at);
        status.unreachable = false;
        status.why = None;
        self.touch(id);
        self.came_to_an_end(id, Held::Nothing);
        self.off_its_node(id);
        Ok(())
    }

    /// The task is nothing to its node any more.
    pub(super) fn off_its_node(&mut self, id: TaskId) {
        let Some(node) = self.tasks.get_mut(id).and_then(|row| row.node.take()) else {
            return;
        };
        self.nodes.tasks_mut(node).map(|tasks| tasks.remove(&id));
        if let Some(row) = self.nodes.get(node) {
            self.news.assignments.push(Change::Remove {
                node: row.facts.id.clone(),
                task: id,
            });
        }
    }

    fn ordered(&mut self, id: TaskId, order: &Order) -> Result<(), BadFact> {
        self.leave(id);
        let row = self.tasks.get_mut(id).ok_or_else(|| missing(id))?;
        row.readmit = order.readmit;
        row.cause = order.cause;
        row.grace_ms = order.grace_ms;
        let released_before = row.task.released;
        let task = Arc::make_mut(&mut row.task);
        task.generation = task.generation.next();
        task.desired = order.desired;
        task.released |= order.release;
        if !order.readmit && task.status.phase().is_terminal() {
            task.status.why = None;
        }
        // Admitted again and not started: the agent has nothing to say about a start that is called off.
        let called_off = task.status.phase().is_terminal() && !order.readmit && row.held == Held::Full;
        if called_off {
            self.came_to_an_end(id, Held::Disk);
        }
        self.touch(id);
        self.enter(id);
        self.assign(id);
        if order.release && !released_before {
            self.tell(TaskEvent::Released, id, "");
        } else if order.cause.is_some() {
            self.tell(TaskEvent::Stopping, id, order.actor.clone());
        }
        Ok(())
    }

    fn reworded(&mut self, id: TaskId, ix: TermsIx) -> Result<(), BadFact> {
        self.leave(id);
        let terms = Arc::clone(&self.terms.get(ix).ok_or_else(|| missing(ix))?.needs.terms);
        if let Some(tenant) = self.tenants.find(&terms.tenant) {
            self.terms.charge_to(ix, tenant);
        }
        self.terms.refer(ix, 1);
        let row = self.tasks.get_mut(id).ok_or_else(|| missing(id))?;
        let old = std::mem::replace(&mut row.terms, ix);
        let task = Arc::make_mut(&mut row.task);
        task.terms = terms;
        task.generation = task.generation.next();
        if let (Some(node), Held::Full) = (row.node, row.held) {
            self.count(old, node, false);
            self.count(ix, node, true);
        }
        self.unrefer(old);
        self.touch(id);
        self.enter(id);
        self.assign(id);
        Ok(())
    }

    fn unrefer(&mut self, ix: TermsIx) {
        if let Some(gone) = self.terms.drop_ref(ix) {
            self.unrelate(ix, &gone);
            self.workloads.drop_ref(gone.workload);
        }
    }

    fn forgotten(&mut self, id: TaskId) {
        self.leave(id);
        self.book(id, Held::Nothing);
        self.off_its_node(id);
        let Some(row) = self.tasks.remove(id) else { return };
        if let Some(budget) = &row.task.terms.budget {
            self.budgets.put(&row.task.scheduler, budget, id, false);
        }
        let workload = self.terms.row(row.terms).workload;
        self.workloads.get_mut(workload).ended.remove(&(row.age, id));
        self.unrefer(row.terms);
        self.unrefer(row.claimed_terms);
        self.news.forgotten.push(row.task);
    }
}
