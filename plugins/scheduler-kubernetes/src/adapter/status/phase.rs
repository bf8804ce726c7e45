//! The phase of a pod, from what its containers do; and its class of service, from what it asks.

use crate::adapter::pod::{init_containers, is_sidecar};
use k8s_openapi::api::core::v1::{ContainerStatus, PodSpec, ResourceRequirements};
use plenum_model::phase::Phase;
use plenum_model::task::Task;

/// `Pending`, `Running`, `Succeeded` or `Failed`.
#[must_use]
pub fn phase(
    spec: &PodSpec,
    task: Option<&Task>,
    inits: &[ContainerStatus],
    mains: &[ContainerStatus],
) -> &'static str {
    let Some(task) = task else { return "Pending" };
    match task.status.phase() {
        Phase::Pending | Phase::Placed | Phase::Preparing | Phase::Prepared => "Pending",
        Phase::Finished => "Succeeded",
        Phase::Failed | Phase::Lost | Phase::Rejected => "Failed",
        // asked to stop: it is what its containers made of it
        Phase::Stopped if !mains.is_empty() && mains.iter().all(succeeded) => "Succeeded",
        Phase::Stopped => "Failed",
        Phase::Starting | Phase::Running | Phase::Stopping => {
            let pending = !inits_done(spec, inits) || mains.iter().any(never_ran);
            if pending { "Pending" } else { "Running" }
        }
    }
}

fn succeeded(status: &ContainerStatus) -> bool {
    let end = status.state.as_ref().and_then(|s| s.terminated.as_ref());
    end.is_some_and(|t| t.exit_code == 0)
}

fn never_ran(status: &ContainerStatus) -> bool {
    let waits = status.state.as_ref().is_some_and(|s| s.waiting.is_some());
    let before = status.last_state.as_ref().is_some_and(|s| s.terminated.is_some());
    waits && !before
}

/// Whether every init container is through, and every sidecar started.
#[must_use]
pub fn inits_done(spec: &PodSpec, inits: &[ContainerStatus]) -> bool {
    let said = init_containers(spec);
    said.len() == inits.len() && said.iter().zip(inits).all(|(c, s)| init_done(is_sidecar(c), s))
}

/// Whether one init container is through; a sidecar: has started.
#[must_use]
pub fn init_done(sidecar: bool, status: &ContainerStatus) -> bool {
    if sidecar {
        let ran = status.state.as_ref().is_some_and(|s| s.terminated.is_some());
        status.started == Some(true) || ran
    } else {
        succeeded(status)
    }
}

/// `Guaranteed`, `Burstable` or `BestEffort`.
#[must_use]
pub fn qos_class(spec: &PodSpec) -> &'static str {
    let empty = ResourceRequirements::default();
    let all: Vec<&ResourceRequirements> = init_containers(spec)
        .iter()
        .chain(&spec.containers)
        .map(|c| c.resources.as_ref().unwrap_or(&empty))
        .collect();
    let says = |r: &ResourceRequirements| {
        let mut said = r.limits.iter().flatten().chain(r.requests.iter().flatten());
        said.any(|(name, _)| name == "cpu" || name == "memory")
    };
    if !all.iter().any(|r| says(r)) {
        return "BestEffort";
    }
    let bound = |r: &ResourceRequirements, name: &str| {
        let limit = r.limits.as_ref().and_then(|l| l.get(name));
        let request = r.requests.as_ref().and_then(|l| l.get(name));
        limit.is_some() && request.is_none_or(|r| Some(r) == limit)
    };
    if all.iter().all(|r| bound(r, "cpu") && bound(r, "memory")) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}
