//! What happens by itself: leases end, silent nodes lose their tasks, held tasks have been held long enough.
//! A timer only says when to look; whether it is so is asked then.

use super::nodes::lost;
use super::{Agent, Core, Timer};
use crate::fact::{Fact, NodeIx};
use crate::input::Held;
use plenum_model::claim::{Desired, LostAfter};
use plenum_model::ids::TaskId;
use plenum_model::node::Liveness;
use plenum_model::phase::Phase;

impl Core {
    pub(super) fn tick(&mut self) {
        while let Some((due, timer)) = self.timers.first().copied().filter(|(due, _)| *due <= self.now) {
            self.timers.remove(&(due, timer));
            let again = match timer {
                Timer::Lease(ix) => self.lease_due(ix),
                Timer::Lost(ix, id) => self.lost_due(ix, id),
                Timer::Held(id) => self.held_due(id),
                Timer::Preempt(id) => self.preempt_due(id),
            };
            if let Some(later) = again {
                // Strictly later than now, or the loop would not end.
                self.timers.insert((later.max(self.now + 1), timer));
            }
        }
        self.refresh_due();
        self.reclaim_again();
    }

    /// At a take-over everybody has the full time again.
    pub(super) fn start_timers(&mut self) {
        self.leads_since = self.now;
        self.timers.clear();
        self.agents.clear();
        let nodes: Vec<_> = self
            .ledger
            .nodes
            .iter()
            .map(|(ix, row)| (ix, row.liveness))
            .collect();
        for (ix, liveness) in nodes {
            self.agents.insert(
                ix,
                Agent {
                    attachment: None,
                    heard_at: self.now,
                },
            );
            match liveness {
                Liveness::Ready => {
                    self.timers
                        .insert((self.now.saturating_add(self.config.lease_ms), Timer::Lease(ix)));
                }
                Liveness::Unreachable => self.start_lost(ix),
            }
        }
        let held: Vec<_> = self
            .ledger
            .tasks
            .in_order()
            .iter()
            .filter_map(|row| held_deadline(row))
            .collect();
        for (id, deadline_ms) in held {
            self.start_held(id, deadline_ms);
        }
        let nominated = self.ledger.nominations.iter();
        let announced = nominated.filter(|(_, row)| !row.room.victims.is_empty());
        let announced: Vec<_> = announced.map(|(id, row)| (row.room.deadline, id)).collect();
        for (deadline, id) in announced {
            self.timers.insert((deadline, Timer::Preempt(id)));
        }
    }

    pub(super) fn start_held(&mut self, id: TaskId, deadline_ms: u64) {
        self.timers
            .insert((self.now.saturating_add(deadline_ms), Timer::Held(id)));
    }

    fn lease_due(&mut self, ix: NodeIx) -> Option<u64> {
        let heard_at = self.agents.get(&ix)?.heard_at;
        let node = self
            .ledger
            .nodes
            .get(ix)
            .filter(|row| row.liveness == Liveness::Ready);
        node?;
        let due = heard_at.saturating_add(self.config.lease_ms);
        if due > self.now {
            return Some(due);
        }
        self.commit(Fact::NodeLiveness {
            ix,
            liveness: Liveness::Unreachable,
        });
        self.start_lost(ix);
        self.refresh_all_soon();
        None
    }

    fn start_lost(&mut self, ix: NodeIx) {
        let Some(heard_at) = self.agents.get(&ix).map(|agent| agent.heard_at) else {
            return;
        };
        let Some(node) = self.ledger.nodes.get(ix) else {
            return;
        };
        for id in &node.tasks {
            let lost_after = self.ledger.tasks.get(*id).map(|row| row.task.terms.lost_after);
            if let Some(LostAfter::Millis(ms)) = lost_after {
                self.timers
                    .insert((heard_at.saturating_add(ms), Timer::Lost(ix, *id)));
            }
        }
    }

    fn lost_due(&mut self, ix: NodeIx, id: TaskId) -> Option<u64> {
        let heard_at = self.agents.get(&ix)?.heard_at;
        let node = self
            .ledger
            .nodes
            .get(ix)
            .filter(|row| row.liveness == Liveness::Unreachable)?;
        let row = self.ledger.tasks.get(id).filter(|row| row.node == Some(ix))?;
        let LostAfter::Millis(ms) = row.task.terms.lost_after else {
            return None;
        };
        if row.phase().is_terminal() {
            return None;
        }
        let due = heard_at.saturating_add(ms);
        if due > self.now {
            return Some(due);
        }
        let exit = lost(format!("node {} was silent for {} s", node.facts.id, ms / 1000));
        self.commit(Fact::Ended {
            task: id,
            phase: Phase::Lost,
            exit,
        });
        self.keep_ended(id);
        None
    }

    fn held_due(&mut self, id: TaskId) -> Option<u64> {
        let row = self.ledger.tasks.get(id)?;
        let (_, deadline_ms) = held_deadline(row)?;
        let since = row.task.status.placed_at.unwrap_or(0).max(self.leads_since);
        let due = since.saturating_add(deadline_ms);
        if due > self.now {
            return Some(due);
        }
        self.held_too_long(id);
        None
    }
}

fn held_deadline(row: &crate::ledger::tasks::TaskRow) -> Option<(TaskId, u64)> {
    match row.task.desired {
        Desired::Held { deadline_ms } if row.held == Held::Full && !row.phase().is_terminal() => {
            Some((row.task.id(), deadline_ms))
        }
        Desired::Held { .. } | Desired::Running | Desired::Stopped => None,
    }
}
