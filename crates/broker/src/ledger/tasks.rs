//! The tasks of the ledger. Looked up by id, never walked in the order of the table.

use super::hashing::Table;
use crate::fact::{NodeIx, TermsIx};
use crate::input::Held;
use plenum_model::claim::Desired;
use plenum_model::ids::{Cursor, Incarnation, TaskId};
use plenum_model::phase::{Phase, Progress};
use plenum_model::task::{ExitReason, Task};
use std::sync::Arc;

/// A task.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskRow {
    /// Its record. Shared with whoever was shown it, cloned when it changes afterwards.
    pub task: Arc<Task>,
    /// The place of its newest change.
    pub cursor: Cursor,
    /// The number of its claim.
    pub age: u64,
    /// Its terms.
    pub terms: TermsIx,
    /// Those it was claimed with.
    pub claimed_terms: TermsIx,
    /// Its node.
    pub node: Option<NodeIx>,
    /// What is held for it.
    pub held: Held,
    /// Milliseconds from the stop signal to the kill, instead of the spec's.
    pub grace_ms: Option<u64>,
    /// Why it is being stopped, if its scheduler did not ask for it.
    pub cause: Option<ExitReason>,
    /// Whether it waits to be admitted again on its node.
    pub readmit: bool,
    /// The gang with which it waits to be placed.
    pub gang: Option<u64>,
    /// Whether its change has not been said yet.
    pub touched: bool,
}

impl TaskRow {
    /// How far it has come.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.task.status.phase()
    }

    /// Whether nothing of it runs and nothing will by itself.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.phase().is_terminal() && !self.readmit && self.held != Held::Full
    }

    /// Whether it waits for room. (A pin is never waited for.)
    #[must_use]
    pub fn waits(&self) -> bool {
        self.readmit || (self.phase() == Phase::Pending && self.task.seat.pin.is_none())
    }

    /// What the agent shall make true: nothing is started that is not charged in full.
    #[must_use]
    pub fn granted(&self) -> Desired {
        granted(&self.task, self.held)
    }
}

/// What an agent shall make true of a task for which so much is held.
#[must_use]
pub fn granted(task: &Task, held: Held) -> Desired {
    match held {
        Held::Full if !task.released => task.desired,
        Held::Full | Held::Disk | Held::Nothing => Desired::Stopped,
    }
}

/// The incarnation after which it was admitted to run again: it has ended and all of it is held.
#[must_use]
pub fn again_after(task: &Task, held: Held) -> Option<Incarnation> {
    let Progress { incarnation, phase } = task.status.progress;
    (held == Held::Full && phase.is_terminal()).then_some(incarnation)
}

/// All tasks.
#[derive(Debug, Default)]
pub struct Tasks(Table<TaskId, TaskRow>);

impl Tasks {
    /// A task.
    #[must_use]
    pub fn get(&self, id: TaskId) -> Option<&TaskRow> {
        self.0.get(&id)
    }

    /// A task, to be changed.
    pub fn get_mut(&mut self, id: TaskId) -> Option<&mut TaskRow> {
        self.0.get_mut(&id)
    }

    /// Puts one in.
    pub fn insert(&mut self, row: TaskRow) {
        self.0.insert(row.task.id(), row);
    }

    /// Takes one out.
    pub fn remove(&mut self, id: TaskId) -> Option<TaskRow> {
        self.0.remove(&id)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All, by id.
    #[must_use]
    pub fn in_order(&self) -> Vec<&TaskRow> {
        let mut rows: Vec<_> = self.0.values().collect();
        rows.sort_unstable_by_key(|row| row.task.id());
        rows
    }

    /// All, the one that changed longest ago first.
    #[must_use]
    pub fn in_order_of_change(&self) -> Vec<&TaskRow> {
        let mut rows: Vec<_> = self.0.values().collect();
        rows.sort_unstable_by_key(|row| (row.cursor, row.task.id()));
        rows
    }
}
