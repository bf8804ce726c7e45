//! The whole ledger as one message, and back. What follows from the rest (rooms held, indexes, the queue) is
//! not written but made again, by the same booking that made it first.

use super::tasks::TaskRow;
use super::{Ledger, SchedulerRow};
use crate::codec::{self, BadRecord, malformed};
use crate::config::CoreConfig;
use crate::fact::{Fact, NodeIx, Room, TermsIx};
use crate::input::Held;
use crate::ledger::nodes::NodeRow;
use crate::ledger::nominations::Nomination;
use plenum_model::ids::{Cursor, Generation, Incarnation, LeaderEpoch, NodeId, Seq, SessionEpoch, TaskId};
use plenum_model::phase::Progress;
use plenum_model::task::{Status, Task};
use prost::Message;
use std::sync::Arc;

#[derive(Clone, PartialEq, prost::Message)]
struct SnapshotMsg {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(uint64, tag = "2")]
    at: u64,
    #[prost(uint64, tag = "3")]
    epoch: u64,
    #[prost(uint64, tag = "4")]
    cursor: u64,
    #[prost(uint64, tag = "5")]
    ages: u64,
    #[prost(uint64, tag = "6")]
    next_terms: u64,
    /// The highest attempt of each slot, as the id of that attempt.
    #[prost(bytes = "vec", tag = "7")]
    slots: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "8")]
    specs: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "9")]
    terms: Vec<TermsMsg>,
    #[prost(message, repeated, tag = "10")]
    nodes: Vec<NodeMsg>,
    #[prost(bytes = "vec", repeated, tag = "11")]
    tenants: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "12")]
    schedulers: Vec<SchedulerMsg>,
    #[prost(message, repeated, tag = "13")]
    tasks: Vec<TaskMsg>,
    #[prost(message, repeated, tag = "14")]
    nominations: Vec<NominationMsg>,
    #[prost(uint64, tag = "15")]
    next_nomination: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct NominationMsg {
    #[prost(bytes = "vec", tag = "1")]
    task: Vec<u8>,
    #[prost(uint64, tag = "2")]
    number: u64,
    #[prost(uint32, tag = "3")]
    node: u32,
    #[prost(uint32, repeated, tag = "4")]
    ports: Vec<u32>,
    #[prost(bytes = "vec", tag = "5")]
    victims: Vec<u8>,
    #[prost(uint64, tag = "6")]
    deadline: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct TermsMsg {
    #[prost(uint64, tag = "1")]
    ix: u64,
    #[prost(string, tag = "2")]
    scheduler: String,
    #[prost(bytes = "vec", tag = "3")]
    json: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct NodeMsg {
    #[prost(uint32, tag = "1")]
    ix: u32,
    #[prost(bytes = "vec", tag = "2")]
    facts: Vec<u8>,
    #[prost(uint32, tag = "3")]
    liveness: u32,
    #[prost(uint32, tag = "4")]
    scheduling: u32,
    #[prost(uint64, tag = "5")]
    joined_at: u64,
    #[prost(uint64, tag = "6")]
    since: u64,
    #[prost(bytes = "vec", tag = "7")]
    taints: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SchedulerMsg {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    kind: String,
    #[prost(uint64, tag = "3")]
    epoch: u64,
    #[prost(bool, tag = "4")]
    connected: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct TaskMsg {
    #[prost(message, optional, tag = "1")]
    seat: Option<codec::SeatMsg>,
    #[prost(uint64, tag = "2")]
    cursor: u64,
    #[prost(uint64, tag = "3")]
    age: u64,
    #[prost(uint64, tag = "4")]
    terms: u64,
    #[prost(uint64, tag = "5")]
    claimed_terms: u64,
    #[prost(uint32, optional, tag = "6")]
    node: Option<u32>,
    /// 0: nothing, 1: disk, 2: all.
    #[prost(uint32, tag = "7")]
    held: u32,
    #[prost(uint64, optional, tag = "8")]
    grace_ms: Option<u64>,
    #[prost(bytes = "vec", tag = "9")]
    cause: Vec<u8>,
    #[prost(bool, tag = "10")]
    readmit: bool,
    #[prost(uint64, tag = "11")]
    generation: u64,
    #[prost(message, optional, tag = "12")]
    desired: Option<codec::DesiredMsg>,
    #[prost(bool, tag = "13")]
    released: bool,
    #[prost(message, optional, tag = "14")]
    status: Option<StatusMsg>,
    #[prost(uint64, optional, tag = "15")]
    gang: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StatusMsg {
    #[prost(uint32, tag = "1")]
    incarnation: u32,
    #[prost(uint32, tag = "2")]
    phase: u32,
    #[prost(uint64, tag = "3")]
    seq: u64,
    #[prost(string, optional, tag = "4")]
    node: Option<String>,
    #[prost(uint32, repeated, tag = "5")]
    ports: Vec<u32>,
    #[prost(bool, optional, tag = "6")]
    ready: Option<bool>,
    #[prost(string, optional, tag = "7")]
    address: Option<String>,
    #[prost(bool, tag = "8")]
    unreachable: bool,
    #[prost(bytes = "vec", tag = "9")]
    why: Vec<u8>,
    #[prost(bytes = "vec", tag = "10")]
    exit: Vec<u8>,
    #[prost(string, tag = "11")]
    message: String,
    #[prost(uint64, tag = "12")]
    claimed_at: u64,
    #[prost(uint64, optional, tag = "13")]
    placed_at: Option<u64>,
    #[prost(uint64, optional, tag = "14")]
    started_at: Option<u64>,
    #[prost(uint64, optional, tag = "15")]
    ended_at: Option<u64>,
    #[prost(bytes = "vec", tag = "16")]
    containers: Vec<u8>,
    #[prost(bytes = "vec", tag = "17")]
    checks: Vec<u8>,
    #[prost(string, optional, tag = "18")]
    nominated: Option<String>,
    #[prost(bytes = "vec", tag = "19")]
    preempting: Vec<u8>,
}

impl Ledger {
    /// The whole ledger. Two ledgers are the same exactly if these bytes are.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut slots: Vec<TaskId> = self.slots.iter().map(|(key, n)| attempt(key.0, *n)).collect();
        slots.sort_unstable();
        let nodes = self.nodes.iter().map(|(ix, row)| node_msg(ix, row));
        let schedulers = self.schedulers.iter().map(|(id, row)| SchedulerMsg {
            id: id.to_string(),
            kind: row.kind.clone(),
            epoch: row.epoch.0,
            connected: row.connected,
        });
        let terms = self.terms.iter().map(|(ix, row)| TermsMsg {
            ix: ix.0,
            scheduler: row.scheduler.to_string(),
            json: codec::json(&row.needs.terms),
        });
        SnapshotMsg {
            version: codec::VERSION,
            at: self.at,
            epoch: self.epoch.0,
            cursor: self.cursor.0,
            ages: self.ages,
            next_terms: self.terms.next,
            slots: codec::pack(&slots),
            specs: self.terms.specs().map(|(_, spec)| codec::json(spec)).collect(),
            terms: terms.collect(),
            nodes: nodes.collect(),
            tenants: self.tenants.iter().map(|row| codec::json(&row.tenant)).collect(),
            schedulers: schedulers.collect(),
            tasks: self.tasks.in_order().into_iter().map(task_msg).collect(),
            nominations: self.nominations.iter().map(nomination_msg).collect(),
            next_nomination: self.nominations.next,
        }
        .encode_to_vec()
    }

    /// A ledger from the bytes of `snapshot`.
    ///
    /// # Errors
    /// See [`BadRecord`].
    pub fn from_snapshot(bytes: &[u8], config: &CoreConfig) -> Result<Self, BadRecord> {
        let msg = SnapshotMsg::decode(bytes).map_err(malformed)?;
        codec::check_version(msg.version)?;
        let mut ledger = Self::new(config);
        for id in codec::unpack(&msg.slots)? {
            ledger.slots.insert(id.slot_key(), id.attempt());
        }
        for json in msg.nodes {
            let row = node_row(&json)?;
            ledger.nodes.put(NodeIx(json.ix), Some(row));
        }
        for json in &msg.tenants {
            ledger.tenants.set(codec::from_json(json)?);
        }
        for json in &msg.specs {
            let spec: Arc<plenum_model::spec::TaskSpec> = codec::from_json(json)?;
            ledger.terms.add_spec(spec.id(), spec);
        }
        for terms in msg.terms {
            let fact = Fact::Terms {
                ix: TermsIx(terms.ix),
                scheduler: terms.scheduler.parse().map_err(malformed)?,
                terms: codec::from_json(&terms.json)?,
            };
            ledger.apply(0, &fact).map_err(malformed)?;
        }
        for s in msg.schedulers {
            let row = SchedulerRow {
                kind: s.kind,
                epoch: SessionEpoch(s.epoch),
                connected: s.connected,
            };
            ledger.schedulers.insert(s.id.parse().map_err(malformed)?, row);
        }
        ledger.nominations.next = msg.next_nomination;
        for nomination in msg.nominations {
            ledger.put_nomination(&nomination)?;
        }
        for task in msg.tasks {
            ledger.put_task(task)?;
        }
        ledger.keep_all();
        ledger.at = msg.at;
        ledger.epoch = LeaderEpoch(msg.epoch);
        ledger.cursor = Cursor(msg.cursor);
        ledger.ages = msg.ages;
        ledger.terms.next = msg.next_terms;
        Ok(ledger)
    }

    fn put_nomination(&mut self, msg: &NominationMsg) -> Result<(), BadRecord> {
        let room = Room {
            node: NodeIx(msg.node),
            ports: codec::ports(&msg.ports)?,
            victims: codec::unpack(&msg.victims)?,
            deadline: msg.deadline,
        };
        let row = Nomination {
            number: msg.number,
            room,
        };
        for task in codec::unpack(&msg.task)? {
            self.nominations.restore(task, row.clone());
        }
        Ok(())
    }

    fn put_task(&mut self, msg: TaskMsg) -> Result<(), BadRecord> {
        let held = match msg.held {
            0 => Held::Nothing,
            1 => Held::Disk,
            2 => Held::Full,
            n => return Err(malformed(format!("holding {n} is not known"))),
        };
        let terms = self
            .terms
            .get(TermsIx(msg.terms))
            .ok_or_else(|| malformed("a task without terms"))?;
        let tenant = self.tenants.find(&terms.needs.terms.tenant);
        let tenant = tenant.ok_or_else(|| malformed("a task without a tenant"))?;
        let task = Task {
            scheduler: terms.scheduler.clone(),
            seat: codec::seat(msg.seat.unwrap_or_default())?,
            terms: Arc::clone(&terms.needs.terms),
            generation: Generation(msg.generation),
            desired: codec::desired(msg.desired)?,
            released: msg.released,
            status: status(msg.status.unwrap_or_default())?,
        };
        let (id, workload) = (task.id(), terms.workload);
        self.terms.charge_to(TermsIx(msg.terms), tenant);
        let row = TaskRow {
            task: Arc::new(task),
            cursor: Cursor(msg.cursor),
            age: msg.age,
            terms: TermsIx(msg.terms),
            claimed_terms: TermsIx(msg.claimed_terms),
            node: msg.node.map(NodeIx),
            held: Held::Nothing,
            grace_ms: msg.grace_ms,
            cause: codec::from_json_opt(&msg.cause)?,
            readmit: msg.readmit,
            gang: msg.gang,
            touched: false,
        };
        if row.phase().is_terminal() && held != Held::Full {
            self.workloads.get_mut(workload).ended.insert((row.age, id));
        }
        self.terms.refer(row.terms, 1);
        self.terms.refer(row.claimed_terms, 1);
        if let Some(node) = row.node {
            self.nodes.tasks_mut(node).map(|tasks| tasks.insert(id));
        }
        if let Some(budget) = &row.task.terms.budget {
            self.budgets.put(&row.task.scheduler, budget, id, true);
        }
        let heir_of = row.task.seat.replaces.filter(|_| row.waits());
        self.tasks.insert(row);
        if let Some(from) = heir_of {
            self.nominations.inherit(from, id, true);
        }
        self.book(id, held);
        self.enter(id);
        Ok(())
    }
}

fn attempt(slot: [u8; 12], attempt: u32) -> TaskId {
    let mut id = [0_u8; 16];
    id[..12].copy_from_slice(&slot);
    id[12..].copy_from_slice(&attempt.to_be_bytes());
    TaskId(id)
}

fn nomination_msg((task, row): (TaskId, &Nomination)) -> NominationMsg {
    NominationMsg {
        task: codec::pack(&[task]),
        number: row.number,
        node: row.room.node.0,
        ports: row.room.ports.iter().map(|p| u32::from(*p)).collect(),
        victims: codec::pack(&row.room.victims),
        deadline: row.room.deadline,
    }
}

fn node_msg(ix: NodeIx, row: &NodeRow) -> NodeMsg {
    NodeMsg {
        ix: ix.0,
        facts: codec::json(&row.facts),
        liveness: codec::liveness_number(row.liveness),
        scheduling: codec::scheduling_number(row.scheduling),
        joined_at: row.joined_at,
        since: row.since,
        taints: codec::json_list(&row.taints),
    }
}

fn node_row(msg: &NodeMsg) -> Result<NodeRow, BadRecord> {
    Ok(NodeRow {
        liveness: codec::liveness(msg.liveness)?,
        scheduling: codec::scheduling(msg.scheduling)?,
        joined_at: msg.joined_at,
        since: msg.since,
        taints: codec::from_json_list(&msg.taints)?.into(),
        ..NodeRow::new(codec::from_json(&msg.facts)?, msg.joined_at)
    })
}

fn task_msg(row: &TaskRow) -> TaskMsg {
    let task = &row.task;
    TaskMsg {
        seat: Some(codec::seat_msg(&task.seat)),
        cursor: row.cursor.0,
        age: row.age,
        terms: row.terms.0,
        claimed_terms: row.claimed_terms.0,
        node: row.node.map(|n| n.0),
        held: match row.held {
            Held::Nothing => 0,
            Held::Disk => 1,
            Held::Full => 2,
        },
        grace_ms: row.grace_ms,
        cause: codec::json_opt(row.cause.as_ref()),
        readmit: row.readmit,
        gang: row.gang,
        generation: task.generation.0,
        desired: Some(codec::desired_msg(task.desired)),
        released: task.released,
        status: Some(status_msg(&task.status)),
    }
}

fn status_msg(s: &Status) -> StatusMsg {
    StatusMsg {
        incarnation: s.progress.incarnation.0,
        phase: codec::phase_number(s.progress.phase),
        seq: s.seq.0,
        node: s.node.as_ref().map(ToString::to_string),
        ports: s.ports.iter().map(|p| u32::from(*p)).collect(),
        ready: s.ready,
        address: s.address.clone(),
        unreachable: s.unreachable,
        why: codec::json_opt(s.why.as_ref()),
        exit: codec::json_opt(s.exit.as_ref()),
        message: s.message.clone(),
        claimed_at: s.claimed_at,
        placed_at: s.placed_at,
        started_at: s.started_at,
        ended_at: s.ended_at,
        containers: codec::json_list(&s.containers),
        checks: codec::json_list(&s.checks),
        nominated: s.nominated.as_ref().map(ToString::to_string),
        preempting: codec::json_opt(s.preempting.as_ref()),
    }
}

fn status(m: StatusMsg) -> Result<Status, BadRecord> {
    Ok(Status {
        progress: Progress {
            incarnation: Incarnation(m.incarnation),
            phase: codec::phase(m.phase)?,
        },
        seq: Seq(m.seq),
        node: m.node.map(NodeId::new).transpose().map_err(malformed)?,
        ports: codec::ports(&m.ports)?,
        ready: m.ready,
        address: m.address,
        unreachable: m.unreachable,
        why: codec::from_json_opt(&m.why)?,
        exit: codec::from_json_opt(&m.exit)?,
        message: m.message,
        claimed_at: m.claimed_at,
        placed_at: m.placed_at,
        started_at: m.started_at,
        ended_at: m.ended_at,
        containers: codec::from_json_list(&m.containers)?,
        checks: codec::from_json_list(&m.checks)?,
        nominated: m.nominated.map(NodeId::new).transpose().map_err(malformed)?,
        preempting: codec::from_json_opt(&m.preempting)?,
    })
}
