//! The specs of what is controlled. The types allow an object without one, which the server does not: it reads as
//! an empty one.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, ReplicaSet, ReplicaSetSpec};
use std::sync::LazyLock;

static NO_DEPLOYMENT: LazyLock<DeploymentSpec> = LazyLock::new(DeploymentSpec::default);
static NO_SET: LazyLock<ReplicaSetSpec> = LazyLock::new(ReplicaSetSpec::default);

/// What a deployment shall be.
pub(super) fn of_deployment(deployment: &Deployment) -> &DeploymentSpec {
    deployment.spec.as_ref().unwrap_or(&NO_DEPLOYMENT)
}

/// What a replica set shall be.
pub(super) fn of_set(set: &ReplicaSet) -> &ReplicaSetSpec {
    set.spec.as_ref().unwrap_or(&NO_SET)
}
