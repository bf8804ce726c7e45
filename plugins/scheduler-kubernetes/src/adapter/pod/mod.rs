//! A pod, from what its object says to what the pool runs. Pure: no I/O, no clock.
//!
//! [`refuse`] names what is not served; [`charge`] what the ledger holds for it; [`place`] which nodes it may
//! go to, [`relations`] which other pods decide that, too; [`lower`] what its containers are, given what it refers to ([`sources`]).

pub mod charge;
pub mod container;
pub mod env;
pub mod lower;
pub mod place;
pub mod probe;
pub mod refuse;
pub mod relations;
pub mod sources;
pub mod volumes;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};

/// Something of a pod that cannot be served, by the name of its field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct Refused {
    /// The path of the field.
    pub field: String,
    /// Why not, in words.
    pub why: String,
}

impl Refused {
    /// A refusal.
    pub fn new(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            why: why.into(),
        }
    }

    /// What Kubernetes knows and the pool does not serve.
    pub fn unserved(field: impl Into<String>) -> Self {
        Self::new(field, "not supported on Plenum's nodes")
    }
}

/// The pod's uid; empty before the API server has seen it.
#[must_use]
pub fn uid(pod: &Pod) -> &str {
    pod.metadata.uid.as_deref().unwrap_or_default()
}

/// The pod's namespace.
#[must_use]
pub fn namespace(pod: &Pod) -> &str {
    pod.metadata.namespace.as_deref().unwrap_or("default")
}

/// The pod's name.
#[must_use]
pub fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}

/// The node it is bound to.
#[must_use]
pub fn bound_to(pod: &Pod) -> Option<&str> {
    let node = pod.spec.as_ref()?.node_name.as_deref()?;
    (!node.is_empty()).then_some(node)
}

/// Its phase as its status says.
#[must_use]
pub fn phase(pod: &Pod) -> &str {
    pod.status
        .as_ref()
        .and_then(|s| s.phase.as_deref())
        .unwrap_or("Pending")
}

/// Whether it has succeeded or failed, which is final.
#[must_use]
pub fn is_over(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Whether an init container goes on beside the main ones.
#[must_use]
pub fn is_sidecar(init: &Container) -> bool {
    init.restart_policy.as_deref() == Some("Always")
}

/// Its init containers.
#[must_use]
pub fn init_containers(spec: &PodSpec) -> &[Container] {
    spec.init_containers.as_deref().unwrap_or_default()
}

/// Every container with the path of its field, init containers first.
pub fn all_containers(spec: &PodSpec) -> impl Iterator<Item = (String, &Container)> {
    let path = |list: &'static str| move |(i, c): (usize, _)| (format!("spec.{list}[{i}]"), c);
    let inits = init_containers(spec)
        .iter()
        .enumerate()
        .map(path("initContainers"));
    inits.chain(spec.containers.iter().enumerate().map(path("containers")))
}
