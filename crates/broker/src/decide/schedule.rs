//! Whose turn it is and where it goes. The tenant with the lowest weighted dominant share goes first, within
//! it the oldest claim; shares are looked at again after every placement. What finds no room is parked
//! (`ledger::queue`), so a step costs what it places, not what waits.

use super::Core;
use crate::fact::{Fact, NodeIx, TermsIx};
use crate::ledger::book::part;
use crate::ledger::queue::{ClassKey, State};
use crate::ledger::tenants::Turn;
use crate::place::choose::{Chosen, Question};
use crate::place::levels::{INDEXED, indexed};
use crate::place::verdict::{Extra, verdict};
use plenum_model::amounts::{Amounts, Resource};
use plenum_model::claim::Desired;
use plenum_model::ids::{TaskId, TenantPath};
use plenum_model::why::{Cause, LimitReached, Why};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

/// What waiters were told is looked at again this long after a change at the earliest, in milliseconds.
const REFRESH_MS: u64 = 1_000;
/// Waiters of one class per second that are told anew, at most: large classes are refreshed less often.
const TOLD_PER_MS: u64 = 10;

/// A tenant's place in the order: its turn, then the age of its oldest claim, then its path.
type Order = (Turn, u64, TenantPath);

impl Core {
    /// Places all that can be placed now. What is placed may let something else pass: the fewest of an even spread
    /// rose, a group that others must be near to has begun. So it goes on until nobody is awake.
    pub(super) fn schedule(&mut self) {
        self.wake();
        while self.ledger.queue.awake().next().is_some() {
            self.place_awake();
            self.wake();
        }
        self.tell_why();
    }

    fn place_awake(&mut self) {
        let mut order: BinaryHeap<Reverse<Order>> = BinaryHeap::new();
        let awake: Vec<_> = self
            .ledger
            .queue
            .awake()
            .map(|(path, age)| (path.clone(), age))
            .collect();
        for (path, age) in awake {
            order.push(Reverse((self.turn_of(&path), age, path)));
        }
        while let Some(Reverse((turn, age, path))) = order.pop() {
            let Some((oldest, key)) = self.ledger.queue.next_of(&path) else {
                continue;
            };
            if !order.is_empty() {
                // Shares only grow here, so an entry that is still the lowest after a second look is the lowest.
                let now = (self.turn_of(&path), oldest);
                if now > (turn, age) {
                    order.push(Reverse((now.0, now.1, path)));
                    continue;
                }
                self.try_first(&key);
                order.push(Reverse((self.turn_of(&path), oldest, path)));
            } else {
                self.try_first(&key);
                order.push(Reverse((turn, age, path)));
            }
        }
    }

    fn turn_of(&self, path: &TenantPath) -> Turn {
        self.ledger.tenants.turn(path, &self.ledger.nodes.total)
    }

    /// Wakes what may have room now.
    fn wake(&mut self) {
        for path in std::mem::take(&mut self.ledger.tenants.freed) {
            for key in self.ledger.queue.parked_under(&path) {
                self.ledger.queue.turn(&key, State::Fresh);
            }
        }
        for ix in std::mem::take(&mut self.ledger.nodes.freed) {
            let Some(free) = self.ledger.nodes.get(ix).map(|row| indexed(&row.free)) else {
                continue;
            };
            for key in self.ledger.queue.parked_within(free) {
                if self.may_go(&key, ix) {
                    self.ledger.queue.wake(&key, ix);
                }
            }
        }
        for terms in self.ledger.helped() {
            self.ledger.queue.wake_all(terms);
        }
    }

    fn may_go(&mut self, key: &ClassKey, ix: NodeIx) -> bool {
        if key.node.is_some_and(|only| only != ix) {
            return false;
        }
        let Some((_, id)) = self.ledger.queue.get(key).and_then(|class| class.first()) else {
            return false;
        };
        self.prepare(key.terms);
        let holds = self.holds(id);
        let nodes = std::collections::BTreeSet::from([ix]);
        self.question(key.terms, id, holds.as_ref(), |q| q.among(&nodes))
            .is_some()
    }

    /// Places the oldest waiter of a class, or parks the class.
    fn try_first(&mut self, key: &ClassKey) {
        let Some(class) = self.ledger.queue.get(key) else {
            return;
        };
        let Some((_, id)) = class.first() else { return };
        let state = class.state.clone();
        self.prepare(key.terms);
        let holds = self.holds(id);
        if let Some(limit) = self.limit(key.terms, holds.as_ref()) {
            let park = State::ForLimit(limit.tenant.clone());
            self.park(key, park, Some(self.limited(limit)));
            return;
        }
        let exact = self.config.exact_nodes;
        let chosen = self.question(key.terms, id, holds.as_ref(), |q| match (&state, key.node) {
            (_, Some(only)) => q.among(&std::collections::BTreeSet::from([only])),
            (State::Woken(nodes), None) => q.among(nodes),
            (State::Fresh | State::Again | State::ForRoom(..) | State::ForLimit(_), None) => {
                q.among_all(exact)
            }
        });
        match chosen {
            Some((node, ports)) => self.place(id, node, ports),
            None => self.park_for_room(key, id, holds.as_ref(), &state),
        }
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
        let nodes = &ledger.nodes;
        let Some(row) = ledger.terms.get_mut(ix) else {
            return;
        };
        row.eligible.refresh(nodes, &row.needs);
        ledger.set_bars(ix);
    }

    fn question<T>(
        &self,
        ix: TermsIx,
        task: TaskId,
        holds: Option<&Amounts>,
        ask: impl FnOnce(&Question<'_>) -> Option<T>,
    ) -> Option<T> {
        let row = self.ledger.terms.get(ix)?;
        ask(&Question {
            needs: &row.needs,
            eligible: &row.eligible,
            extra: Extra {
                task,
                holds,
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
        self.question(ix, id, holds.as_ref(), |q| {
            q.among(&std::collections::BTreeSet::from([node]))
        })
    }

    /// What a task holds already: a stopped one its disk.
    fn holds(&self, id: TaskId) -> Option<Amounts> {
        let row = self.ledger.tasks.get(id).filter(|row| row.node.is_some())?;
        Some(part(&row.task.terms.charge, row.held))
    }

    fn limit(&self, ix: TermsIx, holds: Option<&Amounts>) -> Option<LimitReached> {
        let terms = &self.ledger.terms.get(ix)?.needs.terms;
        let none = Amounts::default();
        self.ledger
            .tenants
            .limit(&terms.tenant, &terms.charge, holds.unwrap_or(&none))
    }

    fn limited(&self, limit: LimitReached) -> Why {
        Why {
            nodes: self.node_count(),
            by: Vec::new(),
            limit: Some(limit),
        }
    }

    fn node_count(&self) -> u32 {
        u32::try_from(self.ledger.nodes.len()).unwrap_or(u32::MAX)
    }

    fn park_for_room(&mut self, key: &ClassKey, id: TaskId, holds: Option<&Amounts>, state: &State) {
        // A class that was woken has looked at every node that changed for it since its last full look: what it
        // was told may be a little old, that it has no room is not.
        let told = self.ledger.queue.get(key).and_then(|class| class.told.clone());
        let (why, old) = match (told, state) {
            (Some((why, _)), State::Woken(_) | State::Again) if why.limit.is_none() => {
                (Why::clone(&why), true)
            }
            _ => (self.funnel(key, id, holds), false),
        };
        let (resource, amount) = self.scarcest(key.terms, &why);
        self.park(key, State::ForRoom(resource, amount), Some(why).filter(|_| !old));
        if old {
            self.refresh_soon(key);
        }
    }

    /// The resource, of those the class asks, that most nodes lack.
    fn scarcest(&self, ix: TermsIx, why: &Why) -> (usize, u64) {
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
        let names = [Resource::Cpu, Resource::Memory, Resource::Disk, Resource::Slot];
        let counts = names.map(lacking);
        let best = (0..INDEXED)
            .filter(|r| asked[*r] > 0)
            .max_by_key(|r| (counts[*r], *r));
        best.map_or((INDEXED - 1, 0), |r| (r, asked[r]))
    }

    fn park(&mut self, key: &ClassKey, state: State, why: Option<Why>) {
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
            let why = match self.limit(key.terms, holds.as_ref()) {
                Some(limit) => self.limited(limit),
                None => self.funnel(&key, id, holds.as_ref()),
            };
            if class_was_told(self.ledger.queue.get(&key).and_then(|c| c.told.as_ref()), &why) {
                continue;
            }
            self.tell_class(&key, why);
        }
    }

    /// Every node's first cause, counted.
    fn funnel(&self, key: &ClassKey, id: TaskId, holds: Option<&Amounts>) -> Why {
        let mut by: BTreeMap<Cause, u32> = BTreeMap::new();
        if let Some(row) = self.ledger.terms.get(key.terms) {
            let extra = Extra {
                task: id,
                holds,
                past_cordon: false,
            };
            for (ix, node) in self.ledger.nodes.iter() {
                let cause = match key.node {
                    Some(only) if only != ix => Some(Cause::NotPinned),
                    Some(_) | None => {
                        let around = row.related.around(ix, &self.ledger.tallies);
                        verdict(&row.needs, &node.look(), &extra, &around).err()
                    }
                };
                if let Some(cause) = cause {
                    *by.entry(cause).or_insert(0) += 1;
                }
            }
        }
        Why {
            nodes: self.node_count(),
            by: by.into_iter().collect(),
            limit: None,
        }
    }
}

fn class_was_told(told: Option<&(Arc<Why>, u64)>, why: &Why) -> bool {
    told.is_some_and(|(told, _)| **told == *why)
}
