//! An independent judge of the invariants. It keeps books of its own from what is told to the world and knows
//! nothing of how the broker keeps its own.

use crate::broker::View;
use crate::machine::protocols;
use plenum_broker::input::{Change, Held};
use plenum_model::amounts::Amounts;
use plenum_model::ids::{NodeId, TaskId};
use plenum_model::phase::Progress;
use plenum_model::tenant::Tenant;
use plenum_sdk::calls::{Call, Reply};
use std::collections::{BTreeMap, BTreeSet};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    violations: Vec<String>,
    /// Claims that a scheduler was told are taken, until it was told that they are forgotten.
    acknowledged: BTreeSet<TaskId>,
    /// Forgotten for good.
    gone: BTreeSet<TaskId>,
    progress: BTreeMap<TaskId, Progress>,
    tenants: BTreeMap<String, Tenant>,
    /// Nodes and whether tenants' use must be counted again.
    touched: BTreeSet<NodeId>,
    held: BTreeMap<TaskId, (String, Amounts)>,
    used: BTreeMap<String, Amounts>,
}

impl Checker {
    /// What did not hold, in the order of its finding.
    pub(crate) fn violations(&self) -> &[String] {
        &self.violations
    }

    pub(crate) fn violated(&mut self, now: u64, what: String) {
        // The first few tell everything; thousands would only hide them.
        if self.violations.len() < 20 {
            self.violations.push(format!("at {now} ms: {what}"));
        }
    }

    /// A scheduler asks to forget these: from now on they may be gone, whether it hears of it or not.
    pub(crate) fn forgetting(&mut self, ids: &[TaskId]) {
        for id in ids {
            self.acknowledged.remove(id);
        }
    }

    /// A scheduler was told this.
    pub(crate) fn acknowledged(&mut self, call: &Call, reply: &Reply) {
        if let (Call::Claim { claims, .. }, Reply::Claimed(claimed)) = (call, reply) {
            let refused: BTreeSet<TaskId> = claimed.refused.iter().map(|r| r.task).collect();
            let taken = claims
                .iter()
                .map(|c| c.seat.id)
                .filter(|id| !refused.contains(id));
            let gone = &self.gone;
            self.acknowledged.extend(taken.filter(|id| !gone.contains(id)));
        }
    }

    /// The world was told this.
    pub(crate) fn changed(&mut self, now: u64, change: &Change) {
        match change {
            Change::Task(task) => {
                let id = task.task.id();
                if self.gone.contains(&id) {
                    self.violated(now, format!("task {id} is back although it was forgotten"));
                }
                let next = task.task.status.progress;
                let before = self.progress.insert(id, next);
                if let Some(before) = before
                    && before != next
                    && before.next(next) != Some(next)
                {
                    self.violated(now, format!("task {id} went from {before:?} to {next:?}"));
                }
                self.touched.extend(task.task.status.node.clone());
                self.touched
                    .extend(task.kept.as_ref().map(|kept| kept.node.clone()));
                if task.kept.is_some() && !task.waits {
                    self.violated(now, format!("room is kept for task {id}, which waits no longer"));
                }
                self.book(now, id, Some((task.task.terms.tenant.to_string(), charge(task))));
            }
            Change::Forgotten { task, .. } => {
                self.gone.insert(*task);
                self.progress.remove(task);
                self.acknowledged.remove(task);
                self.book(now, *task, None);
            }
            Change::Tenant(tenant) => {
                self.tenants.insert(tenant.path.to_string(), tenant.clone());
            }
            Change::Node(node) => {
                self.touched.insert(node.facts.id.clone());
            }
            Change::Start(_)
            | Change::Assign { .. }
            | Change::Remove { .. }
            | Change::NodeGone(_)
            | Change::Scheduler { .. }
            | Change::Happened(_) => {}
        }
    }

    fn book(&mut self, now: u64, id: TaskId, new: Option<(String, Amounts)>) {
        let old = match new.clone() {
            Some(new) => self.held.insert(id, new),
            None => self.held.remove(&id),
        };
        if let Some((tenant, amounts)) = old {
            for path in lineage(&tenant) {
                let used = self.used.entry(path.to_owned()).or_default();
                *used = used.saturating_sub(&amounts);
            }
        }
        let Some((tenant, amounts)) = new else { return };
        let mut over = Vec::new();
        for path in lineage(&tenant) {
            let used = self.used.entry(path.to_owned()).or_default();
            *used = used.checked_add(&amounts).unwrap_or_default();
            let Some(limit) = self.tenants.get(path).map(|t| &t.limit) else {
                continue;
            };
            over.extend(
                limit
                    .iter()
                    .filter(|(resource, most)| used.get(resource) > *most)
                    .map(|(resource, most)| {
                        format!("tenant {path} uses {} {resource} of {most}", used.get(&resource))
                    }),
            );
        }
        for what in over {
            self.violated(now, what);
        }
    }

    /// A group of steps is durable and told.
    pub(crate) fn committed(&mut self, now: u64, view: &View) {
        for node in std::mem::take(&mut self.touched) {
            self.node(now, view, &node);
        }
    }

    fn node(&mut self, now: u64, view: &View, node: &NodeId) {
        let Some(facts) = view.nodes.get(node) else { return };
        let mut used = Amounts::default();
        let mut ports: BTreeMap<(u16, u8), TaskId> = BTreeMap::new();
        for id in view.placed.get(node).into_iter().flatten() {
            let Some(task) = view.tasks.get(id) else { continue };
            used = used.checked_add(&charge(task)).unwrap_or_default();
            if task.held != Held::Full {
                continue;
            }
            for (ask, port) in task.task.terms.ports.iter().zip(&task.task.status.ports) {
                for protocol in protocols(ask.protocol) {
                    if let Some(other) = ports.insert((*port, *protocol), *id) {
                        self.violated(now, format!("port {port} of {node} is held by {other} and {id}"));
                    }
                }
            }
        }
        for id in view.kept.get(node).into_iter().flatten() {
            let kept = view.tasks.get(id).and_then(|task| task.kept.as_ref());
            let amounts = kept.map(|kept| kept.amounts.clone()).unwrap_or_default();
            used = used.checked_add(&amounts).unwrap_or_default();
        }
        if let Some(resource) = used.short_of(&facts.allocatable()) {
            let (has, holds) = (facts.allocatable().get(&resource), used.get(&resource));
            self.violated(
                now,
                format!("{node} has {has} {resource}, its tasks hold, and for others is kept, {holds}"),
            );
        }
    }

    /// The broker has read its log.
    pub(crate) fn restarted(&mut self, now: u64, view: &View) {
        let lost: Vec<TaskId> = self
            .acknowledged
            .iter()
            .filter(|id| !view.tasks.contains_key(id))
            .copied()
            .collect();
        for id in lost {
            self.violated(now, format!("claim of task {id} was acknowledged and is lost"));
        }
        // What was durable and never told is told by the log; what was told must be in it.
        for (id, told) in self.progress.clone() {
            let Some(task) = view.tasks.get(&id) else { continue };
            let have = task.task.status.progress;
            if told != have && told.next(have) != Some(have) {
                self.violated(
                    now,
                    format!("task {id} was told as {told:?} and the log has {have:?}"),
                );
            }
        }
        for id in self.gone.clone() {
            if view.tasks.contains_key(&id) {
                self.violated(
                    now,
                    format!("task {id} was told to be forgotten and the log has it"),
                );
            }
        }
        self.progress = view
            .tasks
            .iter()
            .map(|(id, t)| (*id, t.task.status.progress))
            .collect();
        self.held.clear();
        self.used.clear();
        for (id, task) in &view.tasks {
            self.book(now, *id, Some((task.task.terms.tenant.to_string(), charge(task))));
        }
        self.touched.extend(view.nodes.keys().cloned());
        self.committed(now, view);
    }
}

/// What the ledger holds for a task, by what it says itself.
fn charge(task: &plenum_broker::input::TaskNow) -> Amounts {
    let all = &task.task.terms.charge;
    match task.held {
        Held::Nothing => Amounts::default(),
        Held::Disk => Amounts {
            disk_bytes: all.disk_bytes,
            ..Amounts::default()
        },
        Held::Full => all.clone(),
    }
}

/// A tenant's path and those above it.
fn lineage(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.match_indices('/').map(|(i, _)| i);
    ends.chain([path.len()]).map(|end| &path[..end])
}
