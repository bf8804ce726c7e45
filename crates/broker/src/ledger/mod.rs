//! The ledger: who holds what on which node, and everything else that facts say. It changes by facts only
//! (`apply`), so that what the log gives back after a crash is what was there. Rows are read freely by the
//! verbs of `decide`; amounts held are booked in one place (`book`).

pub mod apply;
mod apply_nodes;
pub mod book;
pub mod budgets;
pub mod domains;
pub mod hashing;
pub mod nodes;
pub mod nominations;
pub mod queue;
pub mod relations;
pub mod scratch;
pub mod share;
pub mod snapshot;
pub mod tallies;
pub mod tasks;
pub mod tenants;
pub mod terms;
pub mod turns;
pub mod workloads;

use crate::config::CoreConfig;
use crate::fact::NodeIx;
use crate::input::{Change, Happened, KeptNow, TaskEvent, TaskNow, What};
use budgets::Budgets;
use hashing::Table;
use nodes::Nodes;
use nominations::Nominations;
use plenum_model::ids::{Cursor, LeaderEpoch, SchedulerId, SessionEpoch, SlotKey, TaskId};
use plenum_model::task::Task;
use queue::Queue;
use relations::Finder;
use std::collections::BTreeMap;
use std::sync::Arc;
use tallies::Tallies;
use tasks::Tasks;
use tenants::Tenants;
use terms::TermsTable;
use workloads::Workloads;

/// A scheduler that ever opened a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchedulerRow {
    /// The orchestrator it speaks.
    pub kind: String,
    /// Its newest session.
    pub epoch: SessionEpoch,
    /// Whether that session lives.
    pub connected: bool,
}

/// The ledger.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The time of the newest fact, in Unix milliseconds.
    pub at: u64,
    /// Which broker leads.
    pub epoch: LeaderEpoch,
    /// The place of the newest change among all; it never goes back, not even over a restart.
    pub cursor: Cursor,
    /// Claims so far: a claim's age is its number.
    pub ages: u64,
    /// Whether caps must be enforceable; part of the rules by which terms are prepared.
    pub strict_caps: bool,
    /// The scheduler whose tasks go before everybody else's.
    pub system: Option<SchedulerId>,
    /// All tasks that are not forgotten.
    pub tasks: Tasks,
    /// The highest attempt ever claimed of each slot; it outlives the tasks, so that no id is used twice.
    pub slots: Table<SlotKey, u32>,
    /// Terms and specs that tasks refer to.
    pub terms: TermsTable,
    /// All nodes.
    pub nodes: Nodes,
    /// All tenants.
    pub tenants: Tenants,
    /// All schedulers.
    pub schedulers: BTreeMap<SchedulerId, SchedulerRow>,
    /// The workloads of the terms.
    pub workloads: Workloads,
    /// What rules about other tasks count.
    pub tallies: Tallies,
    finder: Finder,
    /// Who waits.
    pub queue: Queue,
    /// Groups of which some must stay healthy.
    pub budgets: Budgets,
    /// For whom room is kept.
    pub nominations: Nominations,
    news: News,
}

/// What has changed since the last `flush`.
#[derive(Debug, Default)]
struct News {
    rows: Vec<Change>,
    nodes: Vec<NodeIx>,
    tasks: Vec<TaskId>,
    /// With their last state: they may have ended in the same step.
    forgotten: Vec<Arc<Task>>,
    assignments: Vec<Change>,
    task_events: Vec<(TaskEvent, TaskId, String)>,
    events: Vec<What>,
}

impl Ledger {
    /// An empty one.
    #[must_use]
    pub fn new(config: &CoreConfig) -> Self {
        Self {
            strict_caps: config.strict_caps,
            system: config.system.clone(),
            ..Self::default()
        }
    }

    /// Numbers all that has changed since the last call and says it: each task once, as it is now.
    pub fn flush(&mut self, out: &mut Vec<Change>) {
        let news = std::mem::take(&mut self.news);
        for ix in news.nodes {
            let cursor = self.number();
            if let Some(row) = self.nodes.get(ix) {
                out.push(Change::Node(row.now(cursor)));
            }
        }
        out.extend(news.rows);
        for id in news.tasks {
            let cursor = self.number();
            if let Some(row) = self.tasks.get_mut(id) {
                row.touched = false;
                row.cursor = cursor;
                let kept = self.nominations.get(id).map(|row| row.room.node);
                out.push(Change::Task(task_now(row, kept, &self.terms, &self.nodes)));
            }
        }
        for task in &news.forgotten {
            let (cursor, scheduler) = (self.number(), task.scheduler.clone());
            out.push(Change::Forgotten {
                cursor,
                scheduler,
                task: task.id(),
            });
        }
        out.extend(news.assignments);
        for (event, id, detail) in news.task_events {
            let row = self.tasks.get(id).map(|row| &row.task);
            let task = row
                .or_else(|| news.forgotten.iter().find(|task| task.id() == id))
                .map(Arc::clone);
            let Some(task) = task else { continue };
            self.happened(What::Task(event, task, detail), out);
        }
        for what in news.events {
            self.happened(what, out);
        }
    }

    fn happened(&mut self, what: What, out: &mut Vec<Change>) {
        let cursor = self.number();
        out.push(Change::Happened(Happened {
            cursor,
            at: self.at,
            what,
        }));
    }

    fn number(&mut self) -> Cursor {
        self.cursor = self.cursor.next();
        self.cursor
    }

    /// Everything as it is now, for a view that starts with it.
    pub fn export(&self, mut to: impl FnMut(Change)) {
        to(Change::Start(self.cursor));
        for (_, row) in self.nodes.iter() {
            to(Change::Node(row.now(self.cursor)));
        }
        for row in self.tenants.iter() {
            to(Change::Tenant(row.tenant.clone()));
        }
        for (id, row) in &self.schedulers {
            to(Change::Scheduler {
                id: id.clone(),
                kind: row.kind.clone(),
                connected: row.connected,
            });
        }
        for row in self.tasks.in_order_of_change() {
            let kept = self.nominations.get(row.task.id()).map(|row| row.room.node);
            to(Change::Task(task_now(row, kept, &self.terms, &self.nodes)));
        }
    }

    fn touch(&mut self, id: TaskId) {
        if let Some(row) = self.tasks.get_mut(id)
            && !row.touched
        {
            row.touched = true;
            self.news.tasks.push(id);
        }
    }

    fn touch_node(&mut self, ix: NodeIx) {
        if !self.news.nodes.contains(&ix) {
            self.news.nodes.push(ix);
        }
    }

    fn tell(&mut self, event: TaskEvent, id: TaskId, detail: impl Into<String>) {
        self.news.task_events.push((event, id, detail.into()));
    }

    /// Says the assignment of a task to its node anew.
    fn assign(&mut self, id: TaskId) {
        if let Some((node, task)) = self.tasks.get(id).and_then(|row| Some((row.node?, id)))
            && let Some(node) = self.nodes.get(node)
        {
            self.news.assignments.push(Change::Assign {
                node: node.facts.id.clone(),
                task,
            });
        }
    }
}

impl nodes::NodeRow {
    fn now(&self, cursor: Cursor) -> crate::input::NodeNow {
        crate::input::NodeNow {
            cursor,
            facts: Arc::clone(&self.facts),
            liveness: self.liveness,
            scheduling: self.scheduling,
            taints: Arc::clone(&self.taints),
            joined_at: self.joined_at,
            since: self.since,
        }
    }
}

/// A task as readers need it, for which room is kept on a node.
fn task_now(row: &tasks::TaskRow, kept: Option<NodeIx>, terms: &TermsTable, nodes: &Nodes) -> TaskNow {
    let id = row.task.id();
    let kept = kept.and_then(|ix| nodes.get(ix)).and_then(|node| {
        let kept = node.kept.iter().find(|kept| kept.task == id)?;
        Some(Arc::new(KeptNow {
            node: node.facts.id.clone(),
            amounts: kept.amounts.clone(),
            ports: kept.ports.clone(),
        }))
    });
    TaskNow {
        kept,
        cursor: row.cursor,
        age: row.age,
        waits: row.waits(),
        on: row.node.and_then(|ix| Some(nodes.get(ix)?.facts.id.clone())),
        task: Arc::clone(&row.task),
        held: row.held,
        grace_ms: row.grace_ms,
        spec: Arc::clone(&terms.row(row.terms).needs.spec),
    }
}
