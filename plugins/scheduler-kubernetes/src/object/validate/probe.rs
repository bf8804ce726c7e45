//! Probes and life cycle hooks.

use serde_json::Value;

use super::place::{At, Errors, formed, items, not_negative, one_of, part, port_number, required, text};
use crate::object::field_error::FieldError;
use crate::object::names;

/// A probe; only one of readiness may ask for several successes.
pub(super) fn probe(probe: &Value, at: &At, one_success: bool, errors: &mut Errors) {
    handler(probe, &["exec", "httpGet", "tcpSocket", "grpc"], at, errors);
    for name in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        not_negative(probe, name, at, errors);
    }
    if let Some(seconds) = probe.get("terminationGracePeriodSeconds").and_then(Value::as_i64) {
        if seconds <= 0 {
            let at = at.child("terminationGracePeriodSeconds");
            errors.push(FieldError::invalid(at, seconds, "must be greater than 0"));
        } else if !one_success {
            let why = "must not be set for readinessProbes";
            errors.push(FieldError::invalid(
                at.child("terminationGracePeriodSeconds"),
                seconds,
                why,
            ));
        }
    }
    let successes = probe.get("successThreshold").and_then(Value::as_i64).unwrap_or(1);
    if one_success && successes != 1 {
        errors.push(FieldError::invalid(
            at.child("successThreshold"),
            successes,
            "must be 1",
        ));
    }
}

pub(super) fn lifecycle(lifecycle: &Value, at: &At, errors: &mut Errors) {
    for name in ["postStart", "preStop"] {
        if let Some(hook) = part(lifecycle, name) {
            handler(
                hook,
                &["exec", "httpGet", "tcpSocket", "sleep"],
                &at.child(name),
                errors,
            );
        }
    }
}

fn handler(handler: &Value, kinds: &[&str], at: &At, errors: &mut Errors) {
    let mut found = 0;
    for &kind in kinds {
        let Some(action) = part(handler, kind) else {
            continue;
        };
        found += 1;
        let at = at.child(kind);
        if found > 1 {
            errors.push(FieldError::forbidden(
                at,
                "may not specify more than 1 handler type",
            ));
            continue;
        }
        match kind {
            "exec" if items(action, "command").is_empty() => {
                errors.push(FieldError::required(at.child("command"), ""));
            }
            "httpGet" => {
                required(action, "path", &at, errors);
                port(&action["port"], &at.child("port"), errors);
                one_of(action, "scheme", &["HTTP", "HTTPS"], &at, errors);
                for (i, header) in items(action, "httpHeaders").iter().enumerate() {
                    header_name(
                        text(header, "name"),
                        &at.child("httpHeaders").index(i).child("name"),
                        errors,
                    );
                }
            }
            "tcpSocket" => port(&action["port"], &at.child("port"), errors),
            "grpc" => port_number(action["port"].as_i64().unwrap_or(0), &at.child("port"), errors),
            "sleep" => {
                let seconds = action["seconds"].as_i64().unwrap_or(0);
                if seconds < 0 {
                    let why = format!("must be non-negative, got {seconds}");
                    errors.push(FieldError::invalid(at.child("seconds"), seconds, why));
                }
            }
            _ => {}
        }
    }
    if found == 0 {
        errors.push(FieldError::required(at, "must specify a handler type"));
    }
}

fn header_name(name: &str, at: &At, errors: &mut Errors) {
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        let why = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex \
                   used for validation is '[-A-Za-z0-9]+')";
        errors.push(FieldError::invalid(at, name, why));
    }
}

/// A port by number or by the name that a container gives it.
fn port(port: &Value, at: &At, errors: &mut Errors) {
    match port {
        Value::String(name) => formed(names::port_name(name), name, at, errors),
        other => port_number(other.as_i64().unwrap_or(0), at, errors),
    }
}
