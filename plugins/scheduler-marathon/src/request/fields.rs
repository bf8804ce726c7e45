//! The fields of an app as a request gave them: nothing filled in yet, old and new forms side by side.

use crate::app::{
    App, Docker, Engine, HostVolume, KillSelection, NetworkMode, PortDefinition, PortMapping, Protocol,
    Unreachable, UpgradeStrategy,
};
use crate::checks::{HealthCheck, ReadinessCheck};
use crate::constraints::Constraint;
use std::collections::BTreeMap;

/// Every field optional: what was not sent (or was `null`) is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AppFields {
    /// As written, maybe relative.
    pub id: Option<String>,
    /// A shell command.
    pub cmd: Option<String>,
    /// Arguments.
    pub args: Option<Vec<String>>,
    /// User.
    pub user: Option<String>,
    /// Plain environment.
    pub env: Option<BTreeMap<String, String>>,
    /// Count.
    pub instances: Option<u32>,
    /// Cores.
    pub cpus: Option<f64>,
    /// MiB.
    pub mem: Option<f64>,
    /// MiB.
    pub disk: Option<f64>,
    /// Executor.
    pub executor: Option<String>,
    /// Host ports.
    pub port_definitions: Option<Vec<PortDefinition>>,
    /// Host ports, the old form.
    pub ports: Option<Vec<u16>>,
    /// Exactly these host ports.
    pub require_ports: Option<bool>,
    /// Seconds.
    pub backoff_seconds: Option<u32>,
    /// Factor.
    pub backoff_factor: Option<f64>,
    /// Seconds.
    pub max_launch_delay_seconds: Option<u32>,
    /// Container.
    pub container: Option<ContainerFields>,
    /// Networks, the new form.
    pub networks: Option<Vec<NetworkFields>>,
    /// Seconds.
    pub kill_grace_seconds: Option<u32>,
    /// Both fractions.
    pub upgrade: Option<UpgradeStrategy>,
    /// Labels.
    pub labels: Option<BTreeMap<String, String>>,
    /// As written, maybe relative.
    pub dependencies: Option<Vec<String>>,
    /// Roles.
    pub accepted_resource_roles: Option<Vec<String>>,
    /// Kill selection.
    pub kill_selection: Option<KillSelection>,
    /// Unreachable strategy.
    pub unreachable: Option<Unreachable>,
    /// Constraints, as written.
    pub constraints: Option<Vec<Vec<String>>>,
    /// Health checks.
    pub health_checks: Option<Vec<HealthCheck>>,
    /// Readiness checks.
    pub readiness_checks: Option<Vec<ReadinessCheck>>,
    /// Alone with `id` it means: roll back to that version.
    pub version: Option<String>,
}

/// `container`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContainerFields {
    /// `type`.
    pub engine: Engine,
    /// The image.
    pub docker: Option<Docker>,
    /// `docker.network`, the old form of `networks`.
    pub docker_network: Option<DockerNetwork>,
    /// `docker.portMappings`, the old form.
    pub docker_port_mappings: Option<Vec<MappingFields>>,
    /// Directories of the node.
    pub volumes: Vec<HostVolume>,
    /// Mapped ports.
    pub port_mappings: Option<Vec<MappingFields>>,
}

/// A mapped port whose host port may not have been given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MappingFields {
    /// 0: as the host port.
    pub container_port: u16,
    /// 0: any; none: not said.
    pub host_port: Option<u16>,
    /// 0: assign one.
    pub service_port: u16,
    /// Transport.
    pub protocol: Protocol,
    /// Name.
    pub name: Option<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// The values of `container.docker.network` that are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DockerNetwork {
    /// `HOST`.
    Host,
    /// `BRIDGE`.
    Bridge,
}

/// An element of `networks`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkFields {
    /// Which kind; modes that are not served were refused while reading.
    pub mode: NetworkMode,
    /// Its name.
    pub name: Option<String>,
}

impl AppFields {
    /// The fields that `app` would be sent as, without its version.
    #[must_use]
    pub fn of(app: &App) -> Self {
        let config = app.config.clone();
        Self {
            id: Some(app.id.to_string()),
            cmd: config.cmd,
            args: Some(config.args),
            user: config.user,
            env: Some(config.env),
            instances: Some(app.instances),
            cpus: Some(config.cpus),
            mem: Some(config.mem),
            disk: Some(config.disk),
            executor: Some(config.executor),
            port_definitions: config.port_definitions,
            ports: None,
            require_ports: Some(config.require_ports),
            backoff_seconds: Some(config.backoff.seconds),
            backoff_factor: Some(config.backoff.factor),
            max_launch_delay_seconds: Some(config.backoff.max_seconds),
            container: config.container.map(|c| ContainerFields {
                engine: c.engine,
                docker: c.docker,
                docker_network: None,
                docker_port_mappings: None,
                volumes: c.volumes,
                port_mappings: c
                    .port_mappings
                    .map(|ports| ports.into_iter().map(Into::into).collect()),
            }),
            networks: Some(vec![NetworkFields {
                mode: config.network,
                name: None,
            }]),
            kill_grace_seconds: config.kill_grace_seconds,
            upgrade: Some(config.upgrade),
            labels: Some(config.labels),
            dependencies: Some(config.dependencies.iter().map(ToString::to_string).collect()),
            accepted_resource_roles: config.accepted_resource_roles,
            kill_selection: Some(config.kill_selection),
            unreachable: Some(config.unreachable),
            constraints: Some(config.constraints.iter().map(Constraint::words).collect()),
            health_checks: Some(config.health_checks),
            readiness_checks: Some(config.readiness_checks),
            version: None,
        }
    }

    /// These fields where they were sent, those of `base` elsewhere.
    #[must_use]
    pub fn over(self, base: Self) -> Self {
        Self {
            id: base.id.or(self.id),
            cmd: self.cmd.or(base.cmd),
            args: self.args.or(base.args),
            user: self.user.or(base.user),
            env: self.env.or(base.env),
            instances: self.instances.or(base.instances),
            cpus: self.cpus.or(base.cpus),
            mem: self.mem.or(base.mem),
            disk: self.disk.or(base.disk),
            executor: self.executor.or(base.executor),
            port_definitions: self.port_definitions.or(base.port_definitions),
            ports: self.ports.or(base.ports),
            require_ports: self.require_ports.or(base.require_ports),
            backoff_seconds: self.backoff_seconds.or(base.backoff_seconds),
            backoff_factor: self.backoff_factor.or(base.backoff_factor),
            max_launch_delay_seconds: self.max_launch_delay_seconds.or(base.max_launch_delay_seconds),
            container: self.container.or(base.container),
            networks: self.networks.or(base.networks),
            kill_grace_seconds: self.kill_grace_seconds.or(base.kill_grace_seconds),
            upgrade: self.upgrade.or(base.upgrade),
            labels: self.labels.or(base.labels),
            dependencies: self.dependencies.or(base.dependencies),
            accepted_resource_roles: self.accepted_resource_roles.or(base.accepted_resource_roles),
            kill_selection: self.kill_selection.or(base.kill_selection),
            unreachable: self.unreachable.or(base.unreachable),
            constraints: self.constraints.or(base.constraints),
            health_checks: self.health_checks.or(base.health_checks),
            readiness_checks: self.readiness_checks.or(base.readiness_checks),
            version: None,
        }
    }

    /// Whether nothing but `id` and `version` was sent.
    #[must_use]
    pub fn is_rollback_only(&self) -> bool {
        self.version.is_some()
            && *self
                == Self {
                    id: self.id.clone(),
                    version: self.version.clone(),
                    ..Self::default()
                }
    }
}

impl From<PortMapping> for MappingFields {
    fn from(p: PortMapping) -> Self {
        Self {
            container_port: p.container_port,
            host_port: Some(p.host_port),
            service_port: p.service_port,
            protocol: p.protocol,
            name: p.name,
            labels: p.labels,
        }
    }
}

impl From<MappingFields> for PortMapping {
    /// On a bridge a host port that was not said is any free one.
    fn from(p: MappingFields) -> Self {
        Self {
            container_port: p.container_port,
            host_port: p.host_port.unwrap_or(0),
            service_port: p.service_port,
            protocol: p.protocol,
            name: p.name,
            labels: p.labels,
        }
    }
}
