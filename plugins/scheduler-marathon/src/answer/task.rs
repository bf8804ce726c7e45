//! Tasks as answers show them.

use crate::answer::checks::HealthAnswer;
use crate::app::App;
use crate::instance::{Condition, State, condition, failed_at, stamp};
use crate::probes;
use crate::stamp::Stamp;
use plenum_model::node::Node;
use plenum_model::task::{Exit, Task};
use serde::Serialize;

/// One task.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskAnswer {
    app_id: String,
    health_check_results: Vec<HealthAnswer>,
    host: String,
    id: String,
    ip_addresses: Vec<IpAddress>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ports: Vec<u16>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    service_ports: Vec<u16>,
    slave_id: String,
    state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    staged_at: Option<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    local_volumes: [(); 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct IpAddress {
    ip_address: String,
    protocol: &'static str,
}

/// Whether service ports are shown; only `/v2/tasks` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServicePorts {
    /// Yes.
    Shown,
    /// No.
    Left,
}

impl TaskAnswer {
    /// The answer for a task that has a node; none for one that still waits.
    #[must_use]
    pub fn of(app: &App, task: &Task, node: Option<&Node>, service_ports: ServicePorts) -> Option<Self> {
        let (state, active) = match condition(task) {
            Condition::Scheduled => return None,
            Condition::Active(state) => (state, true),
            Condition::Ended(state) => (state, false),
        };
        let status = &task.status;
        let attribute = |key: &str| node.and_then(|n| n.facts.attribute(key)).map(str::to_owned);
        let host = host_of(task, node);
        let address = status.address.clone().unwrap_or_else(|| host.clone());
        Some(Self {
            app_id: app.id.to_string(),
            health_check_results: if active {
                HealthAnswer::all(app, task)
            } else {
                Vec::new()
            },
            ip_addresses: vec![IpAddress {
                protocol: if address.contains(':') { "IPv6" } else { "IPv4" },
                ip_address: address,
            }],
            host,
            id: task.seat.name.clone(),
            ports: if active { status.ports.clone() } else { Vec::new() },
            service_ports: match service_ports {
                ServicePorts::Shown => app.config.service_ports(),
                ServicePorts::Left => Vec::new(),
            },
            slave_id: status.node.as_ref().map(ToString::to_string).unwrap_or_default(),
            state,
            staged_at: status.placed_at.filter(|_| active).map(stamp),
            started_at: status.started_at.filter(|_| active).map(stamp),
            version: active.then(|| task.terms.workload.version.clone()),
            local_volumes: [],
            region: attribute("region"),
            zone: attribute("zone"),
        })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// The address that clients reach a task's ports at.
#[must_use]
pub fn host_of(task: &Task, node: Option<&Node>) -> String {
    match node {
        Some(node) => node.facts.address.clone(),
        None => task
            .status
            .node
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
    }
}

/// The last failure of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskFailure {
    app_id: String,
    host: String,
    message: String,
    state: State,
    task_id: String,
    timestamp: Stamp,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    slave_id: Option<String>,
}

impl TaskFailure {
    /// The failure of `task`, which runs `app` in this configuration; none if it did not fail.
    #[must_use]
    pub fn of(app: &App, task: &Task, node: Option<&Node>) -> Option<Self> {
        let timestamp = stamp(failed_at(app, task)?);
        let status = &task.status;
        let (state, message) = match (condition(task), &status.exit) {
            (Condition::Ended(state), Some(exit)) if state.is_failure() => (state, exit_in_words(exit)),
            (Condition::Ended(state), None) if state.is_failure() => (state, status.message.clone()),
            (Condition::Ended(_) | Condition::Active(_) | Condition::Scheduled, _) => {
                let cause = &probes::deadly(app, task)?.cause;
                let message = format!("Task was killed since health check failed. Reason: {cause}");
                (State::TaskKilled, message)
            }
        };
        Some(Self {
            app_id: app.id.to_string(),
            host: host_of(task, node),
            message,
            state,
            task_id: task.seat.name.clone(),
            timestamp,
            version: task.terms.workload.version.clone(),
            slave_id: status.node.as_ref().map(ToString::to_string),
        })
    }

    /// A launch of `app` that the pool refused.
    #[must_use]
    pub fn refused(app: &App, task: String, message: String, timestamp: Stamp) -> Self {
        Self {
            app_id: app.id.to_string(),
            host: String::new(),
            message,
            state: State::TaskError,
            task_id: task,
            timestamp,
            version: app.config_version().to_string(),
            slave_id: None,
        }
    }

    /// When.
    #[must_use]
    pub fn timestamp(&self) -> Stamp {
        self.timestamp
    }
}

/// What the runtime said of an end; Mesos' words where it said nothing.
fn exit_in_words(exit: &Exit) -> String {
    if !exit.message.is_empty() {
        return exit.message.clone();
    }
    match (exit.code, exit.signal) {
        (_, Some(signal)) => format!("Command terminated with signal {signal}"),
        (Some(code), None) => format!("Command exited with status {code}"),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{app_at, task_of};
    use plenum_model::phase::Phase;

    #[test]
    fn a_running_task_shows_its_ports_and_an_ended_one_does_not() {
        let app = app_at(r#"{"id":"/a","cmd":"xx"}"#, 0);
        let mut task = task_of(&app, 0, 1, Phase::Running);
        let json =
            |task: &Task| serde_json::to_value(TaskAnswer::of(&app, task, None, ServicePorts::Left)).unwrap();
        let running = json(&task);
        assert_eq!(running["ports"], serde_json::json!([31_000]));
        assert_eq!(
            (running["state"].as_str(), running["host"].as_str()),
            (Some("TASK_RUNNING"), Some("n1"))
        );
        assert_eq!(running["version"], "1970-01-01T00:00:00.000Z");
        assert!(running.get("servicePorts").is_none());
        task.status.progress.phase = Phase::Failed;
        let ended = json(&task);
        for gone in ["ports", "startedAt", "stagedAt", "version"] {
            assert!(ended.get(gone).is_none(), "{gone}");
        }
        task.status.progress.phase = Phase::Pending;
        assert!(json(&task).is_null());
    }
}
