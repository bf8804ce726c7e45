//! `Broker`: how a scheduler talks to the pool. It always dials; the broker never calls back. Verbs say what
//! shall be true, are idempotent by task id and return when that is durable; outcomes come on the watch.

use crate::error::{Class, Classified};
use async_trait::async_trait;
use futures::stream::BoxStream;
use plenum_model::claim::{Amendment, ClaimBatch};
use plenum_model::ids::{BadId, Cursor, Generation, SchedulerId, SessionEpoch, TaskId};
use plenum_model::node::Node;
use plenum_model::task::Task;
use std::sync::Arc;

/// The oldest and newest version of this contract that this build speaks.
pub const API_VERSIONS: (u32, u32) = (1, 1);

/// Who opens a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The scheduler's name: the owner of its tasks and its state.
    pub scheduler: SchedulerId,
    /// The orchestrator it speaks (`marathon`).
    pub kind: String,
    /// Oldest and newest contract version it speaks.
    pub api: (u32, u32),
    /// Whether it wants to hear of nodes on its watch.
    pub watch_nodes: bool,
}

/// The door to sessions.
#[async_trait]
pub trait Broker: Send + Sync {
    /// Opens the one live session of a scheduler. While another lives this call waits as its stand-by and
    /// takes over when that one ends. Dropping the session, or losing the connection, ends it; its tasks run on.
    ///
    /// # Errors
    /// `Refused` when no common contract version exists.
    async fn open(&self, hello: Hello) -> Result<Arc<dyn Session>, BrokerError>;
}

/// A live session.
#[async_trait]
pub trait Session: Send + Sync {
    /// Its epoch.
    fn epoch(&self) -> SessionEpoch;

    /// Claims room for a batch. Durable when it returns. A task id claimed before with the same content is
    /// left as it is and listed in `known`; one with other content is listed in `refused`, as is whatever this
    /// broker does not honour; the others of the batch stand (none of them if `all_or_nothing`).
    ///
    /// # Errors
    /// Those that concern the whole batch.
    async fn claim(&self, batch: ClaimBatch) -> Result<Claimed, BrokerError>;

    /// Changes live tasks. Durable when it returns; the refused ones are listed.
    ///
    /// # Errors
    /// Those that concern the whole call.
    async fn amend(&self, changes: Vec<Amend>) -> Result<Vec<Refusal>, BrokerError>;

    /// Withdraws what is pending, stops what runs. May be repeated with a shorter grace (milliseconds; none:
    /// the spec's). Unknown ids are no error. Records, exits and logs stay.
    ///
    /// # Errors
    /// Those that concern the whole call.
    async fn release(&self, ids: Vec<TaskId>, grace_ms: Option<u64>) -> Result<(), BrokerError>;

    /// Lets records, logs and writable layers go. A task that has not ended is refused.
    ///
    /// # Errors
    /// Those that concern the whole call.
    async fn forget(&self, ids: Vec<TaskId>) -> Result<Vec<Refusal>, BrokerError>;

    /// All tasks of this scheduler as they are, then what changes. Starting at a cursor the broker still
    /// knows gives the changes only; otherwise the snapshot comes again. One watch a session: a second one
    /// ends the first.
    ///
    /// # Errors
    /// Those that concern the whole call.
    async fn watch(&self, from: Option<Cursor>) -> Result<WatchStream, BrokerError>;

    /// Everything up to `cursor` has been taken in.
    ///
    /// # Errors
    /// Those that concern the whole call.
    async fn ack(&self, cursor: Cursor) -> Result<(), BrokerError>;
}

/// What a watch gives.
pub type WatchStream = BoxStream<'static, Result<WatchBatch, BrokerError>>;

/// Some news.
#[derive(Debug, Clone, PartialEq)]
pub struct WatchBatch {
    /// Acknowledge this, and start again from it.
    pub cursor: Cursor,
    /// Which part of the watch this is.
    pub part: WatchPart,
    /// The news, in order.
    pub events: Vec<WatchEvent>,
}

/// Which part of a watch a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchPart {
    /// A piece of the snapshot; more follows. Forget what was known before the first.
    Snapshot,
    /// The last piece of the snapshot (it may be empty): what it did not contain does not exist.
    SnapshotEnd,
    /// What has changed since.
    Delta,
}

/// One piece of news.
#[derive(Debug, Clone, PartialEq)]
pub enum WatchEvent {
    /// The newest state of a task: pending and why, placed, rejected, seen by its agent.
    Task(Arc<Task>),
    /// The task's record is gone.
    Forgotten(TaskId),
    /// Room is freed and kept for this waiting task on this node.
    Nominated {
        /// Which task.
        task: TaskId,
        /// Where.
        node: plenum_model::ids::NodeId,
    },
    /// The task will be stopped for another unless something else is released before.
    Preempting {
        /// Which task.
        task: TaskId,
        /// Unix milliseconds.
        deadline: u64,
    },
    /// The newest state of a node, if asked for.
    Node(Arc<Node>),
}

/// What became of a claim.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claimed {
    /// Tasks that had been claimed before with the same content.
    pub known: Vec<TaskId>,
    /// Tasks that were not taken, and why.
    pub refused: Vec<Refusal>,
}

/// Why one task of a call was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("task {task} refused at {field}: {why}")]
pub struct Refusal {
    /// Which task.
    pub task: TaskId,
    /// The stable reason.
    pub reason: RefusalReason,
    /// The field of the claim that stands in the way.
    pub field: String,
    /// In words, with a hint.
    pub why: String,
}

/// Stable reasons of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalReason {
    /// The id is known with other content, or an attempt of its slot at or above it was used before.
    Conflict,
    /// This broker does not honour that yet.
    NotSupported,
    /// It contradicts itself or is out of range.
    Invalid,
    /// The task's state does not allow it.
    State,
    /// The generation given is not the task's.
    Stale,
    /// There is no such task.
    Unknown,
}

/// A change to a live task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amend {
    /// Which task.
    pub task: TaskId,
    /// The generation the change was decided on.
    pub generation: Generation,
    /// The change.
    pub change: Amendment,
}

/// Why a call to the broker failed as a whole; nothing of it was done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BrokerError {
    /// A newer session of the scheduler, or a newer leader, has taken over.
    #[error("session {epoch} of {scheduler} is no longer the live one")]
    Fenced {
        /// Whose session.
        scheduler: SchedulerId,
        /// Which one.
        epoch: SessionEpoch,
    },
    /// The call makes no sense.
    #[error("refused at {field}: {why}")]
    Refused {
        /// Which part of it.
        field: String,
        /// What is wrong.
        why: String,
    },
    /// A bounded queue is full.
    #[error("the broker's queue of {depth} is full")]
    Overloaded {
        /// How long the queue is.
        depth: usize,
    },
    /// The ledger's disk has no room.
    #[error("the ledger's disk is full")]
    Full,
    /// The broker cannot be reached, is starting or stopping, or its log failed. Whether the call was done is
    /// unknown; repeating it is safe.
    #[error("broker unavailable: {why}")]
    Unavailable {
        /// What was observed.
        why: String,
    },
}

impl Classified for BrokerError {
    fn class(&self) -> Class {
        match self {
            Self::Overloaded { .. } | Self::Full | Self::Unavailable { .. } => Class::Retry,
            Self::Fenced { .. } => Class::Conflict,
            Self::Refused { .. } => Class::Fatal,
        }
    }
}

impl From<BadId> for BrokerError {
    fn from(bad: BadId) -> Self {
        Self::Refused {
            field: bad.kind.to_owned(),
            why: bad.to_string(),
        }
    }
}
