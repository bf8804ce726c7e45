//! `Streams`: bytes between people and containers: logs, exec, attach, port-forward, stats. A side door that
//! never touches the ledger. The agent carries each on a stream with a credit of its own.

use crate::error::{Class, Classified};
use crate::images::{ImageOutput, ImageRequest};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use plenum_model::ids::{NodeId, TaskId};
use tokio::sync::mpsc;

/// Bytes between people and containers.
#[async_trait]
pub trait Streams: Send + Sync {
    /// Opens a stream to a task's container.
    ///
    /// # Errors
    /// See [`StreamError`].
    async fn open(&self, task: TaskId, request: StreamRequest) -> Result<StreamEnds, StreamError>;

    /// Opens a stream to a node itself.
    ///
    /// # Errors
    /// `NotFound` for an unknown node; see [`StreamError`].
    async fn open_node(&self, node: &NodeId, request: NodeRequest) -> Result<StreamEnds, StreamError> {
        let NodeRequest::Images { runtime, .. } = request;
        let what = format!("a request to node {node}");
        Err(StreamError::NotSupported { what, runtime })
    }
}

/// What is asked of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeRequest {
    /// The images of one of its runtimes. `images::carried` has both ends of such a stream.
    Images {
        /// Which runtime.
        runtime: String,
        /// What of them.
        request: ImageRequest,
    },
}

/// The two ends a caller holds. Dropping both ends the stream on the node, too.
pub struct StreamEnds {
    /// Towards the container. Closing it closes its standard input.
    pub input: mpsc::Sender<StreamInput>,
    /// From the container; ends after `Exit` or the last line.
    pub output: StreamOutput,
}

/// What comes from a container.
pub type StreamOutput = BoxStream<'static, Result<Output, StreamError>>;

/// What is asked of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamRequest {
    /// What it wrote.
    Logs(LogQuery),
    /// Another process in it.
    Exec(ExecRequest),
    /// Its own standard streams. The first piece is an empty one: nothing that is written after it is missed.
    Attach {
        /// Which container; none: the main one.
        container: Option<String>,
    },
    /// A connection to a port inside: to any at the task's own address, to a published one otherwise.
    PortForward {
        /// Which port.
        port: u16,
    },
    /// What it uses, once.
    Stats {
        /// Which container; none: the main one.
        container: Option<String>,
    },
    /// Its processes, once.
    Top {
        /// Which container; none: the main one.
        container: Option<String>,
        /// What is shown, as arguments of `ps`; empty: the runtime's own choice.
        arguments: String,
    },
    /// How the checks of its health went lately, once.
    Health {
        /// Which container; none: the main one.
        container: Option<String>,
    },
    /// A signal to its main process. Ends without output once it is delivered; what is wanted of the task
    /// stays as it is, so a container that ends by it has ended by itself.
    Signal {
        /// Which container; none: the main one.
        container: Option<String>,
        /// Its name (`SIGHUP`).
        name: String,
    },
}

/// Which part of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogQuery {
    /// Which container; none: the main one.
    pub container: Option<String>,
    /// Go on as more is written, until the container has ended.
    pub follow: bool,
    /// Only the last so many lines; none: all that is kept.
    pub tail: Option<u64>,
    /// Only lines written at or after this, in Unix milliseconds.
    pub since: Option<u64>,
    /// Lines of standard output.
    pub stdout: bool,
    /// Lines of standard error.
    pub stderr: bool,
    /// Of the run before the present one; while the container waits to be started again, of the last one.
    /// `NotFound` where it was started only once.
    pub previous: bool,
}

impl Default for LogQuery {
    fn default() -> Self {
        Self {
            container: None,
            follow: false,
            tail: None,
            since: None,
            stdout: true,
            stderr: true,
            previous: false,
        }
    }
}

/// Another process in a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecRequest {
    /// Which container; none: the main one.
    pub container: Option<String>,
    /// The command.
    pub argv: Vec<String>,
    /// Added to the container's environment.
    pub env: Vec<(String, String)>,
    /// As another user.
    pub user: Option<String>,
    /// In another directory.
    pub workdir: Option<String>,
    /// With a terminal, of this size at first.
    pub tty: Option<WindowSize>,
    /// Whether input will come.
    pub stdin: bool,
}

/// The size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowSize {
    /// Lines.
    pub rows: u16,
    /// Characters a line.
    pub cols: u16,
}

/// What goes to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamInput {
    /// Bytes for its standard input, or for the connection.
    Data(Bytes),
    /// The terminal has another size.
    Resize(WindowSize),
    /// No more bytes will come; output goes on.
    Eof,
}

/// What comes from a container.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// One line of a log.
    Log(LogLine),
    /// Bytes of standard output, or of the terminal, or of the connection.
    Stdout(Bytes),
    /// Bytes of standard error.
    Stderr(Bytes),
    /// The process has ended. The last thing that comes.
    Exit {
        /// Its exit code; 128 + n after signal n.
        code: i32,
    },
    /// What the container uses.
    Stats(Stats),
    /// What a node says of its images.
    Image(Box<ImageOutput>),
    /// Its processes.
    Processes(ProcessTable),
    /// How the checks of its health went.
    Health(Health),
}

/// The processes of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcessTable {
    /// What the columns are (`PID`, `CMD`).
    pub titles: Vec<String>,
    /// One row a process, one cell for each title.
    pub processes: Vec<Vec<String>>,
}

/// How the checks of a container's health went lately.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Failures in a row.
    pub failing: u32,
    /// The last ones, the newest last.
    pub results: Vec<CheckResult>,
}

/// How one check went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckResult {
    /// When it began, in Unix milliseconds.
    pub began: u64,
    /// When it ended, in Unix milliseconds.
    pub ended: u64,
    /// The exit code of the command; of other checks 0 if it passed and 1 if not.
    pub code: i32,
    /// What it wrote, or why it failed.
    pub output: String,
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When it was written, in Unix nanoseconds.
    pub at_nanos: u64,
    /// Which stream.
    pub source: LogSource,
    /// Its bytes, the line's end included if it had one.
    pub bytes: Bytes,
}

/// Which stream a line was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogSource {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What a container uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Processor time so far, in nanoseconds.
    pub cpu_nanos: u64,
    /// Memory in use, in bytes, without the page cache that can be dropped.
    pub memory_bytes: u64,
    /// Its memory limit, in bytes, if it has one.
    pub memory_limit_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: u64,
    /// When this was read, in Unix nanoseconds.
    pub at_nanos: u64,
    /// Bytes that came over its own network so far; 0 where it shares the node's, or its runtime does not count them.
    pub received_bytes: u64,
    /// Bytes that went out over its own network so far.
    pub sent_bytes: u64,
    /// Bytes read from disks so far; 0 where its runtime does not count them.
    pub read_bytes: u64,
    /// Bytes written to disks so far.
    pub written_bytes: u64,
}

/// Why a stream failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StreamError {
    /// There is no such task or container.
    #[error("there is no {what}")]
    NotFound {
        /// What was looked for.
        what: String,
    },
    /// The container's state does not allow it.
    #[error("{why}")]
    State {
        /// What stands in the way (`container is not running`).
        why: String,
    },
    /// The runtime does not serve it.
    #[error("{what} is not supported by runtime {runtime}")]
    NotSupported {
        /// What was asked.
        what: String,
        /// Which runtime.
        runtime: String,
    },
    /// The node cannot be reached, or the stream broke.
    #[error("node unavailable: {why}")]
    Unavailable {
        /// What was observed.
        why: String,
    },
    /// The runtime failed.
    #[error("{why}")]
    Failed {
        /// What it said.
        why: String,
    },
}

impl Classified for StreamError {
    fn class(&self) -> Class {
        match self {
            Self::Unavailable { .. } => Class::Retry,
            Self::State { .. } => Class::Conflict,
            Self::NotFound { .. } | Self::NotSupported { .. } | Self::Failed { .. } => Class::Fatal,
        }
    }
}
