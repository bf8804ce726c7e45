//! Configuration in layers: defaults, a TOML file, environment variables, flags; the later wins. Every key is
//! checked against the defaults before anything starts, and an unknown one is refused with its nearest
//! neighbour. `layers` knows how, `check` what the values must be beyond their types; here is what.

mod check;
mod layers;

pub(crate) use layers::{ConfigError, Layers};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything but the sections of the schedulers, which belong to the plugins.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The broker and its API.
    pub(crate) broker: BrokerSection,
    /// The agents.
    pub(crate) agent: AgentSection,
    /// What `plenum up` brings up.
    pub(crate) up: UpSection,
    /// Logs and traces.
    pub(crate) telemetry: TelemetrySection,
}

/// `[broker]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BrokerSection {
    /// Where the API (HTTP and gRPC) listens; loopback only.
    pub(crate) listen: String,
    /// The same on any address, without users or TLS; empty: not used.
    pub(crate) insecure_listen: String,
    /// Milliseconds of silence after which a node counts as unreachable.
    pub(crate) lease_ms: u64,
    /// Host names beside the listening address under which requests are answered.
    pub(crate) allowed_hosts: Vec<String>,
}

impl Default for BrokerSection {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7717".to_owned(),
            insecure_listen: String::new(),
            // Three heartbeats may be missed: a node under full load still sends one in two seconds.
            lease_ms: 10_000,
            allowed_hosts: Vec::new(),
        }
    }
}

/// `[agent]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentSection {
    /// Where the broker is (`http://10.0.0.1:7717`).
    pub(crate) broker: String,
    /// The node's name; empty: the host name.
    pub(crate) name: String,
    /// The address on which ports of tasks are published; empty: found by looking at the route to the broker.
    pub(crate) address: String,
    /// Thousandths of a core offered; 0: all there are.
    pub(crate) cpu_millis: u64,
    /// Bytes of memory offered; 0: all there is.
    pub(crate) memory_bytes: u64,
    /// Bytes of disk offered; 0: what is free where the data is.
    pub(crate) disk_bytes: u64,
    /// Tasks at most; 0: the agent's default.
    pub(crate) slots: u64,
    /// Thousandths of a core kept for the system.
    pub(crate) system_cpu_millis: u64,
    /// Bytes of memory kept for the system.
    pub(crate) system_memory_bytes: u64,
    /// Lowest dynamic host port; 0: the agent's default.
    pub(crate) port_low: u16,
    /// Highest dynamic host port; 0: the agent's default.
    pub(crate) port_high: u16,
    /// Attributes for placement rules, beside those the agent detects.
    pub(crate) attributes: BTreeMap<String, String>,
    /// Taints of the node (`gpu=a100:NoSchedule`): tasks that do not say that they bear one go elsewhere.
    pub(crate) taints: Vec<String>,
    /// Runtimes to use of those that are found; empty: all.
    pub(crate) runtimes: Vec<String>,
    /// The Docker daemon of this machine (`unix:///run/user/1000/docker.sock`); empty: the one at its usual socket.
    /// `DOCKER_HOST` is for clients, and may well name a door of this very pool: it is not looked at.
    pub(crate) docker_host: String,
}

/// `[up]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpSection {
    /// Agents on this machine; 0: one per core, at most three.
    pub(crate) nodes: u32,
    /// Schedulers that are linked in; others may run as processes of their own.
    pub(crate) schedulers: Vec<String>,
}

impl Default for UpSection {
    fn default() -> Self {
        Self {
            nodes: 0,
            schedulers: ["kubernetes", "marathon", "swarm"].map(str::to_owned).to_vec(),
        }
    }
}

/// `[telemetry]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TelemetrySection {
    /// What is logged, in the syntax of `RUST_LOG` (`info,plenum_broker=debug`).
    pub(crate) log: String,
    /// `text` or `json`.
    pub(crate) format: String,
    /// Where spans are sent by OTLP over gRPC (`http://127.0.0.1:4317`); empty: nowhere.
    pub(crate) otlp: String,
}

impl Default for TelemetrySection {
    fn default() -> Self {
        Self {
            log: "warn".to_owned(),
            format: "text".to_owned(),
            otlp: String::new(),
        }
    }
}
