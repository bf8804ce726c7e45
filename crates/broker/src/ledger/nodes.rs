//! The nodes of the ledger and the indexes over them.

use crate::fact::NodeIx;
use crate::place::bits::Bits;
use crate::place::levels::Levels;
use crate::place::ports::Ports;
use crate::place::verdict::NodeLook;
use plenum_model::amounts::Amounts;
use plenum_model::claim::PortAsk;
use plenum_model::ids::{NodeId, TaskId};
use plenum_model::node::{Liveness, NodeFacts, Scheduling};
use plenum_model::taint::Taint;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// A node.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeRow {
    /// What its agent says.
    pub facts: Arc<NodeFacts>,
    /// Whether it is heard of.
    pub liveness: Liveness,
    /// Whether new tasks may go there.
    pub scheduling: Scheduling,
    /// Taints that operators gave it, beside those of its configuration.
    pub taints: Arc<[Taint]>,
    /// When it joined, in Unix milliseconds.
    pub joined_at: u64,
    /// When its state last changed, in Unix milliseconds.
    pub since: u64,
    /// What tasks hold here.
    pub used: Amounts,
    /// What nobody holds.
    pub free: Amounts,
    /// What there is for tasks; follows from the facts.
    pub offers: Amounts,
    /// Host ports that are held.
    pub ports: Ports,
    /// Tasks that shall be here: placed here, neither lost nor forgotten.
    pub tasks: BTreeSet<TaskId>,
    /// Room that is kept for tasks that wait, in the order in which they are served.
    pub kept: Vec<Kept>,
    /// The ports among it.
    pub kept_ports: Ports,
}

/// Room that is kept for a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Which.
    pub task: TaskId,
    /// Those with a lower one are served before it.
    pub number: u64,
    /// All it asks.
    pub asked: Amounts,
    /// The ports it asks.
    pub asks: Vec<PortAsk>,
    /// Those it will be given.
    pub ports: Vec<u16>,
    /// What of all it asks does not come from those who still hold it.
    pub wants: Amounts,
    /// What of that is free, and held for it.
    pub amounts: Amounts,
    /// What of it readers were last told.
    pub told: Amounts,
}

impl NodeRow {
    /// A node that just joined.
    #[must_use]
    pub fn new(facts: Arc<NodeFacts>, at: u64) -> Self {
        Self {
            free: facts.allocatable(),
            offers: facts.allocatable(),
            facts,
            liveness: Liveness::Ready,
            scheduling: Scheduling::Open,
            taints: Arc::default(),
            joined_at: at,
            since: at,
            used: Amounts::default(),
            ports: Ports::default(),
            tasks: BTreeSet::new(),
            kept: Vec::new(),
            kept_ports: Ports::default(),
        }
    }

    /// What nobody holds and nothing is kept of.
    fn count_free(&mut self) {
        self.free.set_difference(&self.offers, &self.used);
        for kept in &mut self.kept {
            kept.amounts = kept.wants.at_most(&self.free);
            self.free.take(&kept.amounts);
        }
    }

    /// The same node as its agent describes it now.
    #[must_use]
    pub fn with(self, facts: Arc<NodeFacts>) -> Self {
        Self {
            offers: facts.allocatable(),
            facts,
            ..self
        }
    }

    /// As the funnel looks at it.
    #[must_use]
    pub fn look(&self) -> NodeLook<'_> {
        NodeLook {
            facts: &self.facts,
            taints: &self.taints,
            liveness: self.liveness,
            scheduling: self.scheduling,
            free: &self.free,
            ports: &self.ports,
            kept: &self.kept_ports,
        }
    }
}

/// All nodes.
#[derive(Debug, Default)]
pub struct Nodes {
    rows: Vec<Option<NodeRow>>,
    names: HashMap<NodeId, NodeIx>,
    /// Free room, by level.
    pub levels: Levels,
    /// Those that are heard of.
    pub ready: Bits,
    /// Those that take new tasks.
    pub open: Bits,
    /// Those that are both.
    pub takes: Bits,
    /// What all of them offer together.
    pub total: Amounts,
    changed: Vec<NodeIx>,
    /// How many changes were dropped from the front of `changed`.
    dropped: usize,
    /// Those that may take more than before: room or ports were let go, they came back or were opened.
    pub freed: BTreeSet<NodeIx>,
}

impl Nodes {
    /// A node by number.
    #[must_use]
    pub fn get(&self, ix: NodeIx) -> Option<&NodeRow> {
        self.rows.get(ix.at())?.as_ref()
    }

    /// A node by name.
    #[must_use]
    pub fn find(&self, name: &NodeId) -> Option<(NodeIx, &NodeRow)> {
        let ix = *self.names.get(name)?;
        Some((ix, self.get(ix)?))
    }

    /// The lowest number that is free.
    #[must_use]
    pub fn unused(&self) -> NodeIx {
        let at = self
            .rows
            .iter()
            .position(Option::is_none)
            .unwrap_or(self.rows.len());
        NodeIx(u32::try_from(at).unwrap_or(u32::MAX))
    }

    /// All, by number.
    pub fn iter(&self) -> impl Iterator<Item = (NodeIx, &NodeRow)> {
        (0..)
            .map(NodeIx)
            .zip(&self.rows)
            .filter_map(|(ix, row)| Some((ix, row.as_ref()?)))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Puts a row in, or takes it out, or changes it; keeps every index in step.
    pub fn put(&mut self, ix: NodeIx, row: Option<NodeRow>) {
        if let Some(old) = self.rows.get_mut(ix.at()).and_then(Option::take) {
            self.names.remove(&old.facts.id);
            self.total = self.total.saturating_sub(&old.facts.allocatable());
        }
        if ix.at() >= self.rows.len() {
            self.rows.resize(ix.at() + 1, None);
        }
        if let Some(row) = &row {
            self.names.insert(row.facts.id.clone(), ix);
            self.total = self
                .total
                .checked_add(&row.facts.allocatable())
                .unwrap_or_default();
            self.freed.insert(ix);
        }
        self.note_change(ix);
        self.rows[ix.at()] = row;
        self.index(ix);
    }

    fn note_change(&mut self, ix: NodeIx) {
        // Whoever is further behind than this looks at every node anyway.
        if self.changed.len() > 4 * self.rows.len() + 1024 {
            self.dropped += self.changed.len();
            self.changed.clear();
        }
        self.changed.push(ix);
    }

    /// How often facts of nodes have changed.
    #[must_use]
    pub fn version(&self) -> usize {
        self.dropped + self.changed.len()
    }

    /// The nodes whose facts changed after this version; none: look at all.
    #[must_use]
    pub fn changed_since(&self, version: usize) -> Option<&[NodeIx]> {
        self.changed.get(version.checked_sub(self.dropped)?..)
    }

    /// Changes what is held on a node.
    pub fn hold(&mut self, ix: NodeIx, change: impl FnOnce(&mut NodeRow)) {
        let Some(row) = self.rows.get_mut(ix.at()).and_then(Option::as_mut) else {
            return;
        };
        change(row);
        row.count_free();
        self.levels.set(ix, Some(&row.free));
    }

    /// The tasks that shall be on a node, to be changed.
    pub fn tasks_mut(&mut self, ix: NodeIx) -> Option<&mut BTreeSet<TaskId>> {
        Some(&mut self.rows.get_mut(ix.at())?.as_mut()?.tasks)
    }

    /// Keeps room for a task.
    pub fn keep(&mut self, ix: NodeIx, kept: Kept) {
        self.unkeep(ix, kept.task);
        self.hold(ix, |row| {
            row.kept_ports.hold(&kept.asks, &kept.ports);
            row.kept.push(kept);
            row.kept.sort_by_key(|kept| kept.number);
        });
    }

    /// Keeps room for a task no longer.
    pub fn unkeep(&mut self, ix: NodeIx, task: TaskId) {
        self.hold(ix, |row| {
            row.kept.retain(|kept| kept.task != task);
            row.kept_ports = Ports::default();
            for kept in &row.kept {
                row.kept_ports.hold(&kept.asks, &kept.ports);
            }
        });
    }

    /// Says anew what is wanted of the room that is kept on a node; gives back for whom other amounts are held now.
    pub fn want(&mut self, ix: NodeIx, wants: Vec<Amounts>) -> Vec<TaskId> {
        let mut changed = Vec::new();
        self.hold(ix, |row| {
            for (kept, wants) in row.kept.iter_mut().zip(wants) {
                kept.wants = wants;
            }
            row.count_free();
            for kept in row.kept.iter_mut().filter(|kept| kept.amounts != kept.told) {
                kept.told.clone_from(&kept.amounts);
                changed.push(kept.task);
            }
        });
        changed
    }

    /// Changes whether a node is heard of or takes tasks.
    pub fn state(&mut self, ix: NodeIx, change: impl FnOnce(&mut NodeRow)) {
        let Some(row) = self.rows.get_mut(ix.at()).and_then(Option::as_mut) else {
            return;
        };
        change(row);
        self.freed.insert(ix);
        self.index(ix);
    }

    fn index(&mut self, ix: NodeIx) {
        let row = self.rows.get_mut(ix.at()).and_then(Option::as_mut);
        if let Some(row) = row {
            row.count_free();
            self.levels.set(ix, Some(&row.free));
            self.ready.put(ix, row.liveness == Liveness::Ready);
            self.open.put(ix, row.scheduling.is_open());
            self.takes.put(ix, self.ready.has(ix) && row.scheduling.is_open());
        } else {
            self.levels.set(ix, None);
            self.ready.put(ix, false);
            self.open.put(ix, false);
            self.takes.put(ix, false);
        }
    }
}
