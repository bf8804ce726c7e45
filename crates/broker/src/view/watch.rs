//! The order in which things changed, for watches. There is no queue per watcher: each has a cursor, and asks
//! for what changed after it. A task stands once, at its newest change; so does a node. Forgotten tasks are
//! kept in a bounded number; a watcher further behind than that gets the snapshot again.

use super::View;
use plenum_contract::broker::{WatchEvent, WatchPart};
use plenum_model::ids::{Cursor, NodeId, SchedulerId, TaskId};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

/// The order in which things changed.
#[derive(Debug, Default)]
pub struct Changed {
    schedulers: BTreeMap<SchedulerId, Order>,
    at: HashMap<TaskId, Cursor>,
    nodes: BTreeMap<Cursor, NodeId>,
    nodes_at: BTreeMap<NodeId, Cursor>,
    forgotten: VecDeque<(Cursor, SchedulerId)>,
    forgotten_kept: usize,
    /// Nothing is known of what was forgotten up to here.
    start: Cursor,
}

#[derive(Debug, Default)]
struct Order {
    entries: BTreeMap<Cursor, Entry>,
    /// What was forgotten up to here is no longer known.
    floor: Cursor,
}

#[derive(Debug, Clone, Copy)]
enum Entry {
    Task(TaskId),
    Forgotten(TaskId),
}

impl Changed {
    pub(super) fn new(forgotten_kept: usize) -> Self {
        Self {
            forgotten_kept,
            ..Self::default()
        }
    }

    pub(super) fn start(&mut self, cursor: Cursor) {
        *self = Self {
            start: cursor,
            ..Self::new(self.forgotten_kept)
        };
    }

    pub(super) fn task(&mut self, scheduler: &SchedulerId, id: TaskId, cursor: Cursor) {
        let before = self.at.insert(id, cursor);
        let order = match self.schedulers.get_mut(scheduler) {
            Some(order) => order,
            None => self.schedulers.entry(scheduler.clone()).or_default(),
        };
        if let Some(before) = before {
            order.entries.remove(&before);
        }
        order.entries.insert(cursor, Entry::Task(id));
    }

    pub(super) fn forgotten(&mut self, scheduler: SchedulerId, id: TaskId, cursor: Cursor) {
        let before = self.at.remove(&id);
        let order = self.schedulers.entry(scheduler.clone()).or_default();
        if let Some(before) = before {
            order.entries.remove(&before);
        }
        order.entries.insert(cursor, Entry::Forgotten(id));
        self.forgotten.push_back((cursor, scheduler));
        while self.forgotten.len() > self.forgotten_kept {
            let Some((cursor, scheduler)) = self.forgotten.pop_front() else {
                break;
            };
            if let Some(order) = self.schedulers.get_mut(&scheduler) {
                order.entries.remove(&cursor);
                order.floor = cursor;
            }
        }
    }

    /// What of this scheduler was forgotten up to here is not known.
    fn floor(&self, scheduler: &SchedulerId) -> Cursor {
        let floor = self
            .schedulers
            .get(scheduler)
            .map_or(Cursor(0), |order| order.floor);
        floor.max(self.start)
    }

    pub(super) fn node(&mut self, id: &NodeId, cursor: Cursor) {
        if let Some(before) = self.nodes_at.insert(id.clone(), cursor) {
            self.nodes.remove(&before);
        }
        self.nodes.insert(cursor, id.clone());
    }

    pub(super) fn node_gone(&mut self, id: &NodeId) {
        if let Some(before) = self.nodes_at.remove(id) {
            self.nodes.remove(&before);
        }
    }
}

/// Where a watcher is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    scheduler: SchedulerId,
    nodes: bool,
    /// Everything up to here was told.
    at: Cursor,
    /// While the snapshot is told: what was forgotten before this was never told, so need not be.
    snapshot: Option<Cursor>,
}

/// What a watcher is told next.
#[derive(Debug, Clone, PartialEq)]
pub struct News {
    /// Everything up to here is told with it.
    pub cursor: Cursor,
    /// Which part of the watch it is.
    pub part: WatchPart,
    /// The news.
    pub events: Vec<WatchEvent>,
}

/// What is said of a task apart from its state, so that nobody has to find it there.
fn also(event: &WatchEvent) -> Option<WatchEvent> {
    let WatchEvent::Task(task) = event else {
        return None;
    };
    let id = task.id();
    if let Some(announced) = task.status.preempting {
        let deadline = announced.deadline;
        return Some(WatchEvent::Preempting { task: id, deadline });
    }
    let node = task.status.nominated.clone()?;
    Some(WatchEvent::Nominated { task: id, node })
}

impl View {
    /// A watcher that starts at a cursor, or with the snapshot if the cursor is none or not known any more.
    #[must_use]
    pub fn reader(&self, scheduler: &SchedulerId, nodes: bool, from: Option<Cursor>) -> Reader {
        let floor = self.changed.floor(scheduler);
        let known = from.filter(|from| *from >= floor && *from <= self.cursor);
        Reader {
            scheduler: scheduler.clone(),
            nodes,
            at: known.unwrap_or(Cursor(0)),
            snapshot: known.is_none().then_some(self.cursor),
        }
    }

    /// What a watcher is told next, at most so many pieces; none if it knows all.
    pub fn read(&self, reader: &mut Reader, limit: usize) -> Option<News> {
        if reader.snapshot.is_none() && reader.at < self.changed.floor(&reader.scheduler) {
            // It fell behind what is kept of the forgotten: all over again.
            *reader = self.reader(&reader.scheduler, reader.nodes, None);
        }
        let after = (Bound::Excluded(reader.at), Bound::Unbounded);
        let mut found: Vec<(Cursor, Option<WatchEvent>)> = Vec::new();
        if let Some(order) = self.changed.schedulers.get(&reader.scheduler) {
            let entries = order.entries.range(after).take(limit);
            found.extend(entries.map(|(cursor, entry)| (*cursor, self.event(reader, *cursor, *entry))));
        }
        let mut more = found.len() == limit;
        if reader.nodes {
            let tasks = found.len();
            let nodes = self.changed.nodes.range(after).take(limit);
            found.extend(nodes.map(|(cursor, id)| (*cursor, self.node(id).map(WatchEvent::Node))));
            more |= found.len() - tasks == limit;
            // Stable: a task and its node may share a cursor.
            found.sort_by_key(|(cursor, _)| *cursor);
        }
        // Either list is whole up to the cursor of the first `limit` of both.
        let cursor = match found.get(limit.saturating_sub(1)).filter(|_| more) {
            Some((last, _)) => *last,
            None => self.cursor,
        };
        found.retain(|(at, _)| *at <= cursor);
        let part = match (&reader.snapshot, more) {
            (Some(_), true) => WatchPart::Snapshot,
            (Some(_), false) => WatchPart::SnapshotEnd,
            (None, _) => WatchPart::Delta,
        };
        let mut events = Vec::with_capacity(found.len());
        for event in found.into_iter().filter_map(|(_, event)| event) {
            let said = also(&event);
            events.push(event);
            events.extend(said);
        }
        reader.at = cursor;
        if part == WatchPart::SnapshotEnd {
            reader.snapshot = None;
        }
        if part == WatchPart::Delta && events.is_empty() {
            return None;
        }
        Some(News { cursor, part, events })
    }

    fn event(&self, reader: &Reader, cursor: Cursor, entry: Entry) -> Option<WatchEvent> {
        match entry {
            Entry::Task(id) => Some(WatchEvent::Task(Arc::clone(&self.tasks.get(&id)?.task))),
            Entry::Forgotten(id) => reader
                .snapshot
                .is_none_or(|start| cursor > start)
                .then_some(WatchEvent::Forgotten(id)),
        }
    }
}
