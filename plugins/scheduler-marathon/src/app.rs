//! An app in its canonical form: every default filled in, old forms of fields translated, ids absolute.
//! This is what is stored, compared, planned with and answered.

use crate::checks::{HealthCheck, ReadinessCheck};
use crate::constraints::Constraint;
use crate::path::AppId;
use crate::stamp::Stamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A canonical app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct App {
    /// Absolute.
    pub id: AppId,
    /// What a run of this app is.
    pub config: Config,
    /// How many of it.
    pub instances: u32,
    /// When this version was made; what it is called by.
    pub version: Stamp,
    /// When configuration and count last changed.
    pub version_info: VersionInfo,
}

/// When configuration and count last changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionInfo {
    /// Instances.
    pub last_scaling_at: Stamp,
    /// Anything else, or a restart: the version that its tasks run.
    pub last_config_change_at: Stamp,
}

impl VersionInfo {
    /// Both at once.
    #[must_use]
    pub fn both(at: Stamp) -> Self {
        Self {
            last_scaling_at: at,
            last_config_change_at: at,
        }
    }
}

impl App {
    /// The version whose tasks run this configuration: scaling makes no new one.
    #[must_use]
    pub fn config_version(&self) -> Stamp {
        self.version_info.last_config_change_at
    }
}

/// All that tasks must be replaced for when it changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// A shell command.
    pub cmd: Option<String>,
    /// Arguments, in place of `cmd`.
    pub args: Vec<String>,
    /// User to run as.
    pub user: Option<String>,
    /// Plain environment.
    pub env: BTreeMap<String, String>,
    /// Cores.
    pub cpus: f64,
    /// MiB.
    pub mem: f64,
    /// MiB.
    pub disk: f64,
    /// Kept as given; only the default executor is served.
    pub executor: String,
    /// Host ports; none unless the network is the host's.
    pub port_definitions: Option<Vec<PortDefinition>>,
    /// Whether host ports must be the ones defined.
    pub require_ports: bool,
    /// How launches of a failing app are slowed down.
    pub backoff: Backoff,
    /// Image, volumes, mapped ports.
    pub container: Option<Container>,
    /// Seconds from `SIGTERM` to `SIGKILL`; none: the default.
    pub kill_grace_seconds: Option<u32>,
    /// Bounds while tasks are replaced.
    pub upgrade: UpgradeStrategy,
    /// The user's own.
    pub labels: BTreeMap<String, String>,
    /// Apps and groups that a deployment starts before this one; absolute.
    #[serde(default)]
    pub dependencies: BTreeSet<AppId>,
    /// Kept as given; only the pool's one role is served.
    pub accepted_resource_roles: Option<Vec<String>>,
    /// Exactly one is served.
    pub network: NetworkMode,
    /// What happens when a node is silent.
    pub unreachable: Unreachable,
    /// Which instance goes first when scaling down.
    pub kill_selection: KillSelection,
    /// Where instances may go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<Constraint>,
    /// What must pass for an instance to count as healthy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health_checks: Vec<HealthCheck>,
    /// What must have passed for a new instance to count in a deployment; at most one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readiness_checks: Vec<ReadinessCheck>,
}

impl Config {
    /// The ports that load balancers know this app by, in order.
    #[must_use]
    pub fn service_ports(&self) -> Vec<u16> {
        match self.network {
            NetworkMode::Host => self.port_definitions.iter().flatten().map(|p| p.port).collect(),
            NetworkMode::Bridge => self.port_mappings().iter().map(|p| p.service_port).collect(),
        }
    }

    /// The mapped ports; none on the host's network.
    #[must_use]
    pub fn port_mappings(&self) -> &[PortMapping] {
        self.container
            .as_ref()
            .and_then(|c| c.port_mappings.as_deref())
            .unwrap_or_default()
    }

    /// The image, if it runs in one.
    #[must_use]
    pub fn docker(&self) -> Option<&Docker> {
        self.container.as_ref().and_then(|c| c.docker.as_ref())
    }
}

/// How launches of a failing app are slowed down.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Backoff {
    /// Delay after the first failure, in seconds.
    pub seconds: u32,
    /// What each further failure multiplies it by.
    pub factor: f64,
    /// The longest delay, in seconds.
    pub max_seconds: u32,
}

/// Bounds while tasks are replaced, as fractions of `instances`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct UpgradeStrategy {
    /// How much more may run.
    pub maximum_over_capacity: f64,
    /// How much must keep running.
    pub minimum_health_capacity: f64,
}

impl Default for UpgradeStrategy {
    fn default() -> Self {
        Self {
            maximum_over_capacity: 1.0,
            minimum_health_capacity: 1.0,
        }
    }
}

/// Where a task's ports are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkMode {
    /// The node's own network.
    #[default]
    #[serde(rename = "host")]
    Host,
    /// Its own address on the node; host ports are forwarded.
    #[serde(rename = "container/bridge")]
    Bridge,
}

/// A host port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortDefinition {
    /// The service port, and with `requirePorts` the host port; never 0 once stored.
    pub port: u16,
    /// Of which transport.
    pub protocol: Protocol,
    /// Unique within the app.
    pub name: Option<String>,
    /// For load balancers and the like.
    pub labels: BTreeMap<String, String>,
}

impl PortDefinition {
    /// The one port of an app that names none.
    #[must_use]
    pub fn default_port() -> Self {
        Self {
            name: Some("default".to_owned()),
            ..Self::default()
        }
    }
}

/// A container port and the host port that leads to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortMapping {
    /// 0: the same as the host port.
    pub container_port: u16,
    /// 0: any free one.
    pub host_port: u16,
    /// For load balancers; never 0 once stored.
    pub service_port: u16,
    /// Of which transport.
    pub protocol: Protocol,
    /// Unique within the app.
    pub name: Option<String>,
    /// For load balancers and the like.
    pub labels: BTreeMap<String, String>,
}

impl PortMapping {
    /// The one port of a bridged app that names none.
    #[must_use]
    pub fn default_port() -> Self {
        Self {
            name: Some("default".to_owned()),
            ..Self::default()
        }
    }
}

/// Transport of a port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Protocol {
    /// TCP.
    #[default]
    #[serde(rename = "tcp")]
    Tcp,
    /// UDP.
    #[serde(rename = "udp")]
    Udp,
    /// The same number on both.
    #[serde(rename = "udp,tcp")]
    Both,
}

impl Protocol {
    /// As requests write it.
    pub const WORDS: [(&'static str, Self); 3] =
        [("tcp", Self::Tcp), ("udp", Self::Udp), ("udp,tcp", Self::Both)];
}

/// Image, volumes, mapped ports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Which engine the user asked for.
    pub engine: Engine,
    /// The image; none: a plain process.
    pub docker: Option<Docker>,
    /// Directories of the node.
    pub volumes: Vec<HostVolume>,
    /// Present exactly when the network is a bridge.
    pub port_mappings: Option<Vec<PortMapping>>,
}

/// Which engine runs a container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Engine {
    /// Docker's own.
    #[default]
    #[serde(rename = "DOCKER")]
    Docker,
    /// Mesos' own; it may run a Docker image or none.
    #[serde(rename = "MESOS")]
    Mesos,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Docker {
    /// Name with tag or digest.
    pub image: String,
    /// Fetch it before every start.
    pub force_pull_image: bool,
    /// All capabilities of the node.
    pub privileged: bool,
}

/// A directory of the node inside the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostVolume {
    /// Where it appears.
    pub container_path: String,
    /// Where it is.
    pub host_path: String,
    /// Whether it can be written.
    pub mode: VolumeMode,
}

/// Whether a volume can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum VolumeMode {
    /// Read only.
    #[serde(rename = "RO")]
    ReadOnly,
    /// Read and write.
    #[serde(rename = "RW")]
    ReadWrite,
}

/// What happens when a node is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unreachable {
    /// Wait for ever.
    Disabled,
    /// Replace after a while, forget after another.
    After {
        /// Seconds until a replacement starts.
        inactive_seconds: u32,
        /// Seconds until the old instance is forgotten.
        expunge_seconds: u32,
    },
}

impl Default for Unreachable {
    fn default() -> Self {
        Self::After {
            inactive_seconds: 0,
            expunge_seconds: 0,
        }
    }
}

/// Which of two instances in the same state goes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum KillSelection {
    /// The one started last.
    #[default]
    #[serde(rename = "YOUNGEST_FIRST")]
    YoungestFirst,
    /// The one started first.
    #[serde(rename = "OLDEST_FIRST")]
    OldestFirst,
}
