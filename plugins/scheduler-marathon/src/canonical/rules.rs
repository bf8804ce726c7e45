//! Rules on an app whose old forms are translated.

use crate::app::{Engine, NetworkMode, Protocol, Unreachable, UpgradeStrategy};
use crate::canonical::{Canonical, Violations, checks};
use crate::constraints::Constraint;
use crate::path::{AppId, ENDS_RESERVED};
use crate::request::fields::{AppFields, ContainerFields};
use crate::request::reader::NOT_SUPPORTED;
use std::collections::{BTreeMap, BTreeSet};

/// Checks `fields`, which [`crate::canonical::migrate::whole`] made.
pub fn check(fields: &AppFields, v: &mut Violations) {
    check_id(fields, v);
    check_command(fields, v);
    check_ports(fields, v);
    check_networks(fields, v);
    check_roles(fields, v);
    check_labels(fields, v);
    checks::check(fields, v);
    for words in fields.constraints.iter().flatten() {
        if let Err(fault) = Constraint::read(words) {
            v.require(false, "/constraints", fault);
        }
    }
    if let Some(container) = &fields.container {
        check_container(container, v);
    }
    let named = fields.env.iter().flatten().enumerate();
    for (i, (name, _)) in named {
        v.require(!name.is_empty(), &format!("/env/keys({i})"), "must not be empty");
        let sound = !name.contains(['=', '\0']);
        v.require(
            sound,
            &format!("/env/keys({i})"),
            "must contain neither '=' nor NUL",
        );
    }
}

/// Checks what only the finished app shows.
pub fn check_model(app: &Canonical, v: &mut Violations) {
    let upgrade = app.config.upgrade;
    let may_overlap = upgrade.maximum_over_capacity != 0.0 || upgrade.minimum_health_capacity != 0.0;
    if is_single_instance(&app.config.labels) && may_overlap {
        v.require(false, "/isSingleInstance", "must be false");
        check_single_upgrade(upgrade, v);
    }
    if let Unreachable::After {
        inactive_seconds,
        expunge_seconds,
    } = app.config.unreachable
    {
        v.require(
            inactive_seconds <= expunge_seconds,
            "/unreachableStrategy",
            format!(
                "inactiveAfterSeconds ({inactive_seconds}) must be less or equal to expungeAfterSeconds, \
                 which is {expunge_seconds}"
            ),
        );
    }
}

/// Whether no name comes twice.
pub fn unique_names<'a>(names: impl Iterator<Item = &'a str>) -> bool {
    let mut seen = BTreeSet::new();
    names.into_iter().all(|name| seen.insert(name))
}

fn check_id(fields: &AppFields, v: &mut Violations) {
    let id = AppId::from_root(fields.id.as_deref().unwrap_or_default());
    v.require(
        !id.is_root(),
        "/id",
        "Path must contain at least one path element",
    );
    v.require(!id.is_root(), "/", "must not be root");
    v.require(!id.ends_reserved(), "/id", ENDS_RESERVED);
}

fn check_command(fields: &AppFields, v: &mut Violations) {
    let cmd = fields.cmd.is_some();
    let args = fields.args.as_ref().is_some_and(|a| !a.is_empty());
    let image = fields.container.as_ref().is_some_and(|c| c.docker.is_some());
    v.require(
        (cmd != args) || (!cmd && image),
        "/",
        "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'.",
    );
    v.require(
        fields.cmd.as_ref().is_none_or(|c| c.chars().count() > 1),
        "/",
        "must not be an empty string",
    );
    let text = fields.cmd.iter().chain(fields.args.iter().flatten());
    v.require(
        text.into_iter().all(|t| !t.contains('\0')),
        "/",
        "cmd and args must not contain NUL",
    );
}

fn check_ports(fields: &AppFields, v: &mut Violations) {
    if let Some(definitions) = &fields.port_definitions {
        let names = definitions.iter().filter_map(|d| d.name.as_deref());
        v.require(
            unique_names(names),
            "/portDefinitions",
            "Port names must be unique.",
        );
        let fixed: Vec<_> = definitions.iter().map(|d| d.port).filter(|p| *p != 0).collect();
        let distinct = fixed.iter().collect::<BTreeSet<_>>().len();
        v.require(
            distinct == fixed.len(),
            "/portDefinitions",
            "Ports must be unique.",
        );
    }
    if let Some(mappings) = fields.container.as_ref().and_then(|c| c.port_mappings.as_ref()) {
        let names = mappings.iter().filter_map(|m| m.name.as_deref());
        v.require(
            unique_names(names),
            "/container/portMappings",
            "Port names must be unique.",
        );
        let mut held = BTreeSet::new();
        let distinct = mappings.iter().all(|m| match m.host_port {
            None | Some(0) => true,
            Some(port) => transports(m.protocol).iter().all(|t| held.insert((port, *t))),
        });
        v.require(distinct, "/container/portMappings", "Host ports must be unique.");
    }
}

/// The transports that a port holds.
fn transports(protocol: Protocol) -> &'static [Protocol] {
    match protocol {
        Protocol::Tcp => &[Protocol::Tcp],
        Protocol::Udp => &[Protocol::Udp],
        Protocol::Both => &[Protocol::Tcp, Protocol::Udp],
    }
}

fn check_networks(fields: &AppFields, v: &mut Violations) {
    let networks = fields.networks.as_deref().unwrap_or_default();
    let named = |mode| {
        networks
            .iter()
            .any(|n| n.mode == mode && n.name.as_ref().is_some_and(|s| !s.is_empty()))
    };
    v.require(
        !named(NetworkMode::Host),
        "/networks",
        "Host networks may not have names or labels",
    );
    v.require(
        !named(NetworkMode::Bridge),
        "/networks",
        "Bridge networks may not have names",
    );
    v.require(
        networks.len() <= 1,
        "/networks",
        "May specify a single host network, single bridge network, or else 1-to-n container networks",
    );
    let bridge = networks.iter().any(|n| n.mode == NetworkMode::Bridge);
    let image = fields.container.as_ref().is_some_and(|c| c.docker.is_some());
    v.require(
        !bridge || image,
        "/networks",
        format!("a container/bridge network without an image (container.docker) {NOT_SUPPORTED}"),
    );
}

fn check_roles(fields: &AppFields, v: &mut Violations) {
    let Some(roles) = &fields.accepted_resource_roles else {
        return;
    };
    v.require(!roles.is_empty(), "/acceptedResourceRoles", "must not be empty");
    v.require(
        roles.iter().all(|role| role == "*"),
        "/acceptedResourceRoles",
        format!("a role other than \"*\" {NOT_SUPPORTED}: the pool has one role"),
    );
}

fn check_container(container: &ContainerFields, v: &mut Violations) {
    let docker = container.docker.as_ref();
    v.require(
        docker.is_some() || container.engine != Engine::Docker,
        "/container/docker",
        "not defined",
    );
    v.require(
        docker.is_some() || container.volumes.is_empty(),
        "/container/volumes",
        format!("volumes without an image (container.docker) {NOT_SUPPORTED}"),
    );
    for (i, volume) in container.volumes.iter().enumerate() {
        for (name, path) in [
            ("hostPath", &volume.host_path),
            ("containerPath", &volume.container_path),
        ] {
            let at = format!("/container/volumes({i})/{name}");
            v.require(
                path.starts_with('/'),
                &at,
                format!("a relative path {NOT_SUPPORTED}"),
            );
        }
    }
    let privileged_mesos = container.engine == Engine::Mesos && docker.is_some_and(|d| d.privileged);
    v.require(
        !privileged_mesos,
        "/container/docker/privileged",
        "is supported only with the Docker containerizer",
    );
}

const SINGLE_INSTANCE: &str = "MARATHON_SINGLE_INSTANCE_APP";
const MIGRATION_VERSION: &str = "DCOS_MIGRATION_API_VERSION";
const MIGRATION_PATH: &str = "DCOS_MIGRATION_API_PATH";
const FRAMEWORK_NAME: &str = "DCOS_PACKAGE_FRAMEWORK_NAME";

fn is_single_instance(labels: &BTreeMap<String, String>) -> bool {
    labels.get(SINGLE_INSTANCE).is_some_and(|value| value == "true")
}

/// An app of which there may never be two cannot be replaced while it runs.
fn check_single_upgrade(upgrade: UpgradeStrategy, v: &mut Violations) {
    for (name, got) in [
        ("maximumOverCapacity", upgrade.maximum_over_capacity),
        ("minimumHealthCapacity", upgrade.minimum_health_capacity),
    ] {
        let at = format!("/upgradeStrategy/{name}");
        v.require(got == 0.0, &at, format!("got {got:?}, expected 0.0"));
    }
}

/// Labels that mean something to Marathon itself.
fn check_labels(fields: &AppFields, v: &mut Violations) {
    let empty = BTreeMap::new();
    let labels = fields.labels.as_ref().unwrap_or(&empty);
    let filled = |name: &str| labels.get(name).is_some_and(|value| !value.is_empty());
    if filled(MIGRATION_VERSION) {
        let complete = labels
            .get(MIGRATION_VERSION)
            .is_some_and(|version| version == "v1")
            && filled(FRAMEWORK_NAME)
            && filled(MIGRATION_PATH);
        v.require(
            complete,
            "/",
            "DCOS_PACKAGE_FRAMEWORK_NAME and DCOS_MIGRATION_API_PATH must be defined when using \
             DCOS_MIGRATION_API_VERSION",
        );
    }
    if is_single_instance(labels) {
        v.require(
            fields.instances.unwrap_or(1) <= 1,
            "/",
            "Single instance app may only have one instance",
        );
        if let Some(upgrade) = fields.upgrade {
            check_single_upgrade(upgrade, v);
        }
    }
}
