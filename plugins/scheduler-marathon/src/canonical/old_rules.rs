//! Rules on old forms of fields and how they meet the new ones.

use crate::app::Engine;
use crate::canonical::Violations;
use crate::canonical::rules::unique_names;
use crate::request::fields::{AppFields, ContainerFields};
use std::collections::BTreeSet;

/// Checks `fields` before anything is translated.
pub fn check(fields: &AppFields, v: &mut Violations) {
    if let Some(container) = &fields.container {
        check_container(container, v);
    }
    let docker_network = fields
        .container
        .as_ref()
        .is_some_and(|c| c.docker_network.is_some());
    let networks = fields.networks.as_ref().is_some_and(|n| !n.is_empty());
    v.require(
        !(docker_network && networks),
        "/",
        "must not specify both container.docker.network and networks",
    );
    let Some(ports) = &fields.ports else { return };
    let fixed: Vec<_> = ports.iter().filter(|p| **p != 0).collect();
    v.require(
        fixed.iter().collect::<BTreeSet<_>>().len() == fixed.len(),
        "/",
        "ports must be unique",
    );
    if let Some(definitions) = &fields.port_definitions {
        v.require(
            definitions.iter().map(|d| d.port).eq(ports.iter().copied()),
            "/",
            "cannot specify both ports and port definitions",
        );
    }
}

fn check_container(container: &ContainerFields, v: &mut Violations) {
    if container.engine == Engine::Mesos && container.docker.is_some() {
        v.require(
            container.docker_network.is_none(),
            "/container/docker/network",
            "must be empty",
        );
        let mapped = container.docker_port_mappings.is_some();
        v.require(!mapped, "/container/docker/portMappings", "must be empty");
    }
    if let Some(mappings) = &container.docker_port_mappings {
        let names = mappings.iter().filter_map(|m| m.name.as_deref());
        v.require(
            unique_names(names),
            "/container/docker/portMappings",
            "Port names must be unique.",
        );
    }
}
