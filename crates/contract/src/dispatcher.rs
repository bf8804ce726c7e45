//! `Dispatcher`: how an agent talks to the broker. The agent always dials. Assignments come down (the full
//! set, then deltas), observations go up and are acknowledged once durable, and byte streams that somebody
//! asked for are dialled back by the agent, each on a stream of its own.

use crate::error::{Class, Classified};
use crate::images::FoundImage;
use crate::streams::{NodeRequest, Output, StreamError, StreamInput, StreamRequest};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use plenum_model::claim::{Desired, Seat, Terms};
use plenum_model::ids::{Generation, Incarnation, LeaderEpoch, NodeId, SchedulerId, Seq, TaskId};
use plenum_model::node::NodeFacts;
use plenum_model::spec::TaskSpec;
use plenum_model::task::Observation;
use std::sync::Arc;

/// What an agent asks of the broker.
#[async_trait]
pub trait Dispatcher: Send + Sync {
    /// Joins the pool, or comes back to it. `up` is what the agent sends, in order; the stream that returns
    /// is what the broker sends, `Welcome` and the full set first. The lease lasts while messages come; a
    /// second attachment of the same node ends the first.
    ///
    /// # Errors
    /// See [`DispatchError`].
    async fn attach(
        &self,
        hello: AgentHello,
        up: BoxStream<'static, AgentMessage>,
    ) -> Result<BrokerStream, DispatchError>;

    /// Carries a stream that `BrokerMessage::OpenStream` asked for: the agent sends what the container gives
    /// and receives what shall go to it.
    ///
    /// # Errors
    /// `NotFound` when nobody waits for it any more.
    async fn carry(
        &self,
        node: NodeId,
        stream: StreamId,
        up: BoxStream<'static, Result<Output, StreamError>>,
    ) -> Result<BoxStream<'static, StreamInput>, DispatchError>;

    /// The bytes of a file or secret that the assignment of this task to this node names, as they were at that
    /// revision. Its key is one of the task's scheduler: two schedulers may use the same.
    ///
    /// # Errors
    /// `NotFound` when the task is not assigned to the node, when its assignment does not name the file, and
    /// when the store has no such value (any more).
    async fn fetch(
        &self,
        node: NodeId,
        task: TaskId,
        key: String,
        revision: u64,
    ) -> Result<Bytes, DispatchError>;

    /// The image that the assignment of this task to this node names, from another node that has it in the same
    /// runtime. Answers at once when none has.
    ///
    /// # Errors
    /// `NotFound` when the task is not assigned to the node, when its assignment does not name the image, and
    /// when no other node that can be reached has it.
    async fn fetch_image(
        &self,
        node: NodeId,
        task: TaskId,
        image: String,
    ) -> Result<FoundImage, DispatchError> {
        let what = format!("image {image} for task {task} on another node than {node}");
        Err(DispatchError::NotFound { what })
    }
}

/// What the broker sends to an agent.
pub type BrokerStream = BoxStream<'static, Result<BrokerMessage, DispatchError>>;

/// A stream between a caller and an agent; unique while the broker lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

/// How an agent presents itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentHello {
    /// What it says of its node.
    pub facts: NodeFacts,
    /// The highest leader epoch it has obeyed; it refuses older ones.
    pub epoch: LeaderEpoch,
    /// Oldest and newest contract version it speaks.
    pub api: (u32, u32),
}

/// What an agent sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentMessage {
    /// It is there.
    Heartbeat,
    /// Its node has changed.
    Facts(Box<NodeFacts>),
    /// What it saw, each already in its journal, in the order of `seq`. After attaching it sends all that was
    /// never acknowledged, and the newest of every task it has.
    Observed(Vec<Observation>),
}

/// What the broker sends.
#[derive(Debug, Clone, PartialEq)]
pub enum BrokerMessage {
    /// The agent is in.
    Welcome {
        /// Which leader speaks.
        epoch: LeaderEpoch,
        /// Milliseconds of silence after which the node counts as unreachable. Send a heartbeat three times
        /// as often.
        lease_ms: u64,
    },
    /// What shall be on this node.
    Assignments(Assignments),
    /// Observations up to this one are durable.
    Acked(Seq),
    /// Somebody asks for a stream; answer by `carry`.
    OpenStream {
        /// Under this id.
        stream: StreamId,
        /// To this task.
        task: TaskId,
        /// What is asked.
        request: StreamRequest,
    },
    /// Somebody asks for a stream to the node itself; answer by `carry`.
    OpenNode {
        /// Under this id.
        stream: StreamId,
        /// What is asked.
        request: NodeRequest,
    },
}

/// What shall be on a node.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Assignments {
    /// Which leader speaks.
    pub epoch: LeaderEpoch,
    /// Whether this is the full set: what is not in it must not be on the node.
    pub full: bool,
    /// Specs that these assignments refer to and that were not sent on this attachment before.
    pub specs: Vec<Arc<TaskSpec>>,
    /// New or changed ones.
    pub assign: Vec<Assignment>,
    /// To be stopped if need be, and removed with logs and writable layers.
    pub remove: Vec<TaskId>,
}

/// One task on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Whose task.
    pub scheduler: SchedulerId,
    /// What is its own.
    pub seat: Seat,
    /// What it shares with others; `terms.spec` names what to run.
    pub terms: Arc<Terms>,
    /// The host port given to each port of `terms.ports`.
    pub ports: Vec<u16>,
    /// Raised whenever something of it changes; older ones are refused.
    pub generation: Generation,
    /// What shall be true of it (overrides `terms.desired`).
    pub desired: Desired,
    /// Milliseconds from the stop signal to the kill, instead of the spec's.
    pub grace_ms: Option<u64>,
    /// The incarnation that has ended and after which the task was admitted to run again: the agent begins the
    /// next one, once.
    pub again_after: Option<Incarnation>,
}

/// Why the broker refused an agent.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DispatchError {
    /// There is no such thing.
    #[error("there is no {what}")]
    NotFound {
        /// What was looked for.
        what: String,
    },
    /// Another attachment of the same node, or a newer leader, has taken over.
    #[error("node {node} is attached elsewhere")]
    Replaced {
        /// Which node.
        node: NodeId,
    },
    /// The agent may not join as it is.
    #[error("refused at {field}: {why}")]
    Refused {
        /// What of it.
        field: String,
        /// What is wrong.
        why: String,
    },
    /// The broker cannot be reached, or is starting or stopping.
    #[error("broker unavailable: {why}")]
    Unavailable {
        /// What was observed.
        why: String,
    },
}

impl Classified for DispatchError {
    fn class(&self) -> Class {
        match self {
            Self::Unavailable { .. } => Class::Retry,
            Self::Replaced { .. } => Class::Conflict,
            Self::NotFound { .. } | Self::Refused { .. } => Class::Fatal,
        }
    }
}
