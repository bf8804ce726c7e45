//! An app lowered to what the pool runs: one spec and one set of terms per configuration, shared by all of
//! its tasks; what differs from task to task stands in it as placeholders.

use crate::app::{App, Config, Engine, NetworkMode, Protocol, Unreachable, VolumeMode};
use crate::constraints;
use crate::env;
use crate::path::AppId;
use crate::probes;
use plenum_model::amounts::Amounts;
use plenum_model::claim::{HostPort, LostAfter, PortAsk, Protocol as Transport, Terms, Workload};
use plenum_model::ids::TenantPath;
use plenum_model::spec::{Caps, ContainerSpec, Image, Mount, MountSource, Network, Pull, TaskSpec};
use plenum_model::template::Template;
use serde::{Deserialize, Serialize};

/// The runtime of plain commands.
pub const PROCESS: &str = "process";
/// The runtime of images.
pub const DOCKER: &str = "docker";
/// Milliseconds from `SIGTERM` to `SIGKILL` when the app does not say: what DC/OS gives.
const DEFAULT_GRACE_MS: u64 = 3_000;
/// Marathon counts memory and disk in MiB.
const MIB: f64 = 1_048_576.0;

/// Who is charged for an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TenantRule {
    /// The top-level group; an app in none belongs to `default`.
    TopLevelGroup,
    /// Always this one.
    Fixed(TenantPath),
}

impl TenantRule {
    /// The tenant of `app`.
    #[must_use]
    pub fn tenant(&self, app: &AppId) -> TenantPath {
        let default = || TenantPath::new("default").expect("a constant that keeps the rules of names");
        match (self, app.segments()) {
            (Self::Fixed(tenant), _) => tenant.clone(),
            (Self::TopLevelGroup, [group, _, ..]) => TenantPath::new(group).unwrap_or_else(|_| default()),
            (Self::TopLevelGroup, _) => default(),
        }
    }
}

/// How much more cpu than its share a task may use when nobody else wants it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CpuCap {
    /// As much as is idle: a share only.
    #[default]
    Share,
    /// A hard quota of what it asked for.
    Quota,
}

/// What the pool runs for each task of `app`.
#[must_use]
pub fn spec(app: &App, cpu_cap: CpuCap) -> TaskSpec {
    let config = &app.config;
    let (entrypoint, args) = command(config);
    let container = ContainerSpec {
        name: "main".to_owned(),
        runtime: runtime(config).to_owned(),
        image: config.docker().map(|d| Image {
            reference: d.image.clone(),
            pull: if d.force_pull_image {
                Pull::Always
            } else {
                Pull::IfMissing
            },
        }),
        entrypoint,
        args,
        env: env::of(app),
        user: config.user.clone(),
        caps: caps(config, cpu_cap),
        mounts: mounts(config),
        stop_grace_ms: config
            .kill_grace_seconds
            .map_or(DEFAULT_GRACE_MS, |s| u64::from(s) * 1000),
        privileged: config.docker().is_some_and(|d| d.privileged),
        probes: probes::of(config),
        ..ContainerSpec::default()
    };
    let network = match config.network {
        NetworkMode::Host => Network::Host,
        NetworkMode::Bridge => Network::Bridge,
    };
    TaskSpec {
        containers: vec![container],
        network,
        ..TaskSpec::default()
    }
}

/// What all tasks of `app` in its present configuration share. A node is given up after `node_timeout_ms`.
#[must_use]
pub fn terms(app: &App, uid: &str, tenant: TenantPath, spec: &TaskSpec, node_timeout_ms: u64) -> Terms {
    let config = &app.config;
    Terms {
        workload: Workload {
            uid: uid.to_owned(),
            name: app.id.to_string(),
            kind: "app".to_owned(),
            version: app.config_version().to_string(),
        },
        tenant,
        charge: Amounts::task(millis(config.cpus), mib(config.mem), mib(config.disk)),
        devices: [].into(),
        ports: ports(config),
        spec: spec.id(),
        labels: config.labels.clone(),
        desired: plenum_model::claim::Desired::Running,
        rules: constraints::rules(&config.constraints),
        lost_after: lost_after(config.unreachable, node_timeout_ms),
        priority: plenum_model::claim::Priority::default(),
        may_preempt: false,
        budget: None,
        files: Vec::new(),
        keep_ended: 0,
    }
}

/// Which runtime runs it.
#[must_use]
pub fn runtime(config: &Config) -> &'static str {
    if config.docker().is_some() {
        DOCKER
    } else {
        PROCESS
    }
}

fn command(config: &Config) -> (Option<Vec<Template>>, Option<Vec<Template>>) {
    let texts = |args: &[String]| {
        args.iter()
            .map(|a| Template::text(a.as_str()))
            .collect::<Vec<_>>()
    };
    match (&config.cmd, config.docker()) {
        (Some(cmd), _) => (
            Some(vec!["/bin/sh".into()]),
            Some(vec!["-c".into(), cmd.as_str().into()]),
        ),
        (None, None) => (Some(texts(&config.args)), None),
        (None, Some(_)) => (None, (!config.args.is_empty()).then(|| texts(&config.args))),
    }
}

fn caps(config: &Config, cpu_cap: CpuCap) -> Caps {
    let cpu = millis(config.cpus);
    Caps {
        cpu_weight_millis: Some(cpu),
        cpu_limit_millis: match cpu_cap {
            CpuCap::Share => None,
            CpuCap::Quota => Some(cpu),
        },
        memory_limit_bytes: Some(mib(config.mem).max(MIN_MEMORY)),
        pids: None,
    }
}

/// What Mesos gives a container at the very least: below it nothing starts.
const MIN_MEMORY: u64 = 32 << 20;

fn mounts(config: &Config) -> Vec<Mount> {
    let volumes = config.container.iter().flat_map(|c| &c.volumes);
    volumes
        .map(|v| Mount {
            target: v.container_path.clone(),
            source: MountSource::Host(v.host_path.clone()),
            read_only: v.mode == VolumeMode::ReadOnly,
        })
        .collect()
}

/// The host ports asked for, in the order of the app's ports.
#[must_use]
pub fn ports(config: &Config) -> Vec<PortAsk> {
    let host = |port: u16| {
        if port == 0 {
            HostPort::Dynamic
        } else {
            HostPort::Fixed(port)
        }
    };
    match config.network {
        NetworkMode::Host => config
            .port_definitions
            .iter()
            .flatten()
            .map(|p| PortAsk {
                name: p.name.clone().unwrap_or_default(),
                protocol: transport(p.protocol),
                host: host(if config.require_ports { p.port } else { 0 }),
                container: None,
            })
            .collect(),
        NetworkMode::Bridge => config
            .port_mappings()
            .iter()
            .map(|p| PortAsk {
                name: p.name.clone().unwrap_or_default(),
                protocol: transport(p.protocol),
                host: host(p.host_port),
                container: (p.container_port != 0).then_some(p.container_port),
            })
            .collect(),
    }
}

fn transport(protocol: Protocol) -> Transport {
    match protocol {
        Protocol::Tcp => Transport::Tcp,
        Protocol::Udp => Transport::Udp,
        Protocol::Both => Transport::Both,
    }
}

/// As in DC/OS an app's own seconds are counted from when the node itself is given up.
fn lost_after(unreachable: Unreachable, node_timeout_ms: u64) -> LostAfter {
    match unreachable {
        Unreachable::Disabled => LostAfter::Never,
        Unreachable::After { expunge_seconds, .. } => {
            LostAfter::Millis(node_timeout_ms + u64::from(expunge_seconds) * 1000)
        }
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a saturating cast of a positive double
fn millis(cpus: f64) -> u64 {
    (cpus * 1000.0).round() as u64
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a saturating cast of a positive double
fn mib(mib: f64) -> u64 {
    (mib * MIB).round() as u64
}

/// Which engine an image runs on: both run on the pool's one runtime of images.
#[must_use]
pub fn is_docker_engine(config: &Config) -> bool {
    config
        .container
        .as_ref()
        .is_some_and(|c| c.engine == Engine::Docker)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::app_at;

    fn words(templates: Option<&Vec<Template>>) -> Vec<String> {
        templates.into_iter().flatten().map(ToString::to_string).collect()
    }

    #[test]
    fn commands_and_arguments_go_where_the_runtime_wants_them() {
        for (app, runtime, entrypoint, args) in [
            (
                r#"{"id":"a","cmd":"echo $X"}"#,
                PROCESS,
                &["/bin/sh"][..],
                &["-c", "echo $X"][..],
            ),
            (
                r#"{"id":"a","args":["/bin/echo","x"]}"#,
                PROCESS,
                &["/bin/echo", "x"],
                &[],
            ),
            (
                r#"{"id":"a","container":{"docker":{"image":"i"}}}"#,
                DOCKER,
                &[],
                &[],
            ),
            (
                r#"{"id":"a","args":["x"],"container":{"docker":{"image":"i"}}}"#,
                DOCKER,
                &[],
                &["x"],
            ),
            (
                r#"{"id":"a","cmd":"ls /","container":{"docker":{"image":"i"}}}"#,
                DOCKER,
                &["/bin/sh"],
                &["-c", "ls /"],
            ),
        ] {
            let spec = spec(&app_at(app, 0), CpuCap::Share);
            let c = &spec.containers[0];
            assert_eq!(c.runtime, runtime, "{app}");
            assert_eq!(words(c.entrypoint.as_ref()), entrypoint, "{app}");
            assert_eq!(words(c.args.as_ref()), args, "{app}");
        }
    }

    #[test]
    fn charge_caps_and_ports_are_what_the_app_says() {
        let app = app_at(
            r#"{"id":"g/a","cpus":0.25,"mem":64,"disk":1,"container":{"docker":{"image":"i","network":"BRIDGE",
                "portMappings":[{"containerPort":80,"name":"http"},{"hostPort":9000,"protocol":"udp,tcp"}]}}}"#,
            0,
        );
        let spec = spec(&app, CpuCap::Quota);
        let tenant = TenantRule::TopLevelGroup.tenant(&app.id);
        let terms = terms(&app, "uid", tenant, &spec, 300_000);
        assert_eq!(terms.lost_after, LostAfter::Millis(300_000));
        assert_eq!(terms.charge, Amounts::task(250, 64 << 20, 1 << 20));
        assert_eq!(terms.tenant.as_str(), "g");
        assert_eq!(spec.containers[0].caps.cpu_limit_millis, Some(250));
        assert_eq!(
            terms.ports,
            [
                PortAsk {
                    name: "http".into(),
                    protocol: Transport::Tcp,
                    host: HostPort::Dynamic,
                    container: Some(80)
                },
                PortAsk {
                    name: String::new(),
                    protocol: Transport::Both,
                    host: HostPort::Fixed(9000),
                    container: None
                },
            ]
        );
    }

    #[test]
    fn required_ports_are_fixed_and_others_any() {
        let text = r#"{"id":"a","cmd":"xx","portDefinitions":[{"port":8080}],"requirePorts":REQ}"#;
        for (required, host) in [("true", HostPort::Fixed(8080)), ("false", HostPort::Dynamic)] {
            let app = app_at(&text.replace("REQ", required), 0);
            assert_eq!(ports(&app.config)[0].host, host);
        }
    }

    #[test]
    fn scaling_changes_neither_spec_nor_version_of_the_workload() {
        let one = app_at(r#"{"id":"a","cmd":"xx"}"#, 5);
        let mut two = one.clone();
        two.instances = 7;
        two.version = two.version.plus_ms(9);
        assert_eq!(spec(&one, CpuCap::Share).id(), spec(&two, CpuCap::Share).id());
    }

    #[test]
    fn a_tenant_is_the_top_level_group_or_the_default() {
        for (id, tenant) in [("/a", "default"), ("/g/a", "g"), ("/g/h/a", "g")] {
            assert_eq!(
                TenantRule::TopLevelGroup.tenant(&AppId::from_root(id)).as_str(),
                tenant
            );
        }
        let fixed = TenantRule::Fixed(TenantPath::new("team/x").unwrap());
        assert_eq!(fixed.tenant(&AppId::from_root("/g/a")).as_str(), "team/x");
    }
}
