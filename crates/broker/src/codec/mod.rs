//! Facts as they are written down: one protobuf record per step of the core, with a version. What only
//! schedulers and agents understand (specs, terms, facts of nodes) stands inside as JSON, written once per
//! distinct value. A field's number is never given to another; what a newer version adds has a new number.

use crate::fact::{Fact, NodeIx, Order, Room, TermsIx};
use messages::*;
use plenum_model::ids::{BadId, LeaderEpoch, SchedulerId, SessionEpoch, SpecId, TaskId};
use plenum_model::ids::{Incarnation, Seq};
use plenum_model::node::NodeFacts;
use plenum_model::phase::Progress;
use plenum_model::task::{ExitReason, Observation};
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

mod messages;
mod nouns;

pub(crate) use messages::{DesiredMsg, SeatMsg};
pub(crate) use nouns::*;

/// The version that this build writes, and the newest that it reads. What older builds wrote is read as it stands.
/// 1: the first. 2: nominations, seats that are inherited, gangs. 3: taints.
pub const VERSION: u32 = 3;

/// Bytes that are no record or no snapshot of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// They do not decode.
    #[error("a record does not decode: {0}")]
    Malformed(String),
    /// A newer build wrote them.
    #[error("a record has version {found}, this build reads up to {known}")]
    Version {
        /// Its version.
        found: u32,
        /// The newest that this build reads.
        known: u32,
    },
}

pub(crate) fn malformed(what: impl std::fmt::Display) -> BadRecord {
    BadRecord::Malformed(what.to_string())
}

/// One record: all facts of one step.
///
/// # Panics
/// Never: plain data with text keys always serialises.
#[must_use]
pub fn encode(at: u64, facts: &[Fact]) -> Vec<u8> {
    Record {
        version: VERSION,
        at,
        facts: facts.iter().map(wrap).collect(),
    }
    .encode_to_vec()
}

/// The time and the facts of one record.
///
/// # Errors
/// See [`BadRecord`].
pub fn decode(bytes: &[u8]) -> Result<(u64, Vec<Fact>), BadRecord> {
    let record = Record::decode(bytes).map_err(malformed)?;
    check_version(record.version)?;
    let facts = record
        .facts
        .into_iter()
        .map(unwrap_fact)
        .collect::<Result<_, _>>()?;
    Ok((record.at, facts))
}

/// Refuses what a newer build wrote.
///
/// # Errors
/// `Version`.
pub fn check_version(found: u32) -> Result<(), BadRecord> {
    if found == 0 || found > VERSION {
        return Err(BadRecord::Version {
            found,
            known: VERSION,
        });
    }
    Ok(())
}

/// JSON of plain data.
pub(crate) fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain data with text keys always serialises")
}

/// Plain data from its JSON.
pub(crate) fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BadRecord> {
    serde_json::from_slice(bytes).map_err(malformed)
}

/// JSON, or nothing for none.
pub(crate) fn json_opt(value: Option<&impl Serialize>) -> Vec<u8> {
    value.map(json).unwrap_or_default()
}

/// The reverse of `json_opt`.
pub(crate) fn from_json_opt<T: DeserializeOwned>(bytes: &[u8]) -> Result<Option<T>, BadRecord> {
    if bytes.is_empty() {
        Ok(None)
    } else {
        from_json(bytes).map(Some)
    }
}

/// JSON, or nothing for an empty list.
pub(crate) fn json_list(list: &[impl Serialize]) -> Vec<u8> {
    if list.is_empty() { Vec::new() } else { json(&list) }
}

/// The reverse of `json_list`.
pub(crate) fn from_json_list<T: DeserializeOwned>(bytes: &[u8]) -> Result<Vec<T>, BadRecord> {
    from_json_opt(bytes).map(Option::unwrap_or_default)
}

/// A task id as two numbers: no allocation for the most frequent field of all.
pub(crate) fn split(id: TaskId) -> (u64, u64) {
    let whole = u128::from_be_bytes(id.0);
    // Both halves of a 128-bit number fit 64 bits.
    (
        u64::try_from(whole >> 64).unwrap_or(0),
        u64::try_from(whole & u128::from(u64::MAX)).unwrap_or(0),
    )
}

/// The reverse of `split`.
pub(crate) fn join(hi: u64, lo: u64) -> TaskId {
    TaskId(((u128::from(hi) << 64) | u128::from(lo)).to_be_bytes())
}

/// Ids one after the other.
pub(crate) fn pack(ids: &[TaskId]) -> Vec<u8> {
    ids.iter().flat_map(|id| id.0).collect()
}

/// The reverse of `pack`.
pub(crate) fn unpack(bytes: &[u8]) -> Result<Vec<TaskId>, BadRecord> {
    let (ids, rest) = bytes.as_chunks::<16>();
    if !rest.is_empty() {
        return Err(malformed("task ids are cut off"));
    }
    Ok(ids.iter().map(|id| TaskId(*id)).collect())
}

fn name(result: Result<SchedulerId, BadId>) -> Result<SchedulerId, BadRecord> {
    result.map_err(malformed)
}

fn described(ix: NodeIx, facts: &NodeFacts) -> NodeMsg {
    NodeMsg {
        ix: ix.0,
        json: json(&facts),
        ..NodeMsg::default()
    }
}

fn stated(ix: NodeIx, state: u32, actor: &str) -> NodeMsg {
    NodeMsg {
        ix: ix.0,
        state,
        actor: actor.to_owned(),
        ..NodeMsg::default()
    }
}

fn wrap(fact: &Fact) -> FactMsg {
    let kind = match fact {
        Fact::Led { epoch } => Kind::Led(epoch.0),
        Fact::SessionOpened {
            scheduler,
            kind,
            epoch,
        } => Kind::SessionOpened(session_msg(scheduler, kind, *epoch)),
        Fact::SessionClosed { scheduler, epoch } => Kind::SessionClosed(session_msg(scheduler, "", *epoch)),
        Fact::Spec { id, spec } => Kind::Spec(JsonMsg {
            id: id.0.to_vec(),
            json: json(spec),
        }),
        Fact::Terms { ix, scheduler, terms } => Kind::Terms(TermsMsg {
            ix: ix.0,
            scheduler: scheduler.to_string(),
            json: json(terms),
        }),
        Fact::Claimed { terms, seats, gang } => Kind::Claimed(ClaimedMsg {
            gang: *gang,
            terms: terms.0,
            seats: seats.iter().map(seat_msg).collect(),
        }),
        Fact::Placed { task, node, ports } => Kind::Placed(placed_msg(*task, *node, ports)),
        Fact::Nominated { task, room } => Kind::Nominated(nominated_msg(*task, room)),
        Fact::Passed { task } => Kind::Passed(pack(&[*task])),
        Fact::Waiting { tasks, why } => Kind::Waiting(WaitingMsg {
            tasks: pack(tasks),
            why: json(why.as_ref()),
        }),
        Fact::Seen { seen } => Kind::Seen(seen_msg(seen)),
        Fact::Ended { task, phase, exit } => {
            let (hi, lo) = split(*task);
            Kind::Ended(EndedMsg {
                hi,
                lo,
                phase: phase_number(*phase),
                exit: json(exit),
            })
        }
        Fact::Ordered { task, order } => Kind::Ordered(ordered_msg(*task, order)),
        Fact::Reworded { task, terms } => {
            let (hi, lo) = split(*task);
            Kind::Reworded(RewordedMsg {
                hi,
                lo,
                terms: terms.0,
            })
        }
        Fact::Forgotten { tasks } => Kind::Forgotten(pack(tasks)),
        Fact::NodeJoined { ix, facts } => Kind::NodeJoined(described(*ix, facts)),
        Fact::NodeChanged { ix, facts } => Kind::NodeChanged(described(*ix, facts)),
        Fact::NodeLiveness { ix, liveness } => {
            Kind::NodeLiveness(stated(*ix, liveness_number(*liveness), ""))
        }
        Fact::NodeScheduling { ix, to, actor } => {
            Kind::NodeScheduling(stated(*ix, scheduling_number(*to), actor))
        }
        Fact::NodeTainted { ix, taints, actor } => Kind::NodeTainted(NodeMsg {
            json: json_list(taints),
            ..stated(*ix, 0, actor)
        }),
        Fact::NodeRemoved { ix, actor } => Kind::NodeRemoved(stated(*ix, 0, actor)),
        Fact::TenantSet { tenant, actor } => Kind::TenantSet(TenantMsg {
            json: json(tenant),
            actor: actor.clone(),
        }),
    };
    FactMsg { kind: Some(kind) }
}

fn placed_msg(task: TaskId, node: NodeIx, ports: &[u16]) -> PlacedMsg {
    let (hi, lo) = split(task);
    PlacedMsg {
        hi,
        lo,
        node: node.0,
        ports: ports.iter().map(|p| u32::from(*p)).collect(),
    }
}

fn nominated_msg(task: TaskId, room: &Room) -> NominatedMsg {
    let (hi, lo) = split(task);
    NominatedMsg {
        hi,
        lo,
        node: room.node.0,
        ports: room.ports.iter().map(|p| u32::from(*p)).collect(),
        victims: pack(&room.victims),
        deadline: room.deadline,
    }
}

fn nominated(m: &NominatedMsg) -> Result<Fact, BadRecord> {
    let room = Room {
        node: NodeIx(m.node),
        ports: ports(&m.ports)?,
        victims: unpack(&m.victims)?,
        deadline: m.deadline,
    };
    let task = join(m.hi, m.lo);
    Ok(Fact::Nominated { task, room })
}

fn ordered_msg(task: TaskId, order: &Order) -> OrderedMsg {
    let (hi, lo) = split(task);
    OrderedMsg {
        hi,
        lo,
        desired: Some(desired_msg(order.desired)),
        release: order.release,
        grace_ms: order.grace_ms,
        readmit: order.readmit,
        cause: json_opt(order.cause.as_ref()),
        actor: order.actor.clone(),
    }
}

fn session_msg(scheduler: &SchedulerId, kind: &str, epoch: SessionEpoch) -> SessionMsg {
    SessionMsg {
        scheduler: scheduler.to_string(),
        kind: kind.to_owned(),
        epoch: epoch.0,
    }
}

fn seen_msg(seen: &Observation) -> SeenMsg {
    let (hi, lo) = split(seen.task);
    SeenMsg {
        hi,
        lo,
        seq: seen.seq.0,
        incarnation: seen.progress.incarnation.0,
        phase: phase_number(seen.progress.phase),
        ready: seen.ready,
        address: seen.address.clone(),
        exit: json_opt(seen.exit.as_ref()),
        message: seen.message.clone(),
        at: seen.at,
        containers: json_list(&seen.containers),
        checks: json_list(&seen.checks),
    }
}

fn unwrap_fact(msg: FactMsg) -> Result<Fact, BadRecord> {
    let kind = msg
        .kind
        .ok_or_else(|| malformed("a fact of a kind that is not known"))?;
    Ok(match kind {
        Kind::Led(epoch) => Fact::Led {
            epoch: LeaderEpoch(epoch),
        },
        Kind::SessionOpened(m) => session_opened(m)?,
        Kind::SessionClosed(m) => Fact::SessionClosed {
            scheduler: name(m.scheduler.parse())?,
            epoch: SessionEpoch(m.epoch),
        },
        Kind::Spec(m) => spec(m)?,
        Kind::Terms(m) => terms(&m)?,
        Kind::Claimed(m) => Fact::Claimed {
            terms: TermsIx(m.terms),
            gang: m.gang,
            seats: m.seats.into_iter().map(seat).collect::<Result<_, _>>()?,
        },
        Kind::Placed(m) => Fact::Placed {
            task: join(m.hi, m.lo),
            node: NodeIx(m.node),
            ports: ports(&m.ports)?,
        },
        Kind::Nominated(m) => nominated(&m)?,
        Kind::Passed(id) => Fact::Passed {
            task: unpack(&id)?
                .pop()
                .ok_or_else(|| malformed("a task without an id"))?,
        },
        Kind::Waiting(m) => Fact::Waiting {
            tasks: unpack(&m.tasks)?,
            why: Arc::new(from_json(&m.why)?),
        },
        Kind::Seen(m) => Fact::Seen { seen: seen(m)? },
        Kind::Ended(m) => Fact::Ended {
            task: join(m.hi, m.lo),
            phase: phase(m.phase)?,
            exit: from_json(&m.exit)?,
        },
        Kind::Ordered(m) => Fact::Ordered {
            task: join(m.hi, m.lo),
            order: order(m)?,
        },
        Kind::Reworded(m) => Fact::Reworded {
            task: join(m.hi, m.lo),
            terms: TermsIx(m.terms),
        },
        Kind::Forgotten(ids) => Fact::Forgotten { tasks: unpack(&ids)? },
        Kind::NodeJoined(m) => Fact::NodeJoined {
            ix: NodeIx(m.ix),
            facts: Arc::new(from_json(&m.json)?),
        },
        Kind::NodeChanged(m) => Fact::NodeChanged {
            ix: NodeIx(m.ix),
            facts: Arc::new(from_json(&m.json)?),
        },
        Kind::NodeLiveness(m) => Fact::NodeLiveness {
            ix: NodeIx(m.ix),
            liveness: liveness(m.state)?,
        },
        Kind::NodeScheduling(m) => Fact::NodeScheduling {
            ix: NodeIx(m.ix),
            to: scheduling(m.state)?,
            actor: m.actor,
        },
        Kind::NodeTainted(m) => Fact::NodeTainted {
            ix: NodeIx(m.ix),
            taints: from_json_list(&m.json)?.into(),
            actor: m.actor,
        },
        Kind::NodeRemoved(m) => Fact::NodeRemoved {
            ix: NodeIx(m.ix),
            actor: m.actor,
        },
        Kind::TenantSet(m) => Fact::TenantSet {
            tenant: from_json(&m.json)?,
            actor: m.actor,
        },
    })
}

fn session_opened(m: SessionMsg) -> Result<Fact, BadRecord> {
    let (scheduler, epoch) = (name(m.scheduler.parse())?, SessionEpoch(m.epoch));
    Ok(Fact::SessionOpened {
        scheduler,
        kind: m.kind,
        epoch,
    })
}

fn terms(m: &TermsMsg) -> Result<Fact, BadRecord> {
    Ok(Fact::Terms {
        ix: TermsIx(m.ix),
        scheduler: name(m.scheduler.parse())?,
        terms: Arc::new(from_json(&m.json)?),
    })
}

fn spec(m: JsonMsg) -> Result<Fact, BadRecord> {
    let id: [u8; 32] = m.id.try_into().map_err(|_| malformed("a spec id is cut off"))?;
    Ok(Fact::Spec {
        id: SpecId(id),
        spec: Arc::new(from_json(&m.json)?),
    })
}

fn seen(m: SeenMsg) -> Result<Observation, BadRecord> {
    Ok(Observation {
        task: join(m.hi, m.lo),
        seq: Seq(m.seq),
        progress: Progress {
            incarnation: Incarnation(m.incarnation),
            phase: phase(m.phase)?,
        },
        ready: m.ready,
        address: m.address,
        exit: from_json_opt(&m.exit)?,
        message: m.message,
        at: m.at,
        containers: from_json_list(&m.containers)?,
        checks: from_json_list(&m.checks)?,
    })
}

fn order(m: OrderedMsg) -> Result<Order, BadRecord> {
    let cause: Option<ExitReason> = from_json_opt(&m.cause)?;
    Ok(Order {
        desired: desired(m.desired)?,
        release: m.release,
        grace_ms: m.grace_ms,
        readmit: m.readmit,
        cause,
        actor: m.actor,
    })
}
