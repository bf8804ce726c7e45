//! Defaults, and the one type in which an app is known from here on.

use crate::app::{Backoff, Config, Container};
use crate::canonical::Canonical;
use crate::checks::HealthCheck;
use crate::constraints::Constraint;
use crate::path::AppId;
use crate::request::fields::{AppFields, ContainerFields};
use std::collections::BTreeSet;

/// Fills in every default of `fields`, whose ports stand where the network mode wants them.
#[must_use]
pub fn finish(fields: AppFields) -> Canonical {
    let network = fields
        .networks
        .as_ref()
        .and_then(|n| n.first())
        .map(|n| n.mode)
        .unwrap_or_default();
    let host = fields.port_definitions.is_some();
    Canonical {
        id: AppId::from_root(fields.id.as_deref().unwrap_or_default()),
        instances: fields.instances.unwrap_or(1),
        config: Config {
            cmd: fields.cmd,
            args: fields.args.unwrap_or_default(),
            user: fields.user,
            env: fields.env.unwrap_or_default(),
            cpus: fields.cpus.unwrap_or(1.0),
            mem: fields.mem.unwrap_or(128.0),
            disk: fields.disk.unwrap_or(0.0),
            executor: fields.executor.unwrap_or_default(),
            port_definitions: fields.port_definitions,
            require_ports: host && fields.require_ports.unwrap_or(false),
            backoff: Backoff {
                seconds: fields.backoff_seconds.unwrap_or(1),
                factor: fields.backoff_factor.unwrap_or(1.15),
                max_seconds: fields.max_launch_delay_seconds.unwrap_or(300),
            },
            container: fields.container.map(container),
            kill_grace_seconds: fields.kill_grace_seconds,
            upgrade: fields.upgrade.unwrap_or_default(),
            labels: fields.labels.unwrap_or_default(),
            dependencies: paths(fields.dependencies),
            accepted_resource_roles: fields.accepted_resource_roles,
            network,
            unreachable: fields.unreachable.unwrap_or_default(),
            kill_selection: fields.kill_selection.unwrap_or_default(),
            constraints: constraints(fields.constraints),
            health_checks: fields
                .health_checks
                .unwrap_or_default()
                .into_iter()
                .map(health)
                .collect(),
            readiness_checks: fields.readiness_checks.unwrap_or_default(),
        },
    }
}

/// What a group has not made absolute already is meant from the root.
fn paths(given: Option<Vec<String>>) -> BTreeSet<AppId> {
    given
        .iter()
        .flatten()
        .map(|path| AppId::from_root(path))
        .collect()
}

/// Those that the rules have found well written, each once.
fn constraints(given: Option<Vec<Vec<String>>>) -> Vec<Constraint> {
    let mut constraints = Vec::new();
    for one in given
        .iter()
        .flatten()
        .filter_map(|words| Constraint::read(words).ok())
    {
        if !constraints.contains(&one) {
            constraints.push(one);
        }
    }
    constraints
}

/// What Marathon leaves out of a check: the delay of its own, the path of what is no GET.
fn health(check: HealthCheck) -> HealthCheck {
    HealthCheck {
        path: check.path.filter(|_| check.protocol.is_http()),
        delay_seconds: if check.protocol.is_of_node() {
            check.delay_seconds
        } else {
            HealthCheck::DEFAULT_DELAY
        },
        ..check
    }
}

fn container(fields: ContainerFields) -> Container {
    Container {
        engine: fields.engine,
        docker: fields.docker,
        volumes: fields.volumes,
        port_mappings: fields
            .port_mappings
            .map(|ports| ports.into_iter().map(Into::into).collect()),
    }
}
