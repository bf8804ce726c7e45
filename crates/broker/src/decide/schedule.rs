//! Whose turn it is and where it goes. Turns (`ledger::turns`) are looked at again after every placement. What finds
//! no room is parked (`ledger::queue`), and a node that frees is offered to what is parked in the order of turns,
//! until nobody asks so little: a step costs what it places, not what waits.

use super::Core;
use crate::fact::{Fact, NodeIx, TermsIx};
use crate::ledger::book::part;
use crate::ledger::nodes::Nodes;
use crate::ledger::queue::{ClassKey, State, Whom};
use crate::ledger::terms::TermsTable;
use crate::place::choose::{Chosen, Question};
use crate::place::levels::{INDEXED, NAMES, indexed};
use crate::place::verdict::Extra;
use plenum_model::amounts::{Amounts, Resource};
use plenum_model::claim::Desired;
use plenum_model::ids::TaskId;
use plenum_model::why::{Cause, LimitReached, Why};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What waiters were told is looked at again this long after a change at the earliest, in milliseconds.
const REFRESH_MS: u64 = 1_000;
/// Waiters of one class per second that are told anew, at most: large classes are refreshed less often.
const TOLD_PER_MS: u64 = 10;
/// Of more nodes on offer than this all nodes are looked at, by the index: each one in turn would cost more.
const EACH: usize = 64;

/// Nodes that may have room for what is parked.
#[derive(Debug, Default)]
struct Offer {
    nodes: BTreeSet<NodeIx>,
    /// The most that any of them has, resource by resource.
    most: [u64; INDEXED],
    /// Who has looked in vain. They have only less since.
    refused: BTreeSet<ClassKey>,
}

impl Offer {
    /// Whether any of few nodes on offer passes what a class asks of a node for good: who waits for a rare attribute is
    /// not asked each time that any node frees.
    fn may_take(&self, key: &ClassKey, terms: &mut TermsTable, nodes: &Nodes) -> bool {
        terms.refresh(key.terms, nodes);
        let row = terms.get(key.terms).filter(|_| self.nodes.len() <= EACH);
        row.is_none_or(|row| {
            let eligible = terms.eligible(row);
            self.nodes.iter().any(|ix| eligible.wish(*ix).is_some())
        })
    }
}

impl Core {
    /// Places all that can be placed now. What is placed may let something else pass: the fewest of an even spread
    /// rose, a group that others must be near to has begun. So it goes on until nobody is awake.
    pub(super) fn schedule(&mut self) {
        if self.ledger.queue.is_empty() {
            self.ledger.nobody_waits();
            return;
        }
        let mut offer = Offer::default();
        loop {
            self.wake(&mut offer);
            let mut any = false;
            while let Some((key, offered)) = self.next_turn(&offer) {
                any = true;
                self.try_first(&key, &mut offer, offered);
            }
            if !any {
                break;
            }
        }
        self.tell_why();
    }

    /// The class whose turn it is, and whether it is to look at what is offered only.
    fn next_turn(&mut self, offer: &Offer) -> Option<(ClassKey, bool)> {
        let ledger = &mut self.ledger;
        let offers = !offer.nodes.is_empty() && ledger.queue.asks_within(&offer.most);
        if !offers {
            if let Some(only) = ledger.queue.only_awake() {
                return Some((only, false));
            }
            if !ledger.queue.is_awake() {
                return None;
            }
        }
        ledger.queue.settle(&mut ledger.tenants, &ledger.nodes.total);
        let awake = ledger.queue.first_awake();
        if !offers {
            return awake.map(|turn| (turn.key, false));
        }
        let (terms, nodes) = (&mut ledger.terms, &ledger.nodes);
        let parked = ledger.queue.first_parked(|key, resource, amount| {
            let there = key.node.is_none_or(|only| offer.nodes.contains(&only));
            let asks = there && amount <= offer.most[resource] && !offer.refused.contains(key);
            asks && offer.may_take(key, terms, nodes)
        });
        match (awake, parked) {
            (Some(awake), Some(parked)) if parked.before(&awake) => Some((parked.key, true)),
            (Some(awake), _) => Some((awake.key, false)),
            (None, parked) => parked.map(|turn| (turn.key, true)),
        }
    }

    /// Wakes what may go now, and offers what was freed.
    fn wake(&mut self, offer: &mut Offer) {
        for tenant in std::mem::take(&mut self.ledger.tenants.freed) {
            for key in self.ledger.queue.parked_under(tenant) {
                self.ledger.queue.turn(&key, State::Fresh);
            }
        }
        // For whom room is kept on a node goes before all whose turn it may be.
        while !self.ledger.nodes.freed.is_empty() {
            let freed = std::mem::take(&mut self.ledger.nodes.freed);
            self.try_seats(&freed);
            offer.refused.clear();
            offer.nodes.extend(freed);
        }
        self.look_at_offer(offer);
        for terms in self.ledger.helped() {
            self.ledger.queue.wake_all(terms);
        }
    }

    /// What is offered has changed: nodes that nobody asks so little of are no longer on offer.
    fn look_at_offer(&self, offer: &mut Offer) {
        let ledger = &self.ledger;
        offer.most = [0; INDEXED];
        offer.nodes.retain(|ix| {
            let Some(node) = ledger.nodes.get(*ix) else {
                return false;
            };
            let free = indexed(&node.free);
            let asked = ledger.queue.asks_within(&free);
            if asked {
                (0..INDEXED).for_each(|r| offer.most[r] = offer.most[r].max(free[r]));
            }
            asked
        });
    }

    /// Places the oldest waiter of a class, or parks the class. `offered`: it was parked, and looks at what is
    /// offered only.
    fn try_first(&mut self, key: &ClassKey, offer: &mut Offer, offered: bool) {
        let Some(class) = self.ledger.queue.get(key) else {
            return;
        };
        let Some((_, id)) = class.first() else { return };
        let state = class.state;
        match key.whom {
            Whom::Each => {}
            Whom::Nominated(id) => {
                self.try_seat(key, id);
                return;
            }
            Whom::Gang(_) => {
                offer.refused.insert(*key);
                self.try_gang(key);
                self.look_at_offer(offer);
                return;
            }
        }
        self.prepare(key.terms);
        let holds = self.holds(id);
        if let Some(limit) = self.limit(key.terms, holds.as_ref()) {
            self.park_for_limit(key, limit);
            return;
        }
        let exact = self.config.exact_nodes;
        let chosen = self.question(key.terms, id, (holds.as_ref(), None), |q| match key.node {
            Some(only) => q.among(&BTreeSet::from([only])),
            None if offered && offer.nodes.len() <= EACH => q.among(&offer.nodes),
            None => q.among_all(exact),
        });
        match chosen {
            Some((node, ports)) => {
                self.place(id, node, ports);
                if offer.nodes.contains(&node) {
                    self.look_at_offer(offer);
                }
            }
            None if offered => {
                offer.refused.insert(*key);
            }
            None if self.reclaim(key, id) => {}
            None => self.park_for_room(key, id, holds.as_ref(), state),
        }
    }

    pub(super) fn park_for_limit(&mut self, key: &ClassKey, limit: LimitReached) {
        let tenant = self.ledger.tenants.find(&limit.tenant).unwrap_or_default();
        self.park(key, State::ForLimit(tenant), Some(self.limited(limit)));
    }

    /// Gives a task its node.
    pub(super) fn place(&mut self, task: TaskId, node: NodeIx, ports: Vec<u16>) {
        self.commit(Fact::Placed { task, node, ports });
        let desired = self.ledger.tasks.get(task).map(|row| row.task.desired);
        if let Some(Desired::Held { deadline_ms }) = desired {
            self.start_held(task, deadline_ms);
        }
    }

    /// Brings what is derived for these terms up to date.
    pub(super) fn prepare(&mut self, ix: TermsIx) {
        let ledger = &mut self.ledger;
        ledger.terms.refresh(ix, &ledger.nodes);
        ledger.set_bars(ix);
    }

    /// Asks where a task may go that has so much of a node already, and these ports.
    pub(super) fn question<T>(
        &self,
        ix: TermsIx,
        task: TaskId,
        (holds, given): (Option<&Amounts>, Option<&[u16]>),
        ask: impl FnOnce(&Question<'_>) -> Option<T>,
    ) -> Option<T> {
        let row = self.ledger.terms.get(ix)?;
        ask(&Question {
            needs: &row.needs,
            eligible: self.ledger.terms.eligible(row),
            extra: Extra {
                task,
                holds,
                given,
                past_cordon: false,
            },
            same: self.ledger.workloads.get(row.workload),
            related: &row.related,
            tallies: &self.ledger.tallies,
            nodes: &self.ledger.nodes,
            // What was placed before it, not a generator beside the ledger: the same after a restart.
            seed: self
                .ledger
                .ages
                .wrapping_mul(31)
                .wrapping_add(self.ledger.cursor.0)
                ^ u64::from_be_bytes(task.0.last_chunk().copied().unwrap_or_default())
                ^ u64::from_be_bytes(task.0.first_chunk().copied().unwrap_or_default()),
        })
    }

    /// The only node of a task that is admitted again, if it could take it now.
    pub(super) fn room_again(&mut self, ix: TermsIx, id: TaskId, node: NodeIx) -> Option<Chosen> {
        self.prepare(ix);
        let holds = self.holds(id);
        if self.limit(ix, holds.as_ref()).is_some() {
            return None;
        }
        self.question(ix, id, (holds.as_ref(), None), |q| {
            q.among(&BTreeSet::from([node]))
        })
    }

    /// What a task holds already: a stopped one its disk.
    fn holds(&self, id: TaskId) -> Option<Amounts> {
        let row = self.ledger.tasks.get(id).filter(|row| row.node.is_some())?;
        Some(part(&row.task.terms.charge, row.held))
    }

    pub(super) fn limit(&self, ix: TermsIx, holds: Option<&Amounts>) -> Option<LimitReached> {
        let row = self.ledger.terms.get(ix)?;
        let none = Amounts::default();
        self.ledger
            .tenants
            .limit(row.tenant?, &row.needs.terms.charge, holds.unwrap_or(&none))
    }

    pub(super) fn limited(&self, limit: LimitReached) -> Why {
        Why {
            nodes: self.node_count(),
            by: Vec::new(),
            limit: Some(limit),
            ..Why::default()
        }
    }

    pub(super) fn node_count(&self) -> u32 {
        u32::try_from(self.ledger.nodes.len()).unwrap_or(u32::MAX)
    }

    fn park_for_room(&mut self, key: &ClassKey, id: TaskId, holds: Option<&Amounts>, state: State) {
        // A class that only rules about others may have helped: what it was told may be a little old, that it has
        // no room is not.
        let told = self.ledger.queue.get(key).and_then(|class| class.told.clone());
        let (why, old) = match (told, state) {
            (Some((why, _)), State::Again) if why.limit.is_none() => (Why::clone(&why), true),
            _ => (self.funnel(key, id, holds), false),
        };
        let (resource, amount) = self.scarcest(key.terms, &why);
        self.park(key, State::ForRoom(resource, amount), Some(why).filter(|_| !old));
        if old {
            self.refresh_soon(key);
        }
    }

    /// The resource, of those the class asks, that most nodes lack.
    pub(super) fn scarcest(&self, ix: TermsIx, why: &Why) -> (usize, u64) {
        let Some(row) = self.ledger.terms.get(ix) else {
            return (INDEXED - 1, 0);
        };
        let asked = indexed(&row.needs.terms.charge);
        let lacking = |resource: Resource| {
            why.by
                .iter()
                .filter(|(c, _)| *c == Cause::Short(resource.clone()))
                .map(|(_, n)| *n)
                .sum::<u32>()
        };
        let counts = NAMES.map(lacking);
        let best = (0..INDEXED)
            .filter(|r| asked[*r] > 0)
            .max_by_key(|r| (counts[*r], *r));
        best.map_or((INDEXED - 1, 0), |r| (r, asked[r]))
    }

    pub(super) fn park(&mut self, key: &ClassKey, state: State, why: Option<Why>) {
        self.ledger.queue.turn(key, state);
        let Some(why) = why else { return };
        match self.ledger.queue.get(key).and_then(|class| class.told.clone()) {
            Some((told, _)) if *told == why => {}
            Some((told, at)) if told.limit.is_some() == why.limit.is_some() && self.now < at + REFRESH_MS => {
                self.refresh_soon(key);
            }
            Some(_) | None => self.tell_class(key, why),
        }
    }

    /// Tells every waiter of a class why it waits.
    fn tell_class(&mut self, key: &ClassKey, why: Why) {
        let why = Arc::new(why);
        let Some(class) = self.ledger.queue.get(key) else {
            return;
        };
        let differs = |id: &TaskId| {
            self.ledger
                .tasks
                .get(*id)
                .is_some_and(|row| row.task.status.why.as_ref() != Some(why.as_ref()))
        };
        let tasks: Vec<_> = class.waiting().filter(differs).collect();
        self.ledger.queue.told(key, Arc::clone(&why), self.now);
        if !tasks.is_empty() {
            self.commit(Fact::Waiting { tasks, why });
        }
    }

    /// Tells those that joined a parked class what the others of it know.
    fn tell_why(&mut self) {
        for (key, tasks) in self.ledger.queue.take_untold() {
            let Some(why) = self
                .ledger
                .queue
                .get(&key)
                .and_then(|c| c.told.as_ref())
                .map(|(w, _)| Arc::clone(w))
            else {
                continue;
            };
            let silent = |id: &TaskId| {
                self.ledger
                    .tasks
                    .get(*id)
                    .is_some_and(|row| row.task.status.why.as_ref() != Some(why.as_ref()))
            };
            let tasks: Vec<_> = tasks.into_iter().filter(silent).collect();
            if !tasks.is_empty() {
                self.commit(Fact::Waiting { tasks, why });
            }
        }
    }

    fn refresh_soon(&mut self, key: &ClassKey) {
        let Some(class) = self.ledger.queue.get(key) else {
            return;
        };
        let told_at = class.told.as_ref().map_or(0, |(_, at)| *at);
        let pause = REFRESH_MS + u64::try_from(class.len()).unwrap_or(u64::MAX) / TOLD_PER_MS;
        self.ledger
            .queue
            .refresh_at(key, self.now.max(told_at.saturating_add(pause)));
    }

    /// Nodes joined, left or changed: what waiters were told counts other nodes than there are.
    pub(super) fn refresh_all_soon(&mut self) {
        for key in self.ledger.queue.parked() {
            self.refresh_soon(&key);
        }
    }

    /// Looks again at what waiters were told, a few classes at a time.
    pub(super) fn refresh_due(&mut self) {
        /// 16 full looks at 1,000 nodes take about a millisecond.
        const AT_ONCE: usize = 16;
        for _ in 0..AT_ONCE {
            let Some(key) = self.ledger.queue.take_due(self.now) else {
                return;
            };
            let Some(class) = self.ledger.queue.get(&key) else {
                continue;
            };
            let Some((_, id)) = class.first() else { continue };
            self.prepare(key.terms);
            let holds = self.holds(id);
            let why = match (self.limit(key.terms, holds.as_ref()), key.whom) {
                (Some(limit), _) => self.limited(limit),
                (None, Whom::Nominated(_)) => self.seat_why(&key, id),
                (None, Whom::Gang(_)) => {
                    // It is told anew when it is tried, and only then.
                    self.ledger.queue.turn(&key, State::Again);
                    continue;
                }
                (None, Whom::Each) => self.funnel(&key, id, holds.as_ref()),
            };
            if class_was_told(self.ledger.queue.get(&key).and_then(|c| c.told.as_ref()), &why) {
                continue;
            }
            self.tell_class(&key, why);
        }
    }
}

fn class_was_told(told: Option<&(Arc<Why>, u64)>, why: &Why) -> bool {
    told.is_some_and(|(told, _)| **told == *why)
}
