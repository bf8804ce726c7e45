//! What a pod's object shall say of it. Pure: from the pod, its task as the pool knows it, and what is not there
//! yet, to a status and to events.
//!
//! [`containers`] is what its containers do, [`phase`] and [`conditions`] follow from it, [`events`] tell what
//! has changed.

pub mod conditions;
pub mod containers;
pub mod events;
pub mod phase;

use super::pod::sources::Missing;
use super::pod::{init_containers, is_over};
use conditions::Facts;
use k8s_openapi::api::core::v1::{HostIP, Pod, PodIP, PodSpec, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use plenum_model::phase::Phase;
use plenum_model::task::{ExitReason, Task};

/// What is known of a bound pod beside its object.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Its newest task; none: it has not been claimed yet.
    pub task: Option<&'a Task>,
    /// What it refers to and is not there.
    pub missing: &'a [Missing],
    /// Why it cannot run here at all.
    pub refused: Option<&'a str>,
    /// The runtime that runs its containers.
    pub runtime: &'a str,
    /// The address of its node.
    pub host: &'a str,
    /// Unix milliseconds.
    pub now: u64,
}

/// A moment as the API writes it: whole seconds.
#[must_use]
pub fn time(ms: u64) -> Time {
    let seconds = i64::try_from(ms / 1000).unwrap_or(0);
    Time(Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH))
}

/// The status of a pod that is bound to one of the pool's nodes.
#[must_use]
pub fn status(pod: &Pod, seen: &Seen<'_>) -> PodStatus {
    let old = pod.status.clone().unwrap_or_default();
    let empty = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&empty);
    if let Some(why) = seen.refused {
        return refused(pod, old, why, seen);
    }
    let inits = containers::statuses(pod, init_containers(spec), seen);
    let mains = containers::statuses(pod, &spec.containers, seen);
    let phase = if is_over(pod) {
        old.phase.clone().unwrap_or_default()
    } else {
        phase::phase(spec, seen.task, &inits, &mains).to_owned()
    };
    let facts = Facts {
        pod,
        spec,
        phase: &phase,
        inits: &inits,
        mains: &mains,
        seen,
    };
    let conditions = conditions::conditions(&facts);
    let address = address(spec, seen);
    let (reason, message) = reason(pod, seen);
    PodStatus {
        conditions: Some(conditions),
        container_statuses: Some(mains),
        init_container_statuses: (!inits.is_empty()).then_some(inits),
        host_ip: Some(seen.host.to_owned()),
        host_ips: Some(vec![HostIP {
            ip: seen.host.to_owned(),
        }]),
        pod_ip: address.clone().or_else(|| old.pod_ip.clone()),
        pod_ips: address.map(|ip| vec![PodIP { ip }]).or(old.pod_ips),
        phase: Some(phase),
        qos_class: old.qos_class.or_else(|| Some(phase::qos_class(spec).to_owned())),
        reason,
        message,
        start_time: old.start_time.or_else(|| Some(time(seen.now))),
        nominated_node_name: None,
        observed_generation: old.observed_generation,
        ..PodStatus::default()
    }
}

fn address(spec: &PodSpec, seen: &Seen<'_>) -> Option<String> {
    let task = seen.task?;
    if spec.host_network == Some(true) {
        let prepared = !matches!(
            task.status.phase(),
            Phase::Pending | Phase::Placed | Phase::Rejected
        );
        return prepared.then(|| seen.host.to_owned());
    }
    task.status.address.clone()
}

fn refused(pod: &Pod, old: PodStatus, why: &str, seen: &Seen<'_>) -> PodStatus {
    PodStatus {
        phase: Some("Failed".to_owned()),
        reason: Some("UnsupportedPodSpec".to_owned()),
        message: Some(format!("Pod was rejected: {why}")),
        start_time: old.start_time.clone().or_else(|| Some(time(seen.now))),
        conditions: Some(conditions::scheduled_only(pod, seen.now)),
        ..old
    }
}

/// Why the pod as a whole is as it is.
fn reason(pod: &Pod, seen: &Seen<'_>) -> (Option<String>, Option<String>) {
    let Some(task) = seen.task else {
        return (None, None);
    };
    let some = |reason: &str, message: String| (Some(reason.to_owned()), Some(message));
    let exit = task.status.exit.as_ref();
    match task.status.phase() {
        Phase::Rejected => {
            let said = exit.map_or("", |e| e.message.as_str());
            let reason = if said.contains("short of cpu") {
                "OutOfcpu"
            } else if said.contains("short of memory") {
                "OutOfmemory"
            } else if said.contains("short of slot") {
                "OutOfpods"
            } else {
                "NodeAffinity"
            };
            some(reason, format!("Pod was rejected: {said}"))
        }
        Phase::Lost => {
            let node = super::pod::bound_to(pod).unwrap_or_default();
            let text = format!(
                "Node {node} which was running pod {} is unresponsive",
                super::pod::name(pod)
            );
            some("NodeLost", text)
        }
        Phase::Failed if exit.is_some_and(|e| e.reason == ExitReason::Gone) => some(
            "NodeShutdown",
            exit.map_or_else(String::new, |e| e.message.clone()),
        ),
        Phase::Pending
        | Phase::Placed
        | Phase::Preparing
        | Phase::Prepared
        | Phase::Starting
        | Phase::Running
        | Phase::Stopping
        | Phase::Finished
        | Phase::Failed
        | Phase::Stopped => {
            let status = pod.status.as_ref().filter(|_| is_over(pod));
            status.map_or((None, None), |s| (s.reason.clone(), s.message.clone()))
        }
    }
}

#[cfg(test)]
mod tests;
