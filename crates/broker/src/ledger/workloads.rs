//! Which nodes the tasks of one workload hold room on, and which of its tasks have ended.

use super::hashing::Table;
use crate::fact::NodeIx;
use crate::place::bits::Bits;
use plenum_model::ids::{SchedulerId, TaskId};
use std::collections::{BTreeSet, HashMap};

/// A workload within the ledger; an index that is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkloadIx(usize);

/// The tasks of one workload.
#[derive(Debug, Default)]
pub struct WorkloadRow {
    refs: usize,
    name: Option<(SchedulerId, String)>,
    /// Those that hold room, by node.
    on: Table<NodeIx, u32>,
    /// `at_least[n]`: the nodes with more than n of them.
    at_least: Vec<Bits>,
    /// Those that ended, by the age of their claim.
    pub ended: BTreeSet<(u64, TaskId)>,
}

impl WorkloadRow {
    /// How many hold room on a node.
    #[must_use]
    pub fn on(&self, node: NodeIx) -> u32 {
        self.on.get(&node).copied().unwrap_or(0)
    }

    /// The nodes that have more than `n` of them.
    #[must_use]
    pub fn more_than(&self, n: usize) -> Option<&Bits> {
        self.at_least.get(n)
    }

    /// The most that any node has.
    #[must_use]
    pub fn most(&self) -> usize {
        self.at_least.len()
    }

    /// The nodes where one holds room, in no order.
    pub fn hosts(&self) -> impl Iterator<Item = NodeIx> + '_ {
        self.on.keys().copied()
    }

    /// Counts one more on a node.
    pub fn add(&mut self, node: NodeIx) {
        let count = self.on.entry(node).or_insert(0);
        let level = *count as usize;
        *count += 1;
        if self.at_least.len() <= level {
            self.at_least.resize(level + 1, Bits::default());
        }
        self.at_least[level].put(node, true);
    }

    /// Counts one less.
    pub fn remove(&mut self, node: NodeIx) {
        let Some(count) = self.on.get_mut(&node) else {
            return;
        };
        *count -= 1;
        let level = *count as usize;
        if *count == 0 {
            self.on.remove(&node);
        }
        self.at_least[level].put(node, false);
        while self.at_least.last().is_some_and(Bits::is_empty) {
            self.at_least.pop();
        }
    }
}

/// All workloads that terms refer to.
#[derive(Debug, Default)]
pub struct Workloads {
    rows: Vec<WorkloadRow>,
    names: HashMap<(SchedulerId, String), WorkloadIx>,
    unused: Vec<WorkloadIx>,
}

impl Workloads {
    /// Refers to a workload once more.
    pub fn refer(&mut self, scheduler: &SchedulerId, uid: &str) -> WorkloadIx {
        let name = (scheduler.clone(), uid.to_owned());
        let ix = *self.names.entry(name.clone()).or_insert_with(|| {
            self.unused.pop().unwrap_or_else(|| {
                self.rows.push(WorkloadRow::default());
                WorkloadIx(self.rows.len() - 1)
            })
        });
        self.rows[ix.0].refs += 1;
        self.rows[ix.0].name = Some(name);
        ix
    }

    /// Refers to it once less; without any it is gone.
    pub fn drop_ref(&mut self, ix: WorkloadIx) {
        let row = &mut self.rows[ix.0];
        row.refs -= 1;
        if row.refs == 0 {
            if let Some(name) = row.name.take() {
                self.names.remove(&name);
            }
            *row = WorkloadRow::default();
            self.unused.push(ix);
        }
    }

    /// A workload.
    #[must_use]
    pub fn get(&self, ix: WorkloadIx) -> &WorkloadRow {
        &self.rows[ix.0]
    }

    /// A workload, to be changed.
    pub fn get_mut(&mut self, ix: WorkloadIx) -> &mut WorkloadRow {
        &mut self.rows[ix.0]
    }
}
