//! Tasks for which room is kept: when a seat is inherited, and when what is kept is enough. They are looked at before
//! anybody else whenever their node lets go of something.

use super::Core;
use crate::fact::{Fact, NodeIx, Room};
use crate::ledger::queue::{ClassKey, State, Whom};
use crate::place::levels::INDEXED;
use crate::place::ports::Ports;
use crate::place::verdict::{Extra, NodeLook, verdict};
use plenum_model::amounts::Amounts;
use plenum_model::claim::{HostPort, PortAsk};
use plenum_model::ids::TaskId;
use plenum_model::why::{Cause, Why};
use std::collections::BTreeSet;

impl Core {
    /// A task was claimed that replaces another: it waits for that one's seat, if it could ever have it.
    pub(super) fn nominate_seat(&mut self, id: TaskId) {
        let ledger = &self.ledger;
        let Some(from) = ledger.tasks.get(id).and_then(|row| row.task.seat.replaces) else {
            return;
        };
        let holder = ledger.tasks.get(from).filter(|row| {
            let promised = row.task.status.preempting.is_some();
            ledger.nominations.heir(from) == Some(id) && !promised
        });
        let Some(node) = holder.and_then(|row| row.node) else {
            return;
        };
        if let Some(ports) = self.inherited(id, from, node) {
            let room = Room {
                node,
                ports,
                victims: Vec::new(),
                deadline: 0,
            };
            self.commit(Fact::Nominated { task: id, room });
        }
    }

    /// The ports that a task gets in the seat of another; none if that seat is none for it.
    fn inherited(&mut self, id: TaskId, from: TaskId, node: NodeIx) -> Option<Vec<u16>> {
        let holder = self.ledger.tasks.get(from)?;
        let (counted, given) = (holder.terms, self.ledger.gives(from, node));
        // Rules look at the node as it is once the other has left.
        if given.is_some() {
            self.ledger.count(counted, node, false);
        }
        let ports = self.would_sit(id, from, node, given.as_ref());
        if given.is_some() {
            self.ledger.count(counted, node, true);
        }
        ports
    }

    fn would_sit(
        &mut self,
        id: TaskId,
        from: TaskId,
        node: NodeIx,
        given: Option<&Amounts>,
    ) -> Option<Vec<u16>> {
        let terms = self.ledger.tasks.get(id)?.terms;
        self.prepare(terms);
        let (row, holder) = (self.ledger.nodes.get(node)?, self.ledger.tasks.get(from)?);
        let needs = self.ledger.terms.get(terms)?;
        let free = row.free.checked_add(given.unwrap_or(&Amounts::default()))?;
        let mut held = row.ports.clone();
        if given.is_some() {
            held.release(&holder.task.terms.ports, &holder.task.status.ports);
        }
        let asks = as_before(
            &needs.needs.terms.ports,
            &holder.task.terms.ports,
            &holder.task.status.ports,
            (&held, &row.kept_ports),
        );
        let ports = held.choose(&asks, &row.kept_ports, row.facts.ports, id).ok()?;
        let look = NodeLook {
            free: &free,
            ports: &held,
            ..row.look()
        };
        let extra = Extra {
            task: id,
            holds: None,
            given: Some(&ports),
            past_cordon: false,
        };
        let around = needs.related.around(node, &self.ledger.tallies);
        verdict(&needs.needs, &look, &extra, &around).ok()
    }

    /// Looks at all for whom room is kept on nodes that let go of something or changed.
    pub(super) fn try_seats(&mut self, freed: &BTreeSet<NodeIx>) {
        let mut there = Vec::new();
        for ix in freed {
            self.spare_on(*ix);
            let kept = self.ledger.nodes.get(*ix).map(|node| &node.kept);
            there.extend(kept.into_iter().flatten().map(|kept| kept.task));
        }
        for id in there {
            if let Some(key) = self.seat_of(id) {
                self.try_seat(&key, id);
            }
        }
        let waiting: Vec<_> = self.ledger.nominations.reclaimed().collect();
        for id in waiting {
            self.try_instead(id, freed);
        }
    }

    fn seat_of(&self, id: TaskId) -> Option<ClassKey> {
        let nomination = self.ledger.nominations.get(id)?;
        Some(ClassKey {
            terms: self.ledger.tasks.get(id)?.terms,
            node: Some(nomination.room.node),
            whom: Whom::Nominated(id),
        })
    }

    /// Places a task where room is kept for it, if all of that is free; else it waits on, or its turn comes elsewhere.
    pub(super) fn try_seat(&mut self, key: &ClassKey, id: TaskId) {
        self.prepare(key.terms);
        if let Some(limit) = self.limit(key.terms, None) {
            self.park_for_limit(key, limit);
            return;
        }
        let Some((node, kept, given)) = self.kept_for(id) else {
            return;
        };
        let nodes = BTreeSet::from([node]);
        let from = self.ledger.tasks.get(id).and_then(|row| row.task.seat.replaces);
        // A successor does not stand beside its predecessor, though there may be room for both.
        let left = from.is_none_or(|from| self.ledger.gives(from, node).is_none());
        let ask = (Some(&kept), Some(given.as_slice()));
        match self.question(key.terms, id, ask, |q| q.among(&nodes).filter(|_| left)) {
            Some((node, ports)) => self.place(id, node, ports),
            None if self.may_be_free_later(key, id) => {
                let why = self.seat_why(key, id);
                // Nothing is offered to it: what its node lets go of it is told of before.
                self.park(key, State::ForRoom(INDEXED - 1, u64::MAX), Some(why));
            }
            None => self.pass(id),
        }
    }

    /// Keeps nothing for it any more; it waits on like others that ask the same.
    pub(super) fn pass(&mut self, id: TaskId) {
        self.commit(Fact::Passed { task: id });
        if let Some(row) = self.ledger.tasks.get(id) {
            let key = ClassKey {
                terms: row.terms,
                node: None,
                whom: Whom::Each,
            };
            self.ledger.queue.turn(&key, State::Fresh);
        }
    }

    /// A node, what of it is held for a task, and the ports that it gets there.
    pub(super) fn kept_for(&self, id: TaskId) -> Option<(NodeIx, Amounts, Vec<u16>)> {
        let nomination = self.ledger.nominations.get(id)?;
        let node = self.ledger.nodes.get(nomination.room.node)?;
        let kept = node.kept.iter().find(|kept| kept.task == id)?;
        Some((nomination.room.node, kept.amounts.clone(), kept.ports.clone()))
    }

    fn may_be_free_later(&self, key: &ClassKey, id: TaskId) -> bool {
        let cause = key.node.and_then(|node| self.against(key, id, node, None));
        let lasts = match cause {
            Some(
                Cause::Unreachable
                | Cause::Cordoned
                | Cause::NotPinned
                | Cause::Runtime(_)
                | Cause::Capability(_)
                | Cause::Attribute(_)
                | Cause::Taint(_),
            ) => true,
            Some(
                Cause::LimitPerKey(_)
                | Cause::Spread(_)
                | Cause::Near(_)
                | Cause::Away(_)
                | Cause::KeptAway(_)
                | Cause::Short(_)
                | Cause::Device(_)
                | Cause::Port(_)
                | Cause::DynamicPorts,
            )
            | None => false,
        };
        !lasts && self.ledger.awaits_room(id)
    }

    /// Why a task waits for whom room is kept.
    pub(super) fn seat_why(&self, key: &ClassKey, id: TaskId) -> Why {
        let node = key.node.and_then(|ix| self.ledger.nodes.get(ix));
        Why {
            kept: node.map(|node| node.facts.id.clone()),
            ..self.funnel(key, id, None)
        }
    }
}

/// Asks with the ports of a predecessor: what asks for any port of the same protocol gets the one it had, unless
/// somebody else has that now.
fn as_before(asks: &[PortAsk], had: &[PortAsk], ports: &[u16], taken: (&Ports, &Ports)) -> Vec<PortAsk> {
    let any = |ask: &PortAsk| ask.host == HostPort::Dynamic;
    let mut old: Vec<_> = had.iter().zip(ports).filter(|(ask, _)| any(ask)).collect();
    let mut again = asks.to_vec();
    for ask in again.iter_mut().filter(|ask| any(ask)) {
        let same = |(was, port): &(&PortAsk, &u16)| {
            let free = taken.0.free(**port, ask.protocol) && taken.1.free(**port, ask.protocol);
            was.protocol == ask.protocol && was.name == ask.name && was.container == ask.container && free
        };
        if let Some(at) = old.iter().position(same) {
            ask.host = HostPort::Fixed(*old.remove(at).1);
        }
    }
    again
}
