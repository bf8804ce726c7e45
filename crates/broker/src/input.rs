//! What goes into a step of the core, and what comes out of it. Plain data on both sides.

use crate::fact::Fact;
use plenum_contract::broker::{Amend, Claimed, Hello, Refusal};
use plenum_model::claim::ClaimBatch;
use plenum_model::ids::{Cursor, LeaderEpoch, NodeId, SchedulerId, Seq, SessionEpoch, TaskId};
use plenum_model::node::{NodeFacts, Scheduling};
use plenum_model::taint::{Taint, TaintChange};
use plenum_model::task::{Observation, Task};
use plenum_model::tenant::Tenant;
use std::sync::Arc;

/// An agent's connection, numbered by the runner; the newest of a node is the live one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attachment(pub u64);

/// Something that happened outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// This broker leads from now on. Leases and deadlines start again, so that a long absence of the broker
    /// loses nobody. The first input of every life; the same epoch again after the core was built anew.
    Lead(LeaderEpoch),
    /// A scheduler opens a session; an older one of it is fenced.
    Open(Hello),
    /// A session has ended.
    Close(Caller),
    /// A session claims.
    Claim(Caller, ClaimBatch),
    /// A session amends.
    Amend(Caller, Vec<Amend>),
    /// A session releases, with a grace in milliseconds.
    Release(Caller, Vec<TaskId>, Option<u64>),
    /// A session forgets.
    Forget(Caller, Vec<TaskId>),
    /// A session has taken in what it was told.
    Ack(Caller, Cursor),
    /// An agent attaches.
    Attach {
        /// Its node.
        facts: Box<NodeFacts>,
        /// Its connection.
        attachment: Attachment,
    },
    /// An agent gives signs of life.
    Heard(NodeId, Attachment),
    /// A node has changed.
    Facts(Box<NodeFacts>, Attachment),
    /// An agent saw something.
    Observed(NodeId, Attachment, Vec<Observation>),
    /// Time has passed.
    Tick,
    /// A tenant is created or replaced.
    SetTenant(Tenant, String),
    /// A node is opened or closed for new tasks.
    SetScheduling(NodeId, Scheduling, String),
    /// A node is given taints, or rid of some.
    Taint(NodeId, TaintChange, String),
    /// A node is gone for good.
    RemoveNode(NodeId, String),
    /// A task is to be stopped, with a grace in milliseconds.
    StopTask(TaskId, Option<u64>, String),
}

/// Which session calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Whose.
    pub scheduler: SchedulerId,
    /// Its epoch.
    pub epoch: SessionEpoch,
}

/// What a step decided. The runner first makes `facts` durable, and only then hands out the rest.
#[derive(Debug, Default, PartialEq)]
pub struct Effects {
    /// To be made durable, in order, as one record.
    pub facts: Vec<Fact>,
    /// What looks different afterwards, in order.
    pub changes: Vec<Change>,
    /// The answer to whoever asked; none for inputs that nobody waits for.
    pub answer: Option<Result<Answer, Denied>>,
}

/// Something looks different.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// What follows is everything as it is after this change; forget what was known.
    Start(Cursor),
    /// A task, as it is now.
    Task(TaskNow),
    /// A task's record is gone.
    Forgotten {
        /// The place of this change among all.
        cursor: Cursor,
        /// Whose it was.
        scheduler: SchedulerId,
        /// Which.
        task: TaskId,
    },
    /// The assignment of a task to a node is new or different.
    Assign {
        /// Which node.
        node: NodeId,
        /// Which task.
        task: TaskId,
    },
    /// A task shall no longer be on a node.
    Remove {
        /// Which node.
        node: NodeId,
        /// Which task.
        task: TaskId,
    },
    /// A node, as it is now; what it holds follows from the tasks.
    Node(NodeNow),
    /// A node has left for good.
    NodeGone(NodeId),
    /// A tenant, as it is now; what it uses follows from the tasks.
    Tenant(Tenant),
    /// A scheduler was heard of.
    Scheduler {
        /// Its name.
        id: SchedulerId,
        /// The orchestrator it speaks.
        kind: String,
        /// Whether a session of it lives.
        connected: bool,
    },
    /// Something for the timeline.
    Happened(Happened),
}

/// A task with what its record does not say.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskNow {
    /// The place of this change among all.
    pub cursor: Cursor,
    /// The number of its claim: the lower, the older.
    pub age: u64,
    /// Whether it waits for room.
    pub waits: bool,
    /// The node that it shall be on.
    pub on: Option<NodeId>,
    /// Its record.
    pub task: Arc<Task>,
    /// What the ledger holds for it.
    pub held: Held,
    /// What is kept for it while it waits.
    pub kept: Option<Arc<KeptNow>>,
    /// Milliseconds from the stop signal to the kill, instead of the spec's.
    pub grace_ms: Option<u64>,
    /// What it runs.
    pub spec: Arc<plenum_model::spec::TaskSpec>,
}

/// Room that is kept for a task that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptNow {
    /// Where.
    pub node: NodeId,
    /// What of it is free, and held for nobody else.
    pub amounts: plenum_model::amounts::Amounts,
    /// The host port for each port asked.
    pub ports: Vec<u16>,
}

/// A node without what it holds.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeNow {
    /// The place of this change among all.
    pub cursor: Cursor,
    /// What its agent says.
    pub facts: Arc<NodeFacts>,
    /// Whether it is heard of.
    pub liveness: plenum_model::node::Liveness,
    /// Whether new tasks may go there.
    pub scheduling: Scheduling,
    /// Taints that operators gave it.
    pub taints: Arc<[Taint]>,
    /// When it joined, in Unix milliseconds.
    pub joined_at: u64,
    /// When its state last changed, in Unix milliseconds.
    pub since: u64,
}

/// What the ledger holds for a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Held {
    /// Nothing.
    Nothing,
    /// Its disk: it has ended, its record and its writable layers have not.
    Disk,
    /// All it asked.
    Full,
}

/// One entry of the timeline, not yet in words.
#[derive(Debug, Clone, PartialEq)]
pub struct Happened {
    /// Its place.
    pub cursor: Cursor,
    /// Unix milliseconds.
    pub at: u64,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// Something about a task, as it was right afterwards.
    Task(TaskEvent, Arc<Task>, String),
    /// Something about a node.
    Node(&'static str, NodeId, String),
    /// A tenant was set, by whom.
    Tenant(Tenant, String),
    /// A session of a scheduler began or ended.
    Scheduler(&'static str, SchedulerId, SessionEpoch),
    /// A broker began to lead.
    Led(LeaderEpoch),
}

/// What happened to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaskEvent {
    /// It was claimed.
    Claimed,
    /// It waits for room.
    Pending,
    /// Room is kept for it.
    Nominated,
    /// It is to be stopped for another task.
    Preempting,
    /// It is no longer to be stopped for another task.
    Spared,
    /// It was given room.
    Placed,
    /// It runs.
    Running,
    /// It was let go by its scheduler.
    Released,
    /// It is to be stopped by somebody else.
    Stopping,
    /// It has ended.
    Ended,
}

/// What a step answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The session is open.
    Opened(SessionEpoch),
    /// What became of a claim.
    Claimed(Claimed),
    /// What was refused of a call.
    Refused(Vec<Refusal>),
    /// Done.
    Done,
    /// The agent is in.
    Attached {
        /// Which leader speaks.
        epoch: LeaderEpoch,
        /// Its node.
        node: NodeId,
        /// Its connection.
        attachment: Attachment,
    },
    /// Observations up to this one are taken in.
    Acked {
        /// Which node.
        node: NodeId,
        /// Its connection.
        attachment: Attachment,
        /// Up to which.
        seq: Seq,
    },
}

/// Why a step refused its input as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// Another session has taken over.
    Fenced(Caller),
    /// It makes no sense.
    Refused {
        /// Which part of it.
        field: String,
        /// What is wrong.
        why: String,
    },
    /// There is no such thing.
    NotFound {
        /// What kind of thing.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The state does not allow it.
    Conflict {
        /// What stands in the way.
        why: String,
    },
    /// Another attachment of the node has taken over.
    Replaced(NodeId),
}
