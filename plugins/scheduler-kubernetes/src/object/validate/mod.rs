//! What an object must be like to be kept, in the words of the real server. Objects are decoded ones with their
//! defaults filled in.

mod container;
mod data;
mod meta;
mod node;
mod place;
mod pod;
mod pod_update;
mod probe;
mod quantities;
mod scheduling;
mod small;
mod volume;
mod workload;

use serde_json::Value;

use super::names;
use super::schema::Kind;

pub use super::field_error::FieldError;
pub use pod_update::status as pod_status;

/// What is wrong with a new object.
pub fn create(kind: &Kind, object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    match (kind.group, kind.kind) {
        ("", "Namespace") => meta::create(object, names::label, &mut errors),
        (
            "authentication.k8s.io" | "authorization.k8s.io",
            "TokenReview"
            | "SelfSubjectReview"
            | "SelfSubjectAccessReview"
            | "SelfSubjectRulesReview"
            | "SubjectAccessReview",
        )
        | (_, "DeleteOptions" | "TokenRequest" | "Eviction" | "Binding") => {}
        _ => meta::create(object, names::subdomain, &mut errors),
    }
    content(kind, object, &mut errors);
    if kind.kind == "Pod" && !place::items(&object["spec"], "ephemeralContainers").is_empty() {
        errors.push(FieldError::forbidden(
            "spec.ephemeralContainers",
            "cannot be set on create",
        ));
    }
    errors
}

/// What is wrong with this change of an object: of itself, not through `status` or another subresource.
pub fn update(kind: &Kind, old: &Value, new: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    meta::update(old, new, &mut errors);
    match (kind.group, kind.kind) {
        ("", "Pod") => pod_update::spec(old, new, &mut errors),
        ("", "ConfigMap") => data::config_map_update(old, new, &mut errors),
        ("", "Secret") => data::secret_update(old, new, &mut errors),
        ("", "Node") => node::update(old, new, &mut errors),
        ("batch", "Job") => workload::job_update(old, new, &mut errors),
        _ => {}
    }
    // A pod is checked as a whole at its creation; what may change was checked above.
    if kind.kind != "Pod" {
        content(kind, new, &mut errors);
    }
    // Said last, as the real server does.
    if kind.group == "apps" {
        workload::selector_update(old, new, &mut errors);
    }
    errors
}

fn content(kind: &Kind, object: &Value, errors: &mut Vec<FieldError>) {
    match (kind.group, kind.kind) {
        ("", "Pod") => pod::spec(&object["spec"], &place::At::root("spec"), errors),
        ("", "Node") => node::content(object, errors),
        ("", "ConfigMap") => data::config_map(object, errors),
        ("", "Secret") => data::secret(object, errors),
        ("apps", "Deployment") => workload::deployment(object, errors),
        ("apps", "ReplicaSet") => workload::replica_set(object, errors),
        ("batch", "Job") => workload::job(object, errors),
        ("autoscaling", "Scale") => small::scale(object, errors),
        ("coordination.k8s.io", "Lease") => small::lease(object, errors),
        ("", "Event") => small::event(object, errors),
        ("", "Binding") => small::binding(object, errors),
        ("authentication.k8s.io", "TokenRequest") => small::token_request(object, errors),
        (_, "DeleteOptions") => small::delete_options(object, errors),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
