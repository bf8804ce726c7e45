//! The defaults of what makes pods.

use serde_json::{Value, json};

use super::pod;
use super::set::{each, put, put_all, within};

fn template(spec: &mut Value) {
    within(spec, "template", |template| within(template, "spec", pod::spec));
}

pub(super) fn deployment(deployment: &mut Value) {
    within(deployment, "spec", |spec| {
        put_all(
            spec,
            [
                ("replicas", json!(1)),
                ("revisionHistoryLimit", json!(10)),
                ("progressDeadlineSeconds", json!(600)),
                ("strategy", json!({})),
            ],
        );
        within(spec, "strategy", |strategy| {
            put(strategy, "type", json!("RollingUpdate"));
            if strategy["type"] == "RollingUpdate" {
                put(strategy, "rollingUpdate", json!({}));
                within(strategy, "rollingUpdate", |rolling| {
                    put_all(
                        rolling,
                        [("maxUnavailable", json!("25%")), ("maxSurge", json!("25%"))],
                    );
                });
            }
        });
        template(spec);
    });
}

pub(super) fn replica_set(set: &mut Value) {
    within(set, "spec", |spec| {
        put(spec, "replicas", json!(1));
        template(spec);
    });
}

pub(super) fn job(job: &mut Value) {
    let labels = job["spec"]["template"]["metadata"]["labels"].clone();
    if labels.as_object().is_some_and(|labels| !labels.is_empty()) {
        put(&mut job["metadata"], "labels", labels);
    }
    within(job, "spec", |spec| {
        // A job without either runs one pod; one with parallelism alone is done when any of its pods is.
        if spec.get("completions").is_none() && spec.get("parallelism").is_none() {
            put(spec, "completions", json!(1));
        }
        let per_index = spec.get("backoffLimitPerIndex").is_some();
        let replacement = if spec.get("podFailurePolicy").is_some() {
            "Failed"
        } else {
            "TerminatingOrFailed"
        };
        put_all(
            spec,
            [
                ("parallelism", json!(1)),
                ("backoffLimit", json!(if per_index { i32::MAX } else { 6 })),
                ("completionMode", json!("NonIndexed")),
                ("suspend", json!(false)),
                ("podReplacementPolicy", json!(replacement)),
            ],
        );
        within(spec, "podFailurePolicy", |policy| {
            each(policy, "rules", |rule| {
                each(rule, "onPodConditions", |condition| {
                    put(condition, "status", json!("True"))
                });
            });
        });
        template(spec);
    });
}
