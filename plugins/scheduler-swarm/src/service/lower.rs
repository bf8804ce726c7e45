//! From a service to what the pool runs. The spec has been checked before.

use super::blob::bytes_key;
use super::record::ServiceRecord;
use super::spec::{self, ContainerSpec as Asked, FileTarget, Healthcheck, ServiceSpec, TaskTemplate};
use super::template;
use crate::config::SwarmConfig;
use crate::store::Desired;
use plenum_model::amounts::Amounts;
use plenum_model::claim::{FileRef, HostPort, LostAfter, PortAsk, Protocol, Terms, Workload};
use plenum_model::rules::Rules;
use plenum_model::spec::{
    Caps, Check, ContainerSpec, Image, LogLimits, Mount, MountSource, Network, OnFailure, Probe, Pull,
    Restart, TaskSpec,
};
use plenum_model::template::Template;
use std::collections::BTreeMap;

/// The runtime that has images of Docker's kind.
const RUNTIME: &str = "docker";
/// A health check's defaults, in nanoseconds.
const HEALTH_INTERVAL: i64 = 30_000_000_000;

/// What each task of a service runs.
#[must_use]
pub fn task_spec(record: &ServiceRecord) -> TaskSpec {
    let task = record.spec.task.clone().unwrap_or_default();
    let asked = task.container.clone().unwrap_or_default();
    let context = template::Context::of(record);
    let words = |words: &Option<Vec<String>>| {
        words
            .as_ref()
            .filter(|w| !w.is_empty())
            .map(|w| w.iter().map(|t| Template::text(t.as_str())).collect())
    };
    let container = ContainerSpec {
        name: "main".to_owned(),
        runtime: RUNTIME.to_owned(),
        image: asked.image.clone().map(|reference| Image {
            reference,
            pull: Pull::IfMissing,
        }),
        entrypoint: words(&asked.command),
        args: words(&asked.args),
        env: env(&asked, &context),
        workdir: text(&asked.dir),
        user: text(&asked.user),
        tty: asked.tty.unwrap_or(false),
        stdin: asked.stdin.unwrap_or(false),
        caps: caps(&task),
        mounts: asked.mounts.iter().flatten().filter_map(mount).collect(),
        probes: probes(asked.health.as_ref()),
        restart: Restart::Never,
        stop_signal: text(&asked.stop_signal),
        stop_grace_ms: millis(asked.stop_grace.unwrap_or(spec::STOP_GRACE)),
        logs: LogLimits::default(),
        privileged: false,
        labels: labels(record, &asked),
        ..ContainerSpec::default()
    };
    TaskSpec {
        containers: vec![container],
        network: Network::Bridge,
        hostname: text(&asked.hostname),
        ..TaskSpec::default()
    }
}

/// What all tasks of a version share, but for where they go.
#[must_use]
pub fn terms(
    record: &ServiceRecord,
    spec: &TaskSpec,
    rules: Rules,
    desired: &Desired,
    config: &SwarmConfig,
) -> Terms {
    let task = record.spec.task.clone().unwrap_or_default();
    let own = record.spec.labels.as_ref();
    let reserved = task.resources.as_ref().and_then(|r| r.reservations.as_ref());
    let amount = |n: Option<i64>| u64::try_from(n.unwrap_or(0)).unwrap_or(0);
    let cpu = reserved.map_or(0, |r| amount(r.nano_cpus)).div_ceil(1_000_000);
    let memory = reserved.map_or(0, |r| amount(r.memory));
    Terms {
        workload: Workload {
            uid: record.id.clone(),
            name: record.spec.name().to_owned(),
            kind: "service".to_owned(),
            version: record.version(),
        },
        tenant: config.tenant_of(|key| own.and_then(|l| l.get(key)).map(String::as_str)),
        charge: Amounts::task(cpu, memory, 0),
        devices: BTreeMap::new(),
        ports: ports(&record.spec),
        spec: spec.id(),
        labels: own.cloned().unwrap_or_default(),
        desired: plenum_model::claim::Desired::Running,
        rules,
        lost_after: LostAfter::Millis(config.node_timeout_ms()),
        priority: plenum_model::claim::Priority::default(),
        may_preempt: false,
        budget: None,
        files: files(task.container.as_ref(), desired),
        keep_ended: 0,
    }
}

fn text(text: &Option<String>) -> Option<String> {
    text.clone().filter(|t| !t.is_empty())
}

/// Nanoseconds in milliseconds.
#[must_use]
pub fn millis(nanos: i64) -> u64 {
    u64::try_from(nanos).unwrap_or(0) / 1_000_000
}

fn env(asked: &Asked, context: &template::Context<'_>) -> Vec<(String, Template)> {
    let pairs = asked.env.iter().flatten();
    pairs
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| {
            (
                name.to_owned(),
                context.expand(value).unwrap_or_else(|_| value.into()),
            )
        })
        .collect()
}

fn caps(task: &TaskTemplate) -> Caps {
    let limits = task
        .resources
        .as_ref()
        .and_then(|r| r.limits.clone())
        .unwrap_or_default();
    let positive = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0);
    Caps {
        cpu_weight_millis: None,
        cpu_limit_millis: positive(limits.nano_cpus).map(|n| n.div_ceil(1_000_000)),
        memory_limit_bytes: positive(limits.memory),
        pids: positive(limits.pids),
    }
}

fn mount(asked: &spec::Mount) -> Option<Mount> {
    let source = asked.source.clone().unwrap_or_default();
    let source = match asked.kind.as_deref() {
        Some("bind") => MountSource::Host(source),
        Some("tmpfs") => MountSource::Tmpfs(
            asked
                .tmpfs
                .as_ref()
                .and_then(|t| u64::try_from(t.size?).ok())
                .filter(|n| *n > 0),
        ),
        Some("volume" | "") | None => MountSource::Volume(source),
        Some(_) => return None,
    };
    Some(Mount {
        target: asked.target.clone()?,
        source,
        read_only: asked.read_only.unwrap_or(false),
    })
}

/// Without a check of its own the image's counts, unless that is switched off.
fn probes(health: Option<&Healthcheck>) -> Vec<Probe> {
    let own = health.filter(|h| h.test.as_ref().is_some_and(|t| !t.is_empty()));
    match own {
        None => vec![Probe::of_image(OnFailure::Fail)],
        Some(own) => probe(own).into_iter().collect(),
    }
}

fn probe(health: &Healthcheck) -> Option<Probe> {
    let (kind, words) = health.test.as_ref()?.split_first()?;
    let words: Vec<String> = match kind.as_str() {
        "CMD" => words.to_vec(),
        "CMD-SHELL" => vec!["/bin/sh".to_owned(), "-c".to_owned(), words.join(" ")],
        _ => return None,
    };
    let or = |given: Option<i64>, default: i64| given.filter(|n| *n > 0).unwrap_or(default);
    let interval = millis(or(health.interval, HEALTH_INTERVAL));
    Some(Probe {
        check: Check::Exec(words.into_iter().map(Template::from).collect()),
        on_failure: OnFailure::Fail,
        delay_ms: interval,
        period_ms: interval,
        timeout_ms: millis(or(health.timeout, HEALTH_INTERVAL)),
        failures: u32::try_from(or(health.retries, 3)).unwrap_or(u32::MAX),
        successes: 1,
        grace_ms: millis(health.start_period.unwrap_or(0)),
        told: false,
        once: false,
    })
}

fn labels(record: &ServiceRecord, asked: &Asked) -> BTreeMap<String, String> {
    let mut labels = asked.labels.clone().unwrap_or_default();
    let own = [
        ("com.docker.swarm.service.id", record.id.as_str()),
        ("com.docker.swarm.service.name", record.spec.name()),
        ("com.docker.swarm.task", ""),
    ];
    labels.extend(own.map(|(k, v)| (k.to_owned(), v.to_owned())));
    labels
}

fn ports(spec: &ServiceSpec) -> Vec<PortAsk> {
    spec.ports()
        .iter()
        .map(|port| PortAsk {
            name: port.name.clone().unwrap_or_default(),
            protocol: match port.protocol.as_deref() {
                Some("udp") => Protocol::Udp,
                Some(_) | None => Protocol::Tcp,
            },
            host: match port.published {
                Some(0) | None => HostPort::Dynamic,
                Some(n) => HostPort::Fixed(n),
            },
            container: port.target,
        })
        .collect()
}

/// Secrets and configs by reference. What is referred to cannot be removed while it is, so it is there.
fn files(asked: Option<&Asked>, desired: &Desired) -> Vec<FileRef> {
    let mut out = Vec::new();
    let secrets = asked.and_then(|c| c.secrets.as_ref()).into_iter().flatten();
    for reference in secrets {
        let id = reference.id.as_deref().unwrap_or_default();
        if let Some(stored) = desired.secrets.get(id) {
            let name = reference.name.as_deref().unwrap_or(id);
            let target = target(reference.file.as_ref(), "/run/secrets/", name);
            out.push(file(
                "secret",
                id,
                stored.index,
                target,
                reference.file.as_ref(),
                true,
            ));
        }
    }
    let configs = asked.and_then(|c| c.configs.as_ref()).into_iter().flatten();
    for reference in configs {
        let id = reference.id.as_deref().unwrap_or_default();
        if let Some(stored) = desired.configs.get(id) {
            let name = reference.name.as_deref().unwrap_or(id);
            let target = target(reference.file.as_ref(), "/", name);
            out.push(file(
                "config",
                id,
                stored.index,
                target,
                reference.file.as_ref(),
                false,
            ));
        }
    }
    out
}

/// Where a secret or config appears.
#[must_use]
pub fn target(file: Option<&FileTarget>, directory: &str, name: &str) -> String {
    match file.and_then(|f| f.name.as_deref()) {
        Some(path) if path.starts_with('/') => path.to_owned(),
        Some(file) if !file.is_empty() => format!("{directory}{file}"),
        Some(_) | None => format!("{directory}{name}"),
    }
}

fn file(
    noun: &str,
    id: &str,
    revision: u64,
    target: String,
    file: Option<&FileTarget>,
    secret: bool,
) -> FileRef {
    FileRef {
        key: bytes_key(noun, id),
        revision,
        target,
        mode: file.and_then(|f| f.mode).unwrap_or(0o444),
        secret,
        volume: None,
    }
}

#[cfg(test)]
#[path = "lower_tests.rs"]
mod tests;
