//! `/_ping`, `/version`, `/info`, `/events`, and the lists of kinds that are not served.

use super::look::{all_nodes, query};
use super::reply::{json, ok};
use super::version::{NEWEST, OLDEST};
use crate::error::{ApiError, ApiResult};
use crate::events::DockerEvent;
use crate::filters::Filters;
use crate::service::cluster;
use crate::state::{DoorState, Shared};
use crate::time::{moment, rfc3339};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA};
use http::{StatusCode, Uri};
use serde_json::{Value, json};
use std::convert::Infallible;

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) async fn ping() -> Response {
    let headers = [
        (CACHE_CONTROL, "no-cache, no-store, must-revalidate"),
        (PRAGMA, "no-cache"),
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
    ];
    (StatusCode::OK, headers, "OK").into_response()
}

pub(super) async fn version() -> ApiResult {
    let api = format!("1.{NEWEST}");
    let min = format!("1.{OLDEST}");
    let arch = goarch(std::env::consts::ARCH);
    ok(&json!({
        "Platform": {"Name": "Plenum"},
        "Components": [{"Name": "Engine", "Version": VERSION, "Details": {
            "ApiVersion": api, "MinAPIVersion": min, "Os": "linux", "Arch": arch, "GitCommit": "",
            "GoVersion": "", "BuildTime": "", "KernelVersion": "", "Experimental": "false",
        }}],
        "Version": VERSION,
        "ApiVersion": api,
        "MinAPIVersion": min,
        "GitCommit": "",
        "GoVersion": "",
        "Os": "linux",
        "Arch": arch,
        "KernelVersion": "",
        "BuildTime": "",
    }))
}

fn goarch(arch: &str) -> &str {
    match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

pub(super) async fn info(State(state): State<Shared>) -> ApiResult {
    let desired = state.desk.desired();
    let nodes = all_nodes(&state, &desired);
    let own = nodes.iter().find(|n| n.manager);
    let mut cpu = 0;
    let mut memory = 0_u64;
    let mut rows = vec![json!(["Nodes", nodes.len().to_string()])];
    for node in &nodes {
        let has = node.node.facts.allocatable();
        let free = node.node.free();
        cpu += has.cpu_millis;
        memory = memory.saturating_add(has.memory_bytes);
        let held = has.saturating_sub(&free);
        let tasks: u32 = node.node.tasks.values().sum();
        rows.push(json!([format!(" {}", node.hostname()), node.node.facts.address]));
        rows.push(json!(["  └ Tasks", tasks.to_string()]));
        let cpus = |millis: u64| format!("{:.2}", millis as f64 / 1000.0);
        rows.push(json!([
            "  └ Reserved CPUs",
            format!("{} / {}", cpus(held.cpu_millis), cpus(has.cpu_millis))
        ]));
        let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
        rows.push(json!([
            "  └ Reserved Memory",
            format!("{} / {}", mib(held.memory_bytes), mib(has.memory_bytes))
        ]));
    }
    let running = state.mirror.read(|observed| {
        observed
            .tasks()
            .filter(|t| t.status.phase() == plenum_model::phase::Phase::Running)
            .count()
    });
    let attribute = |key: &str| {
        own.and_then(|n| n.node.facts.attributes.get(key).cloned())
            .unwrap_or_default()
    };
    let id = own.map(|n| n.id.clone()).unwrap_or_default();
    let addr = own.map(|n| n.node.facts.address.clone()).unwrap_or_default();
    let manager = match state.config.broker_address.as_str() {
        "" => format!("{addr}:2377"),
        known => known.to_owned(),
    };
    let mut out = engine(&attribute("kernel"), &attribute("arch"));
    let own = json!({
        "ID": id, "Name": state.scheduler.as_str(),
        "Containers": running, "ContainersRunning": running, "ContainersPaused": 0, "ContainersStopped": 0,
        "SystemStatus": rows, "SystemTime": rfc3339(state.now_ms()), "NCPU": cpu / 1000, "MemTotal": memory,
        "Swarm": {
            "NodeID": id, "NodeAddr": addr, "LocalNodeState": "active", "ControlAvailable": true, "Error": "",
            "RemoteManagers": [{"NodeID": id, "Addr": manager}],
            "Nodes": nodes.len(), "Managers": 1, "Cluster": super::swarm::object(&state, false),
        },
    });
    if let (Value::Object(all), Value::Object(own)) = (&mut out, own) {
        all.extend(own);
    }
    ok(&out)
}

/// What is the same for every pool.
fn engine(kernel: &str, arch: &str) -> Value {
    let limits = json!({
        "MemoryLimit": true, "SwapLimit": false, "CpuCfsPeriod": true, "CpuCfsQuota": true, "CPUShares": true,
        "CPUSet": false, "PidsLimit": true, "IPv4Forwarding": true, "BridgeNfIptables": true,
        "BridgeNfIp6tables": true, "Debug": false, "NFd": 0, "OomKillDisable": false, "NGoroutines": 0,
        "NEventsListener": 0, "LoggingDriver": "json-file", "CgroupDriver": "cgroupfs", "CgroupVersion": "1",
        "ExperimentalBuild": false, "LiveRestoreEnabled": true,
    });
    let mut out = json!({
        "ServerVersion": VERSION, "Images": 0, "Driver": "pool", "DriverStatus": [],
        "Plugins": {"Volume": ["local"], "Network": ["bridge", "host"], "Authorization": null, "Log": ["json-file"]},
        "KernelVersion": kernel, "OperatingSystem": "Plenum pool", "OSVersion": "", "OSType": "linux",
        "Architecture": arch, "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": {"InsecureRegistryCIDRs": [], "IndexConfigs": {}, "Mirrors": []},
        "GenericResources": null, "DockerRootDir": "", "HttpProxy": "", "HttpsProxy": "", "NoProxy": "",
        "Labels": [], "Runtimes": {"docker": {"path": "docker"}}, "DefaultRuntime": "docker",
        "Isolation": "", "InitBinary": "", "ContainerdCommit": {"ID": ""}, "RuncCommit": {"ID": ""},
        "InitCommit": {"ID": ""}, "SecurityOptions": [], "Warnings": null,
    });
    if let (Value::Object(all), Value::Object(limits)) = (&mut out, limits) {
        all.extend(limits);
    }
    out
}

/// Whether the cluster's record is there; it is made by whoever asks first.
pub(super) fn has_cluster(state: &DoorState) -> bool {
    state.desk.desired().cluster.get(cluster::KEY).is_some()
}

const EVENT_FILTERS: [&str; 14] = [
    "type",
    "event",
    "container",
    "service",
    "node",
    "image",
    "volume",
    "network",
    "daemon",
    "label",
    "scope",
    "secret",
    "config",
    "plugin",
];

pub(super) async fn events(State(state): State<Shared>, uri: Uri) -> ApiResult {
    let query = query(&uri);
    let filters = Filters::parse(query.get("filters"), &EVENT_FILTERS)?;
    let now = state.now_ms();
    let since = query.get("since").and_then(|t| moment(t, now));
    let until = query.get("until").and_then(|t| moment(t, now));
    let (past, coming) = state.events.read(since);
    let coming = coming.map(|e| (*e).clone());
    let clock = state.clock.clone();
    let deadline = async move {
        match until {
            Some(at) => {
                tokio::time::sleep(std::time::Duration::from_millis(at.saturating_sub(clock.now().0))).await
            }
            None => std::future::pending().await,
        }
    };
    // what has happened already is told whole, however long ago the end is
    let lines = stream::iter(past)
        .chain(coming.take_until(deadline))
        .filter(move |e| {
            let wanted = wanted(&filters, e) && until.is_none_or(|at| e.time_nano / 1_000_000 <= at);
            std::future::ready(wanted)
        })
        .take_until(state.stopping.clone().cancelled_owned())
        .map(|e| Ok::<_, Infallible>(line(&e)));
    Ok(([(CONTENT_TYPE, "application/json")], Body::from_stream(lines)).into_response())
}

fn line(event: &DockerEvent) -> Bytes {
    let mut bytes = serde_json::to_vec(event).expect("plain data with text keys always serialises");
    bytes.push(b'\n');
    Bytes::from(bytes)
}

fn wanted(filters: &Filters, event: &DockerEvent) -> bool {
    let name = event.actor.attributes.get("name").map_or("", String::as_str);
    let of_kind = |kind: &str| {
        filters.any(kind, |v| {
            event.kind == kind && (event.actor.id.starts_with(v) || name == v)
        })
    };
    filters.any("type", |v| v == event.kind)
        && filters.any("event", |v| {
            event.action == v || event.action.starts_with(&format!("{v}:"))
        })
        && filters.any("scope", |v| v == event.scope)
        && filters.labels("label", &event.actor.attributes)
        && [
            "container",
            "service",
            "node",
            "image",
            "volume",
            "network",
            "daemon",
            "secret",
            "config",
            "plugin",
        ]
        .iter()
        .all(|kind| of_kind(kind))
}

/// The built-in networks that every list has: tools look for them.
pub(super) async fn networks(State(state): State<Shared>) -> ApiResult {
    let network = |name: &str, driver: &str| {
        json!({
            "Name": name, "Id": crate::ids::digest(name.as_bytes()), "Created": rfc3339(state.now_ms()),
            "Scope": "local", "Driver": driver, "EnableIPv6": false, "IPAM": {"Driver": "default", "Options": null, "Config": []},
            "Internal": false, "Attachable": false, "Ingress": false, "ConfigFrom": {"Network": ""},
            "ConfigOnly": false, "Containers": {}, "Options": {}, "Labels": {},
        })
    };
    ok(&json!([
        network("bridge", "bridge"),
        network("host", "host"),
        network("none", "null")
    ]))
}

pub(super) async fn no_network(Path(name): Path<String>) -> ApiError {
    ApiError::missing(format!("network {name} not found"))
}

pub(super) async fn no_network_kind() -> ApiError {
    ApiError::not_served(
        "networks of one's own are not served by Plenum yet; containers have an address on their node",
    )
}

pub(super) async fn volumes() -> ApiResult {
    ok(&json!({"Volumes": [], "Warnings": null}))
}

pub(super) async fn no_volume(Path(name): Path<String>) -> ApiError {
    ApiError::missing(format!("get {name}: no such volume"))
}

pub(super) async fn no_volume_kind() -> ApiError {
    ApiError::not_served(
        "volumes are made where a task that mounts them runs; they are not made by themselves yet",
    )
}

pub(super) async fn plugins() -> Response {
    json(StatusCode::OK, &Value::Array(Vec::new()))
}

pub(super) async fn no_plugin(Path(name): Path<String>) -> ApiError {
    ApiError::missing(format!("plugin \"{name}\" not found"))
}

/// Clients go on without a digest then.
pub(super) async fn no_distribution() -> ApiError {
    ApiError::missing("image digests are resolved on the node that runs the task")
}

pub(super) async fn no_disk_usage() -> ApiError {
    ApiError::not_served(
        "disk usage is not summed up over the pool; `plenum node list -o wide` shows each node's disk",
    )
}

pub(super) async fn no_build() -> ApiError {
    ApiError::not_served(
        "images are not built by Plenum; build elsewhere, then push them or `docker load` them here",
    )
}
