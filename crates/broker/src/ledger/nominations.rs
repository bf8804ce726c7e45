//! Nominations: room on a node that is kept for a task which waits, free already or about to be. It comes from the
//! predecessor whose seat the task takes, or from tasks that are stopped for it. What is free of it is held at once;
//! the rest is taken from what those who give it let go, before anybody else sees it. A nomination lives exactly as
//! long as its task waits, unless the node cannot serve it any more.

use super::Ledger;
use super::nodes::Kept;
use crate::fact::{NodeIx, Room};
use crate::input::{Held, TaskEvent};
use plenum_model::amounts::Amounts;
use plenum_model::claim::Desired;
use plenum_model::ids::TaskId;
use plenum_model::task::Preempting;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Room that is kept for a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nomination {
    /// Those with a lower one are served before it.
    pub number: u64,
    /// Which room.
    pub room: Room,
}

/// All nominations.
#[derive(Debug, Default)]
pub struct Nominations {
    rows: BTreeMap<TaskId, Nomination>,
    /// Those that take nobody's seat: other room would do as well.
    reclaimed: BTreeSet<TaskId>,
    /// Who waits for the seat of a task.
    heirs: BTreeMap<TaskId, TaskId>,
    /// The number that the next one gets.
    pub next: u64,
}

impl Nominations {
    /// That of a task.
    #[must_use]
    pub fn get(&self, task: TaskId) -> Option<&Nomination> {
        self.rows.get(&task)
    }

    /// All, by task.
    pub fn iter(&self) -> impl Iterator<Item = (TaskId, &Nomination)> {
        self.rows.iter().map(|(id, row)| (*id, row))
    }

    /// The tasks for which others are stopped: they take nobody's seat, and other room would do as well.
    pub fn reclaimed(&self) -> impl Iterator<Item = TaskId> + '_ {
        self.reclaimed.iter().copied()
    }

    fn put(&mut self, task: TaskId, row: Nomination) -> Option<Nomination> {
        // A seat has no deadline.
        if row.room.deadline > 0 {
            self.reclaimed.insert(task);
        }
        self.rows.insert(task, row)
    }

    /// Who waits for the seat of a task.
    #[must_use]
    pub fn heir(&self, of: TaskId) -> Option<TaskId> {
        self.heirs.get(&of).copied()
    }

    /// A task waits that replaces another, or waits no longer.
    pub(super) fn inherit(&mut self, from: TaskId, heir: TaskId, waits: bool) {
        if waits {
            self.heirs.entry(from).or_insert(heir);
        } else if self.heirs.get(&from) == Some(&heir) {
            self.heirs.remove(&from);
        }
    }

    /// One of those who were to be stopped for a task need not be any more.
    pub(super) fn spare(&mut self, task: TaskId, victim: TaskId) {
        if let Some(row) = self.rows.get_mut(&task) {
            row.room.victims.retain(|id| *id != victim);
        }
    }

    /// Puts one in as it was read back; `Ledger::keep_again` makes the rest of it.
    pub(super) fn restore(&mut self, task: TaskId, row: Nomination) {
        self.put(task, row);
    }
}

impl Ledger {
    /// Keeps room for a task, or changes what is kept. It waits at that node from now on.
    pub(super) fn nominate(&mut self, task: TaskId, room: Room) {
        self.leave(task);
        let before = self.nominations.rows.get(&task);
        let number = before.map_or(self.nominations.next, |before| before.number);
        let first = before.is_none();
        self.nominations.next = self.nominations.next.max(number + 1);
        let (victims, node) = (room.victims.clone(), room.node);
        let announced = Preempting {
            deadline: room.deadline,
            by: task,
        };
        let old = self.nominations.put(task, Nomination { number, room });
        let before = old.iter().flat_map(|old| &old.room.victims);
        for id in before.filter(|id| !victims.contains(id)) {
            self.announce(*id, task, None);
        }
        for id in victims {
            self.announce(id, task, Some(announced));
        }
        if let Some(old) = old.filter(|old| old.room.node != node) {
            self.unkeep(task, old.room.node);
        }
        if first {
            self.promise(task, true);
        }
        self.keep(task);
        self.enter(task);
        if first {
            self.tell(TaskEvent::Nominated, task, self.node_name(node));
        }
    }

    /// Keeps room for it no longer; those who were to be stopped for it live on.
    pub(super) fn denominate(&mut self, task: TaskId) {
        let Some(row) = self.nominations.rows.get(&task).cloned() else {
            return;
        };
        self.promise(task, false);
        self.nominations.rows.remove(&task);
        self.nominations.reclaimed.remove(&task);
        for id in row.room.victims {
            self.announce(id, task, None);
        }
        if let Some(waiter) = self.tasks.get_mut(task) {
            Arc::make_mut(&mut waiter.task).status.nominated = None;
            self.touch(task);
        }
        self.unkeep(task, row.room.node);
    }

    fn announce(&mut self, id: TaskId, by: TaskId, announced: Option<Preempting>) {
        let Some(row) = self.tasks.get_mut(id) else { return };
        let now = &mut Arc::make_mut(&mut row.task).status.preempting;
        if *now == announced || (announced.is_none() && now.is_some_and(|now| now.by != by)) {
            return;
        }
        *now = announced;
        let event = match announced {
            Some(_) => TaskEvent::Preempting,
            None => TaskEvent::Spared,
        };
        self.touch(id);
        self.tell(event, id, by.to_string());
    }

    /// What is nominated counts where it is asked how much of a guarantee is left; but for a seat, whose holder is
    /// still charged.
    fn promise(&mut self, task: TaskId, up: bool) {
        if let Some(row) = self
            .tasks
            .get(task)
            .filter(|_| self.nominations.reclaimed.contains(&task))
        {
            let terms = &row.task.terms;
            self.tenants.promise(&terms.tenant, &terms.charge, up);
        }
    }

    /// Who lets go of room for a task on the node where it is nominated.
    fn givers(&self, task: TaskId, row: &Nomination) -> impl Iterator<Item = TaskId> {
        let heir_of = self.tasks.get(task).and_then(|row| row.task.seat.replaces);
        row.room.victims.clone().into_iter().chain(heir_of)
    }

    /// Whether somebody who is to let go of room for it still holds it.
    #[must_use]
    pub fn awaits_room(&self, task: TaskId) -> bool {
        self.nominations.get(task).is_some_and(|row| {
            let gives = |id: TaskId| self.gives(id, row.room.node).is_some();
            self.givers(task, row).any(gives) || self.is_being_vacated(row.room.node)
        })
    }

    /// Whether a task is to be stopped anyway.
    #[must_use]
    pub fn is_leaving(&self, id: TaskId) -> bool {
        let row = self.tasks.get(id);
        row.is_some_and(|row| row.granted() == Desired::Stopped)
    }

    /// Whether a task goes anyway: it is to be stopped, or announced to be.
    #[must_use]
    pub fn is_going(&self, id: TaskId) -> bool {
        let row = self.tasks.get(id);
        row.is_some_and(|row| row.task.status.preempting.is_some()) || self.is_leaving(id)
    }

    /// Whether somebody on a node holds room and goes.
    #[must_use]
    pub fn is_being_vacated(&self, node: NodeIx) -> bool {
        let there = self.nodes.get(node).map(|node| &node.tasks);
        let mut there = there.into_iter().flatten();
        there.any(|id| self.is_going(*id) && self.gives(*id, node).is_some())
    }

    /// What a task lets go of on a node once it ends: all but its disk, which stays until it is forgotten.
    #[must_use]
    pub fn gives(&self, id: TaskId, node: NodeIx) -> Option<Amounts> {
        let row = self.tasks.get(id)?;
        let there = row.node == Some(node) && row.held == Held::Full;
        there.then(|| Amounts {
            disk_bytes: 0,
            ..row.task.terms.charge.clone()
        })
    }

    /// Puts the room of a nominated task on its node's list.
    fn keep(&mut self, task: TaskId) {
        let Some(row) = self.nominations.get(task).cloned() else {
            return;
        };
        let Some(waiter) = self.tasks.get_mut(task) else {
            return;
        };
        let name = self.nodes.get(row.room.node).map(|node| node.facts.id.clone());
        Arc::make_mut(&mut waiter.task).status.nominated = name;
        let kept = Kept {
            task,
            number: row.number,
            asked: waiter.task.terms.charge.clone(),
            asks: waiter.task.terms.ports.clone(),
            ports: row.room.ports,
            wants: Amounts::default(),
            amounts: Amounts::default(),
            told: Amounts::default(),
        };
        self.touch(task);
        self.nodes.keep(row.room.node, kept);
        self.keep_again(row.room.node);
    }

    fn unkeep(&mut self, task: TaskId, node: NodeIx) {
        self.nodes.unkeep(node, task);
        self.nodes.freed.insert(node);
        self.keep_again(node);
    }

    /// Counts anew what of the room on a node is free for whom it is kept: somebody let go of something, or took it.
    pub(super) fn keep_again(&mut self, node: NodeIx) {
        let Some(kept) = self
            .nodes
            .get(node)
            .map(|row| &row.kept)
            .filter(|kept| !kept.is_empty())
        else {
            return;
        };
        let mut wants = Vec::with_capacity(kept.len());
        for kept in kept {
            let row = self.nominations.get(kept.task);
            let givers = row.into_iter().flat_map(|row| self.givers(kept.task, row));
            let given = givers.filter_map(|id| self.gives(id, node));
            wants.push(given.fold(kept.asked.clone(), |wants, given| wants.saturating_sub(&given)));
        }
        let changed = self.nodes.want(node, wants);
        changed.into_iter().for_each(|id| self.touch(id));
    }

    /// Makes what is kept on nodes as the nominations say that were read back.
    pub(super) fn keep_all(&mut self) {
        let all: Vec<_> = self.nominations.rows.keys().copied().collect();
        for id in all {
            self.promise(id, true);
            self.keep(id);
        }
        // Nothing of it is news.
        for id in std::mem::take(&mut self.news.tasks) {
            if let Some(row) = self.tasks.get_mut(id) {
                row.touched = false;
            }
        }
    }

    fn node_name(&self, node: NodeIx) -> String {
        let row = self.nodes.get(node);
        row.map_or_else(String::new, |row| row.facts.id.to_string())
    }
}
