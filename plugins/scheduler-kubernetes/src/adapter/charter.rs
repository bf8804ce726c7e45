//! Which pods are this adapter's to schedule, and who is charged for them.

use super::pod::{Refused, place};
use k8s_openapi::api::core::v1::PodSpec;
use plenum_model::ids::TenantPath;
use std::collections::BTreeSet;

/// Whose pods are scheduled, and who is charged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charter {
    /// Values of `schedulerName` that are served.
    pub scheduler_names: BTreeSet<String>,
    /// Who is charged for a namespace that is no name of a tenant.
    pub tenant: TenantPath,
    /// Whether a namespace is a tenant of its own name.
    pub namespace_is_tenant: bool,
}

impl Charter {
    /// Whether this pod is to be given a node here.
    #[must_use]
    pub fn schedules(&self, spec: &PodSpec) -> bool {
        let name = spec.scheduler_name.as_deref().unwrap_or("default-scheduler");
        let gated = spec.scheduling_gates.as_ref().is_some_and(|g| !g.is_empty());
        self.scheduler_names.contains(name) && !gated
    }

    /// Who is charged for the pods of a namespace.
    #[must_use]
    pub fn tenant_of(&self, namespace: &str) -> TenantPath {
        let own = TenantPath::new(namespace)
            .ok()
            .filter(|_| self.namespace_is_tenant);
        own.unwrap_or_else(|| self.tenant.clone())
    }

    /// What of a pod's rules is not kept here, if it is to be scheduled here.
    ///
    /// # Errors
    /// The first of them.
    pub fn check(&self, spec: &PodSpec) -> Result<(), Refused> {
        if self.schedules(spec) {
            place::check(spec)
        } else {
            Ok(())
        }
    }
}
