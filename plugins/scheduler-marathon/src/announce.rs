//! What the desk tells the world: events of deployments and of groups. An event is made only if somebody
//! listens.

use crate::answer::deployment::StepAnswer;
use crate::answer::plan::PlanAnswer;
use crate::app::App;
use crate::desired::Desired;
use crate::events::{Body, Hub};
use crate::path::AppId;
use crate::plan::{Deployment, Difference, Kind, Plan};
use crate::refusal::Refusal;
use crate::stamp::Stamp;

/// Marathon's reason for a deployment that another took the place of, or that was stopped.
const CANCELLED: &str = "The upgrade has been cancelled";

/// The app as it shall be, if its tasks are others than before.
fn newly_configured(difference: &Difference) -> Option<&App> {
    let target = difference.target.as_ref()?;
    let before = difference.original.as_ref().map(|app| app.config_version());
    (before != Some(target.config_version())).then_some(target)
}

/// Publishes through a hub.
pub(crate) struct Announcer(pub(crate) Hub);

impl Announcer {
    /// A deployment begins the step it is at.
    pub(crate) fn step(&self, now: Stamp, desired: &Desired, deployment: &Deployment) {
        if let Some(step) = deployment.steps.get(deployment.step) {
            self.0.publish(now, || Body::DeploymentInfo {
                plan: PlanAnswer::of(desired, deployment),
                current_step: StepAnswer::of(step),
            });
        }
    }

    /// The step that a deployment is at is done.
    pub(crate) fn step_success(&self, now: Stamp, desired: &Desired, deployment: &Deployment) {
        let Some(step) = deployment.steps.get(deployment.step) else {
            return;
        };
        for stopped in step.iter().filter(|a| a.kind == Kind::Stop) {
            self.0.publish(now, || Body::AppTerminated {
                app_id: stopped.app.clone(),
            });
        }
        self.0.publish(now, || Body::DeploymentStepSuccess {
            plan: PlanAnswer::of(desired, deployment),
            current_step: StepAnswer::of(step),
        });
    }

    /// The health checks of what a deployment makes begin.
    pub(crate) fn checks_added(&self, now: Stamp, plan: &Plan) {
        for app in plan.apps.values().filter_map(newly_configured) {
            for check in &app.config.health_checks {
                self.0.publish(now, || Body::AddHealthCheck {
                    app_id: app.id.clone(),
                    version: app.version,
                    health_check: check.clone().into(),
                });
            }
        }
    }

    /// The health checks of what a deployment has replaced or removed are over.
    pub(crate) fn checks_removed(&self, now: Stamp, plan: &Plan) {
        for difference in plan.apps.values() {
            let gone = difference.target.is_none() || newly_configured(difference).is_some();
            for app in difference.original.iter().filter(|_| gone) {
                for _ in &app.config.health_checks {
                    self.0.publish(now, || Body::RemoveHealthCheck {
                        app_id: app.id.clone(),
                    });
                }
            }
        }
    }

    /// A deployment is done.
    pub(crate) fn success(&self, now: Stamp, desired: &Desired, deployment: &Deployment) {
        self.0.publish(now, || Body::DeploymentSuccess {
            id: &deployment.plan.id,
            plan: PlanAnswer::of(desired, deployment),
        });
    }

    /// A deployment was cancelled.
    pub(crate) fn cancelled(&self, now: Stamp, desired: &Desired, deployment: &Deployment) {
        self.0.publish(now, || Body::DeploymentFailed {
            id: &deployment.plan.id,
            plan: PlanAnswer::of(desired, deployment),
            reason: CANCELLED.to_owned(),
        });
    }

    /// A change was taken.
    pub(crate) fn taken(&self, now: Stamp, group: &AppId, version: Stamp) {
        self.0.publish(now, || Body::GroupChangeSuccess {
            group_id: group.to_string(),
            version,
        });
    }

    /// A change was refused; with its plan, if it came so far.
    pub(crate) fn refused(
        &self,
        now: Stamp,
        desired: &Desired,
        group: &AppId,
        plan: Option<Plan>,
        refusal: &Refusal,
    ) {
        self.0.publish(now, || Body::GroupChangeFailed {
            group_id: group.to_string(),
            version: desired.next_version(now),
            reason: refusal.to_string(),
        });
        if let Some(deployment) = plan.map(Deployment::begin) {
            self.0.publish(now, || Body::DeploymentFailed {
                id: &deployment.plan.id,
                plan: PlanAnswer::of(desired, &deployment),
                reason: refusal.to_string(),
            });
        }
    }
}
