//! From the body of `POST /containers/create` to what the pool runs. Pure. What Docker knows and Plenum does
//! not serve is refused by name, unless it stands at its default: tools send that back.

use super::fields::{Fields, is_default};
use super::mounts;
use super::ports;
use super::record::Record;
use crate::error::{ApiError, ApiResult};
use plenum_model::amounts::Amounts;
use plenum_model::claim::{Desired, LostAfter, Terms, Workload};
use plenum_model::spec::{
    Caps, Check, ContainerSpec, Image, LogLimits, Network, OnFailure, Probe, Pull, Restart, TaskSpec,
};
use plenum_model::template::Template;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The kind of workload that a single container is.
pub(super) const KIND: &str = "container";
/// The name of its one container within its task.
const MAIN: &str = "main";
/// How long a container may be held before its room goes to others. It can be started all the same, when
/// there is room on its node.
const HELD_MS: u64 = 10 * 60 * 1000;
/// Docker's own grace.
const STOP_SECONDS: u64 = 10;

/// What a request means.
#[derive(Debug, Clone, PartialEq)]
pub struct Lowered {
    /// What is claimed.
    pub terms: Arc<Terms>,
    /// What is run.
    pub spec: Arc<TaskSpec>,
    /// Whether it is removed when it has ended.
    pub auto_remove: bool,
    /// Whether it has a terminal.
    pub tty: bool,
    /// Whether its standard input is open.
    pub stdin: bool,
    /// Milliseconds from the stop signal to the kill.
    pub grace_ms: u64,
    /// What the client is told at once.
    pub warnings: Vec<String>,
}

/// Reads a request.
///
/// # Errors
/// 400 for what makes no sense, 501 for what is not served.
pub(super) fn lower(record: &Record) -> ApiResult<Lowered> {
    let config = Fields::of(Some(&record.body), "the body")?;
    let host = config.object("HostConfig")?;
    refuse(&config, "", CONFIG)?;
    refuse(&host, "HostConfig.", HOST)?;
    host_choices(&host)?;
    let network = network(&config, &host)?;
    let mut warnings = Vec::new();
    let mut ports = ports::bindings(&host)?;
    if network == Network::Host && !ports.is_empty() {
        ports.clear();
        warnings.push("Published ports are discarded when using host network mode".to_owned());
    }
    let labels = config.map("Labels")?;
    let grace_ms = match config.get("StopTimeout") {
        Some(_) => config.amount("StopTimeout")?.saturating_mul(1000),
        None => STOP_SECONDS * 1000,
    };
    let container = ContainerSpec {
        stop_grace_ms: grace_ms,
        labels: labels.clone(),
        ..container(&config, &host)?
    };
    let (tty, stdin) = (container.tty, container.stdin);
    let hostname = match network {
        Network::Host => None,
        Network::Bridge => Some(
            config
                .maybe_text("Hostname")?
                .unwrap_or_else(|| record.id[..12].to_owned()),
        ),
    };
    let charge = charge(&host, &container.caps)?;
    let spec = TaskSpec {
        containers: vec![container],
        network,
        hostname,
        ..TaskSpec::default()
    };
    let terms = Terms {
        workload: Workload {
            uid: record.id.clone(),
            name: record.name.clone(),
            kind: KIND.to_owned(),
            version: String::new(),
        },
        tenant: record.tenant.clone(),
        charge,
        devices: BTreeMap::new(),
        ports,
        spec: spec.id(),
        labels,
        desired: Desired::Held { deadline_ms: HELD_MS },
        rules: plenum_model::rules::Rules::default(),
        // A container of a daemon that does not answer is still that container.
        lost_after: LostAfter::Never,
        priority: plenum_model::claim::Priority::default(),
        may_preempt: false,
        budget: None,
        files: Vec::new(),
        keep_ended: 0,
    };
    Ok(Lowered {
        terms: Arc::new(terms),
        spec: Arc::new(spec),
        auto_remove: host.flag("AutoRemove")?,
        tty,
        stdin,
        grace_ms,
        warnings,
    })
}

/// Fields of the body that are not served, with what they would do.
const CONFIG: &[(&str, &str)] = &[
    ("Domainname", "--domainname"),
    ("Volumes", "anonymous volumes; name one with -v NAME:PATH"),
    ("MacAddress", "--mac-address"),
    ("NetworkDisabled", "a container without network"),
    ("OnBuild", "OnBuild"),
    ("Shell", "Shell"),
];

/// Fields of the host's part that are not served.
const HOST: &[(&str, &str)] = &[
    ("VolumesFrom", "--volumes-from"),
    ("VolumeDriver", "--volume-driver"),
    ("PublishAllPorts", "-P; name the ports with -p"),
    ("CapAdd", "--cap-add"),
    ("CapDrop", "--cap-drop"),
    ("Dns", "--dns"),
    ("DnsOptions", "--dns-option"),
    ("DnsSearch", "--dns-search"),
    ("ExtraHosts", "--add-host"),
    ("GroupAdd", "--group-add"),
    ("Cgroup", "Cgroup"),
    ("Links", "--link"),
    ("OomScoreAdj", "--oom-score-adj"),
    ("PidMode", "--pid"),
    ("ReadonlyRootfs", "--read-only"),
    ("SecurityOpt", "--security-opt"),
    ("StorageOpt", "--storage-opt"),
    ("UTSMode", "--uts"),
    ("UsernsMode", "--userns"),
    ("Sysctls", "--sysctl"),
    ("CgroupParent", "--cgroup-parent"),
    ("BlkioWeight", "--blkio-weight"),
    ("BlkioWeightDevice", "--blkio-weight-device"),
    ("BlkioDeviceReadBps", "--device-read-bps"),
    ("BlkioDeviceWriteBps", "--device-write-bps"),
    ("BlkioDeviceReadIOps", "--device-read-iops"),
    ("BlkioDeviceWriteIOps", "--device-write-iops"),
    ("CpuRealtimePeriod", "--cpu-rt-period"),
    ("CpuRealtimeRuntime", "--cpu-rt-runtime"),
    ("CpusetCpus", "--cpuset-cpus"),
    ("CpusetMems", "--cpuset-mems"),
    ("Devices", "--device"),
    ("DeviceCgroupRules", "--device-cgroup-rule"),
    ("DeviceRequests", "--gpus"),
    ("KernelMemory", "--kernel-memory"),
    ("OomKillDisable", "--oom-kill-disable"),
    ("Init", "--init"),
    ("Ulimits", "--ulimit"),
    ("CpuCount", "--cpu-count"),
    ("CpuPercent", "--cpu-percent"),
    ("IOMaximumIOps", "--io-maxiops"),
    ("IOMaximumBandwidth", "--io-maxbandwidth"),
    ("MaskedPaths", "MaskedPaths"),
    ("ReadonlyPaths", "ReadonlyPaths"),
];

fn refuse(fields: &Fields<'_>, place: &str, table: &[(&str, &str)]) -> ApiResult<()> {
    for (name, words) in table {
        if fields.get(name).is_some_and(|v| !is_default(v)) {
            return Err(not_served(&format!("{place}{name}"), words));
        }
    }
    Ok(())
}

fn not_served(place: &str, words: &str) -> ApiError {
    ApiError::not_served(format!("{place} ({words}) is not served by Plenum yet"))
}

/// Fields whose default has a name of its own.
fn host_choices(host: &Fields<'_>) -> ApiResult<()> {
    let named: [(&str, &str, &[&str]); 4] = [
        ("IpcMode", "--ipc", &["", "private", "shareable"]),
        ("CgroupnsMode", "--cgroupns", &["", "private", "host"]),
        ("Isolation", "--isolation", &["", "default"]),
        ("Runtime", "--runtime", &["", "runc"]),
    ];
    for (name, words, defaults) in named {
        if !defaults.contains(&host.text(name)?) {
            return Err(not_served(&format!("HostConfig.{name}"), words));
        }
    }
    let memory = host.number("Memory")?;
    let counts: [(&str, &str, &[i64]); 3] = [
        ("MemorySwap", "--memory-swap", &[0, memory]),
        ("MemorySwappiness", "--memory-swappiness", &[0, -1]),
        ("ShmSize", "--shm-size", &[0, 64 << 20]),
    ];
    for (name, words, defaults) in counts {
        if !defaults.contains(&host.number(name)?) {
            return Err(not_served(&format!("HostConfig.{name}"), words));
        }
    }
    Ok(())
}

fn network(config: &Fields<'_>, host: &Fields<'_>) -> ApiResult<Network> {
    let mode = host.text("NetworkMode")?;
    let network = match mode {
        "" | "default" | "bridge" => Network::Bridge,
        "host" => Network::Host,
        "none" => return Err(not_served("HostConfig.NetworkMode", "--network none")),
        other if other.starts_with("container:") => {
            return Err(not_served("HostConfig.NetworkMode", "--network container:ID"));
        }
        other => return Err(ApiError::missing(format!("network {other} not found"))),
    };
    let endpoints = config.object("NetworkingConfig")?.object("EndpointsConfig")?;
    for (name, settings) in endpoints.entries() {
        let same =
            name == mode || (["default", "bridge"].contains(&name.as_str()) && network == Network::Bridge);
        if !same || !is_default(settings) {
            return Err(not_served("NetworkingConfig", "settings of an endpoint"));
        }
    }
    Ok(network)
}

/// Refuses what cannot be the name of an image.
pub(crate) fn reference(image: &str) -> ApiResult<()> {
    if image.is_empty() {
        return Err(ApiError::bad("invalid reference format: no image is given"));
    }
    let repository = image.split('@').next().unwrap_or(image);
    let last = repository.rfind('/').map_or(0, |i| i + 1);
    let path = &repository[..repository[last..]
        .find(':')
        .map_or(repository.len(), |i| last + i)];
    if path.chars().any(|c| c.is_ascii_uppercase() || c.is_whitespace()) && !image.starts_with("sha256:") {
        return Err(ApiError::bad(
            "invalid reference format: repository name must be lowercase",
        ));
    }
    Ok(())
}

fn container(config: &Fields<'_>, host: &Fields<'_>) -> ApiResult<ContainerSpec> {
    let image = config.text("Image")?;
    reference(image)?;
    let texts = |list: Vec<String>| list.into_iter().map(Template::text).collect::<Vec<_>>();
    // Empty lists mean the image's own, except an entry point of one empty string, which clears it.
    let entrypoint = config.list("Entrypoint")?.filter(|l| !l.is_empty());
    if entrypoint
        .as_ref()
        .is_some_and(|l| l.iter().all(String::is_empty))
    {
        return Err(not_served("Entrypoint", "clearing the image's entry point"));
    }
    Ok(ContainerSpec {
        name: MAIN.to_owned(),
        runtime: "docker".to_owned(),
        image: Some(Image {
            reference: image.to_owned(),
            // Fetching is its client's to ask for, which shows how it goes on.
            pull: Pull::Never,
        }),
        entrypoint: entrypoint.map(texts),
        args: config.list("Cmd")?.filter(|l| !l.is_empty()).map(texts),
        env: environment(config.list("Env")?.unwrap_or_default()),
        workdir: config.maybe_text("WorkingDir")?,
        user: config.maybe_text("User")?,
        tty: config.flag("Tty")?,
        stdin: config.flag("OpenStdin")?,
        caps: caps(host)?,
        mounts: mounts::mounts(host)?,
        probes: health(&config.object("Healthcheck")?)?,
        restart: restart(&host.object("RestartPolicy")?)?,
        stop_signal: config.maybe_text("StopSignal")?,
        logs: logs(&host.object("LogConfig")?)?,
        privileged: host.flag("Privileged")?,
        ..ContainerSpec::default()
    })
}

/// A name without a value is left out: the client has resolved what it could.
fn environment(list: Vec<String>) -> Vec<(String, Template)> {
    list.iter()
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), Template::text(value)))
        .collect()
}

fn caps(host: &Fields<'_>) -> ApiResult<Caps> {
    const LEAST: u64 = 6 << 20;
    let some = |n: u64| Some(n).filter(|n| *n > 0);
    let memory = host.amount("Memory")?;
    if memory > 0 && memory < LEAST {
        return Err(ApiError::bad("Minimum memory limit allowed is 6MB"));
    }
    let shares = host.amount("CpuShares")?;
    Ok(Caps {
        cpu_weight_millis: some(shares).map(|s| (s.saturating_mul(1000) / 1024).max(1)),
        cpu_limit_millis: some(cpu_millis(host)?),
        memory_limit_bytes: some(memory),
        pids: u64::try_from(host.number("PidsLimit")?).ok().filter(|n| *n > 0),
    })
}

/// `--cpus`, or the quota that says the same.
fn cpu_millis(host: &Fields<'_>) -> ApiResult<u64> {
    let (nano, quota) = (
        host.amount("NanoCpus")?,
        host.number("CpuQuota")?.max(0).unsigned_abs(),
    );
    let period = Some(host.amount("CpuPeriod")?)
        .filter(|p| *p > 0)
        .unwrap_or(100_000);
    if nano > 0 && quota > 0 {
        return Err(ApiError::bad(
            "Conflicting options: Nano CPUs and CPU Quota cannot both be set.",
        ));
    }
    Ok(match nano {
        0 => quota.saturating_mul(1000).div_ceil(period),
        nano => nano.div_ceil(1_000_000),
    })
}

/// What the tool itself shows as reserved, and no hidden default.
fn charge(host: &Fields<'_>, caps: &Caps) -> ApiResult<Amounts> {
    let reserved = host.amount("MemoryReservation")?;
    let limit = caps.memory_limit_bytes.unwrap_or(0);
    if limit > 0 && reserved > limit {
        return Err(ApiError::bad(
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        ));
    }
    let memory = if reserved > 0 { reserved } else { limit };
    Ok(Amounts::task(caps.cpu_limit_millis.unwrap_or(0), memory, 0))
}

fn restart(policy: &Fields<'_>) -> ApiResult<Restart> {
    let max = u32::try_from(policy.amount("MaximumRetryCount")?).unwrap_or(u32::MAX);
    match policy.text("Name")? {
        "on-failure" => Ok(Restart::OnFailure { max }),
        _ if max > 0 => Err(ApiError::bad(
            "maximum retry count can only be used with 'on-failure'",
        )),
        "" | "no" => Ok(Restart::Never),
        "always" | "unless-stopped" => Ok(Restart::Always),
        other => Err(ApiError::bad(format!("invalid restart policy '{other}'"))),
    }
}

fn logs(config: &Fields<'_>) -> ApiResult<LogLimits> {
    let mut limits = LogLimits::default();
    if !["", "json-file"].contains(&config.text("Type")?) {
        return Err(not_served(
            "HostConfig.LogConfig.Type",
            "log drivers other than json-file",
        ));
    }
    for (key, value) in config.map("Config")? {
        let bad = || ApiError::bad(format!("invalid value of log option {key}: {value}"));
        match key.as_str() {
            "max-size" => limits.max_bytes = mounts::size(&value).ok_or_else(bad)?,
            "max-file" => limits.files = value.parse().ok().filter(|n| *n > 0).ok_or_else(bad)?,
            other => return Err(not_served(&format!("log option {other}"), "--log-opt")),
        }
    }
    Ok(limits)
}

fn health(check: &Fields<'_>) -> ApiResult<Vec<Probe>> {
    let test = check.list("Test")?.unwrap_or_default();
    let command = match test.split_first() {
        // Without a check of its own the image's counts, unless that is switched off.
        None => return Ok(vec![Probe::of_image(OnFailure::Report)]),
        Some((kind, rest)) => match (kind.as_str(), rest) {
            ("", []) => return Ok(vec![Probe::of_image(OnFailure::Report)]),
            ("NONE", []) => return Ok(Vec::new()),
            ("CMD", [_, ..]) => rest.to_vec(),
            ("CMD-SHELL", [line]) => vec!["/bin/sh".to_owned(), "-c".to_owned(), line.clone()],
            _ => return Err(ApiError::bad(format!("unknown health check {test:?}"))),
        },
    };
    let ms = |name: &str, default: u64| -> ApiResult<u64> {
        let given = check.amount(name)? / 1_000_000;
        Ok(if given == 0 { default } else { given })
    };
    let period_ms = ms("Interval", 30_000)?;
    let failures = u32::try_from(check.amount("Retries")?).unwrap_or(u32::MAX);
    Ok(vec![Probe {
        check: Check::Exec(command.into_iter().map(Template::text).collect()),
        on_failure: OnFailure::Report,
        delay_ms: period_ms,
        period_ms,
        timeout_ms: ms("Timeout", 30_000)?,
        failures: if failures == 0 { 3 } else { failures },
        successes: 1,
        grace_ms: ms("StartPeriod", 0)?,
        told: false,
        once: false,
    }])
}

/// What the request asked for, for those who show it.
pub(super) fn asked<'a>(body: &'a Value, part: &str) -> Fields<'a> {
    let all = Fields::of(Some(body), "the body");
    let part = all.and_then(|f| if part.is_empty() { Ok(f) } else { f.object(part) });
    part.unwrap_or_else(|_| Fields::none())
}

#[cfg(test)]
#[path = "lower_tests.rs"]
mod tests;
