//! Taking a deployment back. Its apps are locked by it, so each becomes what it was. Groups are not locked: what
//! others have put into a new group, and dependencies that others have added, stay.

use super::Wish;
use crate::desired::Desired;
use crate::group::Group;
use crate::path::AppId;
use crate::plan::{Deployment, GroupDifference, Plan};
use crate::update;

/// The wishes that take `deployment` back.
#[must_use]
pub fn reverting(desired: &Desired, deployment: &Deployment) -> Vec<(AppId, Wish)> {
    let plan = &deployment.plan;
    let mut wishes = Vec::new();
    for (id, difference) in &plan.apps {
        match &difference.original {
            Some(app) => wishes.push((id.clone(), Wish::Become(Box::new(update::of_version(app))))),
            None if desired.app(id).is_some() => wishes.push((id.clone(), Wish::Gone)),
            None => {}
        }
    }
    // inner groups first: a group is empty once they are gone
    let mut gone = Vec::new();
    for (id, difference) in plan.groups.iter().rev() {
        if let Some(wish) = group(desired, plan, &gone, id, difference) {
            if wish == Wish::NoGroup {
                gone.push(id.clone());
            }
            wishes.push((id.clone(), wish));
        }
    }
    wishes
}

fn group(
    desired: &Desired,
    plan: &Plan,
    gone: &[AppId],
    id: &AppId,
    difference: &GroupDifference,
) -> Option<Wish> {
    let none = Group::default();
    let was = difference.original.as_ref().unwrap_or(&none);
    let became = difference.target.as_ref().unwrap_or(&none);
    let is = desired.groups.get(id);
    if difference.original.is_none() {
        let goes = |app: &AppId| plan.apps.get(app).is_some_and(|d| d.original.is_none());
        let empty = desired.apps_within(id).all(goes)
            && desired.groups_within(id).all(|g| g == id || gone.contains(g));
        if empty && is == Some(became) {
            return Some(Wish::NoGroup);
        }
    }
    let now = is.unwrap_or(&none).dependencies.clone();
    let removed = was.dependencies.difference(&became.dependencies);
    let added = |d: &AppId| became.dependencies.contains(d) && !was.dependencies.contains(d);
    let dependencies = now
        .into_iter()
        .filter(|d| !added(d))
        .chain(removed.cloned())
        .collect();
    let back = Group { dependencies };
    (is != Some(&back) && (is.is_some() || difference.original.is_some())).then_some(Wish::Group(back))
}
