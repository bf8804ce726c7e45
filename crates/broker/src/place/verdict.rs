//! Why one node cannot take one task: the funnel, in its order, and its words. Asked by the core before it
//! places, and by the view when somebody wants to know.

use super::needs::Needs;
use super::ports::Ports;
use plenum_model::amounts::Amounts;
use plenum_model::ids::TaskId;
use plenum_model::node::{Liveness, NodeFacts, Scheduling};
use plenum_model::why::Cause;

/// A node as the funnel looks at it.
#[derive(Debug, Clone, Copy)]
pub struct NodeLook<'a> {
    /// What its agent says.
    pub facts: &'a NodeFacts,
    /// Whether it is heard of.
    pub liveness: Liveness,
    /// Whether new tasks may go there.
    pub scheduling: Scheduling,
    /// What nobody holds.
    pub free: &'a Amounts,
    /// Which ports are held.
    pub ports: &'a Ports,
}

/// What is asked besides the terms.
#[derive(Debug, Clone, Copy)]
pub struct Extra<'a> {
    /// Which task.
    pub task: TaskId,
    /// What it holds on that node already (a stopped one: its disk).
    pub holds: Option<&'a Amounts>,
    /// Even if the node is cordoned.
    pub past_cordon: bool,
}

/// How many tasks of the same workload count on nodes that share a value of a key.
pub trait CountPerKey {
    /// On those whose `key` has the value that this node has.
    fn count(&self, key: &str, value: &str) -> u32;
}

/// The ports a node would give, or the first cause against it.
///
/// # Errors
/// That cause.
pub fn verdict(
    needs: &Needs,
    node: &NodeLook<'_>,
    extra: &Extra<'_>,
    same: &impl CountPerKey,
) -> Result<Vec<u16>, Cause> {
    if node.liveness == Liveness::Unreachable {
        return Err(Cause::Unreachable);
    }
    if !node.scheduling.is_open() && !extra.past_cordon {
        return Err(Cause::Cordoned);
    }
    if let Some(cause) = needs.against(node.facts) {
        return Err(cause);
    }
    room(needs, node, extra, same)
}

/// The last part of the funnel: what changes with every placement.
///
/// # Errors
/// The first cause against the node.
pub fn room(
    needs: &Needs,
    node: &NodeLook<'_>,
    extra: &Extra<'_>,
    same: &impl CountPerKey,
) -> Result<Vec<u16>, Cause> {
    for limit in &needs.terms.rules.limits {
        let within = node
            .facts
            .attribute(&limit.tally.key)
            .is_some_and(|value| same.count(&limit.tally.key, value) < limit.max);
        if !within {
            return Err(Cause::LimitPerKey(limit.tally.key.clone()));
        }
    }
    let short = match extra.holds {
        None => needs.terms.charge.short_of(node.free),
        Some(holds) => needs.terms.charge.saturating_sub(holds).short_of(node.free),
    };
    if let Some(resource) = short {
        return Err(Cause::Short(resource));
    }
    node.ports
        .choose(&needs.terms.ports, node.facts.ports, extra.task)
}

/// The numbers behind a cause, for people; empty where there are none.
#[must_use]
pub fn in_words(cause: &Cause, needs: &Needs, free: &Amounts, facts: &NodeFacts) -> String {
    match cause {
        Cause::Short(resource) => format!(
            "wants {}, {} free",
            resource.amount(needs.terms.charge.get(resource)),
            resource.amount(free.get(resource))
        ),
        Cause::Attribute(key) => match facts.attribute(key) {
            Some(value) => format!("its {key} is {value}"),
            None => format!("it has no {key}"),
        },
        Cause::LimitPerKey(key) => match facts.attribute(key) {
            Some(value) => format!("{key} {value} has as many of this workload as allowed"),
            None => format!("it has no {key} to count by"),
        },
        Cause::Runtime(_) => {
            let has: Vec<_> = facts.runtimes.keys().map(String::as_str).collect();
            format!(
                "it has {}",
                if has.is_empty() {
                    "none".to_owned()
                } else {
                    has.join(", ")
                }
            )
        }
        Cause::DynamicPorts => {
            format!(
                "wants {} of {}-{}",
                needs.dynamic_ports(),
                facts.ports.low,
                facts.ports.high
            )
        }
        Cause::Unreachable
        | Cause::Cordoned
        | Cause::NotPinned
        | Cause::Capability(_)
        | Cause::Taint(_)
        | Cause::Spread(_)
        | Cause::Near(_)
        | Cause::Away(_)
        | Cause::KeptAway(_)
        | Cause::Device(_)
        | Cause::Port(_) => String::new(),
    }
}
