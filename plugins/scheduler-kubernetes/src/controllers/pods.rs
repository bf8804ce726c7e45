//! What controllers read from pods, and how they make one.

use super::owned;
use k8s_openapi::api::core::v1::{Pod, PodCondition, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use kube::Resource;
use std::time::Duration;

/// Whether it may still run: not over, not asked to end.
pub(super) fn is_active(pod: &Pod) -> bool {
    !is_over(pod) && pod.metadata.deletion_timestamp.is_none()
}

/// Whether it has run to its end.
pub(super) fn is_over(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Its phase; empty before it has one.
pub(super) fn phase(pod: &Pod) -> &str {
    let status = pod.status.as_ref();
    status.and_then(|s| s.phase.as_deref()).unwrap_or_default()
}

/// Since when it is ready; none: it is not.
pub(super) fn ready_since(pod: &Pod) -> Option<Timestamp> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let ready = |c: &&PodCondition| c.type_ == "Ready" && c.status == "True";
    let condition = conditions.iter().find(ready)?;
    let since = condition.last_transition_time.as_ref().map(|t| t.0);
    Some(since.unwrap_or(Timestamp::UNIX_EPOCH))
}

/// How long until it has been ready for `least`; none: it is not ready.
pub(super) fn available_in(pod: &Pod, least: Duration, now: Timestamp) -> Option<Duration> {
    let ready = ready_since(pod)?;
    let been = Duration::try_from(now.duration_since(ready)).unwrap_or_default();
    Some(least.saturating_sub(been))
}

/// How often its containers were started again.
pub(super) fn restarts(pod: &Pod) -> i32 {
    let status = pod.status.as_ref();
    let containers = status.and_then(|s| s.container_statuses.as_deref());
    containers
        .unwrap_or_default()
        .iter()
        .map(|c| c.restart_count)
        .sum()
}

/// Pods with the lowest of these go first: without a node, not running, not ready, ready for the shortest time,
/// restarted most, youngest.
pub(super) fn worth(pod: &Pod) -> impl Ord + use<> {
    let placed = pod.spec.as_ref().and_then(|s| s.node_name.as_deref()).is_some();
    let phase = match phase(pod) {
        "Running" => 2,
        "Unknown" => 1,
        _ => 0,
    };
    let ready = ready_since(pod);
    let ready_for = ready.map(|since| std::cmp::Reverse(since.as_nanosecond()));
    let made = pod
        .metadata
        .creation_timestamp
        .as_ref()
        .map(|t| t.0.as_nanosecond());
    (
        placed,
        phase,
        ready.is_some(),
        ready_for,
        std::cmp::Reverse(restarts(pod)),
        std::cmp::Reverse(made),
    )
}

/// A pod of the template, owned by `owner` and named after it by the server.
pub(super) fn from_template<K: Resource<DynamicType = ()>>(owner: &K, template: &PodTemplateSpec) -> Pod {
    let metadata = template.metadata.clone().unwrap_or_default();
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", owner.meta().name.as_deref().unwrap_or_default())),
            namespace: owner.meta().namespace.clone(),
            owner_references: Some(vec![owned::reference(owner)]),
            labels: metadata.labels,
            annotations: metadata.annotations,
            finalizers: metadata.finalizers,
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    }
}
