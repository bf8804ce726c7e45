//! What makes pods: deployments, replica sets, jobs.

use serde_json::Value;

use super::place::{At, Errors, IMMUTABLE, items, not_negative, one_of, part, text};
use super::{meta, pod, small};
use crate::object::field_error::FieldError;
use crate::object::selector::Labels;

const MISMATCH: &str = "`selector` does not match template `labels`";

pub(super) fn deployment(object: &Value, errors: &mut Errors) {
    let (spec, at) = (&object["spec"], At::root("spec"));
    not_negative(spec, "replicas", &at, errors);
    selector(spec, &at, errors);
    endless_template(spec, &at, errors);
    small::strategy(&spec["strategy"], &at.child("strategy"), errors);
    for name in [
        "minReadySeconds",
        "revisionHistoryLimit",
        "progressDeadlineSeconds",
    ] {
        not_negative(spec, name, &at, errors);
    }
    if let Some(deadline) = spec.get("progressDeadlineSeconds").and_then(Value::as_i64)
        && deadline <= spec["minReadySeconds"].as_i64().unwrap_or(0)
    {
        let at = at.child("progressDeadlineSeconds");
        errors.push(FieldError::invalid(
            at,
            deadline,
            "must be greater than minReadySeconds",
        ));
    }
}

pub(super) fn replica_set(object: &Value, errors: &mut Errors) {
    let (spec, at) = (&object["spec"], At::root("spec"));
    not_negative(spec, "replicas", &at, errors);
    not_negative(spec, "minReadySeconds", &at, errors);
    selector(spec, &at, errors);
    endless_template(spec, &at, errors);
}

fn selector(spec: &Value, at: &At, errors: &mut Errors) {
    let at = at.child("selector");
    let Some(selector) = part(spec, "selector") else {
        errors.push(FieldError::required(at, ""));
        return;
    };
    meta::selector(selector, &at, errors);
    if Labels::of(selector).is_ok_and(|labels| labels.is_empty()) {
        errors.push(FieldError::invalid(
            at,
            selector.clone(),
            "empty selector is invalid for deployment",
        ));
    }
}

/// The template of pods that are kept running for ever.
fn endless_template(spec: &Value, at: &At, errors: &mut Errors) {
    let at = at.child("template");
    template(spec, &at, errors);
    let pod = &spec["template"]["spec"];
    let policy = text(pod, "restartPolicy");
    if policy != "Always" && !policy.is_empty() {
        errors.push(FieldError::not_supported(
            at.child("spec").child("restartPolicy"),
            policy,
            &["Always"],
        ));
    }
    if pod.get("activeDeadlineSeconds").is_some() {
        let at = at.child("spec").child("activeDeadlineSeconds");
        errors.push(FieldError::forbidden(
            at,
            "activeDeadlineSeconds in ReplicaSet is not Supported",
        ));
    }
}

/// The template, which its selector must match.
fn template(spec: &Value, at: &At, errors: &mut Errors) {
    let template = &spec["template"];
    if let Some(selector) = part(spec, "selector").and_then(|selector| Labels::of(selector).ok())
        && !selector.is_empty()
        && !selector.matches(template)
    {
        let labels = template["metadata"].get("labels").cloned().unwrap_or(Value::Null);
        errors.push(FieldError::invalid(
            at.child("metadata").child("labels"),
            labels,
            MISMATCH,
        ));
    }
    meta::template(&template["metadata"], &at.child("metadata"), errors);
    pod::spec(&template["spec"], &at.child("spec"), errors);
    if !items(&template["spec"], "ephemeralContainers").is_empty() {
        let why = "ephemeral containers not allowed in pod template";
        errors.push(FieldError::forbidden(
            at.child("spec").child("ephemeralContainers"),
            why,
        ));
    }
}

pub(super) fn selector_update(old: &Value, new: &Value, errors: &mut Errors) {
    let (before, after) = (&old["spec"]["selector"], &new["spec"]["selector"]);
    if before != after {
        errors.push(FieldError::invalid("spec.selector", after.clone(), IMMUTABLE));
    }
}

pub(super) fn job(object: &Value, errors: &mut Errors) {
    let (spec, at) = (&object["spec"], At::root("spec"));
    if part(spec, "selector").is_none() {
        errors.push(FieldError::required(at.child("selector"), ""));
    }
    for name in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
        "ttlSecondsAfterFinished",
    ] {
        not_negative(spec, name, &at, errors);
    }
    one_of(spec, "completionMode", &["NonIndexed", "Indexed"], &at, errors);
    if text(spec, "completionMode") == "Indexed" && spec.get("completions").is_none() {
        let what = "when completion mode is Indexed";
        errors.push(FieldError::required(at.child("completions"), what));
    }
    one_of(
        spec,
        "podReplacementPolicy",
        &["Failed", "TerminatingOrFailed"],
        &at,
        errors,
    );
    template(spec, &at.child("template"), errors);
    let policy = text(&spec["template"]["spec"], "restartPolicy");
    if !matches!(policy, "OnFailure" | "Never") {
        let at = at.child("template").child("spec").child("restartPolicy");
        errors.push(match policy {
            "" => FieldError::required(at, "valid values: \"OnFailure\", \"Never\""),
            other => FieldError::not_supported(at, other, &["OnFailure", "Never"]),
        });
    }
}

pub(super) fn job_update(old: &Value, new: &Value, errors: &mut Errors) {
    let (before, after) = (&old["spec"], &new["spec"]);
    let indexed = text(before, "completionMode") == "Indexed";
    // An indexed job may grow and shrink as long as both numbers go together.
    let elastic = indexed && after["completions"] == after["parallelism"];
    let mut template = after["template"].clone();
    let waiting = before["suspend"] == true && old["status"].get("startTime").is_none();
    if waiting {
        // A job that has not begun may still be told where its pods go.
        for name in ["nodeSelector", "tolerations", "affinity", "schedulingGates"] {
            template["spec"][name] = before["template"]["spec"][name].clone();
        }
        for name in ["labels", "annotations"] {
            template["metadata"][name] = before["template"]["metadata"][name].clone();
        }
    }
    for (name, after) in [
        (
            "completions",
            if elastic {
                &before["completions"]
            } else {
                &after["completions"]
            },
        ),
        ("selector", &after["selector"]),
        ("template", &template),
        ("completionMode", &after["completionMode"]),
        ("podFailurePolicy", &after["podFailurePolicy"]),
        ("backoffLimitPerIndex", &after["backoffLimitPerIndex"]),
    ] {
        if !same(&before[name], after) {
            errors.push(FieldError::invalid(
                At::root("spec").child(name),
                after.clone(),
                IMMUTABLE,
            ));
        }
    }
}

/// Equal, where an absent field and null are the same.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let names = one.keys().chain(other.keys());
            let at = |fields: &serde_json::Map<String, Value>, name: &str| {
                fields.get(name).cloned().unwrap_or_default()
            };
            names
                .into_iter()
                .all(|name| same(&at(one, name), &at(other, name)))
        }
        _ => one == other,
    }
}
