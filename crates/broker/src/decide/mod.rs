//! The core: the broker's only mutable thing, and a pure one. In: `Input`. Out: `Effects`, whose facts must be
//! durable before anything else of them is shown. It never reads a clock, never waits, touches no disk and no
//! lock, and knows no transport; the same inputs give the same facts. Start at `step`; the verbs are in the
//! files beside this one, the order of admission in `schedule`, what a fact does in `ledger::apply`.

mod claim;
mod funnel;
mod gangs;
mod nodes;
mod orders;
mod preempt;
mod schedule;
mod seats;
mod sessions;
mod suppose;
mod time;
pub mod trial;
mod victims;

use crate::codec::{self, BadRecord};
use crate::config::CoreConfig;
use crate::fact::{Fact, NodeIx};
use crate::input::{Answer, Attachment, Change, Denied, Effects, Input};
use crate::ledger::Ledger;
use crate::ledger::apply::BadFact;
use plenum_model::ids::{LeaderEpoch, SchedulerId, TaskId};
pub use sessions::Sessions;
use std::collections::{BTreeMap, BTreeSet};

/// The core of the broker.
#[derive(Debug, Default)]
pub struct Core {
    config: CoreConfig,
    ledger: Ledger,
    /// Never goes back.
    now: u64,
    /// When this broker began to lead; deadlines from before start again here.
    leads_since: u64,
    facts: Vec<Fact>,
    sessions: Sessions,
    agents: BTreeMap<NodeIx, Agent>,
    timers: BTreeSet<(u64, Timer)>,
    /// Workloads with more ended tasks than they asked to keep, whose scheduler has yet to hear of the ends.
    over_kept: BTreeSet<(SchedulerId, TaskId)>,
    reclaimers: preempt::Reclaimers,
}

/// What is known of a node's agent, beside the facts.
#[derive(Debug, Clone, Copy)]
struct Agent {
    attachment: Option<Attachment>,
    heard_at: u64,
}

/// Something to look at when its time comes. What it says is checked again then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Lease(NodeIx),
    Lost(NodeIx, TaskId),
    Held(TaskId),
    Preempt(TaskId),
}

/// A ledger that cannot be read back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// A record or the snapshot does not decode.
    #[error("record {at} of the ledger cannot be read")]
    Record {
        /// Which record; 0: the snapshot.
        at: usize,
        /// Why.
        source: BadRecord,
    },
    /// A record does not follow from those before it.
    #[error("record {at} of the ledger does not follow from those before it")]
    Fact {
        /// Which record.
        at: usize,
        /// Why.
        source: BadFact,
    },
}

/// Sizes of what the core holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tasks that are not forgotten.
    pub tasks: usize,
    /// Those that wait.
    pub pending: usize,
    /// Nodes.
    pub nodes: usize,
}

/// The ledger that a log holds. `each` is given what the snapshot says as number 0, then what each record changes.
pub(crate) fn replay(
    config: &CoreConfig,
    snapshot: Option<&[u8]>,
    records: &[Vec<u8>],
    mut each: impl FnMut(usize, &mut Vec<Change>),
) -> Result<Ledger, RestoreError> {
    let mut ledger = match snapshot {
        Some(bytes) => {
            Ledger::from_snapshot(bytes, config).map_err(|source| RestoreError::Record { at: 0, source })?
        }
        None => Ledger::new(config),
    };
    let mut changes = Vec::new();
    ledger.export(|change| changes.push(change));
    each(0, &mut changes);
    for (at, bytes) in (1..).zip(records) {
        let (time, facts) = codec::decode(bytes).map_err(|source| RestoreError::Record { at, source })?;
        for fact in &facts {
            ledger
                .apply(time, fact)
                .map_err(|source| RestoreError::Fact { at, source })?;
        }
        ledger.flush(&mut changes);
        each(at, &mut changes);
        changes.clear();
    }
    Ok(ledger)
}

impl Core {
    /// A core with an empty ledger.
    #[must_use]
    pub fn new(config: CoreConfig) -> Self {
        let ledger = Ledger::new(&config);
        Self {
            config,
            ledger,
            ..Self::default()
        }
    }

    /// The core that a log holds: the newest snapshot, then the records after it. `to` is told what a view
    /// needs: everything as of the snapshot, then what each record changed. Feed `Input::Lead` next.
    ///
    /// # Errors
    /// See [`RestoreError`].
    pub fn restore(
        config: CoreConfig,
        snapshot: Option<&[u8]>,
        records: &[Vec<u8>],
        mut to: impl FnMut(Change),
    ) -> Result<Self, RestoreError> {
        let mut core = Self::new(config);
        core.ledger = replay(&core.config, snapshot, records, |_, changes| {
            changes.drain(..).for_each(&mut to);
        })?;
        core.now = core.ledger.at;
        Ok(core)
    }

    /// Takes in one input at a time `now` in Unix milliseconds (one that lies in the past counts as the newest
    /// seen), and says what follows.
    pub fn step(&mut self, now: u64, input: Input, out: &mut Effects) {
        self.now = self.now.max(now);
        out.answer = match input {
            Input::Lead(epoch) => {
                self.lead(epoch);
                None
            }
            Input::Open(hello) => Some(Ok(self.open(hello))),
            Input::Close(caller) => {
                self.close(&caller);
                None
            }
            Input::Claim(caller, batch) => Some(self.claim(&caller, batch)),
            Input::Amend(caller, changes) => Some(self.amend(&caller, changes)),
            Input::Release(caller, ids, grace) => Some(self.release(&caller, &ids, grace)),
            Input::Forget(caller, ids) => Some(self.forget(&caller, &ids)),
            Input::Ack(caller, cursor) => Some(self.ack(&caller, cursor)),
            Input::Attach { facts, attachment } => Some(self.attach(*facts, attachment)),
            Input::Heard(node, attachment) => self.heard(&node, attachment).err().map(Err),
            Input::Facts(facts, attachment) => self.facts_of(*facts, attachment).err().map(Err),
            Input::Observed(node, attachment, seen) => Some(self.observed(node, attachment, seen)),
            Input::Tick => {
                self.tick();
                None
            }
            Input::SetTenant(tenant, actor) => Some(self.set_tenant(tenant, actor)),
            Input::SetScheduling(node, to, actor) => Some(self.set_scheduling(&node, to, actor)),
            Input::Taint(node, change, actor) => Some(self.taint(&node, &change, actor)),
            Input::RemoveNode(node, actor) => Some(self.remove_node(&node, actor)),
            Input::StopTask(id, grace, actor) => Some(self.stop_task(id, grace, actor)),
        };
        self.schedule();
        out.facts.append(&mut self.facts);
        self.ledger.flush(&mut out.changes);
    }

    /// Decides a fact.
    fn commit(&mut self, fact: Fact) {
        self.ledger
            .apply(self.now, &fact)
            .expect("a decision refers only to what the ledger has");
        self.facts.push(fact);
    }

    /// The record that makes the facts of a step durable.
    #[must_use]
    pub fn record(&self, facts: &[Fact]) -> Vec<u8> {
        codec::encode(self.now, facts)
    }

    /// The whole ledger. Two cores have the same ledger exactly if these bytes are the same.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        self.ledger.snapshot()
    }

    /// The ledger, to be looked at.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The time of the newest input, in Unix milliseconds.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.now
    }

    /// When the next thing happens by itself; feed a `Tick` then.
    #[must_use]
    pub fn next_timer(&self) -> Option<u64> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// Sizes.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            tasks: self.ledger.tasks.len(),
            pending: self.ledger.queue.len(),
            nodes: self.ledger.nodes.len(),
        }
    }

    /// The live sessions of a core whose last facts could not be made durable: who was connected stays so.
    pub fn take_sessions(&mut self) -> Sessions {
        std::mem::take(&mut self.sessions)
    }

    /// Goes on with the sessions of the core before this one, as far as the ledger knows them.
    pub fn adopt_sessions(&mut self, mut sessions: Sessions) {
        sessions.retain(|id, epoch| {
            self.ledger
                .schedulers
                .get(id)
                .is_some_and(|row| row.connected && row.epoch == epoch)
        });
        self.sessions = sessions;
    }

    fn lead(&mut self, epoch: LeaderEpoch) {
        if self.ledger.epoch != epoch {
            self.commit(Fact::Led { epoch });
        }
        self.start_timers();
    }
}

/// What verbs give back.
type Verdict = Result<Answer, Denied>;
