//! What shall be true of live tasks: amend, release, forget, stop. All idempotent.

use super::claim::refusal;
use super::{Core, Verdict};
use crate::fact::{Fact, Order};
use crate::input::{Answer, Caller, Denied, Held};
use crate::ledger::tasks::TaskRow;
use plenum_contract::broker::{Amend, Refusal, RefusalReason};
use plenum_model::claim::{Amendment, Desired, Terms};
use plenum_model::ids::{SchedulerId, TaskId};
use plenum_model::phase::Phase;
use plenum_model::task::{Exit, ExitReason};
use std::collections::BTreeMap;
use std::sync::Arc;

type Refused = (RefusalReason, &'static str, String);

impl Core {
    pub(super) fn amend(&mut self, caller: &Caller, changes: Vec<Amend>) -> Verdict {
        self.session(caller)?;
        let mut refused: Vec<Refusal> = Vec::new();
        for amend in changes {
            let task = amend.task;
            if let Err((reason, field, why)) = self.amend_one(&caller.scheduler, amend) {
                refused.push(refusal(task, reason, field, why));
            }
        }
        Ok(Answer::Refused(refused))
    }

    fn amend_one(&mut self, scheduler: &SchedulerId, amend: Amend) -> Result<(), Refused> {
        let row = self.mine(scheduler, amend.task).ok_or_else(unknown)?;
        if row.task.generation != amend.generation {
            let why = format!(
                "its generation is {}, not {}",
                row.task.generation, amend.generation
            );
            return Err((RefusalReason::Stale, "generation", why));
        }
        let unsupported = |field, why: &str| Err((RefusalReason::NotSupported, field, why.to_owned()));
        match amend.change {
            Amendment::Desired(to) => self.amend_desired(amend.task, to),
            Amendment::Labels(labels) => {
                self.amend_labels(scheduler, amend.task, labels);
                Ok(())
            }
            Amendment::Charge(_) => unsupported("charge", "amounts of a live task cannot change yet"),
            Amendment::Files(_) => unsupported("files", "the files of a live task cannot change yet"),
            Amendment::Image { .. } => unsupported("image", "the image of a live task cannot change yet"),
        }
    }

    fn amend_desired(&mut self, id: TaskId, to: Desired) -> Result<(), Refused> {
        let Some(row) = self.ledger.tasks.get(id) else {
            return Err(unknown());
        };
        let readmit = amended(row, to).map_err(|why| (RefusalReason::State, "desired", why.to_owned()))?;
        let Some(readmit) = readmit else { return Ok(()) };
        let actor = row.task.scheduler.to_string();
        let order = Order {
            desired: to,
            release: false,
            grace_ms: None,
            readmit,
            cause: None,
            actor,
        };
        self.commit(Fact::Ordered { task: id, order });
        if let Desired::Held { deadline_ms } = to {
            self.start_held(id, deadline_ms);
        }
        Ok(())
    }

    fn amend_labels(&mut self, scheduler: &SchedulerId, id: TaskId, labels: BTreeMap<String, String>) {
        let Some(row) = self.ledger.tasks.get(id) else {
            return;
        };
        if row.task.terms.labels == labels {
            return;
        }
        let spec = Arc::clone(&self.ledger.terms.row(row.terms).needs.spec);
        let terms = Arc::new(Terms {
            labels,
            ..Terms::clone(&row.task.terms)
        });
        let known_as = self.ledger.terms.find(scheduler, &terms);
        let terms = self.intern(scheduler, &terms, known_as, spec);
        self.commit(Fact::Reworded { task: id, terms });
    }

    pub(super) fn release(&mut self, caller: &Caller, ids: &[TaskId], grace_ms: Option<u64>) -> Verdict {
        self.session(caller)?;
        for id in ids {
            let Some(row) = self.mine(&caller.scheduler, *id) else {
                continue;
            };
            let released = row.task.released;
            let shorter = match (row.grace_ms, grace_ms) {
                (_, None) => None,
                (None, Some(new)) => Some(new),
                (Some(old), Some(new)) => (new < old || !released).then_some(new),
            };
            if released && (shorter.is_none() || row.ended()) {
                continue;
            }
            let grace_ms = if released {
                shorter.or(row.grace_ms)
            } else {
                grace_ms
            };
            let actor = caller.scheduler.to_string();
            self.stop(
                *id,
                Order {
                    release: true,
                    grace_ms,
                    cause: None,
                    ..stopped(actor)
                },
                "released",
            );
            // It goes instead of somebody who was announced, perhaps.
            if let Some(node) = self.ledger.tasks.get(*id).and_then(|row| row.node) {
                self.spare_on(node);
            }
        }
        Ok(Answer::Done)
    }

    pub(super) fn stop_task(&mut self, id: TaskId, grace_ms: Option<u64>, actor: String) -> Verdict {
        let row = self.ledger.tasks.get(id);
        let row = row.ok_or_else(|| Denied::NotFound {
            kind: "task",
            name: id.to_string(),
        })?;
        if !row.ended() {
            let cause = Some(ExitReason::Asked);
            self.stop(
                id,
                Order {
                    release: false,
                    grace_ms,
                    cause,
                    ..stopped(actor)
                },
                "stopped",
            );
        }
        Ok(Answer::Done)
    }

    /// Orders a stop; what has no node yet ends at once.
    fn stop(&mut self, id: TaskId, order: Order, verb: &str) {
        self.commit(Fact::Ordered { task: id, order });
        if self
            .ledger
            .tasks
            .get(id)
            .is_some_and(|row| row.phase() == Phase::Pending)
        {
            let message = format!("{verb} before it was placed");
            let exit = Exit {
                code: None,
                signal: None,
                reason: ExitReason::Asked,
                message,
            };
            self.commit(Fact::Ended {
                task: id,
                phase: Phase::Stopped,
                exit,
            });
            self.keep_ended(id);
        }
    }

    /// A held task has been held long enough.
    pub(super) fn held_too_long(&mut self, id: TaskId) {
        let cause = Some(ExitReason::HeldTooLong);
        let order = Order {
            release: false,
            grace_ms: None,
            cause,
            ..stopped("broker".to_owned())
        };
        self.stop(id, order, "held too long");
    }

    pub(super) fn forget(&mut self, caller: &Caller, ids: &[TaskId]) -> Verdict {
        self.session(caller)?;
        let (mut tasks, mut refused) = (Vec::new(), Vec::new());
        for id in ids {
            match self.mine(&caller.scheduler, *id) {
                None => {}
                Some(row) if row.ended() => tasks.push(*id),
                Some(row) => {
                    let why = format!("it is {}; release it and wait for its end", row.phase());
                    refused.push(refusal(*id, RefusalReason::State, "id", why));
                }
            }
        }
        if !tasks.is_empty() {
            self.commit(Fact::Forgotten { tasks });
        }
        Ok(Answer::Refused(refused))
    }

    /// A task has ended: its workload keeps no more of those than it asked for. While its scheduler is there,
    /// none goes before the scheduler has heard of its end.
    pub(super) fn keep_ended(&mut self, id: TaskId) {
        let Some(row) = self.ledger.tasks.get(id) else {
            return;
        };
        let scheduler = row.task.scheduler.clone();
        let keep = usize::try_from(row.task.terms.keep_ended).unwrap_or(usize::MAX);
        if keep == 0 {
            return;
        }
        let acked = self.sessions.acked(&scheduler);
        let ended = &self
            .ledger
            .workloads
            .get(self.ledger.terms.row(row.terms).workload)
            .ended;
        let surplus = ended.len().saturating_sub(keep);
        let heard = |id: &TaskId| {
            let row = self.ledger.tasks.get(*id);
            row.is_some_and(|row| {
                row.ended() && acked.is_none_or(|acked| !row.touched && row.cursor <= acked)
            })
        };
        let tasks: Vec<_> = ended
            .iter()
            .map(|(_, id)| *id)
            .filter(heard)
            .take(surplus)
            .collect();
        if tasks.len() < surplus {
            self.over_kept.insert((scheduler, id));
        }
        if !tasks.is_empty() {
            self.commit(Fact::Forgotten { tasks });
        }
    }

    /// The scheduler has heard more, or left.
    pub(super) fn forget_over_kept(&mut self, scheduler: &SchedulerId) {
        let all = &self.over_kept;
        let from = (scheduler.clone(), TaskId([0; 16]));
        let of_it: Vec<_> = all
            .range(from..)
            .take_while(|(s, _)| s == scheduler)
            .cloned()
            .collect();
        for entry in of_it {
            self.over_kept.remove(&entry);
            self.keep_ended(entry.1);
        }
    }

    fn mine(&self, scheduler: &SchedulerId, id: TaskId) -> Option<&TaskRow> {
        self.ledger
            .tasks
            .get(id)
            .filter(|row| row.task.scheduler == *scheduler)
    }
}

fn unknown() -> Refused {
    (
        RefusalReason::Unknown,
        "id",
        "there is no such task of this scheduler".to_owned(),
    )
}

/// An order to stop.
fn stopped(actor: String) -> Order {
    let desired = Desired::Stopped;
    Order {
        desired,
        release: false,
        grace_ms: None,
        readmit: false,
        cause: None,
        actor,
    }
}

/// What amending the desired state of a task takes: nothing, or an order that admits it again or not.
fn amended(row: &TaskRow, to: Desired) -> Result<Option<bool>, &'static str> {
    let (now, phase) = (row.task.desired, row.phase());
    if row.task.released {
        return Err("it was released");
    }
    if phase.is_final() {
        return Err("it has ended for good");
    }
    match to {
        Desired::Held { .. } if to == now => Ok(None),
        Desired::Held { .. } => match (phase, now) {
            (Phase::Pending, _) | (_, Desired::Held { .. }) if !phase.is_terminal() => Ok(Some(false)),
            _ => Err("only what was not started can be held"),
        },
        Desired::Stopped if phase == Phase::Pending => Err("it has no node yet; release it instead"),
        Desired::Stopped if now == to => Ok(None),
        Desired::Stopped => Ok(Some(false)),
        Desired::Running if phase.is_terminal() => {
            if row.readmit || row.held == Held::Full {
                return Ok(None);
            }
            if row.node.is_none() {
                Err("its node is gone")
            } else {
                Ok(Some(true))
            }
        }
        Desired::Running if now == Desired::Stopped => Err("it is still stopping"),
        Desired::Running if now == to => Ok(None),
        Desired::Running => Ok(Some(false)),
    }
}
