//! `Runtime`: how an agent runs a container. Two levels: the sandbox is the task's (its address and host name,
//! where its containers share one), the containers are in it. A sandbox has the key of a container without a name;
//! wait, signal, remove and recover take it like one. Everything above (what to start when, restarts, probes, reports) is
//! the agent's and written once. Names derive from the key, so every verb may be repeated after a crash.

use crate::error::{Class, Classified};
use crate::images::Images;
use crate::streams::{
    ExecRequest, Health, LogQuery, ProcessTable, Stats, StreamError, StreamInput, StreamOutput,
};
use async_trait::async_trait;
use futures::stream::BoxStream;
use plenum_model::claim::Protocol;
use plenum_model::ids::{Incarnation, TaskId};
use plenum_model::node::RuntimeFacts;
use plenum_model::spec::{Caps, Confinement, Image, LogLimits, Mount, Network};
use plenum_model::task::{Exit, ExitReason};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Runs containers on this machine.
///
/// Implementations **must** survive any verb being repeated for the same key, and an agent that was killed
/// between any two of them: `recover` then says what is there.
#[async_trait]
pub trait Runtime: RuntimeIo {
    /// Its name in specs.
    fn name(&self) -> &'static str;

    /// Its version and what it can do here and now.
    ///
    /// # Errors
    /// See [`RuntimeError`], here and below.
    async fn facts(&self) -> Result<RuntimeFacts, RuntimeError>;

    /// Makes what the containers of a task share on the network, and has it up. There already: says the same again.
    ///
    /// # Errors
    /// `Refused` where the runtime has no such thing (the capability `shared-address`), and `NotFound` if it was
    /// up and is not any more.
    async fn make_sandbox(&self, plan: &SandboxPlan) -> Result<SandboxFacts, RuntimeError> {
        let why = format!(
            "runtime {} has no addresses for tasks (asked for by {})",
            self.name(),
            plan.key
        );
        Err(RuntimeError::Refused {
            reason: ExitReason::Setup,
            why,
        })
    }

    /// Makes everything so that `start` only starts: image there, container created. Long; cancel-safe.
    async fn prepare(&self, plan: &ContainerPlan) -> Result<(), RuntimeError>;

    /// Starts a prepared container. Started already, or ended since: no error.
    async fn start(&self, key: &ContainerKey) -> Result<(), RuntimeError>;

    /// Returns when the main process has ended; at once if it has. Cancel-safe.
    async fn wait(&self, key: &ContainerKey) -> Result<Exit, RuntimeError>;

    /// Sends a signal by name (`SIGTERM`) to the main process; `SIGKILL` ends every process of the container.
    /// Ended already: no error.
    async fn signal(&self, key: &ContainerKey, signal: &str) -> Result<(), RuntimeError>;

    /// What the runtime calls a prepared container, and its image.
    async fn names(&self, _key: &ContainerKey) -> Result<ContainerNames, RuntimeError> {
        Ok(ContainerNames::default())
    }

    /// The signal that asks this container to stop, where its image names one. Asked when its spec names none.
    async fn stop_signal(&self, _key: &ContainerKey) -> Result<Option<String>, RuntimeError> {
        Ok(None)
    }

    /// How the check that this container's image names goes; none: its image names none. Asked where the spec
    /// wants it done, when the container has started and from time to time after: doing it is the runtime's own.
    async fn image_health(&self, _key: &ContainerKey) -> Result<Option<ImageHealth>, RuntimeError> {
        Ok(None)
    }

    /// Removes an ended or never started container with all it wrote, its log too. Not there: no error.
    async fn remove(&self, key: &ContainerKey) -> Result<(), RuntimeError>;

    /// Its images; none: it has no such thing.
    fn images(&self) -> Option<&dyn Images> {
        None
    }

    /// Every container of this agent that there is, running or ended.
    async fn recover(&self) -> Result<Vec<Found>, RuntimeError>;
}

/// Bytes in and out of containers.
#[async_trait]
pub trait RuntimeIo: Send + Sync {
    /// What a container wrote; works while its record exists.
    ///
    /// # Errors
    /// See [`StreamError`], here and below.
    async fn logs(&self, key: &ContainerKey, query: LogQuery) -> Result<StreamOutput, StreamError>;

    /// Another process in a running container.
    async fn exec(
        &self,
        key: &ContainerKey,
        request: ExecRequest,
        input: BoxStream<'static, StreamInput>,
    ) -> Result<StreamOutput, StreamError>;

    /// The standard streams of a container, from now on.
    async fn attach(
        &self,
        key: &ContainerKey,
        input: BoxStream<'static, StreamInput>,
    ) -> Result<StreamOutput, StreamError>;

    /// What a running container uses.
    async fn stats(&self, key: &ContainerKey) -> Result<Stats, StreamError>;

    /// The processes of a running container, with what `ps` would show given these arguments (none: what
    /// `ps -ef` shows).
    async fn top(&self, key: &ContainerKey, arguments: &str) -> Result<ProcessTable, StreamError>;
}

/// Which container. A restart in place makes a new container of the next incarnation: the task's own, or the
/// container's where they are restarted one by one. No name: the sandbox of that incarnation of the task.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerKey {
    /// Of which task.
    pub task: TaskId,
    /// Its name within the task.
    pub container: String,
    /// Which start in place.
    pub incarnation: Incarnation,
}

impl fmt::Display for ContainerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.task, self.container, self.incarnation)
    }
}

/// All a runtime needs to know of a container, every placeholder filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerPlan {
    /// Which container.
    pub key: ContainerKey,
    /// The image, for runtimes that have images.
    pub image: Option<Image>,
    /// Replaces the image's entry point; without an image, the start of the command line.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command.
    pub args: Option<Vec<String>>,
    /// Environment, in order.
    pub env: Vec<(String, String)>,
    /// Working directory; none: the image's, or the sandbox.
    pub workdir: Option<String>,
    /// User, as name or number, optionally with `:group`.
    pub user: Option<String>,
    /// Host name inside.
    pub hostname: Option<String>,
    /// Whether it has a terminal.
    pub tty: bool,
    /// Whether its standard input stays open for attaching.
    pub stdin: bool,
    /// Upper bounds.
    pub caps: Caps,
    /// Mounts.
    pub mounts: Vec<Mount>,
    /// How it is reached.
    pub network: Network,
    /// Published ports.
    pub ports: Vec<PublishedPort>,
    /// The signal that asks it to stop; none: the image's, or `SIGTERM`.
    pub stop_signal: Option<String>,
    /// How much of its output is kept.
    pub logs: LogLimits,
    /// All capabilities and devices of the node.
    pub privileged: bool,
    /// What its processes may more or less than usual.
    pub confinement: Confinement,
    /// Labels, where the runtime has them.
    pub labels: BTreeMap<String, String>,
    /// The task's own directory, which exists.
    pub sandbox: PathBuf,
    /// What it shares with the other containers of its task; none: it is alone in it, and where it has an image
    /// the task's directory appears inside at the same path.
    pub among: Option<Among>,
}

/// What a container shares with the others of its task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Among {
    /// The sandbox whose address and host name it has, of the same runtime; none: it is on the node's network.
    pub sandbox: Option<ContainerKey>,
}

/// What the containers of a task share on the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxPlan {
    /// Of which task; its container has no name.
    pub key: ContainerKey,
    /// The host name inside; none: the runtime's own choice.
    pub hostname: Option<String>,
    /// Published ports.
    pub ports: Vec<PublishedPort>,
}

/// What a sandbox turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxFacts {
    /// Its address, reachable from the node.
    pub address: String,
}

/// What a runtime calls a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerNames {
    /// The container.
    pub id: Option<String>,
    /// Its image.
    pub image_id: Option<String>,
}

/// A port of the node that leads into a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedPort {
    /// The node's address.
    pub address: String,
    /// The port there.
    pub host: u16,
    /// The port inside.
    pub container: u16,
    /// Which protocols.
    pub protocol: Protocol,
}

/// How the check of an image goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageHealth {
    /// Whether it passes; none: that is not settled yet.
    pub passes: Option<bool>,
    /// How it went lately.
    pub health: Health,
}

/// A container that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which one.
    pub key: ContainerKey,
    /// What it does.
    pub state: FoundState,
    /// What its runtime calls it, where that is told to anybody.
    pub names: ContainerNames,
}

/// What a found container does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundState {
    /// Prepared, never started.
    Prepared,
    /// Running.
    Running,
    /// Ended so.
    Ended(Exit),
}

/// Why a runtime failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RuntimeError {
    /// The container can never be as asked: `reason` and `why` reach the user.
    #[error("{why}")]
    Refused {
        /// The stable cause.
        reason: ExitReason,
        /// In words.
        why: String,
    },
    /// There is no such container.
    #[error("there is no container {key}")]
    NotFound {
        /// Which one.
        key: ContainerKey,
    },
    /// The engine cannot be reached or failed; trying again may help.
    #[error("runtime {runtime} failed to {op}: {why}")]
    Failed {
        /// Which runtime.
        runtime: &'static str,
        /// What was attempted.
        op: &'static str,
        /// What it said.
        why: String,
    },
}

impl Classified for RuntimeError {
    fn class(&self) -> Class {
        match self {
            Self::Failed { .. } => Class::Retry,
            Self::NotFound { .. } => Class::Conflict,
            Self::Refused { .. } => Class::Fatal,
        }
    }
}
