//! Services, tasks and nodes as clients read them.

use super::node::{Availability, SwarmNode};
use super::record::ServiceRecord;
use super::spec::{Copies, ServiceSpec, UpdateConfig};
use super::status;
use crate::ids;
use crate::store::Stored;
use crate::time::rfc3339;
use plenum_model::amounts::Amounts;
use plenum_model::claim::Protocol;
use plenum_model::node::{Liveness, Node};
use plenum_model::phase::Phase;
use plenum_model::task::Task;
use plenum_sdk::holders::Holders;
use serde_json::{Map, Value, json};

/// Adds a field if there is a value for it.
fn put(object: &mut Value, key: &str, value: Option<Value>) {
    if let (Some(fields), Some(value)) = (object.as_object_mut(), value) {
        fields.insert(key.to_owned(), value);
    }
}

fn text(at: &impl serde::Serialize) -> Value {
    serde_json::to_value(at).expect("plain data with text keys always serialises")
}

/// A service; `defaults`: with what it does not say filled in.
#[must_use]
pub fn service(stored: &Stored<ServiceRecord>, defaults: bool, status: Option<Value>) -> Value {
    let spec = if defaults {
        with_defaults(&stored.spec)
    } else {
        stored.spec.clone()
    };
    let mut endpoint = json!({"Spec": stored.spec.endpoint.as_ref().map_or(json!({}), text)});
    if !stored.spec.ports().is_empty() {
        put(&mut endpoint, "Ports", Some(text(&stored.spec.ports())));
    }
    let mut out = json!({
        "ID": stored.id,
        "Version": {"Index": stored.index},
        "CreatedAt": rfc3339(stored.created_at),
        "UpdatedAt": rfc3339(stored.updated_at),
        "Spec": text(&spec),
        "Endpoint": endpoint,
    });
    put(&mut out, "PreviousSpec", stored.previous.as_ref().map(text));
    put(
        &mut out,
        "UpdateStatus",
        stored.update.as_ref().map(|u| {
            let mut update = json!({
                "State": u.state.as_str(),
                "StartedAt": rfc3339(u.started_at),
                "Message": u.message,
            });
            put(
                &mut update,
                "CompletedAt",
                u.completed_at.map(|at| json!(rfc3339(at))),
            );
            update
        }),
    );
    put(&mut out, "ServiceStatus", status);
    out
}

fn with_defaults(spec: &ServiceSpec) -> ServiceSpec {
    let mut spec = spec.clone();
    let update = || UpdateConfig {
        parallelism: Some(1),
        failure_action: Some("pause".to_owned()),
        monitor: Some(5_000_000_000),
        max_failure_ratio: Some(0.0),
        order: Some("stop-first".to_owned()),
        delay: None,
    };
    spec.update.get_or_insert_with(update);
    spec.rollback.get_or_insert_with(update);
    spec.task = Some(spec.task.unwrap_or_default().with_defaults());
    spec
}

/// How many tasks run and shall run.
#[must_use]
pub fn service_status<'a>(
    record: &ServiceRecord,
    tasks: impl Iterator<Item = &'a Task>,
    eligible: usize,
) -> Value {
    let mut running = 0_u64;
    for task in tasks {
        running += u64::from(status::of(task, record, &Holders::default()).state == "running");
    }
    let desired = match record.spec.copies() {
        Copies::Replicated(n) => u64::from(n),
        Copies::Global => eligible as u64,
    };
    json!({"RunningTasks": running, "DesiredTasks": desired, "CompletedTasks": 0})
}

/// A task.
#[must_use]
pub fn task(task: &Task, record: &ServiceRecord, holders: &Holders) -> Value {
    let state = status::of(task, record, holders);
    let s = &task.status;
    let at = s
        .ended_at
        .or(s.started_at)
        .or(s.placed_at)
        .unwrap_or(s.claimed_at);
    let mut status = json!({
        "Timestamp": rfc3339(at),
        "State": state.state,
        "Message": state.message,
        "PortStatus": port_status(task),
    });
    put(&mut status, "Err", state.error.map(Value::String));
    if s.placed_at.is_some() && s.started_at.is_some() {
        let code = s.exit.as_ref().and_then(|e| e.code.or(e.signal.map(|n| 128 + n)));
        let container = json!({
            "ContainerID": ids::container(task.id()),
            "PID": 0,
            "ExitCode": code.unwrap_or(0),
        });
        put(&mut status, "ContainerStatus", Some(container));
    }
    let template = record.template(&task.terms.workload.version);
    let mut spec = template.map_or(json!({}), text);
    if let Some(fields) = spec.as_object_mut() {
        fields.remove("Runtime");
    }
    let mut out = json!({
        "ID": ids::task(task.id()),
        "Version": {"Index": task.generation.0 + s.seq.0 + 1},
        "CreatedAt": rfc3339(s.claimed_at),
        "UpdatedAt": rfc3339(at),
        "Labels": {},
        "Spec": spec,
        "ServiceID": task.terms.workload.uid,
        "Status": status,
        "DesiredState": status::desired(task),
    });
    if record.spec.copies() != Copies::Global {
        put(&mut out, "Slot", Some(json!(task.seat.slot)));
    }
    put(&mut out, "NodeID", s.node.as_ref().map(|n| json!(ids::node(n))));
    out
}

fn port_status(task: &Task) -> Value {
    let live = !task.status.phase().is_terminal() && task.status.phase() != Phase::Pending;
    let ports: Vec<Value> = task
        .terms
        .ports
        .iter()
        .zip(&task.status.ports)
        .filter(|_| live)
        .map(|(ask, host)| {
            let protocol = match ask.protocol {
                Protocol::Udp => "udp",
                Protocol::Tcp | Protocol::Both => "tcp",
            };
            json!({"Protocol": protocol, "TargetPort": ask.container, "PublishedPort": host, "PublishMode": "host"})
        })
        .collect();
    if ports.is_empty() {
        json!({})
    } else {
        json!({"Ports": ports})
    }
}

/// What a node has for this scheduler: all that tasks can have, less what the other schedulers hold.
#[must_use]
pub fn resources(node: &Node, own: &str) -> Amounts {
    let others = node.held.iter().filter(|(scheduler, _)| *scheduler != own);
    others.fold(node.facts.allocatable(), |left, (_, held)| {
        left.saturating_sub(held)
    })
}

/// A node, as the scheduler `own` shows it; `manager_at`: where the manager is reached, if that is known.
#[must_use]
pub fn node(n: &SwarmNode, own: &str, manager_at: &str) -> Value {
    let facts = &n.node.facts;
    let attribute = |key: &str| facts.attributes.get(key).map_or("", String::as_str);
    let ready = n.node.liveness == Liveness::Ready;
    let capacity = resources(&n.node, own);
    let mut spec = json!({
        "Labels": n.record.labels,
        "Role": if n.manager { "manager" } else { "worker" },
        "Availability": availability(n.availability()),
    });
    if !n.record.name.is_empty() {
        put(&mut spec, "Name", Some(json!(n.record.name)));
    }
    let mut status = json!({"State": if ready { "ready" } else { "down" }, "Addr": facts.address});
    if !ready {
        put(&mut status, "Message", Some(json!("heartbeat failure")));
    }
    let engine = facts
        .runtimes
        .get("docker")
        .map(|r| r.version.clone())
        .unwrap_or_default();
    let labels: Map<String, Value> = facts
        .attributes
        .iter()
        .map(|(k, v)| (k.clone(), json!(v)))
        .collect();
    let mut out = json!({
        "ID": n.id,
        "Version": {"Index": n.index},
        "CreatedAt": rfc3339(n.node.joined_at),
        "UpdatedAt": rfc3339(n.record.updated_at.max(n.node.since)),
        "Spec": spec,
        "Description": {
            "Hostname": n.hostname(),
            "Platform": {"Architecture": attribute("arch"), "OS": attribute("os")},
            "Resources": {
                "NanoCPUs": capacity.cpu_millis.saturating_mul(1_000_000),
                "MemoryBytes": capacity.memory_bytes,
            },
            "Engine": {"EngineVersion": engine, "Labels": labels, "Plugins": [
                {"Type": "Log", "Name": "json-file"}, {"Type": "Volume", "Name": "local"},
            ]},
            "TLSInfo": {},
        },
        "Status": status,
    });
    if n.manager {
        let at = match manager_at {
            "" => format!("{}:2377", facts.address),
            at => at.to_owned(),
        };
        let manager = json!({"Leader": true, "Reachability": "reachable", "Addr": at});
        put(&mut out, "ManagerStatus", Some(manager));
    }
    out
}

/// As clients read and write it.
#[must_use]
pub fn availability(a: Availability) -> &'static str {
    match a {
        Availability::Active => "active",
        Availability::Pause => "pause",
        Availability::Drain => "drain",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::world::node as a_node;

    #[test]
    fn a_node_has_what_the_system_and_the_other_schedulers_leave() {
        let mut node = a_node("n1");
        for (who, cpu) in [("marathon", 500), ("swarm", 700), ("kubernetes", 300)] {
            node.held.insert(who.to_owned(), Amounts::task(cpu, 1 << 20, 0));
        }
        let shown = resources(&node, "swarm");
        assert_eq!(
            (shown.cpu_millis, shown.memory_bytes),
            (3000 - 800, (1 << 30) - 3 * (1 << 20))
        );
        // less its own charges that is the ledger's free room: what every tool reckons
        let left = shown.saturating_sub(&node.held["swarm"]);
        let free = node.free();
        assert_eq!(
            (left.cpu_millis, left.memory_bytes, left.slots),
            (free.cpu_millis, free.memory_bytes, free.slots)
        );
    }
}
