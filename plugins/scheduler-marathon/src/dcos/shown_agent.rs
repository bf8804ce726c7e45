//! A node as the state of Mesos writes it: an agent.

use super::mesos::{Empty, GPU, Resources, Seconds, VERSION, held};
use plenum_model::amounts::Amounts;
use plenum_model::node::{Liveness, Node};
use serde::Serialize;
use std::collections::BTreeMap;

/// The port of a Mesos agent. What the pool's agents serve is asked of this door instead, by the agent's id.
const AGENT_PORT: u16 = 5051;

#[derive(Serialize)]
pub(super) struct AgentShape<'a> {
    pub(super) id: &'a str,
    hostname: &'a str,
    port: u16,
    pid: String,
    active: bool,
    attributes: &'a BTreeMap<String, String>,
    version: &'a str,
    registered_time: Seconds,
    capabilities: [(); 0],
    resources: Resources,
    unreserved_resources: Resources,
    used_resources: Resources,
    offered_resources: Resources,
    reserved_resources: Empty,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<Domain<'a>>,
}

#[derive(Serialize)]
struct Domain<'a> {
    fault_domain: FaultDomain<'a>,
}

#[derive(Serialize)]
struct FaultDomain<'a> {
    region: Name<'a>,
    zone: Name<'a>,
}

#[derive(Serialize)]
struct Name<'a> {
    name: &'a str,
}

impl<'a> AgentShape<'a> {
    /// A node with what all schedulers together hold there.
    pub(super) fn of(node: &'a Node) -> Self {
        let facts = &node.facts;
        let has = || {
            let gpus = facts.devices.get(GPU).map_or(0, |ids| ids.len());
            Resources::of(&facts.allocatable())
                .with_devices(gpus)
                .with_ports([(facts.ports.low, facts.ports.high)])
        };
        let domain = facts.attribute("region").zip(facts.attribute("zone"));
        Self {
            id: facts.id.as_str(),
            hostname: &facts.address,
            port: AGENT_PORT,
            pid: format!("slave(1)@{}:{AGENT_PORT}", facts.address),
            active: node.liveness == Liveness::Ready,
            attributes: &facts.attributes,
            version: VERSION,
            registered_time: Seconds::of_ms(node.joined_at),
            capabilities: [],
            resources: has(),
            unreserved_resources: has(),
            used_resources: Resources::of(&held(node.held.values())),
            offered_resources: Resources::of(&Amounts::default()),
            reserved_resources: Empty {},
            domain: domain.map(|(region, zone)| Domain {
                fault_domain: FaultDomain {
                    region: Name { name: region },
                    zone: Name { name: zone },
                },
            }),
        }
    }
}
