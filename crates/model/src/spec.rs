//! What to run. A spec is immutable, addressed by its content and shared by all tasks of a version.

use crate::ids::SpecId;
use crate::template::Template;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What one task runs: containers that share a node, a network and a fate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// At least one; the task runs while its main containers run.
    pub containers: Vec<ContainerSpec>,
    /// How the task is reached.
    pub network: Network,
    /// The host name inside; none: the runtime's own choice.
    pub hostname: Option<String>,
}

impl TaskSpec {
    /// The content address.
    #[must_use]
    pub fn id(&self) -> SpecId {
        let bytes = serde_json::to_vec(self).expect("plain data with text keys always serialises");
        SpecId(Sha256::digest(bytes).into())
    }
}

/// How a task is reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// The node's own network: a host port is the port the process binds.
    #[default]
    Host,
    /// An address of its own on the node; host ports are forwarded to container ports.
    Bridge,
}

/// One process tree.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// Unique within the task; `main` where the orchestrator has no name.
    pub name: String,
    /// The runtime that must run it (`process`, `docker`, `oci`).
    pub runtime: String,
    /// The image, for runtimes that have images.
    pub image: Option<Image>,
    /// Replaces the image's entry point; without an image, the start of the command line.
    pub entrypoint: Option<Vec<Template>>,
    /// Replaces the image's command; appended to the entry point.
    pub args: Option<Vec<Template>>,
    /// Environment, in order; a later one of the same name wins.
    pub env: Vec<(String, Template)>,
    /// Working directory; none: the image's, or the task's sandbox.
    pub workdir: Option<String>,
    /// User, as name or number, optionally with `:group`; none: the image's, or the agent's.
    pub user: Option<String>,
    /// Whether it has a terminal.
    pub tty: bool,
    /// Whether its standard input is open for attaching.
    pub stdin: bool,
    /// Upper bounds, enforced on the node. What is charged is said in the claim.
    pub caps: Caps,
    /// Bind mounts and temporary file systems.
    pub mounts: Vec<Mount>,
    /// Checks of its health.
    pub probes: Vec<Probe>,
    /// When it is started again in place.
    pub restart: Restart,
    /// The signal that asks it to stop; none: the image's, or `SIGTERM`.
    pub stop_signal: Option<String>,
    /// Milliseconds from that signal to `SIGKILL`.
    pub stop_grace_ms: u64,
    /// How much of its output is kept.
    pub logs: LogLimits,
    /// All capabilities and devices of the node.
    pub privileged: bool,
    /// Labels put on the container where the runtime has them.
    pub labels: BTreeMap<String, String>,
}

/// An image and when to fetch it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Name with tag or digest, or an image id.
    pub reference: String,
    /// When it is fetched.
    pub pull: Pull,
}

/// When an image is fetched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pull {
    /// When the node has none of that name.
    #[default]
    IfMissing,
    /// Before every start.
    Always,
    /// Never; a node without it cannot run the task.
    Never,
}

/// Upper bounds of one container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caps {
    /// Relative weight of processor time, in thousandths of a core.
    pub cpu_weight_millis: Option<u64>,
    /// Hard quota of processor time, in thousandths of a core.
    pub cpu_limit_millis: Option<u64>,
    /// Hard limit of memory, in bytes.
    pub memory_limit_bytes: Option<u64>,
    /// Hard limit of processes and threads.
    pub pids: Option<u64>,
}

/// Something mounted into a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where it appears inside.
    pub target: String,
    /// What is mounted.
    pub source: MountSource,
    /// Whether it can be written.
    pub read_only: bool,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MountSource {
    /// A path of the node.
    Host(String),
    /// A volume of the runtime, by name.
    Volume(String),
    /// Memory, at most so many bytes (none: the system's default).
    Tmpfs(Option<u64>),
}

/// A check of a container's health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// What is asked.
    pub check: Check,
    /// What a failure means.
    pub on_failure: OnFailure,
    /// Milliseconds before the first one.
    pub delay_ms: u64,
    /// Milliseconds between two.
    pub period_ms: u64,
    /// Milliseconds one may take.
    pub timeout_ms: u64,
    /// Failures in a row that count as failed.
    pub failures: u32,
    /// Successes in a row that count as passed.
    pub successes: u32,
    /// Milliseconds after the start during which failures do not count.
    pub grace_ms: u64,
}

/// What a probe asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// A command inside the container; exit code 0 passes.
    Exec(Vec<Template>),
    /// A GET; 200 to 399 passes.
    Http {
        /// The n-th port of the claim.
        port: u16,
        /// Path and query.
        path: String,
        /// Over TLS, not verified.
        tls: bool,
    },
    /// A connection that opens passes.
    Tcp {
        /// The n-th port of the claim.
        port: u16,
    },
}

/// What a failed probe means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The task is reported not ready.
    Report,
    /// The container is started again, by its restart policy.
    Restart,
    /// The task fails.
    Fail,
}

/// When a container is started again in place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// Never: the orchestrator replaces the task.
    #[default]
    Never,
    /// After a failure, at most so many times (0: without bound), with exponential back-off.
    OnFailure {
        /// How often.
        max: u32,
    },
    /// Whenever it ended, with exponential back-off.
    Always,
}

/// How much output of a container is kept on its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLimits {
    /// Bytes of one file before it is rotated.
    pub max_bytes: u64,
    /// Files kept, the current one included.
    pub files: u32,
}

impl Default for LogLimits {
    /// 2 files of 10 MiB: enough to look back, and 1,000 tasks fit on a 20 GB disk.
    fn default() -> Self {
        Self {
            max_bytes: 10 << 20,
            files: 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_follows_the_content() {
        let a = TaskSpec {
            hostname: Some("a".into()),
            ..TaskSpec::default()
        };
        let mut b = a.clone();
        assert_eq!(a.id(), b.id());
        b.hostname = None;
        assert_ne!(a.id(), b.id());
    }
}
