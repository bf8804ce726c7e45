//! Tasks.

use super::amounts::Amounts;
use super::why::Why;
use jiff::Timestamp;
use plenum_model::phase::Phase;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The unit that is placed and run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Task {
    /// 32 hexadecimal digits; any unique prefix finds it.
    pub id: String,
    /// The orchestrator's own name of it.
    pub name: String,
    /// Whose it is.
    pub scheduler: String,
    /// What it belongs to.
    pub workload: WorkloadRef,
    /// The index of its slot within the workload.
    pub slot: u64,
    /// Who is charged.
    pub tenant: String,
    /// How far it has come: `pending`, `placed`, `preparing`, `prepared`, `starting`, `running`, `stopping`, and the
    /// ends `finished`, `failed`, `stopped`, `lost`, `rejected`.
    #[schema(value_type = String, example = "running")]
    pub state: Phase,
    /// What shall be true of it: `held`, `running`, `stopped`.
    #[schema(example = "running")]
    pub desired: String,
    /// Whether its scheduler has released it.
    pub released: bool,
    /// Whether its readiness checks pass; left out: it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
    /// Whether its node is silent.
    pub unreachable: bool,
    /// Where it is placed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Its own address, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Its host ports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
    /// What the ledger holds for it.
    pub charge: Amounts,
    /// Its labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Rank within its tenant; higher goes first.
    pub priority: i32,
    /// Restarts in place so far.
    pub restarts: u32,
    /// Raised by every change of what is asked.
    pub generation: u64,
    /// The content address of what it runs.
    pub spec: String,
    /// What is wrong with it, if something is: the first cause, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Why it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// What goes on, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it was claimed.
    #[schema(value_type = String, format = DateTime)]
    pub claimed_at: Timestamp,
    /// When it was placed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub placed_at: Option<Timestamp>,
    /// When it last started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
}

/// What a task belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkloadRef {
    /// Unique for ever within the scheduler.
    pub uid: String,
    /// The name users gave it.
    pub name: String,
    /// The kind of thing it is (`app`, `service`, `Deployment`).
    pub kind: String,
    /// The version that the task runs.
    pub version: String,
}

/// A host port of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Port {
    /// Its name, where the orchestrator has one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// `tcp`, `udp` or `both`.
    pub protocol: String,
    /// The port of the node.
    pub host_port: u16,
    /// The port inside.
    pub container_port: u16,
}

/// How a task ended, or could not start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Exit {
    /// The main process's exit code, if it exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// The stable cause (`exited`, `asked`, `out_of_memory`, `image`, `command`, `port`, `setup`, `runtime`,
    /// `unhealthy`, `gone`, `node_lost`, `held_too_long`, `preempted`).
    pub reason: String,
    /// The cause in words.
    pub message: String,
}

/// How a task is to be stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StopRequest {
    /// Milliseconds from the stop signal to `SIGKILL`; left out: as its spec says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_ms: Option<u64>,
}
