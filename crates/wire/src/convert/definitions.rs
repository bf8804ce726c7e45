//! What is sent once per stream: terms and names. The sender numbers them as it goes, the receiver keeps them,
//! so that a batch of identical tasks is small and all of them share one `Arc<Terms>` again.

use super::claim::{desired, desired_or_running};
use super::enums::WireEnum;
use super::task::progress;
use crate::malformed::{Fault, Malformed, each, id_bytes, maybe, name, need, required, small, task_id};
use crate::proto::model::v1 as wire;
use plenum_model::claim::Terms;
use plenum_model::ids::{Generation, NodeId, SchedulerId, Seq};
use plenum_model::task::{Preempting, Status, Task};
use prost::Message;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// A sender starts again once it has defined so many in one list: a few MB of memory on both sides.
const RESTART_AT: usize = 8_192;

/// A receiver takes no more in one list, as `Definitions` specifies: what one message of the largest size may
/// reasonably add, and far from what would hurt.
const AT_MOST: usize = 131_072;

/// The sending side of one stream and direction.
#[derive(Default)]
pub(crate) struct Outgoing {
    /// By address, the fast way. The weak reference keeps the address from being used again.
    by_address: HashMap<usize, (Weak<Terms>, u32)>,
    /// By encoded content: equal terms that a caller made anew get the number they have.
    by_content: HashMap<Vec<u8>, u32>,
    nodes: HashMap<NodeId, u32>,
    schedulers: HashMap<SchedulerId, u32>,
    new: wire::Definitions,
}

impl Outgoing {
    /// Builds one message with `body` and says what must be defined before it is read.
    pub(crate) fn message<T>(&mut self, body: impl FnOnce(&mut Self) -> T) -> (Option<wire::Definitions>, T) {
        let most = self
            .by_content
            .len()
            .max(self.nodes.len())
            .max(self.schedulers.len());
        if most >= RESTART_AT {
            self.restart();
        }
        let body = body(self);
        let new = std::mem::take(&mut self.new);
        ((new != wire::Definitions::default()).then_some(new), body)
    }

    /// Forgets everything, and has the receiver forget it with the next message: for a message that was built and
    /// not sent.
    pub(crate) fn restart(&mut self) {
        *self = Self::default();
        self.new.restart = true;
    }

    /// The number of these terms.
    pub(crate) fn terms(&mut self, terms: &Arc<Terms>) -> u32 {
        let address = Arc::as_ptr(terms) as usize;
        if let Some((_, number)) = self.by_address.get(&address) {
            return *number;
        }
        if self.by_address.len() >= RESTART_AT {
            self.by_address.clear();
        }
        let message = wire::Terms::from(terms.as_ref());
        let next = index(self.by_content.len());
        let number = *self.by_content.entry(message.encode_to_vec()).or_insert(next);
        if number == next {
            self.new.terms.push(message);
        }
        self.by_address.insert(address, (Arc::downgrade(terms), number));
        number
    }

    /// The number of this node's name.
    pub(crate) fn node(&mut self, node: &NodeId) -> u32 {
        if let Some(number) = self.nodes.get(node) {
            return *number;
        }
        let number = index(self.nodes.len());
        self.nodes.insert(node.clone(), number);
        self.new.nodes.push(node.as_str().to_owned());
        number
    }

    /// The number of this scheduler's name.
    pub(crate) fn scheduler(&mut self, scheduler: &SchedulerId) -> u32 {
        if let Some(number) = self.schedulers.get(scheduler) {
            return *number;
        }
        let number = index(self.schedulers.len());
        self.schedulers.insert(scheduler.clone(), number);
        self.new.schedulers.push(scheduler.as_str().to_owned());
        number
    }

    /// A whole task.
    pub(crate) fn task(&mut self, task: &Task) -> wire::Task {
        wire::Task {
            scheduler: self.scheduler(&task.scheduler),
            seat: Some((&task.seat).into()),
            terms: self.terms(&task.terms),
            generation: task.generation.0,
            desired: desired(task.desired),
            released: task.released,
            status: Some(self.status(&task.status)),
        }
    }

    fn status(&mut self, status: &Status) -> wire::Status {
        wire::Status {
            incarnation: status.progress.incarnation.0,
            phase: status.progress.phase.number(),
            seq: status.seq.0,
            node: status.node.as_ref().map(|node| self.node(node)),
            ports: status.ports.iter().copied().map(u32::from).collect(),
            ready: status.ready,
            address: status.address.clone(),
            unreachable: status.unreachable,
            why: status.why.as_ref().map(wire::Why::from),
            exit: status.exit.as_ref().map(wire::Exit::from),
            message: status.message.clone(),
            claimed_at: status.claimed_at,
            placed_at: status.placed_at,
            started_at: status.started_at,
            ended_at: status.ended_at,
            containers: status
                .containers
                .iter()
                .map(wire::ContainerStatus::from)
                .collect(),
            checks: status.checks.iter().map(wire::CheckStatus::from).collect(),
            nominated: status.nominated.as_ref().map(|node| self.node(node)),
            preempting: status.preempting.map(|announced| wire::Preemption {
                deadline: announced.deadline,
                by: id_bytes(&announced.by),
            }),
        }
    }
}

fn index(len: usize) -> u32 {
    u32::try_from(len).expect("a message with four thousand million definitions exceeds every size limit")
}

/// The receiving side of one stream and direction. A definition that is malformed keeps its number and fails
/// whatever refers to it, so that one bad task does not break the stream.
#[derive(Default)]
pub(crate) struct Incoming {
    terms: Vec<Result<Arc<Terms>, Malformed>>,
    nodes: Vec<Result<NodeId, Malformed>>,
    schedulers: Vec<Result<SchedulerId, Malformed>>,
}

impl Incoming {
    /// Takes in what a message defines. Call it before anything else of that message is read.
    pub(crate) fn learn(&mut self, new: Option<wire::Definitions>) -> Result<(), Malformed> {
        let Some(new) = new else { return Ok(()) };
        if new.restart {
            *self = Self::default();
        }
        let most = (self.terms.len() + new.terms.len())
            .max(self.nodes.len() + new.nodes.len())
            .max(self.schedulers.len() + new.schedulers.len());
        if most > AT_MOST {
            return Err(Malformed {
                field: "definitions",
                fault: Fault::TooMany(AT_MOST),
            });
        }
        self.terms
            .extend(new.terms.into_iter().map(|terms| terms.try_into().map(Arc::new)));
        self.nodes
            .extend(new.nodes.iter().map(|node| name(node, "definitions.nodes")));
        self.schedulers
            .extend(new.schedulers.iter().map(|id| name(id, "definitions.schedulers")));
        Ok(())
    }

    /// The terms of this number.
    pub(crate) fn terms(&self, number: u32) -> Result<Arc<Terms>, Malformed> {
        find(&self.terms, number, "terms")
    }

    /// The node of this number.
    pub(crate) fn node(&self, number: u32) -> Result<NodeId, Malformed> {
        find(&self.nodes, number, "node")
    }

    /// The scheduler of this number.
    pub(crate) fn scheduler(&self, number: u32) -> Result<SchedulerId, Malformed> {
        find(&self.schedulers, number, "scheduler")
    }

    /// A whole task.
    pub(crate) fn task(&self, task: wire::Task) -> Result<Task, Malformed> {
        Ok(Task {
            scheduler: self.scheduler(task.scheduler)?,
            seat: required(task.seat, "task.seat")?,
            terms: self.terms(task.terms)?,
            generation: Generation(task.generation),
            desired: desired_or_running(task.desired)?,
            released: task.released,
            status: self.status(need(task.status, "task.status")?)?,
        })
    }

    fn status(&self, status: wire::Status) -> Result<Status, Malformed> {
        Ok(Status {
            progress: progress(status.incarnation, status.phase)?,
            seq: Seq(status.seq),
            node: status.node.map(|number| self.node(number)).transpose()?,
            ports: ports(status.ports)?,
            ready: status.ready,
            address: status.address,
            unreachable: status.unreachable,
            why: maybe(status.why)?,
            exit: maybe(status.exit)?,
            message: status.message,
            claimed_at: status.claimed_at,
            placed_at: status.placed_at,
            started_at: status.started_at,
            ended_at: status.ended_at,
            containers: each(status.containers)?,
            checks: status.checks.into_iter().map(Into::into).collect(),
            nominated: status.nominated.map(|number| self.node(number)).transpose()?,
            preempting: status.preempting.map(preempting).transpose()?,
        })
    }
}

fn preempting(announced: wire::Preemption) -> Result<Preempting, Malformed> {
    Ok(Preempting {
        deadline: announced.deadline,
        by: task_id(&announced.by, "preempting.by")?,
    })
}

/// Host ports.
pub(crate) fn ports(ports: Vec<u32>) -> Result<Vec<u16>, Malformed> {
    ports.into_iter().map(|port| small(port, "ports")).collect()
}

fn find<T: Clone>(
    defined: &[Result<T, Malformed>],
    number: u32,
    field: &'static str,
) -> Result<T, Malformed> {
    let at = usize::try_from(number).ok().and_then(|i| defined.get(i));
    at.ok_or(Malformed {
        field,
        fault: Fault::Undefined(number),
    })?
    .clone()
}
