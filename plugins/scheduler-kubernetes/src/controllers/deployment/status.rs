//! What a deployment's status is: counts of its sets, whether enough is available, whether it still moves. Pure.
//! Reasons and sentences are Kubernetes' own, since clients read them.

use super::super::specs::of_deployment;
use super::plan;
use super::sets::Sets;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus, ReplicaSetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use std::time::Duration;

const AVAILABLE: &str = "Available";
const PROGRESSING: &str = "Progressing";
const FAILURE: &str = "ReplicaFailure";
const DONE: &str = "NewReplicaSetAvailable";
const STALLED: &str = "ProgressDeadlineExceeded";
const PAUSED: &str = "DeploymentPaused";
/// A deadline so far away that it means none.
const NEVER: i32 = i32::MAX;

/// The status of a deployment.
pub(super) fn status(deployment: &Deployment, sets: &Sets, now: Timestamp) -> DeploymentStatus {
    let count = |of: fn(&ReplicaSetStatus) -> i32| -> i32 {
        sets.all().filter_map(|set| set.status.as_ref()).map(of).sum()
    };
    let replicas = count(|s| s.replicas);
    let available = count(|s| s.available_replicas.unwrap_or(0));
    let new = sets.new.as_ref().and_then(|set| set.status.as_ref());
    let before = deployment.status.clone().unwrap_or_default();
    let mut next = DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: Some(replicas),
        updated_replicas: Some(new.map_or(0, |s| s.replicas)),
        ready_replicas: Some(count(|s| s.ready_replicas.unwrap_or(0))),
        available_replicas: Some(available),
        unavailable_replicas: Some((replicas.max(plan::wanted(deployment)) - available).max(0)),
        collision_count: before.collision_count,
        conditions: before.conditions.clone(),
        ..DeploymentStatus::default()
    };
    let conditions = next.conditions.get_or_insert_default();
    set(conditions, availability(deployment, available), now);
    let progress = progress(deployment, sets, &before, &next, now);
    let conditions = next.conditions.get_or_insert_default();
    if let Some(progress) = progress {
        set(conditions, progress, now);
    }
    conditions.retain(|c| c.type_ != FAILURE);
    conditions.extend(failure(sets));
    next
}

/// How long until it counts as stalled if nothing moves; none: it does not wait.
pub(super) fn deadline_in(
    status: &DeploymentStatus,
    deployment: &Deployment,
    now: Timestamp,
) -> Option<Duration> {
    let progress = condition(status, PROGRESSING)?;
    let waits = progress.status == "True" && progress.reason.as_deref() != Some(DONE);
    let left = left(deployment, progress, now).filter(|_| waits)?;
    Some(left + Duration::from_millis(100))
}

/// Time until the deadline; none: there is no deadline.
fn left(deployment: &Deployment, progress: &DeploymentCondition, now: Timestamp) -> Option<Duration> {
    let deadline = of_deployment(deployment).progress_deadline_seconds.unwrap_or(600);
    if deadline == NEVER {
        return None;
    }
    let moved = progress
        .last_update_time
        .as_ref()
        .map_or(Timestamp::UNIX_EPOCH, |t| t.0);
    let since = Duration::try_from(now.duration_since(moved)).unwrap_or_default();
    let deadline = Duration::from_secs(u64::try_from(deadline).unwrap_or(0));
    Some(deadline.saturating_sub(since))
}

/// What a condition says.
struct Said {
    kind: &'static str,
    status: &'static str,
    reason: &'static str,
    message: String,
    /// Whether something has moved: the deadline counts from now.
    moved: bool,
}

fn condition<'a>(status: &'a DeploymentStatus, kind: &str) -> Option<&'a DeploymentCondition> {
    status
        .conditions
        .as_deref()
        .unwrap_or_default()
        .iter()
        .find(|c| c.type_ == kind)
}

fn set(conditions: &mut Vec<DeploymentCondition>, said: Said, now: Timestamp) {
    let now = Some(Time(now));
    let before = conditions.iter_mut().find(|c| c.type_ == said.kind);
    let same = |c: &DeploymentCondition| c.status == said.status && c.reason.as_deref() == Some(said.reason);
    let next = |turned: Option<Time>| DeploymentCondition {
        type_: said.kind.to_owned(),
        status: said.status.to_owned(),
        reason: Some(said.reason.to_owned()),
        message: Some(said.message.clone()),
        last_update_time: now.clone(),
        last_transition_time: turned,
    };
    match before {
        None => conditions.push(next(now.clone())),
        Some(c) if same(c) && !said.moved => {}
        Some(c) => {
            let turned = if c.status == said.status {
                c.last_transition_time.clone()
            } else {
                now.clone()
            };
            *c = next(turned);
        }
    }
}

fn availability(deployment: &Deployment, available: i32) -> Said {
    let enough = available >= plan::wanted(deployment) - plan::most_unavailable(deployment);
    let (status, reason, message) = if enough {
        (
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
        )
    } else {
        (
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        )
    };
    Said {
        kind: AVAILABLE,
        status,
        reason,
        message: message.to_owned(),
        moved: false,
    }
}

fn progress(
    deployment: &Deployment,
    sets: &Sets,
    before: &DeploymentStatus,
    next: &DeploymentStatus,
    now: Timestamp,
) -> Option<Said> {
    let known = condition(before, PROGRESSING);
    let reason = known.and_then(|c| c.reason.as_deref());
    let said = |status, reason, message: String, moved| {
        Some(Said {
            kind: PROGRESSING,
            status,
            reason,
            message,
            moved,
        })
    };
    if of_deployment(deployment).paused == Some(true) {
        return said("Unknown", PAUSED, "Deployment is paused".to_owned(), false);
    }
    if reason == Some(PAUSED) {
        return said(
            "Unknown",
            "DeploymentResumed",
            "Deployment is resumed".to_owned(),
            false,
        );
    }
    let count = |n: Option<i32>| n.unwrap_or(0);
    let settled = next.replicas == next.updated_replicas;
    if settled && reason == Some(DONE) {
        return None;
    }
    let Some(new) = &sets.new else {
        return None;
    };
    let name = new.name_any();
    let wanted = plan::wanted(deployment);
    let complete =
        settled && count(next.updated_replicas) == wanted && count(next.available_replicas) == wanted;
    if complete {
        let message = format!("ReplicaSet \"{name}\" has successfully progressed.");
        return said("True", DONE, message, true);
    }
    let old = |status: &DeploymentStatus| count(status.replicas) - count(status.updated_replicas);
    let moved = count(next.updated_replicas) > count(before.updated_replicas)
        || old(next) < old(before)
        || count(next.ready_replicas) > count(before.ready_replicas)
        || count(next.available_replicas) > count(before.available_replicas);
    if moved {
        let message = format!("ReplicaSet \"{name}\" is progressing.");
        return said("True", "ReplicaSetUpdated", message, true);
    }
    // another template begins another rollout
    let of_this = known.is_some_and(|c| {
        c.message
            .as_deref()
            .is_some_and(|m| m.contains(&format!("\"{name}\"")))
    });
    match known.filter(|_| of_this) {
        None => {
            let message = format!("Created new replica set \"{name}\"");
            said("True", "NewReplicaSetCreated", message, true)
        }
        Some(_) if reason == Some(STALLED) => None,
        Some(c) if left(deployment, c, now) == Some(Duration::ZERO) => {
            let message = format!("ReplicaSet \"{name}\" has timed out progressing.");
            said("False", STALLED, message, false)
        }
        Some(_) => None,
    }
}

/// Why pods cannot be made, as the new set, else an old one, says.
fn failure(sets: &Sets) -> Option<DeploymentCondition> {
    let all = sets.new.iter().chain(&sets.old);
    let mut failed = all.filter_map(|set| {
        let conditions = set.status.as_ref()?.conditions.as_ref()?;
        conditions.iter().find(|c| c.type_ == FAILURE)
    });
    let failed = failed.next()?;
    Some(DeploymentCondition {
        type_: FAILURE.to_owned(),
        status: failed.status.clone(),
        reason: failed.reason.clone(),
        message: failed.message.clone(),
        last_update_time: failed.last_transition_time.clone(),
        last_transition_time: failed.last_transition_time.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::apps::v1::ReplicaSet;
    use serde_json::json;
    use std::sync::Arc;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).expect("a time")
    }

    fn deployment() -> Deployment {
        let text = json!({
            "metadata": {"name": "d", "generation": 2},
            "spec": {"replicas": 2, "progressDeadlineSeconds": 10, "selector": {}, "template": {}},
        });
        serde_json::from_value(text).expect("a deployment")
    }

    fn set_of(name: &str, replicas: i32, available: i32) -> Arc<ReplicaSet> {
        let text = json!({
            "metadata": {"name": name},
            "spec": {"replicas": replicas, "selector": {}},
            "status": {"replicas": replicas, "readyReplicas": available, "availableReplicas": available},
        });
        Arc::new(serde_json::from_value(text).expect("a replica set"))
    }

    fn sets(new: Arc<ReplicaSet>, old: Vec<Arc<ReplicaSet>>) -> Sets {
        Sets { new: Some(new), old }
    }

    fn reason(status: &DeploymentStatus, kind: &str) -> String {
        condition(status, kind)
            .and_then(|c| c.reason.clone())
            .unwrap_or_default()
    }

    #[test]
    fn a_rollout_moves_is_done_and_stays_done() {
        let mut it = deployment();
        let first = status(&it, &sets(set_of("a", 0, 0), vec![]), at(0));
        assert_eq!(reason(&first, PROGRESSING), "NewReplicaSetCreated");
        assert_eq!(reason(&first, AVAILABLE), "MinimumReplicasUnavailable");
        it.status = Some(first);
        let moving = status(&it, &sets(set_of("a", 2, 1), vec![]), at(1));
        assert_eq!(reason(&moving, PROGRESSING), "ReplicaSetUpdated");
        assert_eq!(moving.unavailable_replicas, Some(1));
        assert!(deadline_in(&moving, &it, at(1)).is_some());
        it.status = Some(moving);
        let done = status(&it, &sets(set_of("a", 2, 2), vec![]), at(2));
        assert_eq!(reason(&done, PROGRESSING), DONE);
        assert_eq!(reason(&done, AVAILABLE), "MinimumReplicasAvailable");
        assert_eq!(deadline_in(&done, &it, at(2)), None);
        it.status = Some(done);
        let crashed = status(&it, &sets(set_of("a", 2, 0), vec![]), at(1000));
        assert_eq!(
            reason(&crashed, PROGRESSING),
            DONE,
            "a crash afterwards is no stalled rollout"
        );
    }

    #[test]
    fn what_does_not_move_for_too_long_is_stalled_until_something_moves() {
        let mut it = deployment();
        it.status = Some(status(
            &it,
            &sets(set_of("b", 1, 0), vec![set_of("a", 2, 2)]),
            at(0),
        ));
        let stuck = sets(set_of("b", 1, 0), vec![set_of("a", 2, 2)]);
        let waiting = status(&it, &stuck, at(9));
        assert_ne!(reason(&waiting, PROGRESSING), STALLED);
        let late = status(&it, &stuck, at(10));
        let stalled = condition(&late, PROGRESSING).expect("there");
        assert_eq!(
            (stalled.status.as_str(), reason(&late, PROGRESSING).as_str()),
            ("False", STALLED)
        );
        assert_eq!(
            stalled.message.as_deref(),
            Some("ReplicaSet \"b\" has timed out progressing.")
        );
        it.status = Some(late);
        let undone = status(&it, &sets(set_of("a", 2, 2), vec![set_of("b", 1, 0)]), at(20));
        let moves = condition(&undone, PROGRESSING).expect("there");
        assert_eq!(moves.status, "True", "another template, another rollout");
    }

    #[test]
    fn pausing_is_said_and_stops_the_clock() {
        let mut it = deployment();
        it.status = Some(status(&it, &sets(set_of("a", 1, 0), vec![]), at(0)));
        it.spec.as_mut().expect("there").paused = Some(true);
        let paused = status(&it, &sets(set_of("a", 1, 0), vec![]), at(100));
        assert_eq!(reason(&paused, PROGRESSING), PAUSED);
        assert_eq!(deadline_in(&paused, &it, at(100)), None);
        it.status = Some(paused);
        it.spec.as_mut().expect("there").paused = None;
        let resumed = status(&it, &sets(set_of("a", 1, 0), vec![]), at(200));
        assert_eq!(reason(&resumed, PROGRESSING), "DeploymentResumed");
    }
}
