//! The messages of the `Pool` contract.

use super::amounts::or_nothing;
use crate::malformed::{Malformed, count, id_bytes, maybe_name, name, need, task_id};
use crate::proto::api::v1 as wire;
use crate::status::WireError;
use plenum_contract::pool::{PoolError, SchedulerView, TaskFilter};
use plenum_model::ids::Cursor;
use tonic::Code;

impl From<&TaskFilter> for wire::TasksRequest {
    fn from(filter: &TaskFilter) -> Self {
        Self {
            scheduler: filter.scheduler.as_ref().map(|id| id.as_str().to_owned()),
            workload: filter.workload.clone(),
            node: filter.node.as_ref().map(|id| id.as_str().to_owned()),
            tenant: filter.tenant.as_ref().map(|path| path.as_str().to_owned()),
            ended: filter.ended,
            after: filter.after.as_ref().map(id_bytes),
            limit: filter.limit as u64,
        }
    }
}

impl TryFrom<wire::TasksRequest> for TaskFilter {
    type Error = Malformed;
    fn try_from(request: wire::TasksRequest) -> Result<Self, Malformed> {
        Ok(Self {
            scheduler: maybe_name(request.scheduler.as_deref(), "scheduler")?,
            workload: request.workload,
            node: maybe_name(request.node.as_deref(), "node")?,
            tenant: maybe_name(request.tenant.as_deref(), "tenant")?,
            ended: request.ended,
            after: request.after.map(|id| task_id(&id, "after")).transpose()?,
            limit: count(request.limit, "limit")?,
        })
    }
}

impl From<&SchedulerView> for wire::SchedulerView {
    fn from(view: &SchedulerView) -> Self {
        Self {
            id: view.id.as_str().to_owned(),
            kind: view.kind.clone(),
            connected: view.connected,
            tasks: view.tasks,
            pending: view.pending,
            held: Some((&view.held).into()),
            asked: Some((&view.asked).into()),
        }
    }
}

impl TryFrom<wire::SchedulerView> for SchedulerView {
    type Error = Malformed;
    fn try_from(view: wire::SchedulerView) -> Result<Self, Malformed> {
        Ok(Self {
            id: name(&view.id, "scheduler.id")?,
            kind: view.kind,
            connected: view.connected,
            tasks: view.tasks,
            pending: view.pending,
            held: or_nothing(view.held),
            asked: or_nothing(view.asked),
        })
    }
}

/// The kinds of things that an error may name. A kind of a newer pool reads as `object`.
fn kind(given: &str) -> &'static str {
    ["task", "node", "tenant", "scheduler", "event"]
        .into_iter()
        .find(|known| *known == given)
        .unwrap_or("object")
}

impl WireError for PoolError {
    type Message = wire::Error;

    fn code(&self) -> Code {
        match self {
            Self::NotFound { .. } => Code::NotFound,
            Self::Refused { .. } => Code::InvalidArgument,
            Self::Compacted { .. } => Code::OutOfRange,
            Self::Conflict { .. } => Code::FailedPrecondition,
            Self::Full => Code::ResourceExhausted,
            Self::Unavailable { .. } => Code::Unavailable,
        }
    }

    fn message(&self) -> wire::Error {
        use wire::error::Error as E;
        let error = match self {
            Self::NotFound { kind, name } => E::NotFound(wire::NotFound {
                kind: (*kind).to_owned(),
                name: name.clone(),
            }),
            Self::Refused { field, why } => E::Refused(wire::Refused {
                field: field.clone(),
                why: why.clone(),
            }),
            Self::Compacted { oldest } => E::Compacted(oldest.0),
            Self::Conflict { why } => E::Conflict(why.clone()),
            Self::Full => E::Full(()),
            Self::Unavailable { why } => E::Unavailable(why.clone()),
        };
        wire::Error { error: Some(error) }
    }

    fn read(error: wire::Error) -> Result<Self, Malformed> {
        use wire::error::Error as E;
        Ok(match need(error.error, "error")? {
            E::NotFound(not) => Self::NotFound {
                kind: kind(&not.kind),
                name: not.name,
            },
            E::Refused(refused) => Self::Refused {
                field: refused.field,
                why: refused.why,
            },
            E::Compacted(oldest) => Self::Compacted {
                oldest: Cursor(oldest),
            },
            E::Conflict(why) => Self::Conflict { why },
            E::Full(()) => Self::Full,
            E::Unavailable(why) => Self::Unavailable { why },
        })
    }

    fn unavailable(why: String) -> Self {
        Self::Unavailable { why }
    }

    fn refused(field: &str, why: String) -> Self {
        Self::Refused {
            field: field.to_owned(),
            why,
        }
    }
}
