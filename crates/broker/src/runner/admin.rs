//! The contract `Pool`, in process: reads look at the view, the few writes go through the core.

use super::{BrokerHandle, Failed, Inner};
use crate::input::{Denied, Input};
use crate::simulate::{SimulateError, simulate};
use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use plenum_contract::pool::{
    Explanation, NodeExplanation, Pool, PoolError, SchedulerView, Simulation, Suppose, TaskFilter, TaskPage,
    TenantExplanation,
};
use plenum_model::event::Event;
use plenum_model::ids::{Cursor, NodeId, TaskId, TenantPath};
use plenum_model::node::{Node, Scheduling};
use plenum_model::taint::TaintChange;
use plenum_model::task::Task;
use plenum_model::tenant::{Tenant, TenantUsage};
use std::sync::Arc;
use tokio::sync::watch;

/// Events of one batch.
const PAGE: usize = 500;

#[async_trait]
impl Pool for BrokerHandle {
    async fn nodes(&self) -> Result<Vec<Arc<Node>>, PoolError> {
        Ok(self.0.shared.view.read().nodes())
    }

    async fn tasks(&self, filter: TaskFilter) -> Result<TaskPage, PoolError> {
        Ok(self.0.shared.view.read().tasks(&filter))
    }

    async fn task(&self, id: TaskId) -> Result<Arc<Task>, PoolError> {
        let view = self.0.shared.view.read();
        view.task(id)
            .map(|now| Arc::clone(&now.task))
            .ok_or_else(|| no_task(id))
    }

    async fn schedulers(&self) -> Result<Vec<SchedulerView>, PoolError> {
        Ok(self.0.shared.view.read().schedulers())
    }

    async fn tenants(&self) -> Result<Vec<TenantUsage>, PoolError> {
        Ok(self.0.shared.view.read().tenants())
    }

    async fn set_tenant(&self, tenant: Tenant, actor: &str) -> Result<(), PoolError> {
        self.0.order(Input::SetTenant(tenant, actor.to_owned())).await
    }

    async fn set_scheduling(&self, node: &NodeId, to: Scheduling, actor: &str) -> Result<(), PoolError> {
        self.0
            .order(Input::SetScheduling(node.clone(), to, actor.to_owned()))
            .await
    }

    async fn taint(&self, node: &NodeId, change: TaintChange, actor: &str) -> Result<(), PoolError> {
        self.0
            .order(Input::Taint(node.clone(), change, actor.to_owned()))
            .await
    }

    async fn remove_node(&self, node: &NodeId, actor: &str) -> Result<(), PoolError> {
        self.0
            .order(Input::RemoveNode(node.clone(), actor.to_owned()))
            .await
    }

    async fn stop_task(&self, id: TaskId, grace_ms: Option<u64>, actor: &str) -> Result<(), PoolError> {
        self.0
            .order(Input::StopTask(id, grace_ms, actor.to_owned()))
            .await
    }

    async fn why(&self, id: TaskId) -> Result<Explanation, PoolError> {
        let view = self.0.shared.view.read();
        view.explain(id, self.0.config.core.strict_caps)
            .ok_or_else(|| no_task(id))
    }

    async fn why_node(&self, node: &NodeId) -> Result<NodeExplanation, PoolError> {
        let view = self.0.shared.view.read();
        let explained = view.explain_node(node, self.0.config.core.strict_caps);
        explained.ok_or_else(|| PoolError::NotFound {
            kind: "node",
            name: node.to_string(),
        })
    }

    async fn why_tenant(&self, tenant: &TenantPath) -> Result<TenantExplanation, PoolError> {
        let view = self.0.shared.view.read();
        view.explain_tenant(tenant).ok_or_else(|| PoolError::NotFound {
            kind: "tenant",
            name: tenant.to_string(),
        })
    }

    async fn simulate(&self, suppose: Vec<Suppose>) -> Result<Simulation, PoolError> {
        let snapshot = self.0.copy().await.map_err(refused)?;
        let config = self.0.config.core.clone();
        let trial = tokio::task::spawn_blocking(move || simulate(&config, &snapshot, &suppose)).await;
        let unavailable = |why: String| PoolError::Unavailable { why };
        let result = trial.map_err(|e| unavailable(format!("the simulation did not end: {e}")))?;
        result.map_err(|error| match error {
            SimulateError::Copy(_) => unavailable(error.to_string()),
            SimulateError::Denied(denied) => refused(Failed::Denied(denied)),
            SimulateError::Refused { field, why } => PoolError::Refused { field, why },
        })
    }

    async fn events(
        &self,
        from: Option<Cursor>,
    ) -> Result<BoxStream<'static, Result<Vec<Event>, PoolError>>, PoolError> {
        let bumped = self.0.shared.bumped.subscribe();
        let at = {
            let view = self.0.shared.view.read();
            let floor = view.timeline().floor();
            if from.is_some_and(|from| from < floor) {
                return Err(PoolError::Compacted { oldest: floor });
            }
            from.unwrap_or_else(|| view.timeline().newest())
        };
        let reading = Reading {
            inner: Arc::clone(&self.0),
            bumped,
            at: Some(at),
        };
        Ok(Box::pin(stream::unfold(reading, |mut reading| async move {
            let events = reading.next().await?;
            Some((events, reading))
        })))
    }
}

struct Reading {
    inner: Arc<Inner>,
    bumped: watch::Receiver<u64>,
    /// Everything up to here was told; none: no more can be.
    at: Option<Cursor>,
}

impl Reading {
    async fn next(&mut self) -> Option<Result<Vec<Event>, PoolError>> {
        loop {
            let at = self.at?;
            self.bumped.borrow_and_update();
            let found = {
                let view = self.inner.shared.view.read();
                view.timeline().after(at, PAGE).ok_or(view.timeline().floor())
            };
            match found {
                Err(oldest) => {
                    self.at = None;
                    return Some(Err(PoolError::Compacted { oldest }));
                }
                Ok(events) => {
                    if let Some(last) = events.last() {
                        self.at = Some(last.cursor);
                        return Some(Ok(events));
                    }
                }
            }
            tokio::select! {
                changed = self.bumped.changed() => changed.ok()?,
                () = self.inner.stop.cancelled() => return None,
            }
        }
    }
}

impl Inner {
    async fn order(&self, input: Input) -> Result<(), PoolError> {
        self.ask(input).await.map(|_| ()).map_err(refused)
    }
}

fn no_task(id: TaskId) -> PoolError {
    PoolError::NotFound {
        kind: "task",
        name: id.to_string(),
    }
}

fn refused(failed: Failed) -> PoolError {
    match failed {
        Failed::Full => PoolError::Full,
        Failed::Unavailable(why) => PoolError::Unavailable { why },
        Failed::Overloaded { depth } => PoolError::Unavailable {
            why: format!("the broker's queue of {depth} is full"),
        },
        Failed::Denied(Denied::Refused { field, why }) => PoolError::Refused { field, why },
        Failed::Denied(Denied::NotFound { kind, name }) => PoolError::NotFound { kind, name },
        Failed::Denied(Denied::Conflict { why }) => PoolError::Conflict { why },
        Failed::Denied(Denied::Replaced(node)) => PoolError::Conflict {
            why: format!("node {node} is attached elsewhere"),
        },
        Failed::Denied(Denied::Fenced(caller)) => PoolError::Conflict {
            why: format!("a session of {} is fenced", caller.scheduler),
        },
    }
}
