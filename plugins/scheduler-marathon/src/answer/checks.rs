//! Checks, and how they stand, as answers and events show them.

use crate::app::App;
use crate::checks::{CheckProtocol, HealthCheck, HttpScheme, ReadinessCheck};
use crate::instance::stamp;
use crate::names;
use crate::probes;
use crate::stamp::Stamp;
use plenum_model::task::{CheckStatus, Task};
use serde::Serialize;

/// An element of an app's `healthChecks`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheckAnswer {
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<CommandAnswer>,
    grace_period_seconds: u32,
    #[serde(rename = "ignoreHttp1xx", skip_serializing_if = "Option::is_none")]
    ignore_http_1xx: Option<bool>,
    interval_seconds: u32,
    max_consecutive_failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port_index: Option<u16>,
    protocol: CheckProtocol,
    ip_protocol: &'static str,
    timeout_seconds: u32,
    delay_seconds: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct CommandAnswer {
    value: String,
}

impl From<HealthCheck> for HealthCheckAnswer {
    fn from(c: HealthCheck) -> Self {
        let own_http = c.protocol.is_http() && !c.protocol.is_of_node();
        Self {
            command: c.command.map(|value| CommandAnswer { value }),
            grace_period_seconds: c.grace_seconds,
            ignore_http_1xx: own_http.then_some(false),
            interval_seconds: c.interval_seconds,
            max_consecutive_failures: c.max_failures,
            path: c.path,
            port: c.port,
            port_index: c.port_index,
            protocol: c.protocol,
            ip_protocol: "IPv4",
            timeout_seconds: c.timeout_seconds,
            delay_seconds: c.delay_seconds,
        }
    }
}

/// An element of an app's `readinessChecks`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadinessCheckAnswer {
    name: String,
    protocol: HttpScheme,
    path: String,
    port_name: String,
    interval_seconds: u32,
    timeout_seconds: u32,
    http_status_codes_for_ready: Vec<u16>,
    preserve_last_response: bool,
}

impl From<ReadinessCheck> for ReadinessCheckAnswer {
    fn from(c: ReadinessCheck) -> Self {
        Self {
            name: c.name,
            protocol: c.protocol,
            path: c.path,
            port_name: c.port_name,
            interval_seconds: c.interval_seconds,
            timeout_seconds: c.timeout_seconds,
            http_status_codes_for_ready: c.statuses,
            preserve_last_response: false,
        }
    }
}

/// An element of a task's `healthCheckResults`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthAnswer {
    alive: bool,
    consecutive_failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_success: Option<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure: Option<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure_cause: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_success: Option<Stamp>,
    instance_id: String,
}

impl HealthAnswer {
    /// One for each health check of a task of `app`.
    #[must_use]
    pub fn all(app: &App, task: &Task) -> Vec<Self> {
        let instance = || names::instance(&app.id, task.id());
        probes::health_of(app, task)
            .map(|(_, told)| Self::of(told, instance()))
            .collect()
    }

    fn of(told: Option<&CheckStatus>, instance_id: String) -> Self {
        let none = CheckStatus::default();
        let told = told.unwrap_or(&none);
        Self {
            alive: told.passes == Some(true),
            consecutive_failures: told.failures,
            first_success: told.first_success.map(stamp),
            last_failure: told.last_failure.map(stamp),
            last_failure_cause: told.last_failure.map(|_| told.cause.clone()),
            last_success: told.last_success.map(stamp),
            instance_id,
        }
    }
}

/// How the readiness check of one task stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadinessAnswer {
    name: String,
    task_id: String,
    ready: bool,
}

impl ReadinessAnswer {
    /// For a task of `app`; none if it has no readiness check.
    #[must_use]
    pub fn of(app: &App, task: &Task) -> Option<Self> {
        let ready = probes::is_ready(app, task)?;
        Some(Self {
            name: app.config.readiness_checks.first()?.name.clone(),
            task_id: task.seat.name.clone(),
            ready,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{app_at, task_of};
    use plenum_model::phase::Phase;
    use serde_json::json;

    #[test]
    fn a_task_shows_each_health_check_whether_it_was_asked_or_not() {
        let app = app_at(
            r#"{"id":"/a","cmd":"xx","healthChecks":[{},{"protocol":"TCP"}]}"#,
            0,
        );
        let mut task = task_of(&app, 0, 1, Phase::Running);
        task.status.checks = vec![CheckStatus {
            passes: Some(false),
            failures: 2,
            first_success: Some(1),
            last_success: Some(1),
            last_failure: Some(5),
            cause: "status 503".into(),
        }];
        let instance = names::instance(&app.id, task.id());
        assert_eq!(
            serde_json::to_value(HealthAnswer::all(&app, &task)).unwrap(),
            json!([
                {"alive": false, "consecutiveFailures": 2, "firstSuccess": "1970-01-01T00:00:00.001Z",
                 "lastSuccess": "1970-01-01T00:00:00.001Z", "lastFailure": "1970-01-01T00:00:00.005Z",
                 "lastFailureCause": "status 503", "instanceId": instance},
                {"alive": false, "consecutiveFailures": 0, "instanceId": instance},
            ])
        );
    }

    #[test]
    fn checks_are_answered_with_their_defaults_and_read_back_the_same() {
        let text = r#"{"id":"/a","cmd":"xx","healthChecks":[{"path":"/h"},{"protocol":"COMMAND","command":{"value":"true"}}],
            "readinessChecks":[{"portName":"default","intervalSeconds":5,"timeoutSeconds":1}]}"#;
        let app = app_at(text, 0);
        let answer = |c: &HealthCheck| serde_json::to_value(HealthCheckAnswer::from(c.clone())).unwrap();
        assert_eq!(
            answer(&app.config.health_checks[0]),
            json!({"gracePeriodSeconds": 300, "ignoreHttp1xx": false, "intervalSeconds": 60, "maxConsecutiveFailures": 3,
                   "path": "/h", "portIndex": 0, "protocol": "HTTP", "ipProtocol": "IPv4", "timeoutSeconds": 20,
                   "delaySeconds": 15})
        );
        assert_eq!(
            answer(&app.config.health_checks[1])["command"],
            json!({"value": "true"})
        );
        let ready = ReadinessCheckAnswer::from(app.config.readiness_checks[0].clone());
        assert_eq!(
            serde_json::to_value(ready).unwrap(),
            json!({"name": "readinessCheck", "protocol": "HTTP", "path": "/", "portName": "default", "intervalSeconds": 5,
                   "timeoutSeconds": 1, "httpStatusCodesForReady": [200], "preserveLastResponse": false})
        );
    }
}
