//! A container as clients see it: state, inspection, the row of a list. Pure.

use super::fields::Fields;
use super::lower::asked;
use super::planner::run_of;
use super::ports::word;
use super::record::{Container, Wanted};
use crate::time::{nanos, rfc3339};
use plenum_contract::streams::Health;
use plenum_model::claim::PortAsk;
use plenum_model::node::Node;
use plenum_model::phase::Phase;
use plenum_model::task::{Exit, ExitReason, Task};
use serde_json::{Value, json};
use std::time::Duration;

/// What Docker writes for a time that never was.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// Where a container stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Created,
    Running,
    Restarting,
    Exited,
    Removing,
    Dead,
}

impl State {
    pub(super) fn of(container: &Container, task: Option<&Task>) -> Self {
        let Some(task) = task else {
            return if container.own.removing {
                Self::Removing
            } else {
                Self::Created
            };
        };
        match task.status.phase() {
            _ if container.own.removing && task.status.phase().is_terminal() => Self::Removing,
            Phase::Running | Phase::Stopping => Self::Running,
            Phase::Finished | Phase::Failed | Phase::Stopped | Phase::Rejected => {
                if task.status.started_at.is_some() {
                    Self::Exited
                } else {
                    Self::Created
                }
            }
            Phase::Lost => Self::Dead,
            Phase::Pending | Phase::Placed | Phase::Preparing | Phase::Prepared | Phase::Starting => {
                let again = task.restarts() > 0 && matches!(container.own.wanted, Wanted::Running(_));
                if again { Self::Restarting } else { Self::Created }
            }
        }
    }

    /// Whether its process is there.
    pub(super) fn runs(self) -> bool {
        match self {
            Self::Running | Self::Restarting => true,
            Self::Created | Self::Exited | Self::Removing | Self::Dead => false,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Restarting => "restarting",
            Self::Exited => "exited",
            Self::Removing => "removing",
            Self::Dead => "dead",
        }
    }
}

/// The exit code as Docker has it: 128 + n after signal n, 0 while there is none.
pub(super) fn exit_code(exit: Option<&Exit>) -> i64 {
    exit.map_or(0, |exit| match (exit.code, exit.signal) {
        (Some(code), _) => code.into(),
        (None, Some(signal)) => 128 + i64::from(signal),
        // A command that cannot be started.
        (None, None) if exit.reason == ExitReason::Command => 127,
        (None, None) if exit.reason == ExitReason::Asked || exit.reason == ExitReason::HeldTooLong => 0,
        (None, None) => 128,
    })
}

fn stamp(ms: Option<u64>) -> String {
    ms.map_or_else(|| NEVER.to_owned(), rfc3339)
}

/// What its checks say; none: it has none.
pub(super) fn health(container: &Container, task: Option<&Task>) -> Option<&'static str> {
    let mut containers = container.lowered.spec.containers.iter();
    let asked = containers.any(|c| c.probes.iter().any(|p| !p.is_of_image()));
    let running = task.filter(|t| t.status.phase() == Phase::Running);
    let Some(task) = running else {
        return asked.then_some("starting");
    };
    match task.status.ready {
        Some(true) => Some("healthy"),
        // The agent says why once as many checks have failed as may.
        Some(false) if !task.status.message.is_empty() => Some("unhealthy"),
        Some(false) => Some("starting"),
        None => asked.then_some("starting"),
    }
}

/// `State.Health` of an inspection.
fn health_json(status: &str, checks: &Health) -> Value {
    let log = checks.results.iter().map(|r| {
        json!({
            "Start": rfc3339(r.began), "End": rfc3339(r.ended), "ExitCode": r.code, "Output": r.output,
        })
    });
    json!({ "Status": status, "FailingStreak": checks.failing, "Log": log.collect::<Vec<_>>() })
}

/// `State` of an inspection.
fn state_json(container: &Container, task: Option<&Task>, checks: &Health) -> Value {
    let state = State::of(container, task);
    let exit = task.and_then(|t| t.status.exit.as_ref());
    let never_ran = exit.filter(|e| e.code.is_none() && e.signal.is_none() && e.reason != ExitReason::Asked);
    let error = match (never_ran, task.and_then(|t| t.status.why.as_ref())) {
        (Some(exit), _) => exit.message.clone(),
        (None, Some(why)) => format!("no suitable node: {why}"),
        (None, None) => String::new(),
    };
    let mut json = json!({
        "Status": state.word(),
        "Running": state.runs(),
        "Paused": false,
        "Restarting": state == State::Restarting,
        "OOMKilled": exit.is_some_and(|e| e.reason == ExitReason::OutOfMemory),
        "Dead": state == State::Dead,
        "Pid": 0,
        "ExitCode": if state.runs() { 0 } else { exit_code(exit) },
        "Error": error,
        "StartedAt": stamp(task.and_then(|t| t.status.started_at)),
        "FinishedAt": stamp(task.and_then(|t| t.status.ended_at)),
    });
    if let Some(health) = health(container, task) {
        json["Health"] = health_json(health, checks);
    }
    json
}

/// The ports given to those asked for.
fn given<'a>(container: &'a Container, task: Option<&Task>) -> Vec<(&'a PortAsk, u16, u16)> {
    let Some(task) = task.filter(|t| !t.status.phase().is_terminal()) else {
        return Vec::new();
    };
    let asks = container.lowered.terms.ports.iter().zip(&task.status.ports);
    asks.map(|(ask, host)| (ask, ask.container.unwrap_or(*host), *host))
        .collect()
}

/// The name of a node as a container shows it.
fn node_json(node: &Node) -> Value {
    json!({
        "ID": crate::ids::node(&node.facts.id),
        "IP": node.facts.address,
        "Addr": node.facts.address,
        "Name": node.facts.id.as_str(),
    })
}

/// `GET /containers/{id}/json`.
pub(super) fn inspect(
    container: &Container,
    task: Option<&Task>,
    node: Option<&Node>,
    checks: &Health,
) -> Value {
    let record = &container.own;
    let spec = container.lowered.spec.containers.first();
    let command = command(&record.body);
    let (path, args) = command
        .split_first()
        .map_or((String::new(), vec![]), |(p, a)| (p.clone(), a.to_vec()));
    let mut config = record.body.clone();
    let mut host = take(&mut config, "HostConfig").unwrap_or_else(|| json!({}));
    take(&mut config, "NetworkingConfig");
    fill(&mut config, defaults_of_config());
    fill(&mut host, defaults_of_host());
    if let Some(name) = &container.lowered.spec.hostname {
        config["Hostname"] = json!(name);
    }
    let address = node.map_or("", |n| n.facts.address.as_str());
    let mut ports = serde_json::Map::new();
    for (ask, inside, outside) in given(container, task) {
        let list = ports
            .entry(format!("{inside}/{}", word(ask.protocol)))
            .or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.push(json!({ "HostIp": address, "HostPort": outside.to_string() }));
        }
    }
    let network = network_mode(&record.body);
    let mut json = json!({
        "Id": record.id,
        "Created": nanos(record.created_nanos.into()),
        "Path": path,
        "Args": args,
        "State": state_json(container, task, checks),
        "Image": image(&record.body),
        "ResolvConfPath": "", "HostnamePath": "", "HostsPath": "", "LogPath": "",
        "Name": format!("/{}", record.name),
        "RestartCount": task.map_or(0, Task::restarts),
        "Driver": "", "Platform": "linux", "MountLabel": "", "ProcessLabel": "", "AppArmorProfile": "",
        "ExecIDs": null,
        "HostConfig": host,
        "GraphDriver": { "Data": null, "Name": "" },
        "Mounts": spec.map_or_else(Vec::new, |s| s.mounts.iter().map(mount_json).collect()),
        "Config": config,
        "NetworkSettings": {
            "Bridge": "", "SandboxID": "", "SandboxKey": "", "EndpointID": "", "Gateway": "", "IPAddress": "",
            "IPPrefixLen": 0, "MacAddress": "", "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0,
            "IPv6Gateway": "", "HairpinMode": false, "LinkLocalIPv6Address": "", "LinkLocalIPv6PrefixLen": 0,
            "Ports": ports,
            "Networks": networks(network, task),
        },
    });
    if let Some(node) = node {
        json["Node"] = node_json(node);
    }
    json
}

/// What clients read without looking whether it is there.
fn defaults_of_config() -> Value {
    json!({
        "Hostname": "", "Domainname": "", "User": "", "AttachStdin": false, "AttachStdout": false,
        "AttachStderr": false, "Tty": false, "OpenStdin": false, "StdinOnce": false, "Env": [], "Cmd": null,
        "Image": "", "Volumes": null, "WorkingDir": "", "Entrypoint": null, "OnBuild": null, "Labels": {},
    })
}

fn defaults_of_host() -> Value {
    json!({
        "Binds": null, "LogConfig": { "Type": "json-file", "Config": {} }, "NetworkMode": "default",
        "PortBindings": {}, "RestartPolicy": { "Name": "no", "MaximumRetryCount": 0 }, "AutoRemove": false,
        "Privileged": false, "Memory": 0, "MemoryReservation": 0, "NanoCpus": 0, "CpuShares": 0, "PidsLimit": null,
    })
}

/// Adds what is missing or null.
fn fill(object: &mut Value, defaults: Value) {
    let (Some(fields), Value::Object(defaults)) = (object.as_object_mut(), defaults) else {
        return;
    };
    for (name, value) in defaults {
        let there = fields.keys().find(|k| k.eq_ignore_ascii_case(&name)).cloned();
        let field = fields.entry(there.unwrap_or(name)).or_insert(Value::Null);
        let no_driver = field.get("Type").is_some_and(|t| t == "");
        if field.is_null() || no_driver {
            *field = value;
        }
    }
}

fn networks(mode: &str, task: Option<&Task>) -> Value {
    let address = task.and_then(|t| t.status.address.clone()).unwrap_or_default();
    json!({ mode: {
        "IPAMConfig": null, "Links": null, "Aliases": null, "NetworkID": "", "EndpointID": "", "Gateway": "",
        "IPAddress": address, "IPPrefixLen": 0, "IPv6Gateway": "", "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0, "MacAddress": "", "DriverOpts": null,
    } })
}

fn mount_json(mount: &plenum_model::spec::Mount) -> Value {
    use plenum_model::spec::MountSource;
    let (kind, name, source) = match &mount.source {
        MountSource::Host(path) => ("bind", "", path.as_str()),
        MountSource::Volume(name) => ("volume", name.as_str(), ""),
        MountSource::Tmpfs(_) => ("tmpfs", "", ""),
    };
    json!({
        "Type": kind, "Name": name, "Source": source, "Destination": mount.target,
        "Mode": "", "RW": !mount.read_only, "Propagation": "",
    })
}

fn take(value: &mut Value, name: &str) -> Option<Value> {
    let map = value.as_object_mut()?;
    let key = map.keys().find(|k| k.eq_ignore_ascii_case(name)).cloned()?;
    map.remove(&key)
}

/// A row of `GET /containers/json`.
pub(super) fn row(container: &Container, task: Option<&Task>, node: Option<&Node>, now_ms: u64) -> Value {
    let record = &container.own;
    let address = node.map_or("", |n| n.facts.address.as_str());
    let ports = given(container, task).into_iter().map(|(ask, inside, outside)| {
        json!({ "IP": address, "PrivatePort": inside, "PublicPort": outside, "Type": word(ask.protocol) })
    });
    let network = network_mode(&record.body);
    let spec = container.lowered.spec.containers.first();
    json!({
        "Id": record.id,
        "Names": [format!("/{}", record.name)],
        "Image": image(&record.body),
        "ImageID": "",
        "Command": command(&record.body).join(" "),
        "Created": record.created_nanos / 1_000_000_000,
        "Ports": ports.collect::<Vec<_>>(),
        "Labels": container.lowered.terms.labels,
        "State": State::of(container, task).word(),
        "Status": status(container, task, now_ms),
        "HostConfig": { "NetworkMode": network },
        "NetworkSettings": { "Networks": networks(network, task) },
        "Mounts": spec.map_or_else(Vec::new, |s| s.mounts.iter().map(mount_json).collect()),
    })
}

/// `Up 5 seconds`, `Exited (0) 2 minutes ago`.
fn status(container: &Container, task: Option<&Task>, now_ms: u64) -> String {
    let since = |ms: Option<u64>| ago(Duration::from_millis(now_ms.saturating_sub(ms.unwrap_or(now_ms))));
    let code = exit_code(task.and_then(|t| t.status.exit.as_ref()));
    let ended = since(task.and_then(|t| t.status.ended_at));
    match State::of(container, task) {
        State::Created => "Created".to_owned(),
        State::Running => {
            let up = format!("Up {}", since(task.and_then(|t| t.status.started_at)));
            match health(container, task) {
                Some("starting") => format!("{up} (health: starting)"),
                Some(health) => format!("{up} ({health})"),
                None => up,
            }
        }
        State::Restarting => format!("Restarting ({code}) {ended} ago"),
        State::Exited => format!("Exited ({code}) {ended} ago"),
        State::Removing => "Removal In Progress".to_owned(),
        State::Dead => "Dead".to_owned(),
    }
}

/// A duration in the words of Docker's own tools.
fn ago(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds, seconds / 60, seconds / 3600) {
        (0, _, _) => "Less than a second".to_owned(),
        (1, _, _) => "1 second".to_owned(),
        (s, 0, _) => format!("{s} seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, m, 0) => format!("{m} minutes"),
        (_, _, 1) => "About an hour".to_owned(),
        (_, _, h) if h < 48 => format!("{h} hours"),
        (_, _, h) if h < 24 * 14 => format!("{} days", h / 24),
        (_, _, h) => format!("{} weeks", h / 24 / 7),
    }
}

pub(super) fn image(body: &Value) -> &str {
    asked(body, "").text("Image").unwrap_or_default()
}

pub(super) fn network_mode(body: &Value) -> &str {
    let mode = asked(body, "HostConfig").text("NetworkMode").unwrap_or_default();
    if mode.is_empty() || mode == "default" {
        "bridge"
    } else {
        mode
    }
}

/// The command as far as the request names it; what the image names is a fact of the node.
fn command(body: &Value) -> Vec<String> {
    let fields: Fields<'_> = asked(body, "");
    let list = |name| fields.list(name).ok().flatten().unwrap_or_default();
    let mut all: Vec<String> = list("Entrypoint");
    all.extend(list("Cmd"));
    all
}

/// Whether the run that `run` begins is over.
pub(super) fn is_over(task: &Task, run: super::record::Run) -> bool {
    task.status.phase().is_terminal() && run_of(task) >= run
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_in_dockers_words() {
        for (seconds, words) in [
            (0, "Less than a second"),
            (5, "5 seconds"),
            (61, "About a minute"),
            (130, "2 minutes"),
            (3700, "About an hour"),
            (7300, "2 hours"),
            (200_000, "2 days"),
        ] {
            assert_eq!(ago(Duration::from_secs(seconds)), words);
        }
    }
}
