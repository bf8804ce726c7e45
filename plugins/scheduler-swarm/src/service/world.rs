//! What the unit tests of services are made of: a service, nodes, tasks in any phase.

use super::lower;
use super::node::{Availability, NodeRecord, SwarmNode};
use super::record::ServiceRecord;
use super::spec::{NAMES, ServiceSpec};
use crate::config::SwarmConfig;
use crate::ids;
use crate::store::{Desired, Table};
use plenum_contract::broker::{WatchBatch, WatchEvent, WatchPart};
use plenum_model::amounts::Amounts;
use plenum_model::claim::Seat;
use plenum_model::ids::{Cursor, Generation, NodeId, SchedulerId, TaskId};
use plenum_model::node::{Liveness, Node, NodeFacts, PortRange, Scheduling};
use plenum_model::phase::Phase;
use plenum_model::rules::Rules;
use plenum_model::task::{Status, Task};
use plenum_sdk::observed::Observed;
use plenum_sdk::time::Moment;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) fn scheduler() -> SchedulerId {
    SchedulerId::new("swarm").unwrap()
}

/// A spec with an image and, besides, these fields of a service and of its task template.
pub(super) fn spec(more: &Value, task: &Value) -> ServiceSpec {
    let mut whole = json!({"Name": "web", "TaskTemplate": {"ContainerSpec": {"Image": "busybox"}}});
    merge(&mut whole, more);
    merge(&mut whole["TaskTemplate"], task);
    NAMES.read(&serde_json::to_vec(&whole).unwrap()).unwrap()
}

fn merge(into: &mut Value, more: &Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more.clone(),
    }
}

pub(super) fn service(more: &Value, task: &Value) -> ServiceRecord {
    ServiceRecord::new("s".repeat(25), spec(more, task), 0)
}

pub(super) fn replicated(n: u32) -> Value {
    json!({"Mode": {"Replicated": {"Replicas": n}}})
}

pub(super) fn desired(record: ServiceRecord) -> Desired {
    let mut services = Table::default();
    services.insert_for_test(record);
    Desired {
        services,
        ..Desired::default()
    }
}

/// A node that is ready and open.
pub(super) fn node(name: &str) -> Node {
    let id = NodeId::new(name).unwrap();
    Node {
        facts: NodeFacts {
            id,
            hostname: name.to_owned(),
            address: "10.0.0.1".to_owned(),
            capacity: Amounts::task(4000, 1 << 30, 0),
            system: Amounts::task(1000, 1 << 20, 0),
            devices: BTreeMap::new(),
            attributes: [("os", "linux"), ("arch", "x86_64"), ("disk", "SSD")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
            runtimes: BTreeMap::new(),
            ports: PortRange { low: 1, high: 2 },
            agent_version: String::new(),
            taints: Vec::new(),
        },
        liveness: Liveness::Ready,
        scheduling: Scheduling::Open,
        held: BTreeMap::new(),
        tasks: BTreeMap::new(),
        joined_at: 0,
        since: 0,
        taints: Vec::new(),
    }
}

/// The same as Docker's users see it, with these labels.
pub(super) fn swarm_node(node: Node, labels: &[(&str, &str)]) -> SwarmNode {
    let id = node.facts.id.clone();
    SwarmNode {
        id: ids::node(&id),
        manager: id.as_str() == "n1",
        index: 1,
        record: NodeRecord {
            node: id,
            name: String::new(),
            labels: labels
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            availability: Availability::Active,
            updated_at: 0,
        },
        node: Arc::new(node),
    }
}

/// A task of a service, at this attempt of a slot; placed on n1 unless it waits, ended at `at` if it has.
pub(super) fn task(record: &ServiceRecord, slot: u64, attempt: u32, phase: Phase, at: u64) -> Task {
    let spec = lower::task_spec(record);
    let terms = lower::terms(
        record,
        &spec,
        Rules::default(),
        &Desired::default(),
        &SwarmConfig::default(),
    );
    let mut status = Status::pending(0);
    status.progress.phase = phase;
    status.node = (phase != Phase::Pending).then(|| NodeId::new("n1").unwrap());
    status.started_at = matches!(
        phase,
        Phase::Running | Phase::Finished | Phase::Failed | Phase::Stopped
    )
    .then_some(1);
    status.ended_at = phase.is_terminal().then_some(at);
    Task {
        scheduler: scheduler(),
        seat: Seat::new(
            TaskId::derive(&scheduler(), &record.id, slot, attempt),
            "web",
            slot,
        ),
        terms: Arc::new(terms),
        generation: Generation(1),
        desired: plenum_model::claim::Desired::Running,
        released: false,
        status,
    }
}

pub(super) fn observed(
    tasks: impl IntoIterator<Item = Task>,
    nodes: impl IntoIterator<Item = Node>,
) -> Observed {
    let mut observed = Observed::new(scheduler());
    let tasks = tasks.into_iter().map(|t| WatchEvent::Task(Arc::new(t)));
    let nodes = nodes.into_iter().map(|n| WatchEvent::Node(Arc::new(n)));
    observed.apply(
        Moment(0),
        WatchBatch {
            cursor: Cursor(1),
            part: WatchPart::SnapshotEnd,
            events: tasks.chain(nodes).collect(),
        },
    );
    observed
}
