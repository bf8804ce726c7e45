//! Events of `/v2/events`: what they say, and the hub that hands them to whoever listens. Built where they
//! happen, written once, shared by all listeners.

use crate::answer::app::AppAnswer;
use crate::answer::checks::HealthCheckAnswer;
use crate::answer::deployment::StepAnswer;
use crate::answer::plan::PlanAnswer;
use crate::instance::State;
use crate::path::AppId;
use crate::stamp::Stamp;
use plenum_sdk::door::hub;
use serde::Serialize;
use std::sync::Arc;

/// Events a listener may be behind before it is dropped: Marathon's own default.
const OUTSTANDING: usize = 1024;

/// One event, as it goes over the wire.
#[derive(Debug, Clone)]
pub struct Event {
    /// The event's type.
    pub kind: &'static str,
    /// One line of JSON.
    pub data: Arc<str>,
}

/// Where events are published and listened to.
#[derive(Debug, Clone)]
pub struct Hub(hub::Hub<Event>);

impl Default for Hub {
    fn default() -> Self {
        Self(hub::Hub::new(OUTSTANDING))
    }
}

impl Hub {
    /// Hands an event to all listeners; one that is too far behind is dropped. Nothing is made when nobody
    /// listens: a plan holds the whole tree of apps.
    pub fn publish<'a>(&self, now: Stamp, body: impl FnOnce() -> Body<'a>) {
        if self.0.readers() > 0 {
            self.0.publish(body().event(now));
        }
    }

    /// Listens from now on, `first` before everything else.
    #[must_use]
    pub fn listen(&self, first: &Body<'_>, now: Stamp) -> hub::Subscription<Event> {
        self.0.subscribe_with([first.event(now)])
    }

    /// Ends all listening.
    pub fn close(&self) {
        self.0.close();
    }
}

/// What an event says.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", untagged)]
pub enum Body<'a> {
    /// A listener was attached: the first event it gets.
    EventStreamAttached {
        /// Where it is.
        remote_address: String,
    },
    /// An app was made or changed through the API.
    ApiPost {
        /// Who asked.
        client_ip: String,
        /// For which path.
        uri: String,
        /// What it is now.
        app_definition: Box<AppAnswer>,
    },
    /// A task's state changed.
    StatusUpdate(StatusUpdate),
    /// A deployment begins a step.
    DeploymentInfo {
        /// Which.
        plan: PlanAnswer,
        /// The step.
        current_step: StepAnswer,
    },
    /// A step is done.
    DeploymentStepSuccess {
        /// Of which.
        plan: PlanAnswer,
        /// The step.
        current_step: StepAnswer,
    },
    /// A deployment is done.
    DeploymentSuccess {
        /// Which.
        id: &'a str,
        /// Its plan.
        plan: PlanAnswer,
    },
    /// A deployment was refused or cancelled.
    DeploymentFailed {
        /// Which.
        id: &'a str,
        /// Its plan.
        plan: PlanAnswer,
        /// Why.
        reason: String,
    },
    /// A change of a group (every app is in one) was taken.
    GroupChangeSuccess {
        /// Which group.
        group_id: String,
        /// The version it made.
        version: Stamp,
    },
    /// A change of a group was refused.
    GroupChangeFailed {
        /// Which group.
        group_id: String,
        /// The version it would have made.
        version: Stamp,
        /// Why not.
        reason: String,
    },
    /// A health check of an app begins to be done.
    AddHealthCheck {
        /// Which app.
        app_id: AppId,
        /// In which version.
        version: Stamp,
        /// The check.
        health_check: HealthCheckAnswer,
    },
    /// A health check of an app is done no more.
    RemoveHealthCheck {
        /// Which app.
        app_id: AppId,
    },
    /// A health check of an instance failed, and that counts.
    FailedHealthCheck {
        /// Which app.
        app_id: AppId,
        /// The instance: so Marathon names the field.
        task_id: String,
        /// The check.
        health_check: HealthCheckAnswer,
    },
    /// A health check of an instance came to pass, or to fail.
    HealthStatusChanged {
        /// Which app.
        app_id: AppId,
        /// Which instance.
        instance_id: String,
        /// Which configuration it runs.
        version: String,
        /// Whether it passes.
        alive: bool,
    },
    /// The same of a check that the node does in Marathon.
    InstanceHealthChanged {
        /// Which instance.
        instance_id: String,
        /// Which app.
        run_spec_id: AppId,
        /// Whether it passes.
        healthy: bool,
        /// Which configuration it runs.
        run_spec_version: String,
    },
    /// An instance is killed because a health check failed too often.
    UnhealthyInstanceKill(UnhealthyKill),
    /// An app's tasks are gone.
    AppTerminated {
        /// Which app.
        app_id: AppId,
    },
}

/// An instance is killed because a health check failed too often.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnhealthyKill {
    /// Its app.
    pub app_id: AppId,
    /// Its task.
    pub task_id: String,
    /// It.
    pub instance_id: String,
    /// Which configuration it runs.
    pub version: String,
    /// The last failure.
    pub reason: String,
    /// Where its ports are.
    pub host: String,
    /// The node.
    pub slave_id: String,
}

/// A task's state changed.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusUpdate {
    /// The node.
    pub slave_id: String,
    /// The task.
    pub task_id: String,
    /// Its state now.
    pub task_status: State,
    /// What is said about it.
    pub message: String,
    /// Its app.
    pub app_id: AppId,
    /// Where its ports are.
    pub host: String,
    /// Its addresses.
    pub ip_addresses: Vec<EventAddress>,
    /// Its host ports.
    pub ports: Vec<u16>,
    /// Which configuration it runs.
    pub version: String,
}

/// An address in an event.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventAddress {
    /// The address.
    pub ip_address: String,
    /// `IPv4` or `IPv6`.
    pub protocol: &'static str,
}

impl Body<'_> {
    /// The type's name; typed clients raise on names they do not know.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::EventStreamAttached { .. } => "event_stream_attached",
            Self::ApiPost { .. } => "api_post_event",
            Self::StatusUpdate(_) => "status_update_event",
            Self::DeploymentInfo { .. } => "deployment_info",
            Self::DeploymentStepSuccess { .. } => "deployment_step_success",
            Self::DeploymentSuccess { .. } => "deployment_success",
            Self::DeploymentFailed { .. } => "deployment_failed",
            Self::GroupChangeSuccess { .. } => "group_change_success",
            Self::GroupChangeFailed { .. } => "group_change_failed",
            Self::AddHealthCheck { .. } => "add_health_check_event",
            Self::RemoveHealthCheck { .. } => "remove_health_check_event",
            Self::FailedHealthCheck { .. } => "failed_health_check_event",
            Self::HealthStatusChanged { .. } => "health_status_changed_event",
            Self::InstanceHealthChanged { .. } => "instance_health_changed_event",
            Self::UnhealthyInstanceKill(_) => "unhealthy_instance_kill_event",
            Self::AppTerminated { .. } => "app_terminated_event",
        }
    }

    /// The event, stamped.
    #[must_use]
    pub fn event(&self, now: Stamp) -> Event {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Whole<'a> {
            #[serde(flatten)]
            body: &'a Body<'a>,
            event_type: &'static str,
            timestamp: Stamp,
        }
        let whole = Whole {
            body: self,
            event_type: self.kind(),
            timestamp: now,
        };
        let data = serde_json::to_string(&whole).expect("plain data with text keys always serialises");
        Event {
            kind: self.kind(),
            data: data.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;

    #[test]
    fn an_event_is_one_line_with_its_type_and_time() {
        let body = Body::EventStreamAttached {
            remote_address: "127.0.0.1".into(),
        };
        let event = body.event(Stamp::from_ms(0));
        assert_eq!(
            &*event.data,
            r#"{"remoteAddress":"127.0.0.1","eventType":"event_stream_attached","timestamp":"1970-01-01T00:00:00.000Z"}"#
        );
    }

    #[tokio::test]
    async fn listeners_hear_what_is_published_after_they_came() {
        let hub = Hub::default();
        let body = || Body::AppTerminated {
            app_id: AppId::from_root("/a"),
        };
        hub.publish(Stamp::from_ms(0), body);
        let first = Body::EventStreamAttached {
            remote_address: String::new(),
        };
        let listener = hub.listen(&first, Stamp::from_ms(1));
        hub.publish(Stamp::from_ms(2), body);
        hub.close();
        let heard: Vec<_> = listener
            .map(|e| (e.kind, e.data.contains(".002Z")))
            .collect()
            .await;
        assert_eq!(
            heard,
            [("event_stream_attached", false), ("app_terminated_event", true)]
        );
    }
}
