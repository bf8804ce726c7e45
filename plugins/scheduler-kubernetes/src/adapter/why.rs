//! Why a pod waits, in the words of Kubernetes' own scheduler.

use super::pod::place::Bar;
use plenum_model::amounts::Resource;
use plenum_model::rules::keys;
use plenum_model::why::{Cause, Why};
use plenum_sdk::holders::Holders;
use std::collections::BTreeMap;

/// What is added, since nothing is preempted.
const NO_VICTIMS: &str = "Preemption is not helpful for scheduling";

/// `0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. ...`. `barred` are the nodes
/// that their objects rule out, `why` what the broker says of the rest; who holds what is short is
/// added, since that may well be another orchestrator.
#[must_use]
pub fn text(nodes: usize, barred: &[Bar], why: Option<&Why>, holders: &Holders) -> String {
    if let Some(limit) = why.and_then(|w| w.limit.as_ref()) {
        let (tenant, resource) = (&limit.tenant, name(&limit.resource));
        return format!(
            "0/{nodes} nodes are available: {nodes} pod exceeds the {resource} limit of tenant {tenant} ({} of {}).",
            limit.used, limit.limit
        );
    }
    if nodes == 0 {
        return "no nodes available to schedule pods".to_owned();
    }
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for bar in barred {
        *counts.entry(of_bar(*bar).to_owned()).or_default() += 1;
    }
    for (cause, count) in why.iter().flat_map(|w| &w.by) {
        // these are the barred ones, which are told apart above
        if matches!(cause, Cause::Attribute(key) if key == keys::NODE) {
            continue;
        }
        let known = counts.entry(of_cause(cause)).or_default();
        let count = *count as usize;
        // both sides know of a cordon, and either may hear of it first
        *known = if *cause == Cause::Cordoned {
            count.max(*known)
        } else {
            *known + count
        };
    }
    let mut reasons: Vec<String> = counts.iter().map(|(why, n)| format!("{n} {why}")).collect();
    reasons.sort();
    let reasons = reasons.join(", ");
    let held = why.and_then(|w| holders.of_what_is_short(w));
    let held = held.map_or(String::new(), |h| format!("{h}. "));
    format!(
        "0/{nodes} nodes are available: {reasons}. {held}preemption: 0/{nodes} nodes are available: {nodes} {NO_VICTIMS}."
    )
}

fn of_bar(bar: Bar) -> &'static str {
    match bar {
        Bar::Cordoned => "node(s) were unschedulable",
        Bar::Taint => "node(s) had untolerated taint(s)",
        Bar::Selector => "node(s) didn't match Pod's node affinity/selector",
    }
}

fn of_cause(cause: &Cause) -> String {
    match cause {
        Cause::Unreachable => "node(s) had untolerated taint(s)".to_owned(),
        Cause::Cordoned => of_bar(Bar::Cordoned).to_owned(),
        Cause::NotPinned => "node(s) didn't match the requested node name".to_owned(),
        Cause::Runtime(name) => format!("node(s) had no runtime {name}"),
        Cause::Capability(name) => format!("node(s) cannot do {name}"),
        Cause::Attribute(_) => of_bar(Bar::Selector).to_owned(),
        Cause::Taint(_) => of_bar(Bar::Taint).to_owned(),
        Cause::LimitPerKey(_) | Cause::Spread(_) => {
            "node(s) didn't match pod topology spread constraints".to_owned()
        }
        Cause::Near(_) => "node(s) didn't match pod affinity rules".to_owned(),
        Cause::Away(_) => "node(s) didn't match pod anti-affinity rules".to_owned(),
        Cause::KeptAway(_) => "node(s) didn't satisfy existing pods anti-affinity rules".to_owned(),
        Cause::Short(Resource::Slot) => "Too many pods".to_owned(),
        Cause::Short(resource) => format!("Insufficient {}", name(resource)),
        Cause::Device(name) => format!("Insufficient {name}"),
        Cause::Port(_) | Cause::DynamicPorts => {
            "node(s) didn't have free ports for the requested pod ports".to_owned()
        }
    }
}

fn name(resource: &Resource) -> String {
    match resource {
        Resource::Cpu => "cpu".to_owned(),
        Resource::Memory => "memory".to_owned(),
        Resource::Disk => "ephemeral-storage".to_owned(),
        Resource::Slot => "pods".to_owned(),
        Resource::Extended(name) => name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_kubernetes_own_schedulers() {
        let why = Why {
            nodes: 5,
            by: vec![
                (Cause::Cordoned, 1),
                (Cause::Attribute(keys::NODE.to_owned()), 2),
                (Cause::Short(Resource::Cpu), 2),
            ],
            limit: None,
            ..Why::default()
        };
        assert_eq!(
            text(
                5,
                &[Bar::Taint, Bar::Selector, Bar::Cordoned],
                Some(&why),
                &Holders::default()
            ),
            "0/5 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, \
             1 node(s) had untolerated taint(s), 1 node(s) were unschedulable, 2 Insufficient cpu. \
             preemption: 0/5 nodes are available: 5 Preemption is not helpful for scheduling."
        );
        assert_eq!(
            text(0, &[], None, &Holders::default()),
            "no nodes available to schedule pods"
        );
    }
}
