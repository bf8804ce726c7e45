//! What is only supposed, on a copy of the core: that a node is lost for good, that what is being stopped has stopped.
//! Nothing of it ever comes from outside a simulation.

use super::{Core, nodes::lost};
use crate::fact::Fact;
use crate::input::{Denied, Effects, Held};
use plenum_model::claim::{Desired, Seat};
use plenum_model::ids::{NodeId, Seq, TaskId};
use plenum_model::node::Liveness;
use plenum_model::phase::{Phase, Progress};
use plenum_model::task::{Exit, ExitReason, Observation};

impl Core {
    /// Takes in a supposition, and says what follows.
    ///
    /// # Errors
    /// What stands in the way of it.
    pub(crate) fn suppose(
        &mut self,
        what: impl FnOnce(&mut Self) -> Result<(), Denied>,
        out: &mut Effects,
    ) -> Result<(), Denied> {
        let result = what(self);
        self.schedule();
        out.facts.append(&mut self.facts);
        self.ledger.flush(&mut out.changes);
        result
    }

    /// A node is lost for good, and who had tasks there claims them anew with the same terms.
    pub(crate) fn suppose_lost(&mut self, node: &NodeId) -> Result<(), Denied> {
        let (ix, row) = self.ledger.nodes.find(node).ok_or_else(|| Denied::NotFound {
            kind: "node",
            name: node.to_string(),
        })?;
        let ready = row.liveness == Liveness::Ready;
        let there: Vec<_> = row.tasks.iter().copied().collect();
        for id in there {
            self.claim_again(id);
        }
        if ready {
            let liveness = Liveness::Unreachable;
            self.commit(Fact::NodeLiveness { ix, liveness });
        }
        self.remove_node(node, "simulation".to_owned()).map(drop)
    }

    /// The next attempt of a task that is to run.
    fn claim_again(&mut self, id: TaskId) {
        let Some(row) = self.ledger.tasks.get(id) else {
            return;
        };
        let task = &row.task;
        let runs = row.held == Held::Full && !task.released && task.desired != Desired::Stopped;
        let slot = self.ledger.slots.get(&id.slot_key()).copied();
        let attempt = slot.unwrap_or_else(|| id.attempt()).checked_add(1);
        let Some(attempt) = attempt.filter(|_| runs && !task.status.phase().is_terminal()) else {
            return;
        };
        let terms = row.terms;
        let seat = Seat {
            id: TaskId::derive(&task.scheduler, &task.terms.workload.uid, task.seat.slot, attempt),
            replaces: None,
            pin: None,
            ..task.seat.clone()
        };
        if self.ledger.tasks.get(seat.id).is_none() {
            let (seats, gang) = (vec![seat], None);
            self.commit(Fact::Claimed { terms, seats, gang });
        }
    }

    /// What is being stopped stops, where its node is heard of.
    pub(crate) fn suppose_stopped(&mut self) {
        let leaving = self.ledger.tasks.in_order().into_iter().filter(|row| {
            let there = row.held == Held::Full && !row.phase().is_terminal();
            there && row.granted() == Desired::Stopped && !row.task.status.unreachable
        });
        let seen: Vec<_> = leaving
            .map(|row| {
                let status = &row.task.status;
                Observation {
                    task: row.task.id(),
                    seq: Seq(status.seq.0 + 1),
                    progress: Progress {
                        phase: Phase::Stopped,
                        ..status.progress
                    },
                    ready: None,
                    address: None,
                    exit: Some(Exit {
                        reason: ExitReason::Asked,
                        ..lost(String::new())
                    }),
                    message: String::new(),
                    at: self.now,
                    containers: Vec::new(),
                    checks: Vec::new(),
                }
            })
            .collect();
        for seen in seen {
            self.commit(Fact::Seen { seen });
        }
    }
}
