//! What a pod says of where it may run.

use serde_json::Value;

use super::meta;
use super::place::{At, Errors, formed, items, one_of, part, text};
use crate::object::field_error::FieldError;
use crate::object::names;

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

pub(super) fn tolerations(spec: &Value, at: &At, errors: &mut Errors) {
    for (i, toleration) in items(spec, "tolerations").iter().enumerate() {
        let at = at.child("tolerations").index(i);
        let (key, operator, effect) = (
            text(toleration, "key"),
            text(toleration, "operator"),
            text(toleration, "effect"),
        );
        if !key.is_empty() {
            formed(names::key(key), key, &at.child("key"), errors);
        } else if operator != "Exists" {
            let why =
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            errors.push(FieldError::invalid(at.child("operator"), operator, why));
        }
        if toleration.get("tolerationSeconds").is_some() && effect != "NoExecute" {
            let why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            errors.push(FieldError::invalid(at.child("effect"), effect, why));
        }
        let value = text(toleration, "value");
        match operator {
            "" | "Equal" => formed(names::label_value(value), value, &at.child("operator"), errors),
            "Exists" if !value.is_empty() => {
                let why = "value must be empty when `operator` is 'Exists'";
                errors.push(FieldError::invalid(at.child("operator"), toleration.clone(), why));
            }
            "Exists" => {}
            other => {
                errors.push(FieldError::not_supported(
                    at.child("operator"),
                    other,
                    &["Equal", "Exists"],
                ));
            }
        }
        if !effect.is_empty() && !EFFECTS.contains(&effect) {
            errors.push(FieldError::not_supported(at.child("effect"), effect, &EFFECTS));
        }
    }
}

pub(super) fn affinity(spec: &Value, at: &At, errors: &mut Errors) {
    let Some(affinity) = part(spec, "affinity") else {
        return;
    };
    let at = at.child("affinity");
    if let Some(node) = part(affinity, "nodeAffinity") {
        let at = at.child("nodeAffinity");
        if let Some(required) = part(node, "requiredDuringSchedulingIgnoredDuringExecution") {
            let at = at
                .child("requiredDuringSchedulingIgnoredDuringExecution")
                .child("nodeSelectorTerms");
            let terms = items(required, "nodeSelectorTerms");
            if terms.is_empty() {
                errors.push(FieldError::required(
                    &at,
                    "must have at least one node selector term",
                ));
            }
            for (i, term) in terms.iter().enumerate() {
                node_term(term, &at.index(i), errors);
            }
        }
        for (i, preferred) in items(node, "preferredDuringSchedulingIgnoredDuringExecution")
            .iter()
            .enumerate()
        {
            let at = at
                .child("preferredDuringSchedulingIgnoredDuringExecution")
                .index(i);
            weight(preferred, &at, errors);
            node_term(&preferred["preference"], &at.child("preference"), errors);
        }
    }
    for name in ["podAffinity", "podAntiAffinity"] {
        let Some(pods) = part(affinity, name) else {
            continue;
        };
        let at = at.child(name);
        for (i, term) in items(pods, "requiredDuringSchedulingIgnoredDuringExecution")
            .iter()
            .enumerate()
        {
            pod_term(
                term,
                &at.child("requiredDuringSchedulingIgnoredDuringExecution")
                    .index(i),
                errors,
            );
        }
        for (i, preferred) in items(pods, "preferredDuringSchedulingIgnoredDuringExecution")
            .iter()
            .enumerate()
        {
            let at = at
                .child("preferredDuringSchedulingIgnoredDuringExecution")
                .index(i);
            weight(preferred, &at, errors);
            pod_term(
                &preferred["podAffinityTerm"],
                &at.child("podAffinityTerm"),
                errors,
            );
        }
    }
}

fn weight(preferred: &Value, at: &At, errors: &mut Errors) {
    let weight = preferred["weight"].as_i64().unwrap_or(0);
    if !(1..=100).contains(&weight) {
        errors.push(FieldError::invalid(
            at.child("weight"),
            weight,
            "must be in the range 1-100",
        ));
    }
}

fn node_term(term: &Value, at: &At, errors: &mut Errors) {
    for list in ["matchExpressions", "matchFields"] {
        for (i, rule) in items(term, list).iter().enumerate() {
            let at = at.child(list).index(i);
            node_rule(rule, list == "matchFields", &at, errors);
        }
    }
}

fn node_rule(rule: &Value, of_field: bool, at: &At, errors: &mut Errors) {
    let (key, operator, values) = (text(rule, "key"), text(rule, "operator"), items(rule, "values"));
    match operator {
        "In" | "NotIn" if of_field && values.len() != 1 => {
            let what = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
            errors.push(FieldError::required(at.child("values"), what));
        }
        "In" | "NotIn" if values.is_empty() => {
            let what = "must be specified when `operator` is 'In' or 'NotIn'";
            errors.push(FieldError::required(at.child("values"), what));
        }
        "Exists" | "DoesNotExist" if !of_field => {
            if !values.is_empty() {
                let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                errors.push(FieldError::forbidden(at.child("values"), why));
            }
        }
        "Gt" | "Lt" if !of_field => {
            if values.len() != 1 {
                let what = "must be specified single value when `operator` is 'Lt' or 'Gt'";
                errors.push(FieldError::required(at.child("values"), what));
            }
        }
        "In" | "NotIn" => {}
        other => errors.push(FieldError::invalid(
            at.child("operator"),
            other,
            "not a valid selector operator",
        )),
    }
    if of_field {
        if key != "metadata.name" {
            errors.push(FieldError::invalid(
                at.child("key"),
                key,
                "not a valid field selector key",
            ));
        }
    } else {
        formed(names::key(key), key, &at.child("key"), errors);
    }
}

fn pod_term(term: &Value, at: &At, errors: &mut Errors) {
    if let Some(selector) = part(term, "labelSelector") {
        meta::selector(selector, &at.child("labelSelector"), errors);
    }
    match text(term, "topologyKey") {
        "" => errors.push(FieldError::required(at.child("topologyKey"), "can not be empty")),
        key => formed(names::key(key), key, &at.child("topologyKey"), errors),
    }
}

pub(super) fn spread(spec: &Value, at: &At, errors: &mut Errors) {
    for (i, constraint) in items(spec, "topologySpreadConstraints").iter().enumerate() {
        let at = at.child("topologySpreadConstraints").index(i);
        let skew = constraint["maxSkew"].as_i64().unwrap_or(0);
        if skew <= 0 {
            errors.push(FieldError::invalid(
                at.child("maxSkew"),
                skew,
                "must be greater than zero",
            ));
        }
        match text(constraint, "topologyKey") {
            "" => errors.push(FieldError::required(at.child("topologyKey"), "can not be empty")),
            key => formed(names::key(key), key, &at.child("topologyKey"), errors),
        }
        one_of(
            constraint,
            "whenUnsatisfiable",
            &["DoNotSchedule", "ScheduleAnyway"],
            &at,
            errors,
        );
        if let Some(selector) = part(constraint, "labelSelector") {
            meta::selector(selector, &at.child("labelSelector"), errors);
        }
    }
}
