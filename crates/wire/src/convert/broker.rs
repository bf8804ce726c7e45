//! The messages of the `Broker` contract.

use super::definitions::{Incoming, Outgoing};
use super::enums::WireEnum;
use crate::malformed::{Malformed, count, each, id_bytes, name, need, required, task_id, task_ids};
use crate::proto::broker::v1 as wire;
use crate::proto::model::v1::TaskSpec;
use crate::status::WireError;
use plenum_contract::broker::{
    Amend, BrokerError, Claimed, Hello, Refusal, RefusalReason, WatchEvent, WatchPart,
};
use plenum_model::claim::{ClaimBatch, ClaimGroup};
use plenum_model::ids::{Generation, SessionEpoch};
use std::sync::Arc;
use tonic::Code;

impl From<&Hello> for wire::Hello {
    fn from(hello: &Hello) -> Self {
        Self {
            scheduler: hello.scheduler.as_str().to_owned(),
            kind: hello.kind.clone(),
            api_oldest: hello.api.0,
            api_newest: hello.api.1,
            watch_nodes: hello.watch_nodes,
        }
    }
}

impl TryFrom<wire::Hello> for Hello {
    type Error = Malformed;
    fn try_from(hello: wire::Hello) -> Result<Self, Malformed> {
        Ok(Self {
            scheduler: name(&hello.scheduler, "hello.scheduler")?,
            kind: hello.kind,
            api: (hello.api_oldest, hello.api_newest),
            watch_nodes: hello.watch_nodes,
        })
    }
}

impl Outgoing {
    /// A batch of claims.
    pub(crate) fn claim(&mut self, batch: &ClaimBatch) -> wire::Claim {
        let group = |group: &ClaimGroup| wire::ClaimGroup {
            terms: self.terms(&group.terms),
            seats: group.seats.iter().map(Into::into).collect(),
        };
        wire::Claim {
            groups: batch.groups.iter().map(group).collect(),
            specs: batch.specs.iter().map(|spec| spec.as_ref().into()).collect(),
            all_or_nothing: batch.all_or_nothing,
        }
    }

    /// One piece of news.
    pub(crate) fn event(&mut self, event: &WatchEvent) -> wire::WatchEvent {
        use wire::watch_event::Event as E;
        let event = match event {
            WatchEvent::Task(task) => E::Task(self.task(task)),
            WatchEvent::Forgotten(id) => E::Forgotten(id_bytes(id)),
            WatchEvent::Nominated { task, node } => E::Nominated(wire::Nominated {
                task: id_bytes(task),
                node: self.node(node),
            }),
            WatchEvent::Preempting { task, deadline } => E::Preempting(wire::Preempting {
                task: id_bytes(task),
                deadline: *deadline,
            }),
            WatchEvent::Node(node) => E::Node(node.as_ref().into()),
        };
        wire::WatchEvent { event: Some(event) }
    }
}

impl Incoming {
    /// A batch of claims.
    pub(crate) fn claim(&self, claim: wire::Claim) -> Result<ClaimBatch, Malformed> {
        let group = |group: wire::ClaimGroup| {
            Ok(ClaimGroup {
                terms: self.terms(group.terms)?,
                seats: each(group.seats)?,
            })
        };
        let spec = |spec: TaskSpec| spec.try_into().map(Arc::new);
        Ok(ClaimBatch {
            specs: claim
                .specs
                .into_iter()
                .map(spec)
                .collect::<Result<_, Malformed>>()?,
            groups: claim
                .groups
                .into_iter()
                .map(group)
                .collect::<Result<_, Malformed>>()?,
            all_or_nothing: claim.all_or_nothing,
        })
    }

    /// One piece of news.
    pub(crate) fn event(&self, event: wire::WatchEvent) -> Result<WatchEvent, Malformed> {
        use wire::watch_event::Event as E;
        Ok(match need(event.event, "event")? {
            E::Task(task) => WatchEvent::Task(Arc::new(self.task(task)?)),
            E::Forgotten(id) => WatchEvent::Forgotten(task_id(&id, "forgotten")?),
            E::Nominated(n) => WatchEvent::Nominated {
                task: task_id(&n.task, "nominated.task")?,
                node: self.node(n.node)?,
            },
            E::Preempting(p) => WatchEvent::Preempting {
                task: task_id(&p.task, "preempting.task")?,
                deadline: p.deadline,
            },
            E::Node(node) => WatchEvent::Node(Arc::new(node.try_into()?)),
        })
    }
}

impl From<&Amend> for wire::Amend {
    fn from(amend: &Amend) -> Self {
        Self {
            task: id_bytes(&amend.task),
            generation: amend.generation.0,
            change: Some((&amend.change).into()),
        }
    }
}

impl TryFrom<wire::Amend> for Amend {
    type Error = Malformed;
    fn try_from(amend: wire::Amend) -> Result<Self, Malformed> {
        Ok(Self {
            task: task_id(&amend.task, "amend.task")?,
            generation: Generation(amend.generation),
            change: required(amend.change, "amend.change")?,
        })
    }
}

impl From<&Refusal> for wire::Refusal {
    fn from(refusal: &Refusal) -> Self {
        Self {
            task: id_bytes(&refusal.task),
            reason: refusal.reason.number(),
            field: refusal.field.clone(),
            why: refusal.why.clone(),
        }
    }
}

impl TryFrom<wire::Refusal> for Refusal {
    type Error = Malformed;
    fn try_from(refusal: wire::Refusal) -> Result<Self, Malformed> {
        Ok(Self {
            task: task_id(&refusal.task, "refusal.task")?,
            reason: RefusalReason::from_number(refusal.reason)?,
            field: refusal.field,
            why: refusal.why,
        })
    }
}

impl From<&Claimed> for wire::Claimed {
    fn from(claimed: &Claimed) -> Self {
        Self {
            known: claimed.known.iter().map(id_bytes).collect(),
            refused: claimed.refused.iter().map(wire::Refusal::from).collect(),
        }
    }
}

impl TryFrom<wire::Claimed> for Claimed {
    type Error = Malformed;
    fn try_from(claimed: wire::Claimed) -> Result<Self, Malformed> {
        Ok(Self {
            known: task_ids(&claimed.known, "claimed.known")?,
            refused: each(claimed.refused)?,
        })
    }
}

/// Which part of a watch a piece belongs to.
pub(crate) fn part(piece: &wire::Piece) -> Result<WatchPart, Malformed> {
    WatchPart::from_number(piece.part)
}

impl WireError for BrokerError {
    type Message = wire::Error;

    fn code(&self) -> Code {
        match self {
            Self::Fenced { .. } => Code::Aborted,
            Self::Refused { .. } => Code::InvalidArgument,
            Self::Overloaded { .. } | Self::Full => Code::ResourceExhausted,
            Self::Unavailable { .. } => Code::Unavailable,
        }
    }

    fn message(&self) -> wire::Error {
        use wire::error::Error as E;
        let error = match self {
            Self::Fenced { scheduler, epoch } => E::Fenced(wire::Fenced {
                scheduler: scheduler.as_str().to_owned(),
                epoch: epoch.0,
            }),
            Self::Refused { field, why } => E::Refused(wire::Refused {
                field: field.clone(),
                why: why.clone(),
            }),
            Self::Overloaded { depth } => E::Overloaded(wire::Overloaded { depth: *depth as u64 }),
            Self::Full => E::Full(()),
            Self::Unavailable { why } => E::Unavailable(why.clone()),
        };
        wire::Error { error: Some(error) }
    }

    fn read(error: wire::Error) -> Result<Self, Malformed> {
        use wire::error::Error as E;
        Ok(match need(error.error, "error")? {
            E::Fenced(fenced) => Self::Fenced {
                scheduler: name(&fenced.scheduler, "fenced.scheduler")?,
                epoch: SessionEpoch(fenced.epoch),
            },
            E::Refused(refused) => Self::Refused {
                field: refused.field,
                why: refused.why,
            },
            E::Overloaded(o) => Self::Overloaded {
                depth: count(o.depth, "overloaded.depth")?,
            },
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
