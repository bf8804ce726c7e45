//! How many pods a replica set has to make or delete, which, and what its status is. Pure.

use super::super::pods;
use super::super::specs::of_set;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use std::time::Duration;

/// Pods made or deleted at one look, as Kubernetes has it.
const BURST: usize = 500;

/// What is to be done.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// How many pods to make.
    pub(super) make: usize,
    /// Names of pods to delete.
    pub(super) delete: Vec<String>,
    /// What it has now.
    pub(super) status: ReplicaSetStatus,
    /// When a pod becomes available by time alone.
    pub(super) look_again: Option<Duration>,
}

/// What `set` needs, of whose own pods these are all.
pub(super) fn plan(set: &ReplicaSet, own: &[&Pod], now: Timestamp) -> Plan {
    let wanted = usize::try_from(of_set(set).replicas.unwrap_or(1)).unwrap_or(0);
    let mut active: Vec<&Pod> = own.iter().copied().filter(|pod| pods::is_active(pod)).collect();
    let mut plan = Plan {
        status: status(set, &active, now),
        look_again: look_again(set, &active, now),
        ..Plan::default()
    };
    if set.metadata.deletion_timestamp.is_some() {
        return plan;
    }
    if active.len() < wanted {
        plan.make = (wanted - active.len()).min(BURST);
        return plan;
    }
    active.sort_by_cached_key(|pod| pods::worth(pod));
    let too_many = active.iter().take((active.len() - wanted).min(BURST));
    plan.delete = too_many.filter_map(|pod| pod.metadata.name.clone()).collect();
    plan
}

fn least_ready(set: &ReplicaSet) -> Duration {
    let seconds = of_set(set).min_ready_seconds.unwrap_or(0);
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

fn look_again(set: &ReplicaSet, active: &[&Pod], now: Timestamp) -> Option<Duration> {
    let waits = active
        .iter()
        .filter_map(|pod| pods::available_in(pod, least_ready(set), now));
    waits.filter(|wait| !wait.is_zero()).min()
}

fn status(set: &ReplicaSet, active: &[&Pod], now: Timestamp) -> ReplicaSetStatus {
    let count = |which: &dyn Fn(&&&Pod) -> bool| {
        i32::try_from(active.iter().filter(which).count()).unwrap_or(i32::MAX)
    };
    let least = least_ready(set);
    let template = of_set(set).template.as_ref().and_then(|t| t.metadata.as_ref());
    let labels = template.and_then(|m| m.labels.clone()).unwrap_or_default();
    let labelled = |pod: &&&Pod| {
        let own = pod.metadata.labels.as_ref();
        labels.iter().all(|(k, v)| own.and_then(|l| l.get(k)) == Some(v))
    };
    ReplicaSetStatus {
        replicas: count(&|_| true),
        fully_labeled_replicas: Some(count(&labelled)),
        ready_replicas: Some(count(&|pod| pods::ready_since(pod).is_some())),
        available_replicas: Some(count(&|pod| {
            pods::available_in(pod, least, now) == Some(Duration::ZERO)
        })),
        observed_generation: set.metadata.generation,
        conditions: set.status.as_ref().and_then(|s| s.conditions.clone()),
        ..ReplicaSetStatus::default()
    }
}

/// The status with the condition that says why pods cannot be made or deleted; none: they can.
pub(super) fn with_failure(
    mut status: ReplicaSetStatus,
    failure: Option<(&str, String)>,
    now: Timestamp,
) -> ReplicaSetStatus {
    let mut conditions = status.conditions.take().unwrap_or_default();
    let before = conditions.iter().position(|c| c.type_ == "ReplicaFailure");
    match (failure, before) {
        (None, Some(at)) => drop(conditions.remove(at)),
        (Some((reason, message)), None) => conditions.push(ReplicaSetCondition {
            type_: "ReplicaFailure".to_owned(),
            status: "True".to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message),
            last_transition_time: Some(Time(now)),
        }),
        (None, None) | (Some(_), Some(_)) => {}
    }
    status.conditions = (!conditions.is_empty()).then_some(conditions);
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn now() -> Timestamp {
        "2026-01-01T00:01:00Z".parse().expect("a time")
    }

    fn set(replicas: i32, min_ready: i32) -> ReplicaSet {
        let text = json!({
            "metadata": {"name": "s", "namespace": "a", "uid": "1", "generation": 4},
            "spec": {
                "replicas": replicas, "minReadySeconds": min_ready,
                "selector": {"matchLabels": {"app": "x"}},
                "template": {"metadata": {"labels": {"app": "x"}}},
            },
        });
        serde_json::from_value(text).expect("a replica set")
    }

    fn pod(name: &str, phase: &str, ready_since: Option<&str>) -> Pod {
        let conditions = ready_since
            .map(|at| json!([{"type": "Ready", "status": "True", "lastTransitionTime": at}]))
            .unwrap_or_default();
        let text = json!({
            "metadata": {"name": name, "labels": {"app": "x"}, "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"containers": [], "nodeName": if phase == "Pending" { json!(null) } else { json!("n") }},
            "status": {"phase": phase, "conditions": conditions},
        });
        serde_json::from_value(text).expect("a pod")
    }

    #[test]
    fn what_is_over_or_going_is_replaced() {
        let mut going = pod("g", "Running", None);
        going.metadata.deletion_timestamp = Some(Time(now()));
        let all = [
            pod("a", "Running", None),
            pod("b", "Failed", None),
            pod("c", "Succeeded", None),
            going,
        ];
        let own: Vec<&Pod> = all.iter().collect();
        let plan = plan(&set(3, 0), &own, now());
        assert_eq!((plan.make, plan.delete.len(), plan.status.replicas), (2, 0, 1));
        assert_eq!(plan.status.observed_generation, Some(4));
    }

    #[test]
    fn the_least_worth_go_first() {
        let all = [
            pod("old", "Running", Some("2026-01-01T00:00:10Z")),
            pod("young", "Running", Some("2026-01-01T00:00:50Z")),
            pod("starting", "Running", None),
            pod("waiting", "Pending", None),
        ];
        let own: Vec<&Pod> = all.iter().collect();
        let deleted = |left| plan(&set(left, 0), &own, now()).delete;
        assert_eq!(deleted(3), ["waiting"]);
        assert_eq!(deleted(2), ["waiting", "starting"]);
        assert_eq!(deleted(1), ["waiting", "starting", "young"]);
        assert!(deleted(4).is_empty());
    }

    #[test]
    fn a_pod_is_available_when_it_was_ready_long_enough() {
        let all = [
            pod("a", "Running", Some("2026-01-01T00:00:10Z")),
            pod("b", "Running", Some("2026-01-01T00:00:50Z")),
        ];
        let own: Vec<&Pod> = all.iter().collect();
        let plan = plan(&set(2, 20), &own, now());
        assert_eq!(plan.status.ready_replicas, Some(2));
        assert_eq!(plan.status.available_replicas, Some(1));
        assert_eq!(plan.look_again, Some(Duration::from_secs(10)));
    }

    #[test]
    fn a_failure_stands_until_it_has_passed() {
        let failed = with_failure(
            ReplicaSetStatus::default(),
            Some(("FailedCreate", "no".to_owned())),
            now(),
        );
        assert_eq!(failed.conditions.as_ref().map(Vec::len), Some(1));
        let still = with_failure(failed, Some(("FailedCreate", "no again".to_owned())), now());
        assert_eq!(still.conditions.as_ref().map(Vec::len), Some(1));
        assert_eq!(with_failure(still, None, now()).conditions, None);
    }
}
