//! `Pool` over a channel.

use super::answers;
use crate::convert::definitions::Incoming;
use crate::convert::enums::WireEnum;
use crate::convert::explain::read_explanation;
use crate::convert::taint;
use crate::limits;
use crate::malformed::{Malformed, each, id_bytes, need};
use crate::proto::api::v1 as wire;
use crate::status::{read, unreadable};
use async_trait::async_trait;
use futures::stream::BoxStream;
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
use tonic::transport::Channel;
use wire::pool_client::PoolClient;

/// A pool that is called over a channel.
#[derive(Clone)]
pub struct RemotePool(PoolClient<Channel>);

impl RemotePool {
    /// The pool behind `channel`.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        Self(
            PoolClient::new(channel)
                .max_decoding_message_size(limits::MESSAGE)
                .max_encoding_message_size(limits::MESSAGE),
        )
    }

    fn client(&self) -> PoolClient<Channel> {
        self.0.clone()
    }
}

fn failed(status: tonic::Status) -> PoolError {
    read(&status)
}

fn unread(bad: Malformed) -> PoolError {
    unreadable(&bad)
}

fn task(incoming: &Incoming, task: crate::proto::model::v1::Task) -> Result<Arc<Task>, Malformed> {
    incoming.task(task).map(Arc::new)
}

#[async_trait]
impl Pool for RemotePool {
    async fn nodes(&self) -> Result<Vec<Arc<Node>>, PoolError> {
        let mut answers = self
            .client()
            .nodes(wire::NodesRequest {})
            .await
            .map_err(failed)?
            .into_inner();
        let mut nodes = Vec::new();
        while let Some(answer) = answers.message().await.map_err(failed)? {
            nodes.extend(
                each::<_, Node>(answer.nodes)
                    .map_err(unread)?
                    .into_iter()
                    .map(Arc::new),
            );
        }
        Ok(nodes)
    }

    async fn tasks(&self, filter: TaskFilter) -> Result<TaskPage, PoolError> {
        let request = wire::TasksRequest::from(&filter);
        let mut answers = self.client().tasks(request).await.map_err(failed)?.into_inner();
        let mut incoming = Incoming::default();
        let mut page = TaskPage::default();
        while let Some(answer) = answers.message().await.map_err(failed)? {
            incoming.learn(answer.definitions).map_err(unread)?;
            for one in answer.tasks {
                page.tasks.push(task(&incoming, one).map_err(unread)?);
            }
            page.more = answer.more;
        }
        Ok(page)
    }

    async fn task(&self, id: TaskId) -> Result<Arc<Task>, PoolError> {
        let answer = self
            .client()
            .task(wire::TaskRequest { id: id_bytes(&id) })
            .await
            .map_err(failed)?;
        let answer = answer.into_inner();
        let mut incoming = Incoming::default();
        let read = incoming
            .learn(answer.definitions)
            .and_then(|()| need(answer.task, "task"));
        read.and_then(|one| task(&incoming, one)).map_err(unread)
    }

    async fn schedulers(&self) -> Result<Vec<SchedulerView>, PoolError> {
        let answer = self
            .client()
            .schedulers(wire::SchedulersRequest {})
            .await
            .map_err(failed)?;
        each(answer.into_inner().schedulers).map_err(unread)
    }

    async fn tenants(&self) -> Result<Vec<TenantUsage>, PoolError> {
        let answer = self
            .client()
            .tenants(wire::TenantsRequest {})
            .await
            .map_err(failed)?;
        each(answer.into_inner().tenants).map_err(unread)
    }

    async fn set_tenant(&self, tenant: Tenant, actor: &str) -> Result<(), PoolError> {
        let request = wire::SetTenantRequest {
            tenant: Some((&tenant).into()),
            actor: actor.to_owned(),
        };
        self.client()
            .set_tenant(request)
            .await
            .map(|_| ())
            .map_err(failed)
    }

    async fn set_scheduling(&self, node: &NodeId, to: Scheduling, actor: &str) -> Result<(), PoolError> {
        let request = wire::SetSchedulingRequest {
            node: node.as_str().to_owned(),
            to: to.number(),
            actor: actor.to_owned(),
        };
        self.client()
            .set_scheduling(request)
            .await
            .map(|_| ())
            .map_err(failed)
    }

    async fn taint(&self, node: &NodeId, change: TaintChange, actor: &str) -> Result<(), PoolError> {
        let (set, remove) = taint::change(&change);
        let request = wire::TaintRequest {
            node: node.as_str().to_owned(),
            set,
            remove,
            actor: actor.to_owned(),
        };
        self.client().taint(request).await.map(|_| ()).map_err(failed)
    }

    async fn remove_node(&self, node: &NodeId, actor: &str) -> Result<(), PoolError> {
        let request = wire::RemoveNodeRequest {
            node: node.as_str().to_owned(),
            actor: actor.to_owned(),
        };
        self.client()
            .remove_node(request)
            .await
            .map(|_| ())
            .map_err(failed)
    }

    async fn stop_task(&self, id: TaskId, grace_ms: Option<u64>, actor: &str) -> Result<(), PoolError> {
        let request = wire::StopTaskRequest {
            id: id_bytes(&id),
            grace_ms,
            actor: actor.to_owned(),
        };
        self.client().stop_task(request).await.map(|_| ()).map_err(failed)
    }

    async fn why(&self, id: TaskId) -> Result<Explanation, PoolError> {
        let answer = self
            .client()
            .why(wire::WhyRequest { id: id_bytes(&id) })
            .await
            .map_err(failed)?;
        read_explanation(answer.into_inner()).map_err(unread)
    }

    async fn why_node(&self, node: &NodeId) -> Result<NodeExplanation, PoolError> {
        let request = wire::WhyNodeRequest {
            node: node.as_str().to_owned(),
        };
        let answer = self.client().why_node(request).await.map_err(failed)?;
        answer.into_inner().try_into().map_err(unread)
    }

    async fn why_tenant(&self, tenant: &TenantPath) -> Result<TenantExplanation, PoolError> {
        let request = wire::WhyTenantRequest {
            tenant: tenant.as_str().to_owned(),
        };
        let answer = self.client().why_tenant(request).await.map_err(failed)?;
        answer.into_inner().try_into().map_err(unread)
    }

    async fn simulate(&self, suppose: Vec<Suppose>) -> Result<Simulation, PoolError> {
        let request = wire::SimulateRequest {
            suppose: suppose.iter().map(Into::into).collect(),
        };
        let answer = self.client().simulate(request).await.map_err(failed)?;
        answer.into_inner().try_into().map_err(unread)
    }

    async fn events(
        &self,
        from: Option<Cursor>,
    ) -> Result<BoxStream<'static, Result<Vec<Event>, PoolError>>, PoolError> {
        let request = wire::EventsRequest {
            from: from.map(|cursor| cursor.0),
        };
        let events = self.client().events(request).await.map_err(failed)?;
        Ok(answers(events.into_inner(), |answer: wire::EventsResponse| {
            each(answer.events)
        }))
    }
}
