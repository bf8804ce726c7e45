//! A pool with things in it, that remembers what it was told.

use crate::nouns::{node, node_id, scheduler, task_id, tasks};
use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt, iter};
use plenum_contract::pool::{
    Ahead, Explanation, NodeExplanation, Pool, PoolError, SchedulerView, ShareChange, Simulation, Suppose,
    TaskFilter, TaskPage, TenantExplanation, WaitsFor,
};
use plenum_model::amounts::{Amounts, Resource};
use plenum_model::event::Event;
use plenum_model::fix::{Fix, NewNode};
use plenum_model::ids::{Cursor, NodeId, TaskId, TenantPath};
use plenum_model::node::{Node, Scheduling};
use plenum_model::taint::TaintChange;
use plenum_model::task::{ExitReason, Task};
use plenum_model::tenant::{Tenant, TenantUsage};
use plenum_model::why::{Because, Block, Cause, GangShort, LimitReached, NodeVerdict, Other, Why};
use std::sync::{Arc, Mutex};

/// More than fit into one message.
pub(crate) const TASKS: u64 = 9_000;

#[derive(Default)]
pub(crate) struct FakePool {
    pub(crate) told: Mutex<Vec<String>>,
}

impl FakePool {
    fn hear(&self, told: String) {
        self.told.lock().unwrap().push(told);
    }
}

/// Every error that a pool has.
pub(crate) fn every_error() -> Vec<PoolError> {
    vec![
        PoolError::NotFound {
            kind: "node",
            name: "ghost".into(),
        },
        PoolError::Refused {
            field: "weight".into(),
            why: "zero".into(),
        },
        PoolError::Compacted { oldest: Cursor(12) },
        PoolError::Conflict {
            why: "tasks run there".into(),
        },
        PoolError::Full,
        PoolError::Unavailable {
            why: "starting".into(),
        },
    ]
}

pub(crate) fn tenant() -> Tenant {
    Tenant {
        path: TenantPath::new("web/checkout").unwrap(),
        weight: 3,
        guarantee: Amounts::task(1_000, 2, 3),
        limit: Amounts::default(),
    }
}

pub(crate) fn explanation() -> Explanation {
    let limit = LimitReached {
        tenant: tenant().path,
        resource: Resource::Memory,
        limit: 10,
        used: 9,
    };
    let by = vec![
        (Cause::Attribute("rack".into()), 9),
        (Cause::Short(Resource::Cpu), 31),
    ];
    let verdict = |n, cause| NodeVerdict {
        node: node_id(n),
        cause,
        detail: format!("detail {n}"),
    };
    Explanation {
        task: tasks(1).remove(0),
        why: Some(Why {
            nodes: 40,
            by,
            limit: Some(limit),
            ..Why::default()
        }),
        nodes: vec![verdict(1, None), verdict(2, Some(Cause::Port(80)))],
        block: Some(Block::Turn {
            first: other(1),
            because: Because::Guarantee,
        }),
        ahead: Ahead {
            tasks: 4,
            first: vec![other(1), other(2)],
            because: Some(Because::Guarantee),
        },
        holders: vec![(scheduler(), Amounts::task(5, 6, 7))],
        fix: Some(Fix::AddNode {
            with: NewNode {
                name: Some(node_id(9)),
                amounts: Amounts::task(1, 2, 3),
                before: 4,
                attributes: [("rack".into(), "b".into())].into(),
                runtimes: [("docker".into(), ["images".into()].into())].into(),
            },
        }),
    }
}

fn other(n: u64) -> Other {
    Other {
        task: task_id(n),
        name: format!("web.{n}"),
        tenant: tenant().path,
    }
}

pub(crate) fn node_explanation() -> NodeExplanation {
    NodeExplanation {
        node: node(1),
        waiting: 7,
        refuses: vec![(Cause::Taint("gpu".into()), 4), (Cause::Port(80), 2)],
        kept: vec![(other(3), Amounts::task(1, 2, 3))],
        waits_for_it: 1,
        first: vec![other(4)],
    }
}

pub(crate) fn simulation() -> Simulation {
    Simulation {
        placed: vec![(other(1), node_id(1))],
        waits: vec![(other(2), Some(Block::NoNodes)), (other(3), None)],
        ended: vec![(other(4), node_id(2), ExitReason::Preempted)],
        shares: vec![ShareChange {
            tenant: tenant().path,
            before: 1,
            after: 2,
        }],
        waiting: 9,
    }
}

pub(crate) fn tenant_explanation() -> TenantExplanation {
    let block = |block| WaitsFor {
        block,
        tasks: 3,
        first: other(5),
    };
    let short = GangShort { of: 4, fit: 3 };
    TenantExplanation {
        usage: tenants().remove(0),
        guarantee: Amounts::task(1, 2, 3),
        borrowed: Amounts::task(4, 5, 6),
        unused: Amounts::default(),
        share_per_mille: 313,
        within_guarantee: true,
        waits: vec![
            block(Block::Gang(short, Some(Cause::Short(Resource::Cpu)))),
            block(Block::Seat(node_id(1))),
            block(Block::NoNodes),
            block(Block::Kept {
                node: node_id(1),
                by: other(6),
                guaranteed: true,
            }),
            block(Block::Nodes(Cause::Cordoned)),
        ],
    }
}

pub(crate) fn events(from: u64) -> Vec<Event> {
    let event = |cursor| Event {
        cursor: Cursor(cursor),
        at: 1_700_000_000_000,
        kind: "task.placed".into(),
        object: "web.1".into(),
        task: (cursor % 2 == 0).then(|| task_id(cursor)),
        node: (cursor % 2 == 0).then(|| node_id(1)),
        actor: "broker".into(),
        message: "placed".into(),
    };
    (from + 1..from + 4).map(event).collect()
}

pub(crate) fn schedulers() -> Vec<SchedulerView> {
    vec![SchedulerView {
        id: scheduler(),
        kind: "marathon".into(),
        connected: true,
        tasks: 5,
        pending: 2,
        held: Amounts::task(1, 2, 3),
        asked: Amounts::task(4, 5, 6),
    }]
}

pub(crate) fn tenants() -> Vec<TenantUsage> {
    let (used, pending) = (Amounts::task(1, 2, 3), Amounts::default());
    vec![TenantUsage {
        tenant: tenant(),
        used,
        pending,
        tasks: 8,
    }]
}

#[async_trait]
impl Pool for FakePool {
    async fn nodes(&self) -> Result<Vec<Arc<Node>>, PoolError> {
        Ok((0..5_000).map(node).collect())
    }

    async fn tasks(&self, filter: TaskFilter) -> Result<TaskPage, PoolError> {
        self.hear(format!("{filter:?}"));
        let all = tasks(if filter.ended { TASKS } else { 0 });
        let count = if filter.limit == 0 {
            all.len()
        } else {
            filter.limit
        };
        let more = count < all.len();
        Ok(TaskPage {
            tasks: all.into_iter().take(count).collect(),
            more,
        })
    }

    async fn task(&self, id: TaskId) -> Result<Arc<Task>, PoolError> {
        let missing = || PoolError::NotFound {
            kind: "task",
            name: id.to_string(),
        };
        tasks(10)
            .into_iter()
            .find(|task| task.id() == id)
            .ok_or_else(missing)
    }

    async fn schedulers(&self) -> Result<Vec<SchedulerView>, PoolError> {
        Ok(schedulers())
    }

    async fn tenants(&self) -> Result<Vec<TenantUsage>, PoolError> {
        Ok(tenants())
    }

    async fn set_tenant(&self, tenant: Tenant, actor: &str) -> Result<(), PoolError> {
        self.hear(format!("{tenant:?} {actor}"));
        Ok(())
    }

    async fn set_scheduling(&self, node: &NodeId, to: Scheduling, actor: &str) -> Result<(), PoolError> {
        self.hear(format!("{node} {to:?} {actor}"));
        Ok(())
    }

    async fn taint(&self, node: &NodeId, change: TaintChange, actor: &str) -> Result<(), PoolError> {
        self.hear(format!("{node} {change:?} {actor}"));
        Ok(())
    }

    /// The node's name says which error.
    async fn remove_node(&self, node: &NodeId, actor: &str) -> Result<(), PoolError> {
        self.hear(format!("remove {node} {actor}"));
        match node.as_str().strip_prefix("error-") {
            Some(n) => Err(every_error().remove(n.parse().unwrap())),
            None => Ok(()),
        }
    }

    async fn stop_task(&self, id: TaskId, grace_ms: Option<u64>, actor: &str) -> Result<(), PoolError> {
        self.hear(format!("stop {id} {grace_ms:?} {actor}"));
        Ok(())
    }

    async fn why(&self, _: TaskId) -> Result<Explanation, PoolError> {
        Ok(explanation())
    }

    async fn why_node(&self, _: &NodeId) -> Result<NodeExplanation, PoolError> {
        Ok(node_explanation())
    }

    async fn why_tenant(&self, _: &TenantPath) -> Result<TenantExplanation, PoolError> {
        Ok(tenant_explanation())
    }

    async fn simulate(&self, suppose: Vec<Suppose>) -> Result<Simulation, PoolError> {
        self.hear(format!("{suppose:?}"));
        Ok(simulation())
    }

    async fn events(
        &self,
        from: Option<Cursor>,
    ) -> Result<BoxStream<'static, Result<Vec<Event>, PoolError>>, PoolError> {
        match from {
            Some(Cursor(0)) => Err(every_error().remove(2)),
            Some(Cursor(from)) => Ok(iter([Ok(events(from)), Err(every_error().remove(5))]).boxed()),
            None => Ok(iter([Ok(Vec::new())]).boxed()),
        }
    }
}
