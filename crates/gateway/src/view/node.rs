//! Nodes.

use super::time::millis;
use plenum_client::v1::node::{Node as Shown, Runtime, Taint as ShownTaint};
use plenum_model::node::Node;
use plenum_model::taint::Taint;

pub(crate) fn node(n: &Node) -> Shown {
    let facts = &n.facts;
    Shown {
        name: facts.id.to_string(),
        hostname: facts.hostname.clone(),
        address: facts.address.clone(),
        state: n.liveness,
        scheduling: n.scheduling,
        zone: facts.attribute("zone").map(str::to_owned),
        capacity: (&facts.capacity).into(),
        system: (&facts.system).into(),
        free: (&n.free()).into(),
        held: n.held.iter().map(|(s, a)| (s.clone(), a.into())).collect(),
        tasks: n.tasks.clone(),
        devices: facts.devices.clone(),
        attributes: facts.attributes.clone(),
        runtimes: facts
            .runtimes
            .iter()
            .map(|(name, r)| {
                let shown = Runtime {
                    version: r.version.clone(),
                    capabilities: r.capabilities.clone(),
                };
                (name.clone(), shown)
            })
            .collect(),
        taints: taints(&facts.taints, true)
            .chain(taints(&n.taints, false))
            .collect(),
        agent_version: facts.agent_version.clone(),
        joined_at: millis(n.joined_at),
        since: millis(n.since),
    }
}

fn taints(of: &[Taint], configured: bool) -> impl Iterator<Item = ShownTaint> {
    of.iter().map(move |taint| ShownTaint {
        key: taint.key.clone(),
        value: taint.value.clone(),
        effect: taint.effect,
        configured,
    })
}
