//! Room for those who have a right to it: what a tenant is guaranteed is taken back from whom it was lent to, and a
//! higher priority goes before a lower one within its scope. Announced first: the owner of who is to be stopped may let
//! go of something else instead. The room is nominated from the beginning, so nobody else takes it meanwhile, and
//! whoever is nominated asks for no more.

use super::victims::{Claimant, Plan, needless, will_fit};
use super::{Core, Timer};
use crate::fact::{Fact, NodeIx, Order, Room};
use crate::ledger::queue::{ClassKey, State, Whom};
use crate::place::bits::Bits;
use crate::place::sieve::Sieve;
use plenum_model::claim::Desired;
use plenum_model::ids::{TaskId, TenantPath};
use plenum_model::task::ExitReason;
use std::collections::BTreeSet;
use std::ops::Bound;

/// Milliseconds after which those are looked at again who found nobody that may be stopped: others may have come to
/// hold what they are guaranteed.
const AGAIN_MS: u64 = 1_000;
/// Classes that are looked at again at once.
const AT_ONCE: usize = 8;
/// Nodes on which somebody is looked for at once, at most; the next look goes on behind them.
const LOOKED: usize = 128;
/// Ways to make room that are compared at once, at most.
const COMPARED: usize = 16;

/// Who has a right to room and found nobody that may be stopped, and where looks go on.
#[derive(Debug, Default)]
pub(super) struct Reclaimers {
    waiting: BTreeSet<ClassKey>,
    /// The one that was looked at last.
    last: Option<ClassKey>,
    /// When they are looked at again.
    at: u64,
    /// The node behind which the next look begins.
    node: usize,
}

impl Reclaimers {
    /// Those whose turn it is to look again.
    fn take_some(&mut self) -> Vec<ClassKey> {
        let behind = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        let later = self.waiting.range((behind, Bound::Unbounded));
        let around = self.last.map(|last| self.waiting.range(..=last));
        let some: Vec<_> = later
            .chain(around.into_iter().flatten())
            .take(AT_ONCE)
            .copied()
            .collect();
        some.iter().for_each(|key| {
            self.waiting.remove(key);
        });
        self.last = some.last().copied().or(self.last);
        some
    }
}

impl Core {
    /// Nominates room for the oldest waiter of a class, if others may be stopped for it. Says whether it did.
    pub(super) fn reclaim(&mut self, key: &ClassKey, id: TaskId) -> bool {
        if key.node.is_some() || key.whom != Whom::Each {
            return false;
        }
        match self.plan(key, id) {
            None => false,
            Some(None) => {
                self.reclaimers.waiting.insert(*key);
                false
            }
            Some(Some(plan)) => {
                let deadline = self.now.saturating_add(self.config.notice_ms);
                let room = Room {
                    node: plan.node,
                    ports: plan.ports,
                    victims: plan.victims,
                    deadline,
                };
                self.commit(Fact::Nominated { task: id, room });
                self.timers.insert((deadline, Timer::Preempt(id)));
                true
            }
        }
    }

    /// None: nobody is stopped for it. None within: nobody can be.
    fn plan(&mut self, key: &ClassKey, id: TaskId) -> Option<Option<Plan>> {
        let claimant = Claimant::new(&self.ledger, id)?;
        let row = self.ledger.terms.get(key.terms)?;
        let nodes = &self.ledger.nodes;
        let behind = self.reclaimers.node;
        let (mut plans, mut last) = (Vec::new(), behind);
        let mut look = |set: &Bits, takes: &dyn Fn(NodeIx) -> bool| {
            let mut open = Sieve::of(set);
            open.keep(&nodes.ready);
            open.keep(&nodes.open);
            for ix in open.iter_behind(behind).take(LOOKED) {
                last = ix.at();
                let node = nodes.get(ix).filter(|_| takes(ix));
                let serves = node.is_some_and(|node| row.needs.against(&node.facts, &node.taints).is_none());
                let around = row.related.around(ix, &self.ledger.tallies);
                if serves && around.against().is_none() {
                    plans.extend(claimant.plan(&row.needs, ix));
                }
                if plans.len() >= COMPARED {
                    return;
                }
            }
        };
        look(&claimant.hosts(), &|_| true);
        if claimant.is_guaranteed() {
            look(&nodes.ready, &|ix| self.ledger.is_being_vacated(ix));
        }
        let best = plans.into_iter().min_by(|a, b| a.cost.cmp(&b.cost));
        if best.is_none() {
            self.reclaimers.node = last;
        }
        Some(best)
    }

    /// Looks again at those who found nobody that may be stopped for them.
    pub(super) fn reclaim_again(&mut self) {
        if self.now < self.reclaimers.at || self.reclaimers.waiting.is_empty() {
            return;
        }
        self.reclaimers.at = self.now.saturating_add(AGAIN_MS);
        for key in self.reclaimers.take_some() {
            let class = self.ledger.queue.get(&key);
            if class.is_some_and(|class| matches!(class.state, State::ForRoom(..))) {
                self.ledger.queue.turn(&key, State::Again);
            }
        }
    }

    /// A tenant is guaranteed or may have more or less than before: those that wait below it may have a right now.
    pub(super) fn reclaim_below(&mut self, path: &TenantPath) {
        let Some(tenant) = self.ledger.tenants.find(path) else {
            return;
        };
        for key in self.ledger.queue.parked() {
            let Some(class) = self.ledger.queue.get(&key) else {
                continue;
            };
            let below = self
                .ledger
                .tenants
                .upward(class.stand.tenant)
                .any(|ix| ix == tenant);
            if below && key.whom == Whom::Each && matches!(class.state, State::ForRoom(..)) {
                self.ledger.queue.turn(&key, State::Again);
            }
        }
    }

    /// What a tenant is guaranteed has changed: whoever is announced for somebody below it, or is below it, is asked for
    /// anew, unless it is being stopped already.
    pub(super) fn announce_anew(&mut self, path: &TenantPath) {
        let Some(tenant) = self.ledger.tenants.find(path) else {
            return;
        };
        let below = |id: &TaskId| {
            let row = self.ledger.tasks.get(*id);
            let ix = row.and_then(|row| self.ledger.tenants.find(&row.task.terms.tenant));
            ix.is_some_and(|ix| self.ledger.tenants.upward(ix).any(|ix| ix == tenant))
        };
        let announced = self.ledger.nominations.iter().filter(|(id, row)| {
            let victims = &row.room.victims;
            let stopping = victims.iter().any(|victim| self.ledger.is_leaving(*victim));
            !victims.is_empty() && !stopping && (below(id) || victims.iter().any(below))
        });
        let announced: Vec<_> = announced.map(|(id, _)| id).collect();
        announced.into_iter().for_each(|id| self.pass(id));
    }

    /// The time has come to stop those who were announced.
    pub(super) fn preempt_due(&mut self, id: TaskId) -> Option<u64> {
        let room = self.ledger.nominations.get(id)?.room.clone();
        let victims: Vec<_> = room
            .victims
            .into_iter()
            .filter(|id| self.ledger.gives(*id, room.node).is_some() && !self.ledger.is_leaving(*id))
            .collect();
        if victims.is_empty() {
            return None;
        }
        // Whoever could not hear of it while no broker led has the full time again.
        let due = room
            .deadline
            .max(self.leads_since.saturating_add(self.config.notice_ms));
        if due > self.now {
            return Some(due);
        }
        let mut again = None;
        for victim in victims {
            let group = self.ledger.group_of(victim);
            if group.is_some_and(|group| !self.ledger.keeps(&group)) {
                // Others of its group have fallen ill since.
                again = Some(self.now.saturating_add(AGAIN_MS));
                continue;
            }
            let order = Order {
                desired: Desired::Stopped,
                release: false,
                grace_ms: None,
                readmit: false,
                cause: Some(ExitReason::Preempted),
                actor: "broker".to_owned(),
            };
            self.commit(Fact::Ordered { task: victim, order });
        }
        again
    }

    /// Lets those live on a node who need not be stopped any more, or would be in vain.
    pub(super) fn spare_on(&mut self, node: NodeIx) {
        let kept = self.ledger.nodes.get(node).map(|row| &row.kept);
        let there: Vec<_> = kept.into_iter().flatten().map(|kept| kept.task).collect();
        for id in there {
            let Some(nomination) = self.ledger.nominations.get(id) else {
                continue;
            };
            // A seat has no deadline.
            if nomination.room.deadline > 0 && !will_fit(&self.ledger, id, &nomination.room) {
                self.pass(id);
                continue;
            }
            let live = needless(&self.ledger, id, &nomination.room);
            if !live.is_empty() {
                let mut room = nomination.room.clone();
                room.victims.retain(|id| !live.contains(id));
                self.commit(Fact::Nominated { task: id, room });
            }
        }
    }

    /// Another node has room for a task that waits for others to be stopped: it goes there, and they live.
    pub(super) fn try_instead(&mut self, id: TaskId, freed: &BTreeSet<NodeIx>) {
        let Some(row) = self.ledger.tasks.get(id) else {
            return;
        };
        let terms = row.terms;
        let Some(nomination) = self.ledger.nominations.get(id) else {
            return;
        };
        let mut nodes = freed.clone();
        nodes.remove(&nomination.room.node);
        if nodes.is_empty() {
            return;
        }
        self.prepare(terms);
        if self.limit(terms, None).is_some() {
            return;
        }
        if let Some((node, ports)) = self.question(terms, id, (None, None), |q| q.among(&nodes)) {
            self.place(id, node, ports);
        }
    }
}
