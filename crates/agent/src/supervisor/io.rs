//! What goes into the supervisor and what comes out. Whoever drives it performs the effects in their order:
//! nothing behind a `Persist` may be done before that record is durable.

use super::memory::Record;
use plenum_contract::dispatcher::Assignments;
use plenum_contract::runtime::{
    ContainerKey, ContainerNames, ContainerPlan, Found, PublishedPort, RuntimeError, SandboxFacts,
    SandboxPlan,
};
use plenum_contract::streams::CheckResult;
use plenum_model::ids::{LeaderEpoch, Seq, TaskId};
use plenum_model::task::Exit;
use std::path::PathBuf;

/// The time, as the driver of the supervisor knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds of a clock that never goes back and never jumps: deadlines are counted in these.
    pub tick: u64,
    /// Unix milliseconds, for what people read.
    pub unix: u64,
}

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// A broker welcomed this agent: everything unacknowledged, and the newest of each task, is to be sent.
    Attached(LeaderEpoch),
    /// That broker is gone.
    Detached,
    /// What shall be on this node.
    Assignments(Assignments),
    /// The broker keeps everything up to here.
    Acked(Seq),
    /// What a runtime has, asked once after the start of the agent.
    Recovered {
        /// Which runtime.
        runtime: String,
        /// Every container of this agent that it has.
        found: Vec<Found>,
    },
    /// A piece of work is done.
    Done(Done),
    /// A probe of [`super::Supervisor::take_probes`] passed, or did not and why.
    Probed {
        /// The container of the probe.
        key: ContainerKey,
        /// Which of its probes.
        index: usize,
        /// Passed, or in words why not.
        result: Result<(), String>,
    },
    /// What a probe saw, for who asks how the checks of a container went; before [`Input::Probed`].
    Checked {
        /// The container of the probe.
        key: ContainerKey,
        /// Which of its probes.
        index: usize,
        /// What it saw.
        saw: Saw,
    },
    /// The time of [`super::Supervisor::next_wake`] has come.
    Wake,
}

/// What a probe saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Saw {
    /// So it went.
    Result(CheckResult),
    /// The runtime, which does the check of the image, has not come to an end about it: no [`Input::Probed`]
    /// follows.
    Unsettled,
    /// The image names no check: no [`Input::Probed`] follows.
    NoCheck,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Write down.
    Persist(Record),
    /// Do, and answer with [`Input::Done`]. Several may be under way.
    Do(Work),
    /// Give up every `Fetch` and `Prepare` of this task; answer with [`WorkError::Cancelled`] when it is given up, or with
    /// its result if it was done.
    Cancel(TaskId),
    /// The broker was refused; say so in the log.
    Refused(String),
    /// The broker's view is not usable: detach and attach again, which brings the full set.
    Reattach(String),
}

/// A piece of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// For which container. Work for a whole task carries the key of its first container, or of its sandbox.
    pub key: ContainerKey,
    /// Which runtime does it.
    pub runtime: String,
    /// What.
    pub verb: Verb,
}

/// What is to be done with a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// Make the task's own directory; there already: no error.
    MakeSandbox(PathBuf),
    /// Have these files of the task at their paths, fetched from the broker where they are not there yet.
    Fetch(Vec<PlannedFile>),
    /// Make these volumes of a task; there already: no error.
    MakeVolumes(Vec<PlannedVolume>),
    /// [`plenum_contract::runtime::Runtime::make_sandbox`]; answered with [`Answer::Network`].
    MakeNetwork(Box<SandboxPlan>),
    /// [`plenum_contract::runtime::Runtime::prepare`]; for a container among others answered with [`Answer::Made`].
    Prepare(Box<PlannedContainer>),
    /// Make sure that nothing holds these ports; `Refused` with reason `Port` names the first that is held.
    CheckPorts(Vec<PublishedPort>),
    /// [`plenum_contract::runtime::Runtime::start`].
    Start,
    /// [`plenum_contract::runtime::Runtime::wait`].
    Wait,
    /// Run this command in it, for as long as it runs, and whatever comes of it.
    Hook(Vec<String>),
    /// Ask it to stop; none: by the signal its image names, or `SIGTERM`.
    Stop(Option<String>),
    /// `SIGKILL`.
    Kill,
    /// `SIGKILL` if `kill`, then [`plenum_contract::runtime::Runtime::remove`].
    Remove {
        /// Whether it may be running.
        kill: bool,
    },
    /// Remove the files of the task in these directories, then those; not there: no error.
    RemoveFiles(Vec<PathBuf>),
    /// Remove these volumes with all that is in them; not there: no error.
    RemoveVolumes(Vec<PathBuf>),
    /// Remove the task's own directory; not there: no error.
    RemoveSandbox(PathBuf),
}

/// A volume of a task and where it is on the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedVolume {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it is in memory, and then how many bytes it may hold.
    pub memory: Option<Option<u64>>,
    /// Whether everybody inside may write it.
    pub written: bool,
    /// Directories below it that containers ask for.
    pub below: Vec<PathBuf>,
}

/// A container to be prepared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedContainer {
    /// What its runtime is told, but for what follows.
    pub plan: ContainerPlan,
    /// Variables of its environment that hold what files hold.
    pub from_files: Vec<FromFile>,
    /// Parts of volumes that it sees: the volume, and the path below it. None of them may lead through a link.
    pub below: Vec<(PathBuf, PathBuf)>,
}

/// A variable that holds what files hold. Its text is known only when the container is made, and nowhere kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FromFile {
    /// Which of the environment's variables.
    pub variable: usize,
    /// Its pieces, in order.
    pub pieces: Vec<Piece>,
}

/// A piece of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// This.
    Text(String),
    /// What this file holds.
    File(PathBuf),
}

/// A file that a claim refers to and where it is on the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFile {
    /// The key under the scheduler's prefix.
    pub key: String,
    /// As of which revision.
    pub revision: u64,
    /// The directory below which it is: the task's own, which holds nothing else.
    pub dir: PathBuf,
    /// Where it is.
    pub path: PathBuf,
    /// Permission bits.
    pub mode: u32,
    /// Whether its directory must be a file system in memory.
    pub secret: bool,
}

impl Verb {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> VerbKind {
        match self {
            Self::MakeSandbox(_) => VerbKind::MakeSandbox,
            Self::Fetch(_) => VerbKind::Fetch,
            Self::MakeVolumes(_) => VerbKind::MakeVolumes,
            Self::MakeNetwork(_) => VerbKind::MakeNetwork,
            Self::Hook(_) => VerbKind::Hook,
            Self::RemoveVolumes(_) => VerbKind::RemoveVolumes,
            Self::Prepare(_) => VerbKind::Prepare,
            Self::CheckPorts(_) => VerbKind::CheckPorts,
            Self::Start => VerbKind::Start,
            Self::Wait => VerbKind::Wait,
            Self::Stop(_) => VerbKind::Stop,
            Self::Kill => VerbKind::Kill,
            Self::Remove { .. } => VerbKind::Remove,
            Self::RemoveFiles(_) => VerbKind::RemoveFiles,
            Self::RemoveSandbox(_) => VerbKind::RemoveSandbox,
        }
    }
}

/// [`Verb`] without what it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum VerbKind {
    MakeSandbox,
    Fetch,
    MakeVolumes,
    MakeNetwork,
    Prepare,
    CheckPorts,
    Start,
    Wait,
    Hook,
    Stop,
    Kill,
    Remove,
    RemoveFiles,
    RemoveVolumes,
    RemoveSandbox,
}

/// A piece of work that is done.
#[derive(Debug, Clone)]
pub struct Done {
    /// The key of the work.
    pub key: ContainerKey,
    /// Its verb.
    pub verb: VerbKind,
    /// How it went.
    pub result: Result<Answer, WorkError>,
}

/// What a piece of work answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done,
    /// The answer to `Wait`.
    Exit(Exit),
    /// The answer to `MakeNetwork`.
    Network(SandboxFacts),
    /// The answer to `Prepare` of a container among others.
    Made(ContainerNames),
}

/// Why a piece of work was not done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WorkError {
    /// The runtime says why.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The broker could not be asked. No fault of the task: asked again for as long as it takes.
    #[error("the broker is away: {0}")]
    Away(String),
    /// It was given up because the supervisor asked for that.
    #[error("given up")]
    Cancelled,
}
