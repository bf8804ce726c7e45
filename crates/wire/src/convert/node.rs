//! Nodes.

use super::amounts::or_nothing;
use super::enums::WireEnum;
use crate::malformed::{Malformed, each, name, need, required, small};
use crate::proto::model::v1 as wire;
use plenum_model::node::{Liveness, Node, NodeFacts, PortRange, RuntimeFacts, Scheduling};

impl From<&NodeFacts> for wire::NodeFacts {
    fn from(facts: &NodeFacts) -> Self {
        let set = |names: &std::collections::BTreeSet<String>| wire::NameSet {
            names: names.iter().cloned().collect(),
        };
        Self {
            id: facts.id.as_str().to_owned(),
            hostname: facts.hostname.clone(),
            address: facts.address.clone(),
            capacity: Some((&facts.capacity).into()),
            system: Some((&facts.system).into()),
            devices: facts.devices.iter().map(|(k, v)| (k.clone(), set(v))).collect(),
            attributes: facts.attributes.clone(),
            runtimes: facts
                .runtimes
                .iter()
                .map(|(k, v)| (k.clone(), v.into()))
                .collect(),
            ports: Some(facts.ports.into()),
            agent_version: facts.agent_version.clone(),
            taints: facts.taints.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::NodeFacts> for NodeFacts {
    type Error = Malformed;
    fn try_from(facts: wire::NodeFacts) -> Result<Self, Malformed> {
        Ok(Self {
            id: name(&facts.id, "facts.id")?,
            hostname: facts.hostname,
            address: facts.address,
            capacity: need(facts.capacity, "facts.capacity")?.into(),
            system: or_nothing(facts.system),
            devices: facts
                .devices
                .into_iter()
                .map(|(k, v)| (k, v.names.into_iter().collect()))
                .collect(),
            attributes: facts.attributes,
            runtimes: facts.runtimes.into_iter().map(|(k, v)| (k, v.into())).collect(),
            ports: required(facts.ports, "facts.ports")?,
            agent_version: facts.agent_version,
            taints: each(facts.taints)?,
        })
    }
}

impl From<&RuntimeFacts> for wire::RuntimeFacts {
    fn from(facts: &RuntimeFacts) -> Self {
        Self {
            version: facts.version.clone(),
            capabilities: facts.capabilities.iter().cloned().collect(),
        }
    }
}

impl From<wire::RuntimeFacts> for RuntimeFacts {
    fn from(facts: wire::RuntimeFacts) -> Self {
        Self {
            version: facts.version,
            capabilities: facts.capabilities.into_iter().collect(),
        }
    }
}

impl From<PortRange> for wire::PortRange {
    fn from(range: PortRange) -> Self {
        Self {
            low: range.low.into(),
            high: range.high.into(),
        }
    }
}

impl TryFrom<wire::PortRange> for PortRange {
    type Error = Malformed;
    fn try_from(range: wire::PortRange) -> Result<Self, Malformed> {
        Ok(Self {
            low: small(range.low, "ports.low")?,
            high: small(range.high, "ports.high")?,
        })
    }
}

impl From<&Node> for wire::Node {
    fn from(node: &Node) -> Self {
        Self {
            facts: Some((&node.facts).into()),
            liveness: node.liveness.number(),
            scheduling: node.scheduling.number(),
            held: node.held.iter().map(|(k, v)| (k.clone(), v.into())).collect(),
            tasks: node.tasks.clone(),
            joined_at: node.joined_at,
            since: node.since,
            taints: node.taints.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::Node> for Node {
    type Error = Malformed;
    fn try_from(node: wire::Node) -> Result<Self, Malformed> {
        Ok(Self {
            facts: required(node.facts, "node.facts")?,
            liveness: Liveness::from_number(node.liveness)?,
            scheduling: Scheduling::from_number(node.scheduling)?,
            held: node.held.into_iter().map(|(k, v)| (k, v.into())).collect(),
            tasks: node.tasks,
            joined_at: node.joined_at,
            since: node.since,
            taints: each(node.taints)?,
        })
    }
}
