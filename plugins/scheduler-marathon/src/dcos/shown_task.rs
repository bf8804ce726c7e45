//! A task as the state of Mesos writes it.

use super::mesos::{GPU, ROLE, Resources, Seconds, container_id, state_of, task_name};
use crate::instance::State;
use plenum_model::claim::Protocol;
use plenum_model::node::Node;
use plenum_model::task::Task;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct TaskShape<'a> {
    pub(super) id: &'a str,
    name: String,
    framework_id: &'a str,
    executor_id: &'static str,
    slave_id: &'a str,
    state: State,
    resources: Resources,
    role: &'static str,
    statuses: Vec<StatusShape<'a>>,
    labels: Vec<Label<'a>>,
    discovery: Discovery,
}

#[derive(Serialize)]
struct Label<'a> {
    key: &'a str,
    value: &'a str,
}

#[derive(Serialize)]
struct StatusShape<'a> {
    state: State,
    timestamp: Seconds,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthy: Option<bool>,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    container_status: ContainerStatus<'a>,
}

#[derive(Serialize)]
struct ContainerStatus<'a> {
    container_id: Value<String>,
    network_infos: [NetworkInfo<'a>; 1],
}

/// An id inside an object of its own.
#[derive(Serialize)]
struct Value<T> {
    value: T,
}

#[derive(Serialize)]
struct NetworkInfo<'a> {
    ip_addresses: Vec<IpAddress<'a>>,
}

#[derive(Serialize)]
struct IpAddress<'a> {
    ip_address: &'a str,
    protocol: &'static str,
}

#[derive(Serialize)]
struct Discovery {
    visibility: &'static str,
    name: String,
    ports: Ports,
}

#[derive(Serialize)]
struct Ports {
    ports: Vec<Port>,
}

#[derive(Serialize)]
struct Port {
    number: u16,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    protocol: &'static str,
}

impl<'a> TaskShape<'a> {
    /// A task; none while it has no node.
    pub(super) fn of(kind: &str, task: &'a Task, node: Option<&'a Node>) -> Option<Self> {
        let state = state_of(task)?;
        let terms = &task.terms;
        let status = &task.status;
        let name = task_name(kind, task);
        let gpus = terms.devices.get(GPU).copied().unwrap_or(0) as usize;
        let ports = status.ports.iter().zip(&terms.ports).map(|(number, ask)| Port {
            number: *number,
            name: ask.name.clone(),
            protocol: match ask.protocol {
                Protocol::Tcp => "tcp",
                Protocol::Udp => "udp",
                Protocol::Both => "udp,tcp",
            },
        });
        Some(Self {
            id: &task.seat.name,
            framework_id: task.scheduler.as_str(),
            executor_id: "",
            slave_id: status.node.as_ref().map_or("", |n| n.as_str()),
            state,
            resources: Resources::of(&terms.charge)
                .with_devices(gpus)
                .with_ports(status.ports.iter().map(|p| (*p, *p))),
            role: ROLE,
            statuses: statuses(task, state, node),
            labels: terms
                .labels
                .iter()
                .map(|(key, value)| Label { key, value })
                .collect(),
            discovery: Discovery {
                visibility: "FRAMEWORK",
                name: name.clone(),
                ports: Ports {
                    ports: ports.collect(),
                },
            },
            name,
        })
    }
}

/// That it ran, if it did, and where it stands.
fn statuses<'a>(task: &'a Task, now: State, node: Option<&'a Node>) -> Vec<StatusShape<'a>> {
    let seen = &task.status;
    let address = seen.address.as_deref().or(node.map(|n| n.facts.address.as_str()));
    let one = |state, at: u64, message| StatusShape {
        state,
        timestamp: Seconds::of_ms(at),
        healthy: seen.ready.filter(|_| state == State::TaskRunning),
        message,
        container_status: ContainerStatus {
            container_id: Value {
                value: container_id(task.id()),
            },
            network_infos: [NetworkInfo {
                ip_addresses: address
                    .into_iter()
                    .map(|ip_address| IpAddress {
                        ip_address,
                        protocol: if ip_address.contains(':') { "IPv6" } else { "IPv4" },
                    })
                    .collect(),
            }],
        },
    };
    let ran = seen.started_at.map(|at| one(State::TaskRunning, at, ""));
    let since = seen
        .ended_at
        .or(seen.started_at)
        .or(seen.placed_at)
        .unwrap_or(seen.claimed_at);
    let why = seen
        .exit
        .as_ref()
        .map_or(seen.message.as_str(), |exit| exit.message.as_str());
    let is = (now != State::TaskRunning || ran.is_none()).then(|| one(now, since, why));
    ran.into_iter().chain(is).collect()
}
