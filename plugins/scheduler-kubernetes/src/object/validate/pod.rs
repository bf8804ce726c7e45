//! The `spec` of a pod, also in a template.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::Value;

use super::container::{self, Role};
use super::place::{At, Errors, formed, items, one_of, part, text};
use super::{meta, scheduling, volume};
use crate::object::field_error::FieldError;
use crate::object::names;

const RESTART: [&str; 3] = ["Always", "OnFailure", "Never"];
const DNS: [&str; 4] = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];

pub(super) fn spec(spec: &Value, at: &At, errors: &mut Errors) {
    let volumes = volume::volumes(spec, &at.child("volumes"), errors);
    containers(spec, &volumes, at, errors);
    host_ports(spec, at, errors);
    one_of(spec, "restartPolicy", &RESTART, at, errors);
    one_of(spec, "dnsPolicy", &DNS, at, errors);
    dns(spec, at, errors);
    meta::labels(spec, "nodeSelector", at, errors);
    if let Some(context) = part(spec, "securityContext") {
        container::user(context, &at.child("securityContext"), errors);
    }
    if spec["hostPID"] == true && spec["shareProcessNamespace"] == true {
        let why = "ShareProcessNamespace and HostPID cannot both be enabled";
        errors.push(FieldError::invalid(at.child("shareProcessNamespace"), true, why));
    }
    scheduling::affinity(spec, at, errors);
    names_and_times(spec, at, errors);
    scheduling::tolerations(spec, at, errors);
    scheduling::spread(spec, at, errors);
    for (i, alias) in items(spec, "hostAliases").iter().enumerate() {
        let at = at.child("hostAliases").index(i);
        let ip = text(alias, "ip");
        if ip.parse::<IpAddr>().is_err() {
            let why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
            errors.push(FieldError::invalid(at.child("ip"), ip, why));
        }
        for name in items(alias, "hostnames").iter().filter_map(Value::as_str) {
            formed(names::subdomain(name), name, &at.child("hostnames"), errors);
        }
    }
    let mut gates = BTreeSet::new();
    for (i, gate) in items(spec, "schedulingGates").iter().enumerate() {
        let at = at.child("schedulingGates").index(i);
        let name = text(gate, "name");
        formed(names::key(name), name, &at, errors);
        if !gates.insert(name) {
            errors.push(FieldError::duplicate(at, name));
        }
    }
    if !gates.is_empty() && !text(spec, "nodeName").is_empty() {
        let why = "cannot be set until all schedulingGates have been cleared";
        errors.push(FieldError::forbidden(at.child("nodeName"), why));
    }
}

fn containers(spec: &Value, volumes: &BTreeSet<&str>, at: &At, errors: &mut Errors) {
    if items(spec, "containers").is_empty() {
        errors.push(FieldError::required(at.child("containers"), ""));
    }
    let mut seen = BTreeSet::new();
    for (list, role) in [
        ("containers", Role::Main),
        ("initContainers", Role::Init),
        ("ephemeralContainers", Role::Ephemeral),
    ] {
        for (i, one) in items(spec, list).iter().enumerate() {
            container::container(one, role, volumes, &mut seen, &at.child(list).index(i), errors);
        }
    }
}

/// No two containers may have the same port of the node; with the node's network a port is its own there.
fn host_ports(spec: &Value, at: &At, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (i, one) in items(spec, "containers").iter().enumerate() {
        for (j, port) in items(one, "ports").iter().enumerate() {
            let at = at.child("containers").index(i).child("ports").index(j);
            let (host, own) = (
                port["hostPort"].as_i64().unwrap_or(0),
                port["containerPort"].as_i64().unwrap_or(0),
            );
            if spec["hostNetwork"] == true && host != 0 && host != own {
                let why = "must match `hostPort` when `hostNetwork` is true";
                errors.push(FieldError::invalid(at.child("containerPort"), own, why));
            }
            let key = format!("{}/{}/{host}", text(port, "protocol"), text(port, "hostIP"));
            if host != 0 && !seen.insert(key.clone()) {
                errors.push(FieldError::duplicate(at.child("hostPort"), key));
            }
        }
    }
}

fn dns(spec: &Value, at: &At, errors: &mut Errors) {
    let servers = items(&spec["dnsConfig"], "nameservers");
    if text(spec, "dnsPolicy") == "None" && servers.is_empty() {
        let what = "must provide at least one DNS nameserver when `dnsPolicy` is None";
        errors.push(FieldError::required(
            at.child("dnsConfig").child("nameservers"),
            what,
        ));
    }
    for (i, server) in servers.iter().filter_map(Value::as_str).enumerate() {
        if server.parse::<IpAddr>().is_err() {
            let at = at.child("dnsConfig").child("nameservers").index(i);
            errors.push(FieldError::invalid(
                at,
                server,
                "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
            ));
        }
    }
}

fn names_and_times(spec: &Value, at: &At, errors: &mut Errors) {
    for (name, form) in [
        (
            "serviceAccountName",
            names::subdomain as fn(&str) -> names::Checked,
        ),
        ("nodeName", names::subdomain),
        ("hostname", names::label),
        ("subdomain", names::label),
        ("priorityClassName", names::subdomain),
        ("runtimeClassName", names::subdomain),
    ] {
        let value = text(spec, name);
        if !value.is_empty() {
            formed(form(value), value, &at.child(name), errors);
        }
    }
    if let Some(seconds) = spec.get("activeDeadlineSeconds").and_then(Value::as_i64)
        && !(1..=i64::from(i32::MAX)).contains(&seconds)
    {
        let why = "must be between 1 and 2147483647, inclusive";
        errors.push(FieldError::invalid(
            at.child("activeDeadlineSeconds"),
            seconds,
            why,
        ));
    }
    super::place::not_negative(spec, "terminationGracePeriodSeconds", at, errors);
    one_of(
        spec,
        "preemptionPolicy",
        &["Never", "PreemptLowerPriority"],
        at,
        errors,
    );
}
