//! What readers see: tasks, nodes, tenants, schedulers and the timeline, made of durable changes only. One
//! writer applies them in order; reads never meet the core, so they go on while the log cannot be written.

mod around;
mod explain;
mod seen;
pub mod timeline;
pub mod watch;

use crate::input::{Change, Held, NodeNow, TaskNow};
use crate::ledger::book::part;
use crate::ledger::tasks::{again_after, granted};
use crate::ledger::tenants::lineage;
use plenum_contract::dispatcher::Assignment;
use plenum_contract::pool::{SchedulerView, TaskFilter, TaskPage};
use plenum_model::amounts::Amounts;
use plenum_model::ids::{Cursor, NodeId, SchedulerId, TaskId, TenantPath};
use plenum_model::node::Node;
use plenum_model::task::Task;
use plenum_model::tenant::{Tenant, TenantUsage};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use timeline::Timeline;
use watch::Changed;

/// What readers see.
#[derive(Debug, Default)]
pub struct View {
    /// The newest change.
    cursor: Cursor,
    tasks: BTreeMap<TaskId, TaskNow>,
    nodes: BTreeMap<NodeId, NodeSeen>,
    tenants: BTreeMap<TenantPath, TenantSeen>,
    schedulers: BTreeMap<SchedulerId, SchedulerSeen>,
    /// Those that wait, the oldest first.
    waiting: BTreeSet<(u64, TaskId)>,
    /// The scheduler whose tasks go before everybody else's.
    system: Option<SchedulerId>,
    changed: Changed,
    timeline: Timeline,
}

#[derive(Debug)]
struct NodeSeen {
    now: NodeNow,
    /// What tasks hold there, and what is kept there for those that wait.
    held: BTreeMap<SchedulerId, Tally>,
    tasks: BTreeSet<TaskId>,
    /// For whom something is kept.
    kept: BTreeSet<TaskId>,
}

#[derive(Debug)]
struct TenantSeen {
    tenant: Tenant,
    used: Amounts,
    pending: Amounts,
    tasks: u32,
}

#[derive(Debug, Default)]
struct SchedulerSeen {
    kind: String,
    connected: bool,
    live: u32,
    pending: u32,
    held: Amounts,
    asked: Amounts,
}

/// Amounts and how many tasks they are of.
#[derive(Debug, Default)]
struct Tally {
    amounts: Amounts,
    tasks: u32,
}

/// What one task adds to the sums.
struct Share {
    held: Amounts,
    pending: Amounts,
    full: u32,
    live: u32,
    waits: u32,
}

impl Share {
    fn of(now: &TaskNow) -> Self {
        let charge = &now.task.terms.charge;
        let live = now.waits || now.held == Held::Full || !now.task.status.phase().is_terminal();
        Self {
            held: part(charge, now.held),
            pending: if now.waits {
                charge.clone()
            } else {
                Amounts::default()
            },
            full: u32::from(now.held == Held::Full),
            live: u32::from(live),
            waits: u32::from(now.waits),
        }
    }
}

/// Which of two things happens to a sum.
#[derive(Clone, Copy)]
enum Book {
    Add,
    Take,
}

impl Book {
    fn amounts(self, sum: &mut Amounts, part: &Amounts) {
        if part.is_zero() {
            return;
        }
        *sum = match self {
            Self::Add => sum.checked_add(part).unwrap_or_else(|| sum.clone()),
            Self::Take => sum.saturating_sub(part),
        };
    }

    fn count(self, sum: &mut u32, part: u32) {
        *sum = match self {
            Self::Add => sum.saturating_add(part),
            Self::Take => sum.saturating_sub(part),
        };
    }
}

impl View {
    /// An empty one that keeps so many events and so many forgotten tasks.
    #[must_use]
    pub fn new(events_kept: usize, forgotten_kept: usize) -> Self {
        Self {
            changed: Changed::new(forgotten_kept),
            timeline: Timeline::new(events_kept),
            ..Self::default()
        }
    }

    /// Says whose tasks the core places before everybody else's.
    pub fn serve_first(&mut self, system: Option<SchedulerId>) {
        self.system = system;
    }

    /// The newest change that was applied.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Applies one change. (`Assign` and `Remove` concern no reader.)
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Start(cursor) => self.start(cursor),
            Change::Task(now) => self.task_changed(now),
            Change::Forgotten {
                cursor,
                scheduler,
                task,
            } => {
                self.cursor = self.cursor.max(cursor);
                if let Some(old) = self.tasks.remove(&task) {
                    self.sum(&old, Book::Take, cursor);
                }
                self.changed.forgotten(scheduler, task, cursor);
            }
            Change::Node(now) => {
                self.cursor = self.cursor.max(now.cursor);
                self.changed.node(&now.facts.id, now.cursor);
                match self.nodes.get_mut(&now.facts.id) {
                    Some(seen) => seen.now = now,
                    None => {
                        let id = now.facts.id.clone();
                        let seen = NodeSeen {
                            now,
                            held: BTreeMap::new(),
                            tasks: BTreeSet::new(),
                            kept: BTreeSet::new(),
                        };
                        self.nodes.insert(id, seen);
                    }
                }
            }
            Change::NodeGone(id) => {
                self.nodes.remove(&id);
                self.changed.node_gone(&id);
            }
            Change::Tenant(tenant) => self.tenant_changed(tenant),
            Change::Scheduler { id, kind, connected } => {
                let seen = self.schedulers.entry(id).or_default();
                (seen.kind, seen.connected) = (kind, connected);
            }
            Change::Happened(happened) => {
                self.cursor = self.cursor.max(happened.cursor);
                self.timeline.push(happened);
            }
            Change::Assign { .. } | Change::Remove { .. } => {}
        }
    }

    fn start(&mut self, cursor: Cursor) {
        self.cursor = cursor;
        self.tasks.clear();
        self.nodes.clear();
        self.tenants.clear();
        self.schedulers.clear();
        self.waiting.clear();
        self.changed.start(cursor);
        self.timeline.start(cursor);
    }

    fn task_changed(&mut self, now: TaskNow) {
        let (id, cursor) = (now.task.id(), now.cursor);
        self.cursor = self.cursor.max(cursor);
        self.changed.task(&now.task.scheduler, id, cursor);
        if let Some(old) = self.tasks.get(&id).cloned() {
            let same = old.held == now.held
                && old.waits == now.waits
                && old.on == now.on
                && old.kept == now.kept
                && old.task.status.phase().is_terminal() == now.task.status.phase().is_terminal();
            if same {
                self.tasks.insert(id, now);
                return;
            }
            self.sum(&old, Book::Take, cursor);
        }
        self.sum(&now, Book::Add, cursor);
        self.tasks.insert(id, now);
    }

    /// Adds a task to all sums it is part of, or takes it out.
    fn sum(&mut self, now: &TaskNow, book: Book, cursor: Cursor) {
        let id = now.task.id();
        let share = Share::of(now);
        if let Some((name, node)) = now
            .on
            .as_ref()
            .and_then(|n| self.nodes.get_mut(n).map(|seen| (n, seen)))
        {
            let tally = node.held.entry(now.task.scheduler.clone()).or_default();
            book.amounts(&mut tally.amounts, &share.held);
            book.count(&mut tally.tasks, share.full);
            if tally.tasks == 0 && tally.amounts.is_zero() {
                node.held.remove(&now.task.scheduler);
            }
            match book {
                Book::Add => node.tasks.insert(id),
                Book::Take => node.tasks.remove(&id),
            };
            self.changed.node(name, cursor);
        }
        self.sum_kept(now, book, cursor);
        for path in lineage(&now.task.terms.tenant) {
            if let Some(tenant) = self.tenants.get_mut(&path) {
                book.amounts(&mut tenant.used, &share.held);
                book.amounts(&mut tenant.pending, &share.pending);
                book.count(&mut tenant.tasks, share.full);
            }
        }
        let scheduler = self.schedulers.entry(now.task.scheduler.clone()).or_default();
        book.amounts(&mut scheduler.held, &share.held);
        book.amounts(&mut scheduler.asked, &share.held);
        book.amounts(&mut scheduler.asked, &share.pending);
        book.count(&mut scheduler.live, share.live);
        book.count(&mut scheduler.pending, share.waits);
        if now.waits {
            match book {
                Book::Add => self.waiting.insert((now.age, id)),
                Book::Take => self.waiting.remove(&(now.age, id)),
            };
        }
    }

    /// What is kept for a task counts on its node like what its scheduler holds there: nobody else can have it.
    fn sum_kept(&mut self, now: &TaskNow, book: Book, cursor: Cursor) {
        let Some(kept) = &now.kept else { return };
        let Some(node) = self.nodes.get_mut(&kept.node) else {
            return;
        };
        let tally = node.held.entry(now.task.scheduler.clone()).or_default();
        book.amounts(&mut tally.amounts, &kept.amounts);
        if tally.tasks == 0 && tally.amounts.is_zero() {
            node.held.remove(&now.task.scheduler);
        }
        match book {
            Book::Add => node.kept.insert(now.task.id()),
            Book::Take => node.kept.remove(&now.task.id()),
        };
        self.changed.node(&kept.node, cursor);
    }

    fn tenant_changed(&mut self, tenant: Tenant) {
        if let Some(seen) = self.tenants.get_mut(&tenant.path) {
            seen.tenant = tenant;
            return;
        }
        let mut seen = TenantSeen {
            used: Amounts::default(),
            pending: Amounts::default(),
            tasks: 0,
            tenant,
        };
        // Tenants below it may have been there before it.
        for now in self.tasks.values() {
            if lineage(&now.task.terms.tenant).any(|path| path == seen.tenant.path) {
                let share = Share::of(now);
                Book::Add.amounts(&mut seen.used, &share.held);
                Book::Add.amounts(&mut seen.pending, &share.pending);
                Book::Add.count(&mut seen.tasks, share.full);
            }
        }
        self.tenants.insert(seen.tenant.path.clone(), seen);
    }

    /// A task.
    #[must_use]
    pub fn task(&self, id: TaskId) -> Option<&TaskNow> {
        self.tasks.get(&id)
    }

    /// All tasks, by id.
    pub fn all(&self) -> impl Iterator<Item = &TaskNow> {
        self.tasks.values()
    }

    /// Those that wait, the oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = &TaskNow> {
        self.waiting.iter().filter_map(|(_, id)| self.tasks.get(id))
    }

    /// A page of tasks.
    #[must_use]
    pub fn tasks(&self, filter: &TaskFilter) -> TaskPage {
        let after = filter.after.map_or(Bound::Unbounded, Bound::Excluded);
        let limit = if filter.limit == 0 {
            usize::MAX
        } else {
            filter.limit
        };
        let mut page = TaskPage::default();
        // A node's tasks are few among all.
        let on_node = filter
            .node
            .as_ref()
            .and_then(|node| self.nodes.get(node))
            .filter(|_| !filter.ended);
        let mut take = |now: &TaskNow| {
            if passes(filter, now) {
                if page.tasks.len() == limit {
                    page.more = true;
                    return false;
                }
                page.tasks.push(Arc::clone(&now.task));
            }
            true
        };
        match on_node {
            Some(node) => {
                let ids = node.tasks.range((after, Bound::Unbounded));
                let _ = ids.filter_map(|id| self.tasks.get(id)).all(&mut take);
            }
            None => {
                let _ = self
                    .tasks
                    .range((after, Bound::Unbounded))
                    .all(|(_, now)| take(now));
            }
        }
        page
    }

    /// All nodes, by name.
    #[must_use]
    pub fn nodes(&self) -> Vec<Arc<Node>> {
        self.nodes.values().map(|seen| Arc::new(seen.node())).collect()
    }

    /// A node.
    #[must_use]
    pub fn node(&self, id: &NodeId) -> Option<Arc<Node>> {
        self.nodes.get(id).map(|seen| Arc::new(seen.node()))
    }

    /// All tenants, by path.
    #[must_use]
    pub fn tenants(&self) -> Vec<TenantUsage> {
        self.tenants.values().map(TenantSeen::usage).collect()
    }

    /// All schedulers, by name.
    #[must_use]
    pub fn schedulers(&self) -> Vec<SchedulerView> {
        let view = |(id, seen): (&SchedulerId, &SchedulerSeen)| SchedulerView {
            id: id.clone(),
            kind: seen.kind.clone(),
            connected: seen.connected,
            tasks: seen.live,
            pending: seen.pending,
            held: seen.held.clone(),
            asked: seen.asked.clone(),
        };
        self.schedulers.iter().map(view).collect()
    }

    /// What shall be on a node.
    #[must_use]
    pub fn on_node(&self, node: &NodeId) -> Vec<TaskId> {
        self.nodes
            .get(node)
            .map_or_else(Vec::new, |seen| seen.tasks.iter().copied().collect())
    }

    /// The assignment of a task to a node, with its spec, if it shall be there.
    #[must_use]
    pub fn assignment(
        &self,
        node: &NodeId,
        id: TaskId,
    ) -> Option<(Assignment, &Arc<plenum_model::spec::TaskSpec>)> {
        let now = self.tasks.get(&id).filter(|now| now.on.as_ref() == Some(node))?;
        let task: &Task = &now.task;
        let assignment = Assignment {
            scheduler: task.scheduler.clone(),
            seat: task.seat.clone(),
            terms: Arc::clone(&task.terms),
            ports: task.status.ports.clone(),
            generation: task.generation,
            desired: granted(task, now.held),
            grace_ms: now.grace_ms,
            again_after: again_after(task, now.held),
        };
        Some((assignment, &now.spec))
    }

    /// The timeline.
    #[must_use]
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }
}

fn passes(filter: &TaskFilter, now: &TaskNow) -> bool {
    let task = &now.task;
    let ended = task.status.phase().is_terminal() && !now.waits && now.held != Held::Full;
    (filter.ended || !ended)
        && filter.scheduler.as_ref().is_none_or(|s| *s == task.scheduler)
        && filter
            .workload
            .as_ref()
            .is_none_or(|w| *w == task.terms.workload.name)
        && filter
            .node
            .as_ref()
            .is_none_or(|n| task.status.node.as_ref() == Some(n))
        && filter
            .tenant
            .as_ref()
            .is_none_or(|t| lineage(&task.terms.tenant).any(|path| path == *t))
}
