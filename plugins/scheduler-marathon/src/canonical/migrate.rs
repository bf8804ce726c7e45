//! Old forms of fields become new ones, and ports move to where the network mode wants them. What Marathon
//! drops silently here is dropped here too: port mappings on the host's network, port definitions on others.

use crate::app::{NetworkMode, PortDefinition, PortMapping};
use crate::refusal::Refusal;
use crate::request::fields::{AppFields, ContainerFields, DockerNetwork, MappingFields, NetworkFields};

/// Translates a whole app, with default ports.
///
/// # Errors
/// `Contradiction` when mapped ports are given in both forms.
pub fn whole(fields: AppFields) -> Result<AppFields, Refusal> {
    let mut fields = translate(fields)?;
    let mode = fields
        .networks
        .as_ref()
        .and_then(|n| n.first())
        .map_or(NetworkMode::Host, |n| n.mode);
    let defined = fields.port_definitions.take();
    match mode {
        NetworkMode::Host => {
            if let Some(container) = &mut fields.container {
                container.port_mappings = None;
            }
            fields.port_definitions = Some(defined.unwrap_or_else(|| vec![PortDefinition::default_port()]));
        }
        NetworkMode::Bridge => {
            if let Some(container) = &mut fields.container {
                let mappings = container
                    .port_mappings
                    .get_or_insert_with(|| vec![PortMapping::default_port().into()]);
                let missing = defined.map_or(0, |d| d.len()).saturating_sub(mappings.len());
                mappings.extend((0..missing).map(|_| MappingFields::default()));
            }
        }
    }
    Ok(fields)
}

/// Translates a change: no defaults, those come once it is laid over the app.
///
/// # Errors
/// As [`whole`].
pub fn translate(mut fields: AppFields) -> Result<AppFields, Refusal> {
    if let Some(container) = &mut fields.container {
        move_mappings(container)?;
        if let Some(old) = container.docker_network.take() {
            let mode = match old {
                DockerNetwork::Host => NetworkMode::Host,
                DockerNetwork::Bridge => NetworkMode::Bridge,
            };
            if fields.networks.as_ref().is_some_and(|n| !n.is_empty()) {
                return Err(Refusal::Contradiction(
                    "cannot mix deprecated and canonical network APIs".to_owned(),
                ));
            }
            fields.networks = Some(vec![NetworkFields { mode, name: None }]);
        }
    }
    let ports = fields.ports.take();
    if fields.port_definitions.is_none() {
        fields.port_definitions = ports.map(|ports| {
            ports
                .into_iter()
                .map(|port| PortDefinition {
                    port,
                    ..PortDefinition::default()
                })
                .collect()
        });
    }
    Ok(fields)
}

fn move_mappings(container: &mut ContainerFields) -> Result<(), Refusal> {
    let Some(old) = container.docker_port_mappings.take() else {
        return Ok(());
    };
    match (&container.port_mappings, old.is_empty()) {
        (Some(_), false) => Err(Refusal::Contradiction(
            "cannot specify both portMappings and docker.portMappings".to_owned(),
        )),
        (Some(_), true) => Ok(()),
        (None, _) => {
            container.port_mappings = Some(old);
            Ok(())
        }
    }
}
