//! Facts: what the ledger is made of. A step of the core decides facts, the log keeps them, and applying them
//! in order (`ledger::apply`) is the only way the ledger ever changes, live or after a restart. How they are
//! written down is `codec`.

use plenum_model::claim::{Desired, Seat, Terms};
use plenum_model::ids::{LeaderEpoch, SchedulerId, SessionEpoch, SpecId, TaskId};
use plenum_model::node::{Liveness, NodeFacts, Scheduling};
use plenum_model::phase::Phase;
use plenum_model::spec::TaskSpec;
use plenum_model::taint::Taint;
use plenum_model::task::{Exit, ExitReason, Observation};
use plenum_model::tenant::Tenant;
use plenum_model::why::Why;
use std::sync::Arc;

/// A node within the ledger. Given out again after the node was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeIx(pub u32);

impl NodeIx {
    /// As an index.
    #[must_use]
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

/// Terms within the ledger. Never given out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TermsIx(pub u64);

/// One fact.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// A broker leads.
    Led {
        /// With this epoch.
        epoch: LeaderEpoch,
    },
    /// A session lives; those of its scheduler before it do not.
    SessionOpened {
        /// Whose.
        scheduler: SchedulerId,
        /// The orchestrator it speaks.
        kind: String,
        /// Its epoch.
        epoch: SessionEpoch,
    },
    /// A session has ended.
    SessionClosed {
        /// Whose.
        scheduler: SchedulerId,
        /// Its epoch.
        epoch: SessionEpoch,
    },
    /// A spec that terms refer to from now on.
    Spec {
        /// Its id.
        id: SpecId,
        /// Itself.
        spec: Arc<TaskSpec>,
    },
    /// Terms that tasks refer to from now on.
    Terms {
        /// Under this number.
        ix: TermsIx,
        /// Whose.
        scheduler: SchedulerId,
        /// Themselves.
        terms: Arc<Terms>,
    },
    /// Tasks were claimed.
    Claimed {
        /// With these terms.
        terms: TermsIx,
        /// One per task.
        seats: Vec<Seat>,
        /// The gang they belong to: they are placed with all of it or not at all.
        gang: Option<u64>,
    },
    /// A task holds all it asked on a node.
    Placed {
        /// Which task.
        task: TaskId,
        /// Where.
        node: NodeIx,
        /// The host port for each port asked.
        ports: Vec<u16>,
    },
    /// Room is kept for a task that waits, or other room than before.
    Nominated {
        /// Which task.
        task: TaskId,
        /// Which room.
        room: Room,
    },
    /// No room is kept any more for a task that waits on.
    Passed {
        /// Which task.
        task: TaskId,
    },
    /// Tasks wait, all for the same cause.
    Waiting {
        /// Which.
        tasks: Vec<TaskId>,
        /// Why.
        why: Arc<Why>,
    },
    /// An agent saw a task.
    Seen {
        /// What it saw.
        seen: Observation,
    },
    /// The broker ended a task that no agent can end.
    Ended {
        /// Which task.
        task: TaskId,
        /// How.
        phase: Phase,
        /// Why.
        exit: Exit,
    },
    /// What shall be true of a task has changed; raises its generation.
    Ordered {
        /// Which task.
        task: TaskId,
        /// What.
        order: Order,
    },
    /// A task has other terms; raises its generation.
    Reworded {
        /// Which task.
        task: TaskId,
        /// Which terms.
        terms: TermsIx,
    },
    /// Records are gone.
    Forgotten {
        /// Of these.
        tasks: Vec<TaskId>,
    },
    /// A node joined the pool.
    NodeJoined {
        /// Under this number.
        ix: NodeIx,
        /// As its agent describes it.
        facts: Arc<NodeFacts>,
    },
    /// A node's agent describes it anew.
    NodeChanged {
        /// Which.
        ix: NodeIx,
        /// As it is now.
        facts: Arc<NodeFacts>,
    },
    /// A node fell silent or is heard again.
    NodeLiveness {
        /// Which.
        ix: NodeIx,
        /// As it is now.
        liveness: Liveness,
    },
    /// A node was opened or closed for new tasks.
    NodeScheduling {
        /// Which.
        ix: NodeIx,
        /// As it is now.
        to: Scheduling,
        /// By whom.
        actor: String,
    },
    /// Operators gave a node other taints.
    NodeTainted {
        /// Which.
        ix: NodeIx,
        /// All that it has now, beside those of its configuration.
        taints: Arc<[Taint]>,
        /// By whom.
        actor: String,
    },
    /// A node left for good; nothing holds room there any more.
    NodeRemoved {
        /// Which.
        ix: NodeIx,
        /// By whom.
        actor: String,
    },
    /// A tenant was created or changed.
    TenantSet {
        /// As it is now.
        tenant: Tenant,
        /// By whom.
        actor: String,
    },
}

/// Room that is kept for a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Where.
    pub node: NodeIx,
    /// The host port for each port asked.
    pub ports: Vec<u16>,
    /// Who is to be stopped for it, in the order in which they were chosen.
    pub victims: Vec<TaskId>,
    /// Unix milliseconds, not before which they are.
    pub deadline: u64,
}

/// A change of what shall be true of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// What shall be true.
    pub desired: Desired,
    /// Whether its scheduler lets go of it.
    pub release: bool,
    /// Milliseconds from the stop signal to the kill, instead of the spec's.
    pub grace_ms: Option<u64>,
    /// Whether it waits to be admitted again on its node.
    pub readmit: bool,
    /// Why it is stopped, if its scheduler did not ask for it.
    pub cause: Option<ExitReason>,
    /// Who ordered it.
    pub actor: String,
}
