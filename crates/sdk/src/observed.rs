//! The mirror: all tasks of this scheduler as the broker last told them, indexed by workload and slot, and the
//! nodes if asked for. Fed by the watch alone, but for what the broker has acknowledged to us and the watch
//! has not told yet: a claim, a release or a forgetting that was acknowledged shows at once, so that a planner
//! never decides it a second time.

use crate::attempts::SpentAttempts;
use crate::health::is_ready;
use crate::plan::Claim;
use crate::planner::Change;
use crate::time::Moment;
use plenum_contract::broker::{WatchBatch, WatchEvent, WatchPart};
use plenum_model::ids::{Cursor, Generation, NodeId, SchedulerId, TaskId};
use plenum_model::node::Node;
use plenum_model::task::{Status, Task};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// What is observed. See the module's header.
#[derive(Debug, Clone)]
pub struct Observed {
    scheduler: SchedulerId,
    tasks: BTreeMap<TaskId, Arc<Task>>,
    /// Slots by workload uid; within a slot the order of ids is the order of attempts.
    slots: BTreeMap<String, BTreeSet<(u64, TaskId)>>,
    nodes: BTreeMap<NodeId, Arc<Node>>,
    ready_since: BTreeMap<TaskId, Moment>,
    nominated: BTreeMap<TaskId, NodeId>,
    preempting: BTreeMap<TaskId, Moment>,
    spent: SpentAttempts,
    pending: Acknowledged,
    incoming: Option<Incoming>,
    cursor: Option<Cursor>,
    synced: bool,
    /// How often anything of a task has changed.
    changes: u64,
    /// The newest change of each workload that has tasks.
    versions: HashMap<String, u64>,
    nodes_version: u64,
}

/// What the broker acknowledged and the watch has not told yet.
#[derive(Debug, Clone, Default)]
struct Acknowledged {
    claimed: BTreeSet<TaskId>,
    /// Never taken back, so it stands until the task is gone.
    released: BTreeSet<TaskId>,
    forgotten: BTreeSet<TaskId>,
}

/// A snapshot of which the end has not come yet.
#[derive(Debug, Clone, Default)]
struct Incoming {
    tasks: BTreeMap<TaskId, Arc<Task>>,
    nodes: BTreeMap<NodeId, Arc<Node>>,
    notices: Vec<Change>,
}

impl Observed {
    /// An empty mirror of this scheduler.
    #[must_use]
    pub fn new(scheduler: SchedulerId) -> Self {
        Self {
            scheduler,
            tasks: BTreeMap::new(),
            slots: BTreeMap::new(),
            nodes: BTreeMap::new(),
            ready_since: BTreeMap::new(),
            nominated: BTreeMap::new(),
            preempting: BTreeMap::new(),
            spent: SpentAttempts::default(),
            pending: Acknowledged::default(),
            incoming: None,
            cursor: None,
            synced: false,
            changes: 0,
            versions: HashMap::new(),
            nodes_version: 0,
        }
    }

    /// Whose mirror this is.
    #[must_use]
    pub fn scheduler(&self) -> &SchedulerId {
        &self.scheduler
    }

    /// Whether the mirror is whole and follows the pool: false before the first snapshot has ended, and
    /// while there is no session. What it holds then is what was last known.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.synced
    }

    /// How far the mirror has come on the watch.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }

    /// Every task, ended ones included until they are forgotten, in the order of their ids.
    pub fn tasks(&self) -> impl Iterator<Item = &Arc<Task>> {
        self.tasks.values()
    }

    /// One task.
    #[must_use]
    pub fn task(&self, id: TaskId) -> Option<&Arc<Task>> {
        self.tasks.get(&id)
    }

    /// The uids of all workloads that have tasks.
    pub fn workloads(&self) -> impl Iterator<Item = &str> {
        self.slots.keys().map(String::as_str)
    }

    /// The tasks of a workload by slot, within a slot oldest attempt first.
    pub fn workload(&self, uid: &str) -> impl Iterator<Item = &Arc<Task>> {
        self.slots
            .get(uid)
            .into_iter()
            .flatten()
            .filter_map(|(_, id)| self.tasks.get(id))
    }

    /// Differs whenever anything of a workload's tasks has changed, or what is known of them; 0: it has none.
    #[must_use]
    pub fn version_of(&self, uid: &str) -> u64 {
        self.versions.get(uid).copied().unwrap_or(0)
    }

    /// Differs whenever nodes came or went, or what they are and whether they take tasks has changed; not when what
    /// is held on them has.
    #[must_use]
    pub fn nodes_version(&self) -> u64 {
        self.nodes_version
    }

    /// The tasks of one slot, oldest attempt first.
    pub fn slot(&self, uid: &str, slot: u64) -> impl Iterator<Item = &Arc<Task>> {
        let range = (slot, TaskId([0; 16]))..=(slot, TaskId([0xff; 16]));
        self.slots
            .get(uid)
            .into_iter()
            .flat_map(move |slots| slots.range(range.clone()))
            .filter_map(|(_, id)| self.tasks.get(id))
    }

    /// The id of the next attempt in a slot: one that was never used as far as is known. Pure: the same until
    /// something changes, so a plan that is made twice claims the same task.
    #[must_use]
    pub fn next_id(&self, uid: &str, slot: u64) -> TaskId {
        let seen = self.slot(uid, slot).last().map(|t| t.id().attempt());
        let first = TaskId::derive(&self.scheduler, uid, slot, 0);
        let attempt = self.spent.next(first.slot_key(), seen);
        TaskId::derive(&self.scheduler, uid, slot, attempt)
    }

    /// Since when a task is ready without a break, as far as this mirror saw it: after a restart from then on.
    #[must_use]
    pub fn ready_since(&self, id: TaskId) -> Option<Moment> {
        self.ready_since.get(&id).copied()
    }

    /// Where room is kept for a waiting task.
    #[must_use]
    pub fn nominated(&self, id: TaskId) -> Option<&NodeId> {
        self.nominated.get(&id)
    }

    /// Until when a task may stay that is about to be stopped for another.
    #[must_use]
    pub fn preempting(&self, id: TaskId) -> Option<Moment> {
        self.preempting.get(&id).copied()
    }

    /// The nodes, by name; empty unless the driver was told to watch them.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.values()
    }

    /// One node.
    #[must_use]
    pub fn node(&self, id: &NodeId) -> Option<&Arc<Node>> {
        self.nodes.get(id)
    }

    /// A new session begins: what comes next is its snapshot, which has everything acknowledged so far.
    pub fn begin_session(&mut self) {
        self.synced = false;
        self.incoming = None;
        self.pending.claimed.clear();
        self.pending.forgotten.clear();
    }

    /// The session is gone.
    pub fn end_session(&mut self) {
        self.synced = false;
    }

    /// Takes in a batch of the watch and says what it changed.
    pub fn apply(&mut self, now: Moment, batch: WatchBatch) -> Vec<Change> {
        let mut changes = Vec::new();
        match batch.part {
            WatchPart::Snapshot | WatchPart::SnapshotEnd => {
                let incoming = self.incoming.get_or_insert_with(Incoming::default);
                batch.events.into_iter().for_each(|e| incoming.take(e));
                if batch.part == WatchPart::SnapshotEnd {
                    self.finish_snapshot(now, &mut changes);
                }
            }
            WatchPart::Delta => {
                for event in batch.events {
                    self.delta(now, event, &mut changes);
                }
            }
        }
        self.cursor = Some(batch.cursor);
        changes
    }

    /// The broker took this claim; it shows as a pending task until the watch tells more.
    pub fn claimed(&mut self, now: Moment, claim: &Claim) {
        let id = claim.seat.id;
        self.spent.taken(id);
        if self.tasks.contains_key(&id) {
            return;
        }
        self.pending.claimed.insert(id);
        self.put(
            now,
            Arc::new(Task {
                scheduler: self.scheduler.clone(),
                seat: claim.seat.clone(),
                terms: Arc::clone(&claim.terms),
                generation: Generation(0),
                desired: claim.terms.desired,
                released: false,
                status: Status::pending(now.0),
            }),
        );
    }

    /// The broker refused this id because it, or a later attempt of its slot, was used before.
    pub fn used_up(&mut self, id: TaskId) {
        self.spent.refused(id);
    }

    /// The broker took this release.
    pub fn released(&mut self, now: Moment, id: TaskId) {
        self.pending.released.insert(id);
        if let Some(task) = self.tasks.get(&id).cloned() {
            self.put(now, task);
        } else {
            self.pending.released.remove(&id);
        }
    }

    /// The broker has let this record go.
    pub fn forgot(&mut self, id: TaskId) {
        self.spent.forgotten(id);
        if self.drop_task(id).is_some() {
            self.pending.forgotten.insert(id);
        }
    }

    fn finish_snapshot(&mut self, now: Moment, changes: &mut Vec<Change>) {
        let incoming = self.incoming.take().unwrap_or_default();
        let gone: Vec<TaskId> = self
            .tasks
            .keys()
            .filter(|id| !incoming.tasks.contains_key(id) && !self.pending.claimed.contains(id))
            .copied()
            .collect();
        for id in gone {
            changes.extend(self.drop_task(id).map(Change::Forgotten));
        }
        self.pending
            .forgotten
            .retain(|id| incoming.tasks.contains_key(id));
        self.nominated.clear();
        self.preempting.clear();
        for task in incoming.tasks.into_values() {
            self.see(now, task, changes);
        }
        self.nodes = incoming.nodes;
        self.nodes_version += 1;
        for notice in incoming.notices {
            self.notice(notice, changes);
        }
        self.synced = true;
    }

    fn delta(&mut self, now: Moment, event: WatchEvent, changes: &mut Vec<Change>) {
        match event {
            WatchEvent::Task(task) => self.see(now, task, changes),
            WatchEvent::Forgotten(id) => {
                self.pending.forgotten.remove(&id);
                self.spent.forgotten(id);
                changes.extend(self.drop_task(id).map(Change::Forgotten));
            }
            WatchEvent::Node(node) => {
                let other = |old: &Arc<Node>| {
                    let state = |n: &Node| (n.liveness, n.scheduling, n.taints.clone());
                    old.facts != node.facts || state(old) != state(&node)
                };
                let known = self.nodes.get(&node.facts.id);
                self.nodes_version += u64::from(known.is_none_or(other));
                self.nodes.insert(node.facts.id.clone(), node);
            }
            WatchEvent::Nominated { task, node } => self.notice(Change::Nominated { task, node }, changes),
            WatchEvent::Preempting { task, deadline } => {
                self.notice(
                    Change::Preempting {
                        task,
                        deadline: Moment(deadline),
                    },
                    changes,
                );
            }
        }
    }

    fn see(&mut self, now: Moment, task: Arc<Task>, changes: &mut Vec<Change>) {
        let id = task.id();
        if self.pending.forgotten.contains(&id) {
            return;
        }
        let told = !self.pending.claimed.remove(&id);
        let before = self.tasks.get(&id).filter(|_| told).cloned();
        if task.status.nominated.is_none() {
            self.nominated.remove(&id);
        }
        if task.status.preempting.is_none() {
            self.preempting.remove(&id);
        }
        let after = self.put(now, task);
        if before.as_ref() != Some(&after) {
            changes.push(Change::Task { before, after });
        }
    }

    fn changed(&mut self, uid: &str) {
        self.changes += 1;
        match self.versions.get_mut(uid) {
            Some(version) => *version = self.changes,
            None => drop(self.versions.insert(uid.to_owned(), self.changes)),
        }
    }

    fn notice(&mut self, notice: Change, changes: &mut Vec<Change>) {
        if let Change::Nominated { task, .. } | Change::Preempting { task, .. } = &notice
            && let Some(task) = self.tasks.get(task).cloned()
        {
            self.changed(&task.terms.workload.uid);
        }
        // It is said again with every change of the task.
        let known = match &notice {
            Change::Nominated { task, node } => {
                self.nominated.insert(*task, node.clone()).as_ref() == Some(node)
            }
            Change::Preempting { task, deadline } => {
                self.preempting.insert(*task, *deadline) == Some(*deadline)
            }
            Change::Task { .. } | Change::Forgotten(_) => false,
        };
        if !known {
            changes.push(notice);
        }
    }

    fn put(&mut self, now: Moment, mut task: Arc<Task>) -> Arc<Task> {
        let id = task.id();
        if !task.released && self.pending.released.contains(&id) {
            Arc::make_mut(&mut task).released = true;
        }
        let restarted = self
            .tasks
            .get(&id)
            .is_some_and(|t| t.status.progress.incarnation != task.status.progress.incarnation);
        if restarted {
            self.ready_since.remove(&id);
        }
        if is_ready(&task) {
            self.ready_since.entry(id).or_insert(now);
        } else {
            self.ready_since.remove(&id);
        }
        if task.status.phase().is_terminal() {
            self.preempting.remove(&id);
        }
        let uid = &task.terms.workload.uid;
        self.changed(uid);
        if !self.slots.contains_key(uid) {
            self.slots.insert(uid.clone(), BTreeSet::new());
        }
        if let Some(slots) = self.slots.get_mut(uid) {
            slots.insert((task.seat.slot, id));
        }
        self.tasks.insert(id, Arc::clone(&task));
        task
    }

    fn drop_task(&mut self, id: TaskId) -> Option<Arc<Task>> {
        let task = self.tasks.remove(&id)?;
        self.ready_since.remove(&id);
        self.nominated.remove(&id);
        self.preempting.remove(&id);
        self.pending.released.remove(&id);
        let uid = &task.terms.workload.uid;
        self.changed(uid);
        if let Some(slots) = self.slots.get_mut(uid) {
            slots.remove(&(task.seat.slot, id));
            if slots.is_empty() {
                self.slots.remove(uid);
                self.versions.remove(uid);
            }
        }
        Some(task)
    }
}

impl Incoming {
    fn take(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Task(task) => {
                self.tasks.insert(task.id(), task);
            }
            WatchEvent::Forgotten(id) => {
                self.tasks.remove(&id);
            }
            WatchEvent::Node(node) => {
                self.nodes.insert(node.facts.id.clone(), node);
            }
            WatchEvent::Nominated { task, node } => self.notices.push(Change::Nominated { task, node }),
            WatchEvent::Preempting { task, deadline } => {
                self.notices.push(Change::Preempting {
                    task,
                    deadline: Moment(deadline),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests;
