//! An audit of a log, offline: replays the facts it holds and checks after every record that no node was promised
//! twice: neither what tasks hold together nor that and what is kept for those that wait is more than it has. It keeps
//! books of its own from what the records made known, not those of the ledger.

use crate::config::CoreConfig;
use crate::decide::{RestoreError, replay};
use crate::input::{Change, Held, KeptNow, TaskNow};
use plenum_contract::ledger_log::Loaded;
use plenum_model::amounts::Amounts;
use plenum_model::claim::Protocol;
use plenum_model::ids::{NodeId, TaskId};
use plenum_model::node::NodeFacts;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What an audit found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    /// Records that were replayed after the snapshot.
    pub records: usize,
    /// How often what a node's tasks hold, and what is kept there, was summed up and compared with what it has.
    pub checks: u64,
    /// What did not hold, the first few.
    pub violations: Vec<String>,
}

/// Replays a log.
///
/// # Errors
/// When it does not read back. That a node was promised twice is no error but in the audit.
pub fn audit(loaded: &Loaded) -> Result<Audit, RestoreError> {
    let mut books = Books::default();
    replay(
        &CoreConfig::default(),
        loaded.snapshot.as_deref(),
        &loaded.records,
        |record, changes| {
            books.take(record, changes);
        },
    )?;
    books.audit.records = loaded.records.len();
    Ok(books.audit)
}

#[derive(Default)]
struct Books {
    nodes: BTreeMap<NodeId, Arc<NodeFacts>>,
    /// What each task holds, by node.
    held: BTreeMap<NodeId, BTreeMap<TaskId, Holding>>,
    on: BTreeMap<TaskId, NodeId>,
    /// What is kept for each task that waits, by node.
    kept: BTreeMap<NodeId, BTreeMap<TaskId, Holding>>,
    kept_on: BTreeMap<TaskId, NodeId>,
    /// What the tasks of a node held when that was last summed up.
    used: BTreeMap<NodeId, Amounts>,
    audit: Audit,
}

struct Holding {
    amounts: Amounts,
    ports: Vec<(u16, Protocol)>,
}

impl Books {
    fn take(&mut self, record: usize, changes: &mut Vec<Change>) {
        let mut touched = BTreeSet::new();
        for change in changes.drain(..) {
            match change {
                Change::Node(node) => {
                    touched.insert(node.facts.id.clone());
                    self.nodes.insert(node.facts.id.clone(), node.facts);
                }
                Change::NodeGone(gone) => {
                    self.nodes.remove(&gone);
                }
                Change::Task(task) => touched.extend(self.book(&task)),
                Change::Forgotten { task, .. } => touched.extend(self.unbook(task)),
                Change::Start(_)
                | Change::Assign { .. }
                | Change::Remove { .. }
                | Change::Tenant(_)
                | Change::Scheduler { .. }
                | Change::Happened(_) => {}
            }
        }
        for node in touched {
            self.check(record, &node);
        }
    }

    /// Gives the nodes where that leaves room.
    fn unbook(&mut self, task: TaskId) -> Vec<NodeId> {
        let books = [
            (&mut self.on, &mut self.held),
            (&mut self.kept_on, &mut self.kept),
        ];
        let mut nodes = Vec::new();
        for (places, book) in books {
            let Some(node) = places.remove(&task) else {
                continue;
            };
            if let Some(there) = book.get_mut(&node) {
                there.remove(&task);
            }
            nodes.push(node);
        }
        nodes
    }

    /// Books what a task holds and what is kept for it; gives the nodes where that is other than before.
    fn book(&mut self, now: &TaskNow) -> Vec<NodeId> {
        let id = now.task.id();
        let mut nodes = self.unbook(id);
        if let (Some(node), Some(holding)) = (now.on.clone(), Holding::of(now)) {
            self.on.insert(id, node.clone());
            self.held.entry(node.clone()).or_default().insert(id, holding);
            nodes.push(node);
        }
        if let Some(room) = &now.kept {
            let holding = Holding::kept(now, room);
            self.kept_on.insert(id, room.node.clone());
            self.kept
                .entry(room.node.clone())
                .or_default()
                .insert(id, holding);
            nodes.push(room.node.clone());
        }
        nodes
    }

    fn check(&mut self, record: usize, node: &NodeId) {
        let Some(facts) = self.nodes.get(node) else {
            return;
        };
        let (held, kept) = (self.held.get(node), self.kept.get(node));
        if held.is_none() && kept.is_none() {
            return;
        }
        self.audit.checks += 1;
        let all = facts.allocatable();
        let (used, mut wrong) = sum(node, "held by", held.into_iter().flatten());
        let (waits, more) = sum(node, "kept for", kept.into_iter().flatten());
        wrong.extend(more);
        // A node may come to have less than its tasks hold: that is no promise. Nothing may be added then.
        let most = self.used.insert(node.clone(), used.clone()).unwrap_or_default();
        let most = used.at_most(&most);
        let most = all
            .checked_add(&most.saturating_sub(&all))
            .unwrap_or_else(|| all.clone());
        if let Some(resource) = used.short_of(&most) {
            wrong.push(format!(
                "{node} has {}, its tasks hold {}",
                resource.amount(all.get(&resource)),
                resource.amount(used.get(&resource))
            ));
        }
        if let Some(resource) = waits.short_of(&all.saturating_sub(&used)) {
            wrong.push(format!(
                "{node} has {}, its tasks hold {} and {} is kept for others",
                resource.amount(all.get(&resource)),
                resource.amount(used.get(&resource)),
                resource.amount(waits.get(&resource))
            ));
        }
        // the first few tell everything
        let room = MOST.saturating_sub(self.audit.violations.len());
        let told = wrong.into_iter().take(room);
        self.audit
            .violations
            .extend(told.map(|what| format!("after record {record}: {what}")));
    }
}

/// What these come to together, and which ports stand twice among them.
fn sum<'a>(
    node: &NodeId,
    by: &str,
    all: impl Iterator<Item = (&'a TaskId, &'a Holding)>,
) -> (Amounts, Vec<String>) {
    let (mut sum, mut wrong) = (Amounts::default(), Vec::new());
    let mut ports: BTreeMap<(u16, bool), TaskId> = BTreeMap::new();
    for (id, holding) in all {
        match sum.checked_add(&holding.amounts) {
            Some(more) => sum = more,
            None => wrong.push(format!("what {node} is asked for does not fit a number")),
        }
        for (port, protocol) in &holding.ports {
            for udp in transports(*protocol) {
                if let Some(other) = ports.insert((*port, *udp), *id) {
                    wrong.push(format!("port {port} of {node} is {by} {other} and {id}"));
                }
            }
        }
    }
    (sum, wrong)
}

/// Violations that are told.
const MOST: usize = 20;

impl Holding {
    fn kept(now: &TaskNow, room: &KeptNow) -> Self {
        let asks = now.task.terms.ports.iter().map(|ask| ask.protocol);
        Self {
            amounts: room.amounts.clone(),
            ports: room.ports.iter().copied().zip(asks).collect(),
        }
    }

    /// None: nothing.
    fn of(now: &TaskNow) -> Option<Self> {
        let terms = &now.task.terms;
        match now.held {
            Held::Nothing => None,
            Held::Disk => Some(Self {
                amounts: Amounts {
                    disk_bytes: terms.charge.disk_bytes,
                    ..Amounts::default()
                },
                ports: Vec::new(),
            }),
            Held::Full => {
                let asks = terms.ports.iter().map(|ask| ask.protocol);
                Some(Self {
                    amounts: terms.charge.clone(),
                    ports: now.task.status.ports.iter().copied().zip(asks).collect(),
                })
            }
        }
    }
}

/// Whether over UDP, for each transport.
fn transports(protocol: Protocol) -> &'static [bool] {
    match protocol {
        Protocol::Tcp => &[false],
        Protocol::Udp => &[true],
        Protocol::Both => &[false, true],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_model::claim::{Desired, Seat, Terms};
    use plenum_model::ids::{Cursor, Generation};
    use plenum_model::node::{Liveness, Scheduling};
    use plenum_model::spec::TaskSpec;
    use plenum_model::task::{Status, Task};
    use serde_json::json;

    /// A task that waits, for which so much cpu is kept on the only node.
    fn waiting(n: u8, cpu_millis: u64) -> Change {
        let terms: Terms = serde_json::from_value(json!({
            "workload": { "uid": "a", "name": "a", "kind": "app", "version": "1" },
            "tenant": "a", "charge": { "cpu_millis": cpu_millis }, "spec": "00".repeat(32),
            "ports": [{ "host": { "fixed": 80 } }],
        }))
        .unwrap();
        let room = KeptNow {
            node: NodeId::new("n1").unwrap(),
            amounts: terms.charge.clone(),
            ports: vec![80],
        };
        let task = Task {
            scheduler: "s".parse().unwrap(),
            seat: Seat::new(TaskId([n; 16]), "a", 0),
            terms: Arc::new(terms),
            generation: Generation(1),
            desired: Desired::Running,
            released: false,
            status: Status::pending(0),
        };
        Change::Task(TaskNow {
            cursor: Cursor(u64::from(n)),
            age: u64::from(n),
            waits: true,
            on: None,
            task: Arc::new(task),
            held: Held::Nothing,
            kept: Some(Arc::new(room)),
            grace_ms: None,
            spec: Arc::new(TaskSpec::default()),
        })
    }

    #[test]
    fn room_that_is_kept_for_two_is_found() {
        let facts: NodeFacts = serde_json::from_value(json!({
            "id": "n1", "hostname": "n1", "address": "127.0.0.1", "capacity": { "cpu_millis": 1000 },
            "system": {}, "devices": {}, "attributes": {}, "runtimes": {},
            "ports": { "low": 1, "high": 2 }, "agent_version": "1",
        }))
        .unwrap();
        let node = crate::input::NodeNow {
            cursor: Cursor(1),
            facts: Arc::new(facts),
            liveness: Liveness::Ready,
            scheduling: Scheduling::Open,
            taints: Arc::default(),
            joined_at: 0,
            since: 0,
        };
        let mut books = Books::default();
        books.take(1, &mut vec![Change::Node(node), waiting(1, 600)]);
        assert_eq!(books.audit.violations, Vec::<String>::new());
        books.take(2, &mut vec![waiting(2, 600)]);
        let found = &books.audit.violations;
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("port 80 of n1 is kept for"), "{found:?}");
        let expected = "n1 has 1.0 cpu, its tasks hold 0.0 cpu and 1.2 cpu is kept for others";
        assert!(found[1].ends_with(expected), "{found:?}");
    }
}
