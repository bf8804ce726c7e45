//! Pods and tasks for the tests of the pure parts.

use super::book::Book;
use super::pod::lower::Lowered;
use k8s_openapi::api::core::v1::{Node as KubeNode, Pod};
use plenum_contract::broker::{WatchBatch, WatchEvent, WatchPart};
use plenum_model::amounts::Amounts;
use plenum_model::claim::{Desired, Seat, Terms, Workload};
use plenum_model::ids::{Cursor, Generation, NodeId, SchedulerId, TaskId, TenantPath};
use plenum_model::node::{Liveness, Node, NodeFacts, PortRange, Scheduling};
use plenum_model::phase::Phase;
use plenum_model::spec::TaskSpec;
use plenum_model::task::{ContainerState, ContainerStatus, Status, Task};
use plenum_sdk::observed::Observed;
use plenum_sdk::time::Moment;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) fn scheduler() -> SchedulerId {
    SchedulerId::new("kubernetes").unwrap()
}

pub(super) fn node_id(n: u32) -> NodeId {
    NodeId::new(format!("n{n}")).unwrap()
}

/// A pod with one container `c`; `spec` is laid over its spec, `meta` over its metadata.
pub(super) fn pod(meta: Value, spec: Value) -> Pod {
    let lay = |under: Value, over: Value| {
        let (Value::Object(mut under), Value::Object(over)) = (under, over) else {
            unreachable!()
        };
        under.extend(over);
        Value::Object(under)
    };
    let under = json!({"name": "p", "namespace": "prod", "uid": "u"});
    let containers = json!({"containers": [{"name": "c", "image": "i:1"}]});
    serde_json::from_value(json!({"metadata": lay(under, meta), "spec": lay(containers, spec)})).unwrap()
}

pub(super) fn lowered() -> Arc<Lowered> {
    Arc::new(Lowered {
        spec: Arc::new(TaskSpec::default()),
        spec_id: TaskSpec::default().id(),
        files: Vec::new(),
        ports: Vec::new(),
        missing: Vec::new(),
    })
}

/// The first attempt of the pod `u`.
pub(super) fn task(phase: Phase, desired: Desired, node: Option<u32>) -> Task {
    let id = TaskId::derive(&scheduler(), "u", 0, 0);
    let mut status = Status::pending(1);
    status.progress.phase = phase;
    status.node = node.map(node_id);
    Task {
        scheduler: scheduler(),
        seat: Seat::new(id, "p", 0),
        terms: Arc::new(Terms {
            workload: Workload {
                uid: "u".to_owned(),
                name: "prod/p".to_owned(),
                kind: "Pod".to_owned(),
                version: String::new(),
            },
            tenant: TenantPath::new("prod").unwrap(),
            charge: Amounts::task(0, 0, 0),
            devices: BTreeMap::new(),
            ports: Vec::new(),
            spec: TaskSpec::default().id(),
            labels: BTreeMap::new(),
            desired,
            rules: plenum_model::rules::Rules::default(),
            lost_after: plenum_model::claim::LostAfter::Never,
            priority: plenum_model::claim::Priority::default(),
            may_preempt: false,
            budget: None,
            files: Vec::new(),
            keep_ended: 0,
        }),
        generation: Generation(3),
        desired,
        released: false,
        status,
    }
}

pub(super) fn container(name: &str, state: ContainerState) -> ContainerStatus {
    let runs = matches!(state, ContainerState::Running { .. });
    ContainerStatus {
        name: name.to_owned(),
        state,
        restarts: 0,
        last: None,
        ready: runs,
        started: runs,
        id: runs.then(|| "0123".to_owned()),
        image_id: None,
    }
}

pub(super) fn node(n: u32) -> Node {
    Node {
        facts: NodeFacts {
            id: node_id(n),
            hostname: "m".into(),
            address: format!("127.77.0.{n}"),
            capacity: Amounts::default(),
            system: Amounts::default(),
            devices: BTreeMap::new(),
            attributes: BTreeMap::new(),
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

/// A mirror with nodes `n1` and `n2`, and these tasks.
pub(super) fn observed(tasks: Vec<Task>) -> Observed {
    let mut observed = Observed::new(scheduler());
    let nodes = [1, 2].map(|n| WatchEvent::Node(Arc::new(node(n))));
    let tasks = tasks.into_iter().map(|t| WatchEvent::Task(Arc::new(t)));
    let batch = WatchBatch {
        cursor: Cursor::default(),
        part: WatchPart::SnapshotEnd,
        events: nodes.into_iter().chain(tasks).collect(),
    };
    observed.apply(Moment(1), batch);
    observed
}

/// A book that has listed nodes `n1` (with the label `disk=ssd`) and `n2`, and these pods.
pub(super) fn book(pods: Vec<Pod>) -> Book {
    let book = Book::default();
    for (n, labels) in [(1, json!({"disk": "ssd"})), (2, json!({}))] {
        let node = json!({"metadata": {"name": node_id(n).as_str(), "labels": labels}});
        let node: KubeNode = serde_json::from_value(node).unwrap();
        book.put_node(node, true, true);
    }
    book.end_nodes();
    book.begin_pods();
    pods.into_iter().for_each(|pod| book.put_pod(pod, true));
    book.end_pods();
    book
}
