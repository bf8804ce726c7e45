//! `Pool`: what people and doors ask of the broker, and the few things they may tell it. Reads come from a
//! view fed by durable facts, so nothing is shown that a crash could take back.

use crate::error::{Class, Classified};
use async_trait::async_trait;
use futures::stream::BoxStream;
use plenum_model::amounts::Amounts;
use plenum_model::claim::Terms;
use plenum_model::event::Event;
use plenum_model::fix::Fix;
use plenum_model::ids::{Cursor, NodeId, SchedulerId, TaskId, TenantPath};
use plenum_model::node::{Node, Scheduling};
use plenum_model::spec::TaskSpec;
use plenum_model::taint::TaintChange;
use plenum_model::task::{ExitReason, Task};
use plenum_model::tenant::{Tenant, TenantUsage};
use plenum_model::why::{Because, Block, Cause, NodeVerdict, Other, Why};
use std::sync::Arc;

/// Query and administration of the pool.
#[async_trait]
pub trait Pool: Send + Sync {
    /// All nodes, by name.
    ///
    /// # Errors
    /// See [`PoolError`], here and below.
    async fn nodes(&self) -> Result<Vec<Arc<Node>>, PoolError>;

    /// Tasks that pass the filter, in the order of their ids.
    async fn tasks(&self, filter: TaskFilter) -> Result<TaskPage, PoolError>;

    /// One task.
    async fn task(&self, id: TaskId) -> Result<Arc<Task>, PoolError>;

    /// Every scheduler that ever opened a session, by name.
    async fn schedulers(&self) -> Result<Vec<SchedulerView>, PoolError>;

    /// All tenants, by path.
    async fn tenants(&self) -> Result<Vec<TenantUsage>, PoolError>;

    /// Creates or replaces a tenant.
    async fn set_tenant(&self, tenant: Tenant, actor: &str) -> Result<(), PoolError>;

    /// Opens or closes a node for new tasks.
    async fn set_scheduling(&self, node: &NodeId, to: Scheduling, actor: &str) -> Result<(), PoolError>;

    /// Gives a node taints, or takes away some that operators gave it.
    async fn taint(&self, node: &NodeId, change: TaintChange, actor: &str) -> Result<(), PoolError>;

    /// Removes a node that is gone for good; what was there is lost.
    async fn remove_node(&self, node: &NodeId, actor: &str) -> Result<(), PoolError>;

    /// Stops one task with a grace in milliseconds (none: the spec's). Its scheduler sees it end, and decides.
    async fn stop_task(&self, id: TaskId, grace_ms: Option<u64>, actor: &str) -> Result<(), PoolError>;

    /// Why a task waits, node by node.
    async fn why(&self, id: TaskId) -> Result<Explanation, PoolError>;

    /// What a node refuses, what is kept there, and who waits for it.
    async fn why_node(&self, node: &NodeId) -> Result<NodeExplanation, PoolError>;

    /// Where a tenant stands, and what waits under it for what.
    async fn why_tenant(&self, tenant: &TenantPath) -> Result<TenantExplanation, PoolError>;

    /// What would be different if all of this were so. Nothing is touched.
    async fn simulate(&self, suppose: Vec<Suppose>) -> Result<Simulation, PoolError>;

    /// The timeline after `from` (none: from now on). `Compacted` when that is no longer kept.
    async fn events(
        &self,
        from: Option<Cursor>,
    ) -> Result<BoxStream<'static, Result<Vec<Event>, PoolError>>, PoolError>;
}

/// Which tasks. Everything that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// Of this scheduler.
    pub scheduler: Option<SchedulerId>,
    /// Of the workload with this name.
    pub workload: Option<String>,
    /// On this node.
    pub node: Option<NodeId>,
    /// Charged to this tenant.
    pub tenant: Option<TenantPath>,
    /// Those that ended, too.
    pub ended: bool,
    /// Those after this id.
    pub after: Option<TaskId>,
    /// At most so many; 0: all.
    pub limit: usize,
}

/// A page of tasks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskPage {
    /// The tasks.
    pub tasks: Vec<Arc<Task>>,
    /// Whether more follow; ask again with `after` = the last id.
    pub more: bool,
}

/// A scheduler as the broker knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchedulerView {
    /// Its name.
    pub id: SchedulerId,
    /// The orchestrator it speaks.
    pub kind: String,
    /// Whether a session of it lives.
    pub connected: bool,
    /// Its tasks that have not ended.
    pub tasks: u32,
    /// Of these, those that wait.
    pub pending: u32,
    /// What it holds.
    pub held: plenum_model::amounts::Amounts,
    /// What its tasks ask, the waiting ones included.
    pub asked: plenum_model::amounts::Amounts,
}

/// Why a task waits, in full.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The task.
    pub task: Arc<Task>,
    /// The funnel; none: it does not wait.
    pub why: Option<Why>,
    /// What keeps it waiting before all else; none: it does not wait.
    pub block: Option<Block>,
    /// Node by node.
    pub nodes: Vec<NodeVerdict>,
    /// Who would be placed before it.
    pub ahead: Ahead,
    /// Who holds what the task lacks, by scheduler.
    pub holders: Vec<(SchedulerId, Amounts)>,
    /// One change that would help, if one is known.
    pub fix: Option<Fix>,
}

/// Waiting tasks that want the same room, or are under the same limit, and go first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ahead {
    /// How many; those behind the first [`Ahead::COUNTED`] are not counted.
    pub tasks: u32,
    /// The first few of them.
    pub first: Vec<Other>,
    /// Why the first of them goes before it; none: nobody does.
    pub because: Option<Because>,
}

impl Ahead {
    /// The most that are counted: nobody reads on, and each costs a look at the order of turns.
    pub const COUNTED: usize = 10_000;
    /// The most that are named.
    pub const NAMED: usize = 3;
}

/// What a node refuses, what is kept there, and who waits for it.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeExplanation {
    /// The node.
    pub node: Arc<Node>,
    /// Tasks of the pool that wait.
    pub waiting: u32,
    /// How many of them it refuses first for which cause, in the order of the funnel.
    pub refuses: Vec<(Cause, u32)>,
    /// For whom room is kept there, and what of it is free.
    pub kept: Vec<(Other, Amounts)>,
    /// How many wait that can go nowhere else.
    pub waits_for_it: u32,
    /// The oldest few of them.
    pub first: Vec<Other>,
}

/// Where a tenant stands, and what waits under it for what.
#[derive(Debug, Clone, PartialEq)]
pub struct TenantExplanation {
    /// The tenant and what it uses.
    pub usage: TenantUsage,
    /// What it can always have: its own guarantee, or what those below it are guaranteed together if that is more.
    pub guarantee: Amounts,
    /// What it uses beyond that.
    pub borrowed: Amounts,
    /// What of it others may have meanwhile.
    pub unused: Amounts,
    /// The largest part that any resource it borrows is of the pool, over its weight, in thousandths. Whoever has the
    /// smaller one goes first.
    pub share_per_mille: u64,
    /// Whether it has less than it is guaranteed, and so goes before all who have not.
    pub within_guarantee: bool,
    /// What its tasks and those below it wait for, by what keeps them; most tasks first.
    pub waits: Vec<WaitsFor>,
}

/// Tasks that the same keeps waiting.
#[derive(Debug, Clone, PartialEq)]
pub struct WaitsFor {
    /// What.
    pub block: Block,
    /// How many.
    pub tasks: u32,
    /// The oldest of them.
    pub first: Other,
}

/// Something that is only supposed.
#[derive(Debug, Clone, PartialEq)]
pub enum Suppose {
    /// A node is lost for good, and who had tasks there claims them anew.
    LoseNode(NodeId),
    /// A tenant is created or replaced.
    SetTenant(Tenant),
    /// More tasks are claimed. The uid of the workload and the id of the spec are made by the broker.
    Claim {
        /// With these terms.
        terms: Box<Terms>,
        /// What they run.
        spec: Box<TaskSpec>,
        /// How many.
        count: u32,
    },
}

/// What would be different, once all that follows has happened.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Simulation {
    /// Tasks that would be placed, and where.
    pub placed: Vec<(Other, NodeId)>,
    /// Tasks that would wait, and for what.
    pub waits: Vec<(Other, Option<Block>)>,
    /// Tasks that would end, where, and how.
    pub ended: Vec<(Other, NodeId, ExitReason)>,
    /// Shares that would be others.
    pub shares: Vec<ShareChange>,
    /// Tasks of the pool that would wait in all.
    pub waiting: u32,
}

/// The share of a tenant, in thousandths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareChange {
    /// Whose.
    pub tenant: TenantPath,
    /// As it is.
    pub before: u64,
    /// As it would be.
    pub after: u64,
}

/// Why the pool refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PoolError {
    /// There is no such thing.
    #[error("there is no {kind} `{name}`")]
    NotFound {
        /// What kind of thing.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The request makes no sense.
    #[error("refused at {field}: {why}")]
    Refused {
        /// Which part of it.
        field: String,
        /// What is wrong.
        why: String,
    },
    /// The events asked for are no longer kept.
    #[error("events up to {oldest} are no longer kept")]
    Compacted {
        /// Those after this one can be had.
        oldest: Cursor,
    },
    /// The state does not allow it.
    #[error("{why}")]
    Conflict {
        /// What stands in the way.
        why: String,
    },
    /// The ledger's disk has no room.
    #[error("the ledger's disk is full")]
    Full,
    /// The broker cannot be reached, or is starting or stopping.
    #[error("broker unavailable: {why}")]
    Unavailable {
        /// What was observed.
        why: String,
    },
}

impl Classified for PoolError {
    fn class(&self) -> Class {
        match self {
            Self::Full | Self::Unavailable { .. } => Class::Retry,
            Self::Compacted { .. } | Self::Conflict { .. } => Class::Conflict,
            Self::NotFound { .. } | Self::Refused { .. } => Class::Fatal,
        }
    }
}
