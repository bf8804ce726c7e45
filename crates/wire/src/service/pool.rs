//! `plenum.api.v1.Pool` in front of a `Pool`.

use super::Answers;
use crate::convert::definitions::Outgoing;
use crate::convert::enums::WireEnum;
use crate::convert::explain::explanation;
use crate::convert::taint::read_change;
use crate::limits;
use crate::malformed::{Malformed, each, name, required, task_id};
use crate::proto::api::v1 as wire;
use crate::status::{malformed, status};
use futures::stream::{StreamExt, iter};
use plenum_contract::pool::{Pool, PoolError, TaskPage};
use plenum_model::ids::{Cursor, NodeId, TaskId, TenantPath};
use plenum_model::node::{Node, Scheduling};
use plenum_model::task::Task;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// Serves a pool.
#[derive(Clone)]
pub struct PoolService(pub Arc<dyn Pool>);

type Answer<T> = Result<Response<T>, Status>;

fn bad(bad: Malformed) -> Status {
    malformed::<PoolError>(&bad)
}

fn failed(error: PoolError) -> Status {
    status(&error)
}

fn id(bytes: &bytes::Bytes) -> Result<TaskId, Status> {
    task_id(bytes, "id").map_err(bad)
}

fn node(given: &str) -> Result<NodeId, Status> {
    name(given, "node").map_err(bad)
}

#[async_trait::async_trait]
impl wire::pool_server::Pool for PoolService {
    type NodesStream = Answers<wire::NodesResponse>;
    type TasksStream = Answers<wire::TasksResponse>;
    type EventsStream = Answers<wire::EventsResponse>;

    async fn nodes(&self, _: Request<wire::NodesRequest>) -> Answer<Self::NodesStream> {
        let nodes = self.0.nodes().await.map_err(failed)?;
        let rows = |rows: Vec<Arc<Node>>| {
            Ok(wire::NodesResponse {
                nodes: rows.iter().map(|node| node.as_ref().into()).collect(),
            })
        };
        Ok(Response::new(iter(rows_of(nodes)).map(rows).boxed()))
    }

    async fn tasks(&self, request: Request<wire::TasksRequest>) -> Answer<Self::TasksStream> {
        let filter = request.into_inner().try_into().map_err(bad)?;
        let TaskPage { tasks, more } = self.0.tasks(filter).await.map_err(failed)?;
        let mut pages = rows_of(tasks);
        // The last message says whether more pass; there is one even when no task does.
        let last = pages.pop().unwrap_or_default();
        let pages = pages.into_iter().map(|rows| (rows, false)).chain([(last, more)]);
        let mut outgoing = Outgoing::default();
        let rows = move |(rows, more): (Vec<Arc<Task>>, bool)| {
            let (definitions, tasks) =
                outgoing.message(|out| rows.iter().map(|task| out.task(task)).collect());
            Ok(wire::TasksResponse {
                definitions,
                tasks,
                more,
            })
        };
        Ok(Response::new(iter(pages.collect::<Vec<_>>()).map(rows).boxed()))
    }

    async fn task(&self, request: Request<wire::TaskRequest>) -> Answer<wire::TaskResponse> {
        let task = self.0.task(id(&request.into_inner().id)?).await.map_err(failed)?;
        let (definitions, task) = Outgoing::default().message(|out| out.task(&task));
        Ok(Response::new(wire::TaskResponse {
            definitions,
            task: Some(task),
        }))
    }

    async fn schedulers(&self, _: Request<wire::SchedulersRequest>) -> Answer<wire::SchedulersResponse> {
        let all = self.0.schedulers().await.map_err(failed)?;
        Ok(Response::new(wire::SchedulersResponse {
            schedulers: all.iter().map(Into::into).collect(),
        }))
    }

    async fn tenants(&self, _: Request<wire::TenantsRequest>) -> Answer<wire::TenantsResponse> {
        let all = self.0.tenants().await.map_err(failed)?;
        Ok(Response::new(wire::TenantsResponse {
            tenants: all.iter().map(Into::into).collect(),
        }))
    }

    async fn set_tenant(&self, request: Request<wire::SetTenantRequest>) -> Answer<wire::SetTenantResponse> {
        let wire::SetTenantRequest { tenant, actor } = request.into_inner();
        let tenant = required(tenant, "tenant").map_err(bad)?;
        self.0.set_tenant(tenant, &actor).await.map_err(failed)?;
        Ok(Response::new(wire::SetTenantResponse {}))
    }

    async fn set_scheduling(
        &self,
        request: Request<wire::SetSchedulingRequest>,
    ) -> Answer<wire::SetSchedulingResponse> {
        let request = request.into_inner();
        let to = Scheduling::from_number(request.to).map_err(bad)?;
        self.0
            .set_scheduling(&node(&request.node)?, to, &request.actor)
            .await
            .map_err(failed)?;
        Ok(Response::new(wire::SetSchedulingResponse {}))
    }

    async fn taint(&self, request: Request<wire::TaintRequest>) -> Answer<wire::TaintResponse> {
        let request = request.into_inner();
        let change = read_change(request.set, request.remove).map_err(bad)?;
        self.0
            .taint(&node(&request.node)?, change, &request.actor)
            .await
            .map_err(failed)?;
        Ok(Response::new(wire::TaintResponse {}))
    }

    async fn remove_node(
        &self,
        request: Request<wire::RemoveNodeRequest>,
    ) -> Answer<wire::RemoveNodeResponse> {
        let request = request.into_inner();
        self.0
            .remove_node(&node(&request.node)?, &request.actor)
            .await
            .map_err(failed)?;
        Ok(Response::new(wire::RemoveNodeResponse {}))
    }

    async fn stop_task(&self, request: Request<wire::StopTaskRequest>) -> Answer<wire::StopTaskResponse> {
        let request = request.into_inner();
        self.0
            .stop_task(id(&request.id)?, request.grace_ms, &request.actor)
            .await
            .map_err(failed)?;
        Ok(Response::new(wire::StopTaskResponse {}))
    }

    async fn why(&self, request: Request<wire::WhyRequest>) -> Answer<wire::WhyResponse> {
        let why = self.0.why(id(&request.into_inner().id)?).await.map_err(failed)?;
        Ok(Response::new(explanation(&why)))
    }

    async fn why_node(&self, request: Request<wire::WhyNodeRequest>) -> Answer<wire::WhyNodeResponse> {
        let id = node(&request.into_inner().node)?;
        let why = self.0.why_node(&id).await.map_err(failed)?;
        Ok(Response::new((&why).into()))
    }

    async fn why_tenant(&self, request: Request<wire::WhyTenantRequest>) -> Answer<wire::WhyTenantResponse> {
        let path: TenantPath = name(&request.into_inner().tenant, "tenant").map_err(bad)?;
        let why = self.0.why_tenant(&path).await.map_err(failed)?;
        Ok(Response::new((&why).into()))
    }

    async fn simulate(&self, request: Request<wire::SimulateRequest>) -> Answer<wire::SimulateResponse> {
        let suppose = each(request.into_inner().suppose).map_err(bad)?;
        let simulation = self.0.simulate(suppose).await.map_err(failed)?;
        Ok(Response::new((&simulation).into()))
    }

    async fn events(&self, request: Request<wire::EventsRequest>) -> Answer<Self::EventsStream> {
        let from = request.into_inner().from.map(Cursor);
        let events = self.0.events(from).await.map_err(failed)?;
        let batch = |batch: Result<Vec<_>, PoolError>| match batch {
            Ok(events) => Ok(wire::EventsResponse {
                events: events.iter().map(Into::into).collect(),
            }),
            Err(error) => Err(failed(error)),
        };
        Ok(Response::new(events.map(batch).boxed()))
    }
}

fn rows_of<T: Clone>(all: Vec<T>) -> Vec<Vec<T>> {
    all.chunks(limits::ROWS).map(<[T]>::to_vec).collect()
}
