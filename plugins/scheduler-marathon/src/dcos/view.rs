//! The pool as the surfaces read it: everything of everybody, by scheduler and by node.

use plenum_contract::pool::{Pool, PoolError, SchedulerView, TaskFilter};
use plenum_model::ids::NodeId;
use plenum_model::node::Node;
use plenum_model::task::Task;
use std::sync::Arc;

/// See the module's header. Equal to another if nothing in it differs; for tasks that are the same ones in
/// memory, as those of the same process are, that costs a comparison of addresses.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct View {
    /// By name.
    pub(super) nodes: Vec<Arc<Node>>,
    /// In the order of their ids; ended ones included, and those that have no node yet.
    pub(super) tasks: Vec<Arc<Task>>,
    /// By name.
    pub(super) schedulers: Vec<SchedulerView>,
}

impl View {
    /// The whole pool.
    pub(super) async fn of(pool: &dyn Pool) -> Result<Self, PoolError> {
        Ok(Self {
            nodes: pool.nodes().await?,
            tasks: tasks(pool, TaskFilter::default()).await?,
            schedulers: pool.schedulers().await?,
        })
    }

    /// One node, with what is there; `NotFound` if there is none of that name.
    pub(super) async fn of_node(
        pool: &dyn Pool,
        name: &str,
    ) -> Result<(Arc<Node>, Vec<Arc<Task>>), PoolError> {
        let nodes = pool.nodes().await?;
        let found = nodes.into_iter().find(|n| n.facts.id.as_str() == name);
        let node = found.ok_or_else(|| PoolError::NotFound {
            kind: "agent",
            name: name.to_owned(),
        })?;
        let on = TaskFilter {
            node: Some(node.facts.id.clone()),
            ..TaskFilter::default()
        };
        let tasks = tasks(pool, on).await?;
        Ok((node, tasks))
    }

    /// The node of that name.
    pub(super) fn node(&self, id: &NodeId) -> Option<&Node> {
        let at = self.nodes.binary_search_by(|n| n.facts.id.cmp(id)).ok()?;
        Some(&self.nodes[at])
    }
}

/// The tasks that pass the filter, the ended ones too.
pub(super) async fn tasks(pool: &dyn Pool, filter: TaskFilter) -> Result<Vec<Arc<Task>>, PoolError> {
    let all = TaskFilter {
        ended: true,
        ..filter
    };
    Ok(pool.tasks(all).await?.tasks)
}
