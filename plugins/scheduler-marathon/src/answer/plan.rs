//! A plan with the whole tree before and after, which typed clients insist on.

use crate::answer::app::AppAnswer;
use crate::answer::deployment::StepAnswer;
use crate::answer::group::{GroupAnswer, Members, Parts};
use crate::desired::Desired;
use crate::path::AppId;
use crate::plan::{Deployment, Plan};
use crate::stamp::Stamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// The plan of a deployment, in events.
#[derive(Debug, Clone, Serialize)]
pub struct PlanAnswer {
    id: String,
    original: GroupAnswer<AppAnswer>,
    target: GroupAnswer<AppAnswer>,
    steps: Vec<StepAnswer>,
    version: Stamp,
}

impl PlanAnswer {
    /// The plan of `deployment`, all of `desired` that it does not change standing on both sides.
    #[must_use]
    pub fn of(desired: &Desired, deployment: &Deployment) -> Self {
        let plan = &deployment.plan;
        Self {
            id: plan.id.clone(),
            original: tree(desired, plan, Side::Before),
            target: tree(desired, plan, Side::After),
            steps: deployment.steps.iter().map(StepAnswer::of).collect(),
            version: plan.version,
        }
    }
}

#[derive(Clone, Copy)]
enum Side {
    Before,
    After,
}

impl Side {
    fn of<'a, T>(self, before: &'a Option<T>, after: &'a Option<T>) -> Option<&'a T> {
        match self {
            Self::Before => before.as_ref(),
            Self::After => after.as_ref(),
        }
    }
}

fn tree(desired: &Desired, plan: &Plan, side: Side) -> GroupAnswer<AppAnswer> {
    let mut apps: BTreeMap<&AppId, _> = desired.apps.iter().map(|(id, r)| (id, &r.app)).collect();
    for (id, difference) in &plan.apps {
        match side.of(&difference.original, &difference.target) {
            Some(app) => apps.insert(id, app),
            None => apps.remove(id),
        };
    }
    let mut groups = desired.groups.clone();
    for (id, difference) in &plan.groups {
        match side.of(&difference.original, &difference.target) {
            Some(group) => groups.insert(id.clone(), group.clone()),
            None => groups.remove(id),
        };
    }
    let apps = apps.into_iter().map(|(id, app)| (id.clone(), AppAnswer::of(app)));
    let members = Members {
        version: plan.version,
        groups: &groups,
        apps: apps.collect(),
    };
    GroupAnswer::of(&AppId::default(), members, Parts::ALL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{Force, Limits, Occasion, Wish, propose};
    use crate::tests::canonical;

    #[test]
    fn a_plan_shows_the_whole_tree_before_and_after() {
        let app = canonical(r#"{"id":"/g/h/a","cmd":"xx"}"#).unwrap();
        let occasion = Occasion {
            now: Stamp::from_ms(1),
            deployment: "d".into(),
            force: Force::No,
        };
        let limits = Limits {
            service_ports: 1..9,
            deployments: 9,
            versions: 9,
        };
        let wish = (app.id.clone(), Wish::Become(Box::new(app)));
        let made = propose(&Desired::default(), vec![wish], &occasion, &limits).unwrap();
        let plan = PlanAnswer::of(&made.desired, &made.desired.deployments[0]);
        let json = serde_json::to_value(&plan).unwrap();
        assert_eq!(json["original"]["groups"], serde_json::json!([]));
        let inner = &json["target"]["groups"][0]["groups"][0];
        assert_eq!(
            (&inner["id"], &inner["apps"][0]["id"]),
            (&"/g/h".into(), &"/g/h/a".into())
        );
        assert_eq!(json["target"]["groups"][0]["dependencies"], serde_json::json!([]));
    }
}
