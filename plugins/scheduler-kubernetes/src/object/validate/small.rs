//! The kinds with little to check.

use serde_json::Value;

use super::place::{At, Errors, not_negative, one_of, part, text};
use crate::object::field_error::FieldError;

/// A token lives at least this long.
const SHORTEST_TOKEN_SECONDS: i64 = 600;

pub(super) fn scale(scale: &Value, errors: &mut Errors) {
    not_negative(&scale["spec"], "replicas", &At::root("spec"), errors);
}

pub(super) fn lease(lease: &Value, errors: &mut Errors) {
    let (spec, at) = (&lease["spec"], At::root("spec"));
    if spec.get("holderIdentity").is_some_and(|holder| holder == "") {
        errors.push(FieldError::invalid(
            at.child("holderIdentity"),
            "",
            "must not be empty",
        ));
    }
    if let Some(seconds) = spec
        .get("leaseDurationSeconds")
        .and_then(Value::as_i64)
        .filter(|seconds| *seconds <= 0)
    {
        errors.push(FieldError::invalid(
            at.child("leaseDurationSeconds"),
            seconds,
            "must be greater than 0",
        ));
    }
    not_negative(spec, "leaseTransitions", &at, errors);
}

pub(super) fn event(event: &Value, errors: &mut Errors) {
    let involved = text(&event["involvedObject"], "namespace");
    let namespace = text(&event["metadata"], "namespace");
    // Events about what has no namespace of its own are kept in the default one.
    let expected = if involved.is_empty() { "default" } else { involved };
    let system = involved.is_empty() && namespace == "kube-system";
    if !namespace.is_empty() && namespace != expected && !system {
        let why = "does not match event.namespace";
        errors.push(FieldError::invalid("involvedObject.namespace", involved, why));
    }
}

pub(super) fn binding(binding: &Value, errors: &mut Errors) {
    let (target, at) = (&binding["target"], At::root("target"));
    let kind = text(target, "kind");
    if !kind.is_empty() && kind != "Node" {
        errors.push(FieldError::not_supported(
            at.child("kind"),
            kind,
            &["Node", "<empty>"],
        ));
    }
    if text(target, "name").is_empty() {
        errors.push(FieldError::required(at.child("name"), ""));
    }
}

pub(super) fn token_request(request: &Value, errors: &mut Errors) {
    let Some(seconds) = request["spec"].get("expirationSeconds").and_then(Value::as_i64) else {
        return;
    };
    let refused = |why: &str| FieldError::invalid("spec.expirationSeconds", seconds, why);
    if seconds < SHORTEST_TOKEN_SECONDS {
        errors.push(refused("may not specify a duration less than 10 minutes"));
    }
    if seconds > 1 << 32 {
        errors.push(refused("may not specify a duration larger than 2^32 seconds"));
    }
}

pub(super) fn delete_options(options: &Value, errors: &mut Errors) {
    let policy = text(options, "propagationPolicy");
    if options.get("orphanDependents").is_some() && options.get("propagationPolicy").is_some() {
        let why = "orphanDependents and deletionPropagation cannot be both set";
        errors.push(FieldError::invalid("propagationPolicy", policy, why));
    }
    let known = ["Foreground", "Background", "Orphan", "nil"];
    if !policy.is_empty() && !known[..3].contains(&policy) {
        errors.push(FieldError::not_supported("propagationPolicy", policy, &known));
    }
    if let Some(dry_run) = part_of_list(options, "dryRun") {
        errors.push(FieldError::not_supported("dryRun", dry_run, &["All"]));
    }
}

/// The list, if anything but `All` stands in it.
fn part_of_list(options: &Value, name: &str) -> Option<Value> {
    let list = options.get(name)?.as_array()?;
    list.iter()
        .any(|item| item != "All")
        .then(|| Value::Array(list.clone()))
}

/// The amounts and the strategy of a rolling update.
pub(super) fn strategy(strategy: &Value, at: &At, errors: &mut Errors) {
    one_of(strategy, "type", &["Recreate", "RollingUpdate"], at, errors);
    let at = at.child("rollingUpdate");
    let Some(rolling) = part(strategy, "rollingUpdate") else {
        if text(strategy, "type") == "RollingUpdate" {
            errors.push(FieldError::required(
                at,
                "this should be defaulted and never be nil",
            ));
        }
        return;
    };
    if text(strategy, "type") == "Recreate" {
        let why = "may not be specified when strategy `type` is 'Recreate'";
        errors.push(FieldError::forbidden(at, why));
        return;
    }
    for name in ["maxUnavailable", "maxSurge"] {
        super::quantities::int_or_percent(&rolling[name], &at.child(name), errors);
    }
    if is_nothing(&rolling["maxUnavailable"]) && is_nothing(&rolling["maxSurge"]) {
        let why = "may not be 0 when `maxSurge` is 0";
        errors.push(FieldError::invalid(
            at.child("maxUnavailable"),
            rolling["maxUnavailable"].clone(),
            why,
        ));
    }
    let percent = rolling["maxUnavailable"]
        .as_str()
        .and_then(crate::object::int_or_string::percent);
    if percent.is_some_and(|percent| percent > 100) {
        let at = at.child("maxUnavailable");
        errors.push(FieldError::invalid(
            at,
            rolling["maxUnavailable"].clone(),
            "must not be greater than 100%",
        ));
    }
}

fn is_nothing(amount: &Value) -> bool {
    *amount == 0 || amount.as_str().and_then(crate::object::int_or_string::percent) == Some(0)
}
