//! What readers see of the simulated broker: durable facts only, folded from what its steps decided.

use plenum_broker::input::{Change, TaskNow};
use plenum_broker::ledger::tasks::{again_after, granted};
use plenum_contract::dispatcher::Assignment;
use plenum_model::ids::{Cursor, NodeId, TaskId};
use plenum_model::node::NodeFacts;
use plenum_model::phase::Phase;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What readers see: durable facts only.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) tasks: BTreeMap<TaskId, TaskNow>,
    pub(crate) nodes: BTreeMap<NodeId, Arc<NodeFacts>>,
    /// What shall be on each node.
    pub(crate) placed: BTreeMap<NodeId, BTreeSet<TaskId>>,
    /// For whom room is kept on each node.
    pub(crate) kept: BTreeMap<NodeId, BTreeSet<TaskId>>,
    pub(super) cursor: Cursor,
}

impl View {
    pub(super) fn apply(&mut self, change: &Change) {
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
                self.keep(old.as_ref(), false);
                self.keep(Some(now), true);
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
                self.keep(old.as_ref(), false);
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

    fn keep(&mut self, now: Option<&TaskNow>, within: bool) {
        let Some((now, kept)) = now.and_then(|now| Some((now, now.kept.as_ref()?))) else {
            return;
        };
        let there = self.kept.entry(kept.node.clone()).or_default();
        if within {
            there.insert(now.task.id());
        } else {
            there.remove(&now.task.id());
        }
    }

    fn lift(&mut self, node: &NodeId, task: TaskId) {
        if let Some(placed) = self.placed.get_mut(node) {
            placed.remove(&task);
        }
    }

    pub(super) fn assignment(&self, id: TaskId) -> Option<Assignment> {
        let now = self.tasks.get(&id)?;
        let task = &now.task;
        Some(Assignment {
            scheduler: task.scheduler.clone(),
            seat: task.seat.clone(),
            terms: Arc::clone(&task.terms),
            ports: task.status.ports.clone(),
            generation: task.generation,
            desired: granted(task, now.held),
            grace_ms: now.grace_ms,
            again_after: again_after(task, now.held),
        })
    }
}
