//! What a shim reports: who runs, how it ended, why it did not start.

use serde::{Deserialize, Serialize};

/// A process that cannot be mistaken for a later one with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its number, as seen outside the container.
    pub pid: i32,
    /// Clock ticks between boot and its start (field 22 of `/proc/PID/stat`).
    pub start_ticks: u64,
}

/// Who runs a container; written when it is created and again when it is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The shim.
    pub shim: ProcessId,
    /// The command; absent until it was started.
    pub main: Option<ProcessId>,
    /// The boot of the machine in which all this is true.
    pub boot_id: String,
    /// When the command was started, in milliseconds since 1970.
    pub started_at_ms: Option<u64>,
}

/// How a container ended; written once, after its last process has gone and its last output is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// What became of the command.
    pub outcome: Outcome,
    /// When it was started, in milliseconds since 1970.
    pub started_at_ms: Option<u64>,
    /// When it ended, in milliseconds since 1970.
    pub finished_at_ms: u64,
    /// Bytes of output that are not in the log because it could not be written.
    #[serde(default)]
    pub dropped_log_bytes: u64,
}

/// What became of the command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It returned.
    Code {
        /// 0 to 255.
        code: i32,
    },
    /// A signal ended it.
    Signal {
        /// Its number.
        signal: i32,
        /// Whether it left a core.
        core: bool,
    },
    /// It never ran, because something could not be set up.
    NotStarted {
        /// What.
        failure: StartFailure,
    },
    /// It was held and killed before anybody started it.
    Cancelled,
}

/// Why a command could not be started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct StartFailure {
    /// What was being done.
    pub stage: Stage,
    /// What the system said, as its error number.
    pub errno: Option<i32>,
    /// For a human, complete in itself: `command not found: foo`.
    pub message: String,
}

impl StartFailure {
    /// `what` failed with `error`.
    pub fn new(stage: Stage, what: &str, error: &std::io::Error) -> Self {
        Self {
            stage,
            errno: error.raw_os_error(),
            message: format!("{what}: {}", describe(error)),
        }
    }
}

/// The system's words without the number that Rust puts behind them.
pub(crate) fn describe(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().map(str::to_owned).unwrap_or(text)
}

/// The steps of a start, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Reading the order, the lock, the log, the socket.
    Prepare,
    /// Pipes or the terminal.
    Stdio,
    /// Making or joining namespaces.
    Namespace,
    /// Joining cgroups.
    Cgroup,
    /// Mounting.
    Mount,
    /// Limits of the process.
    Limit,
    /// Becoming the user.
    User,
    /// Entering the working directory.
    Directory,
    /// Running the program.
    Exec,
}
