//! Deployments as answers and events show them.

use crate::answer::checks::ReadinessAnswer;
use crate::path::AppId;
use crate::plan::{Action, Deployment, Plan, Step};
use crate::stamp::Stamp;
use serde::Serialize;

/// An item of `/v2/deployments`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentAnswer {
    id: String,
    version: Stamp,
    affected_apps: Vec<AppId>,
    affected_pods: [(); 0],
    steps: Vec<StepAnswer>,
    current_actions: Vec<CurrentAction>,
    current_step: usize,
    total_steps: usize,
}

/// A step of a plan.
#[derive(Debug, Clone, Serialize)]
pub struct StepAnswer {
    actions: Vec<ActionAnswer>,
}

#[derive(Debug, Clone, Serialize)]
struct ActionAnswer {
    action: &'static str,
    app: AppId,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct CurrentAction {
    action: &'static str,
    app: AppId,
    readiness_check_results: Vec<ReadinessAnswer>,
}

impl StepAnswer {
    /// The answer for a step.
    #[must_use]
    pub fn of(step: &Step) -> Self {
        let action = |a: &Action| ActionAnswer {
            action: a.kind.name(),
            app: a.app.clone(),
        };
        Self {
            actions: step.iter().map(action).collect(),
        }
    }
}

impl DeploymentAnswer {
    /// The answer for a deployment under way; `readiness` says how an app's readiness check stands.
    #[must_use]
    pub fn of(deployment: &Deployment, readiness: impl Fn(&AppId) -> Vec<ReadinessAnswer>) -> Self {
        let action = |a: &Action| CurrentAction {
            action: a.kind.name(),
            app: a.app.clone(),
            readiness_check_results: readiness(&a.app),
        };
        Self {
            id: deployment.plan.id.clone(),
            version: deployment.plan.version,
            affected_apps: deployment.plan.affected().cloned().collect(),
            affected_pods: [],
            steps: deployment.steps.iter().map(StepAnswer::of).collect(),
            current_actions: deployment.current().iter().map(action).collect(),
            current_step: (deployment.step + 1).min(deployment.steps.len()),
            total_steps: deployment.steps.len(),
        }
    }
}

/// The steps alone, of a change that was only tried.
#[derive(Debug, Clone, Serialize)]
pub struct StepsAnswer {
    steps: Vec<StepAnswer>,
}

impl StepsAnswer {
    /// The steps of `plan`.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        Self {
            steps: plan.steps().iter().map(StepAnswer::of).collect(),
        }
    }
}

/// What a change answers: the deployment that brings it about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentResult {
    version: Stamp,
    deployment_id: String,
}

impl DeploymentResult {
    /// The result of starting `plan`.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        Self {
            version: plan.version,
            deployment_id: plan.id.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Difference;
    use crate::tests::app_at;

    #[test]
    fn a_new_app_is_two_steps_and_the_first_is_under_way() {
        let app = app_at(r#"{"id":"/a","cmd":"xx"}"#, 7);
        let difference = Difference {
            target: Some(app.clone().into()),
            ..Difference::default()
        };
        let plan = Plan {
            id: "d".into(),
            version: app.version,
            apps: [(app.id.clone(), difference)].into(),
            ..Plan::default()
        };
        let json =
            serde_json::to_value(DeploymentAnswer::of(&Deployment::begin(plan), |_| Vec::new())).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "id": "d", "version": "1970-01-01T00:00:00.007Z", "affectedApps": ["/a"], "affectedPods": [],
                "steps": [
                    {"actions": [{"action": "StartApplication", "app": "/a"}]},
                    {"actions": [{"action": "ScaleApplication", "app": "/a"}]},
                ],
                "currentActions": [{"action": "StartApplication", "app": "/a", "readinessCheckResults": []}],
                "currentStep": 1, "totalSteps": 2,
            })
        );
    }
}
