//! What an agent is told, from the configuration and the machine.

use crate::config::AgentSection;
use crate::failure::Failure;
use crate::layout;
use crate::nodes::{Machine, Share};
use plenum_agent::{AgentConfig, CapacityOverrides};
use plenum_model::amounts::Amounts;
use plenum_model::code;
use plenum_model::ids::NodeId;
use plenum_model::node::PortRange;
use plenum_model::taint::Taint;
use std::net::{ToSocketAddrs as _, UdpSocket};
use std::path::Path;

/// Dynamic host ports of an agent that has its machine to itself: below Linux' own ephemeral range.
const PORTS: PortRange = PortRange {
    low: 20_000,
    high: 32_767,
};

/// What this machine offers in all, for `plenum up` to share out.
///
/// # Errors
/// When the data directory cannot be made.
pub(crate) fn machine(section: &AgentSection, dir: &Path) -> Result<Machine, Failure> {
    make_dir(dir)?;
    let whole = AgentConfig {
        capacity: overrides(section),
        ..AgentConfig::new(node_name("machine")?, "127.0.0.1", PORTS, dir)
    };
    let Amounts {
        cpu_millis,
        memory_bytes,
        disk_bytes,
        ..
    } = plenum_agent::capacity(&whole);
    Ok(Machine {
        cpu_millis,
        memory_bytes,
        disk_bytes,
    })
}

/// One of several agents of this machine.
///
/// # Errors
/// When the data directory cannot be made.
pub(crate) fn of_share(section: &AgentSection, share: &Share, dir: &Path) -> Result<AgentConfig, Failure> {
    let data = layout::agent(dir, &share.name);
    make_dir(&data)?;
    let mut config = AgentConfig::new(node_name(&share.name)?, &share.address, share.ports, data);
    config.capacity = CapacityOverrides {
        cpu_millis: Some(share.cpu_millis),
        memory_bytes: Some(share.memory_bytes),
        disk_bytes: Some(share.disk_bytes),
        ..overrides(section)
    };
    config.system = system(section);
    config.attributes.clone_from(&section.attributes);
    config.taints = taints(section)?;
    Ok(config)
}

/// The one agent of this machine.
///
/// # Errors
/// When its name or address cannot be found, or its data directory not be made.
pub(crate) fn of_machine(section: &AgentSection, dir: &Path) -> Result<AgentConfig, Failure> {
    let name = match section.name.as_str() {
        "" => nix::unistd::gethostname()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default(),
        given => given.to_owned(),
    };
    let address = match section.address.as_str() {
        "" => route_to(&section.broker).ok_or_else(|| {
            let message = format!(
                "no route to the broker at `{}`, so this node's address is unknown",
                section.broker
            );
            Failure::say(code::CONFIG, message)
                .hint("--address ADDRESS      (where its tasks' ports are published)")
        })?,
        given => given.to_owned(),
    };
    let data = layout::agent(dir, &name);
    make_dir(&data)?;
    let ports = PortRange {
        low: if section.port_low == 0 {
            PORTS.low
        } else {
            section.port_low
        },
        high: if section.port_high == 0 {
            PORTS.high
        } else {
            section.port_high
        },
    };
    if ports.low > ports.high {
        let message = format!(
            "agent.port_low {} is above agent.port_high {}",
            ports.low, ports.high
        );
        return Err(Failure::say(code::CONFIG, message));
    }
    let mut config = AgentConfig::new(node_name(&name)?, address, ports, data);
    config.capacity = overrides(section);
    config.system = system(section);
    config.attributes.clone_from(&section.attributes);
    config.taints = taints(section)?;
    Ok(config)
}

fn node_name(name: &str) -> Result<NodeId, Failure> {
    NodeId::new(name).map_err(|e| Failure::new(code::CONFIG, &e).hint("--name NAME"))
}

fn overrides(section: &AgentSection) -> CapacityOverrides {
    let given = |n: u64| (n > 0).then_some(n);
    CapacityOverrides {
        cpu_millis: given(section.cpu_millis),
        memory_bytes: given(section.memory_bytes),
        disk_bytes: given(section.disk_bytes),
        slots: given(section.slots),
        ..CapacityOverrides::default()
    }
}

fn taints(section: &AgentSection) -> Result<Vec<Taint>, Failure> {
    let read = section.taints.iter().map(|text| text.parse::<Taint>());
    let mut taints = read
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| Failure::new(code::CONFIG, &e).hint("agent.taints = ['KEY=VALUE:EFFECT']"))?;
    taints.sort();
    taints.dedup();
    Ok(taints)
}

fn system(section: &AgentSection) -> Amounts {
    Amounts {
        cpu_millis: section.system_cpu_millis,
        memory_bytes: section.system_memory_bytes,
        ..Amounts::default()
    }
}

fn make_dir(dir: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|e| {
        Failure::say(
            code::CONFIG,
            format!("cannot make data directory `{}`: {e}", dir.display()),
        )
    })
}

/// The address from which this machine would talk to the broker. Nothing is sent: connecting a datagram socket
/// only looks at the routes.
fn route_to(broker: &str) -> Option<String> {
    let target = broker.split("://").last()?.trim_end_matches('/');
    let target = target.to_socket_addrs().ok()?.next()?;
    let any = if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(target).ok()?;
    Some(socket.local_addr().ok()?.ip().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_that_of_the_route_to_the_broker() {
        assert_eq!(route_to("http://127.0.0.1:7717").as_deref(), Some("127.0.0.1"));
        assert_eq!(route_to("nonsense"), None);
    }
}
