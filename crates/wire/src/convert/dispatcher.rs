//! The messages of the `Dispatcher` contract.

use super::claim::{desired, desired_or_running};
use super::definitions::{Incoming, Outgoing, ports};
use super::stream;
use crate::malformed::{Malformed, each, id_bytes, name, need, required, task_id, task_ids};
use crate::proto::agent::v1 as wire;
use crate::proto::model::v1::TaskSpec;
use crate::status::WireError;
use plenum_contract::dispatcher::{
    AgentHello, AgentMessage, Assignment, Assignments, BrokerMessage, DispatchError, StreamId,
};
use plenum_contract::streams::{Output, StreamError};
use plenum_model::ids::{Generation, Incarnation, LeaderEpoch, NodeId, Seq};
use std::sync::Arc;
use tonic::Code;

/// The first message of an agent.
pub(crate) fn hello(hello: &AgentHello) -> wire::AttachRequest {
    use wire::attach_request::Message as M;
    let hello = wire::AgentHello {
        facts: Some((&hello.facts).into()),
        epoch: hello.epoch.0,
        api_oldest: hello.api.0,
        api_newest: hello.api.1,
    };
    wire::AttachRequest {
        message: Some(M::Hello(hello)),
    }
}

impl TryFrom<wire::AgentHello> for AgentHello {
    type Error = Malformed;
    fn try_from(hello: wire::AgentHello) -> Result<Self, Malformed> {
        Ok(Self {
            facts: required(hello.facts, "hello.facts")?,
            epoch: LeaderEpoch(hello.epoch),
            api: (hello.api_oldest, hello.api_newest),
        })
    }
}

impl From<&AgentMessage> for wire::AttachRequest {
    fn from(message: &AgentMessage) -> Self {
        use wire::attach_request::Message as M;
        let message = match message {
            AgentMessage::Heartbeat => M::Heartbeat(()),
            AgentMessage::Facts(facts) => M::Facts(facts.as_ref().into()),
            AgentMessage::Observed(all) => M::Observed(wire::Observed {
                observations: all.iter().map(Into::into).collect(),
            }),
        };
        Self {
            message: Some(message),
        }
    }
}

impl TryFrom<wire::AttachRequest> for AgentMessage {
    type Error = Malformed;
    fn try_from(request: wire::AttachRequest) -> Result<Self, Malformed> {
        use wire::attach_request::Message as M;
        Ok(match need(request.message, "message")? {
            M::Hello(_) => return Err(Malformed::unexpected("hello")),
            M::Heartbeat(()) => Self::Heartbeat,
            M::Facts(facts) => Self::Facts(Box::new(facts.try_into()?)),
            M::Observed(observed) => Self::Observed(each(observed.observations)?),
        })
    }
}

impl Outgoing {
    /// A message to an agent.
    pub(crate) fn broker_message(&mut self, message: &BrokerMessage) -> wire::AttachResponse {
        use wire::attach_response::Message as M;
        let (definitions, message) = self.message(|out| match message {
            BrokerMessage::Welcome { epoch, lease_ms } => M::Welcome(wire::Welcome {
                epoch: epoch.0,
                lease_ms: *lease_ms,
            }),
            BrokerMessage::Assignments(assignments) => M::Assignments(out.assignments(assignments)),
            BrokerMessage::Acked(seq) => M::Acked(seq.0),
            BrokerMessage::OpenStream {
                stream,
                task,
                request,
            } => M::OpenStream(wire::OpenStream {
                stream: stream.0,
                task: id_bytes(task),
                request: Some(request.into()),
            }),
            BrokerMessage::OpenNode { stream, request } => M::OpenNode(wire::OpenNode {
                stream: stream.0,
                request: Some(request.into()),
            }),
        });
        wire::AttachResponse {
            definitions,
            message: Some(message),
        }
    }

    fn assignments(&mut self, a: &Assignments) -> wire::Assignments {
        wire::Assignments {
            epoch: a.epoch.0,
            full: a.full,
            specs: a.specs.iter().map(|spec| spec.as_ref().into()).collect(),
            assign: a.assign.iter().map(|one| self.assignment(one)).collect(),
            remove: a.remove.iter().map(id_bytes).collect(),
        }
    }

    fn assignment(&mut self, a: &Assignment) -> wire::Assignment {
        wire::Assignment {
            scheduler: self.scheduler(&a.scheduler),
            seat: Some((&a.seat).into()),
            terms: self.terms(&a.terms),
            ports: a.ports.iter().copied().map(u32::from).collect(),
            generation: a.generation.0,
            desired: desired(a.desired),
            grace_ms: a.grace_ms,
            again_after: a.again_after.map(|i| i.0),
        }
    }
}

impl Incoming {
    /// A message to an agent.
    pub(crate) fn broker_message(
        &mut self,
        response: wire::AttachResponse,
    ) -> Result<BrokerMessage, Malformed> {
        use wire::attach_response::Message as M;
        self.learn(response.definitions)?;
        Ok(match need(response.message, "message")? {
            M::Welcome(w) => BrokerMessage::Welcome {
                epoch: LeaderEpoch(w.epoch),
                lease_ms: w.lease_ms,
            },
            M::Assignments(assignments) => BrokerMessage::Assignments(self.assignments(assignments)?),
            M::Acked(seq) => BrokerMessage::Acked(Seq(seq)),
            M::OpenStream(open) => BrokerMessage::OpenStream {
                stream: StreamId(open.stream),
                task: task_id(&open.task, "open_stream.task")?,
                request: required(open.request, "open_stream.request")?,
            },
            M::OpenNode(open) => BrokerMessage::OpenNode {
                stream: StreamId(open.stream),
                request: required(open.request, "open_node.request")?,
            },
        })
    }

    fn assignments(&self, a: wire::Assignments) -> Result<Assignments, Malformed> {
        let spec = |spec: TaskSpec| spec.try_into().map(Arc::new);
        let assign = |one| self.assignment(one);
        Ok(Assignments {
            epoch: LeaderEpoch(a.epoch),
            full: a.full,
            specs: a.specs.into_iter().map(spec).collect::<Result<_, Malformed>>()?,
            assign: a.assign.into_iter().map(assign).collect::<Result<_, _>>()?,
            remove: task_ids(&a.remove, "remove")?,
        })
    }

    fn assignment(&self, a: wire::Assignment) -> Result<Assignment, Malformed> {
        Ok(Assignment {
            scheduler: self.scheduler(a.scheduler)?,
            seat: required(a.seat, "assignment.seat")?,
            terms: self.terms(a.terms)?,
            ports: ports(a.ports)?,
            generation: Generation(a.generation),
            desired: desired_or_running(a.desired)?,
            grace_ms: a.grace_ms,
            again_after: a.again_after.map(Incarnation),
        })
    }
}

/// The first message of a carried stream.
pub(crate) fn carry(node: &NodeId, stream: StreamId) -> wire::CarryRequest {
    use wire::carry_request::Message as M;
    let open = wire::CarryOpen {
        node: node.as_str().to_owned(),
        stream: stream.0,
    };
    wire::CarryRequest {
        message: Some(M::Open(open)),
    }
}

/// What the first message of a carried stream says.
pub(crate) fn read_carry(request: wire::CarryRequest) -> Result<(NodeId, StreamId), Malformed> {
    use wire::carry_request::Message as M;
    match need(request.message, "message")? {
        M::Open(open) => Ok((name(&open.node, "open.node")?, StreamId(open.stream))),
        M::Output(_) => Err(Malformed::unexpected("output")),
    }
}

/// What a container gives.
pub(crate) fn carried(output: Result<Output, StreamError>) -> wire::CarryRequest {
    use wire::carry_request::Message as M;
    wire::CarryRequest {
        message: Some(M::Output(stream::output(output))),
    }
}

/// What a container gave.
pub(crate) fn read_carried(request: wire::CarryRequest) -> Result<Result<Output, StreamError>, Malformed> {
    use wire::carry_request::Message as M;
    match need(request.message, "message")? {
        M::Open(_) => Err(Malformed::unexpected("open")),
        M::Output(output) => stream::read_output(output),
    }
}

impl WireError for DispatchError {
    type Message = wire::Error;

    fn code(&self) -> Code {
        match self {
            Self::NotFound { .. } => Code::NotFound,
            Self::Replaced { .. } => Code::Aborted,
            Self::Refused { .. } => Code::InvalidArgument,
            Self::Unavailable { .. } => Code::Unavailable,
        }
    }

    fn message(&self) -> wire::Error {
        use wire::error::Error as E;
        let error = match self {
            Self::NotFound { what } => E::NotFound(what.clone()),
            Self::Replaced { node } => E::Replaced(node.as_str().to_owned()),
            Self::Refused { field, why } => E::Refused(wire::Refused {
                field: field.clone(),
                why: why.clone(),
            }),
            Self::Unavailable { why } => E::Unavailable(why.clone()),
        };
        wire::Error { error: Some(error) }
    }

    fn read(error: wire::Error) -> Result<Self, Malformed> {
        use wire::error::Error as E;
        Ok(match need(error.error, "error")? {
            E::NotFound(what) => Self::NotFound { what },
            E::Replaced(node) => Self::Replaced {
                node: name(&node, "replaced")?,
            },
            E::Refused(refused) => Self::Refused {
                field: refused.field,
                why: refused.why,
            },
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
