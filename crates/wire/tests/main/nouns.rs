//! Things to send.

use plenum_contract::broker::Hello;
use plenum_model::amounts::Amounts;
use plenum_model::claim::{ClaimBatch, ClaimGroup, Desired, LostAfter, Priority, Seat, Terms, Workload};
use plenum_model::ids::{Generation, NodeId, SchedulerId, TaskId, TenantPath};
use plenum_model::node::{Liveness, Node, NodeFacts, PortRange, Scheduling};
use plenum_model::rules::{Expr, Rules};
use plenum_model::spec::{ContainerSpec, TaskSpec};
use plenum_model::task::{Status, Task};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) fn scheduler() -> SchedulerId {
    SchedulerId::new("marathon").unwrap()
}

pub(crate) fn node_id(n: usize) -> NodeId {
    NodeId::new(format!("node-{n}")).unwrap()
}

pub(crate) fn task_id(slot: u64) -> TaskId {
    TaskId::derive(&scheduler(), "web", slot, 1)
}

pub(crate) fn hello() -> Hello {
    Hello {
        scheduler: scheduler(),
        kind: "marathon".into(),
        api: (1, 1),
        watch_nodes: true,
    }
}

pub(crate) fn spec() -> Arc<TaskSpec> {
    let container = ContainerSpec {
        name: "main".into(),
        runtime: "docker".into(),
        ..ContainerSpec::default()
    };
    Arc::new(TaskSpec {
        containers: vec![container],
        ..TaskSpec::default()
    })
}

pub(crate) fn terms(kind: &str) -> Arc<Terms> {
    Arc::new(Terms {
        workload: Workload {
            uid: "web".into(),
            name: "/web".into(),
            kind: kind.into(),
            version: "2026-11-24T23:00:00Z".into(),
        },
        tenant: TenantPath::new("web/checkout").unwrap(),
        charge: Amounts::task(500, 256 << 20, 0),
        devices: BTreeMap::new(),
        ports: Vec::new(),
        spec: spec().id(),
        labels: BTreeMap::from([("app".into(), "web".into())]),
        desired: Desired::Running,
        rules: Rules {
            required: vec![vec![Expr::equals("rack", "b")]],
            ..Rules::default()
        },
        lost_after: LostAfter::Never,
        priority: Priority::default(),
        may_preempt: true,
        budget: None,
        files: Vec::new(),
        keep_ended: 3,
    })
}

pub(crate) fn seats(count: u64) -> Vec<Seat> {
    (0..count)
        .map(|slot| Seat::new(task_id(slot), format!("web.{slot}"), slot))
        .collect()
}

/// A claim of `count` identical tasks; what kind of workload says how the fake answers.
pub(crate) fn claim(kind: &str, count: u64) -> ClaimBatch {
    ClaimBatch {
        specs: vec![spec()],
        groups: vec![ClaimGroup {
            terms: terms(kind),
            seats: seats(count),
        }],
        all_or_nothing: true,
    }
}

pub(crate) fn tasks(count: u64) -> Vec<Arc<Task>> {
    let terms = terms("app");
    let task = |seat: Seat| {
        let mut status = Status::pending(1_700_000_000_000);
        status.node = Some(node_id(usize::try_from(seat.slot % 3).unwrap()));
        status.ports = vec![31_000, 31_001];
        Arc::new(Task {
            scheduler: scheduler(),
            terms: Arc::clone(&terms),
            generation: Generation(seat.slot + 1),
            desired: Desired::Running,
            released: false,
            status,
            seat,
        })
    };
    seats(count).into_iter().map(task).collect()
}

pub(crate) fn facts(n: usize) -> NodeFacts {
    NodeFacts {
        id: node_id(n),
        hostname: format!("host-{n}"),
        address: format!("127.77.0.{n}"),
        capacity: Amounts {
            slots: 100,
            ..Amounts::task(8_000, 16 << 30, 1 << 40)
        },
        system: Amounts::default(),
        devices: BTreeMap::new(),
        attributes: BTreeMap::from([("rack".into(), "b".into())]),
        runtimes: BTreeMap::new(),
        ports: PortRange {
            low: 31_000,
            high: 32_000,
        },
        agent_version: "0.1.0".into(),
        taints: Vec::new(),
    }
}

pub(crate) fn node(n: usize) -> Arc<Node> {
    Arc::new(Node {
        facts: facts(n),
        liveness: Liveness::Ready,
        scheduling: Scheduling::Open,
        held: BTreeMap::from([("marathon".into(), Amounts::task(1, 2, 3))]),
        tasks: BTreeMap::from([("marathon".into(), 7)]),
        joined_at: 1,
        since: 2,
        taints: vec!["gpu=a100:NoSchedule".parse().unwrap()],
    })
}
