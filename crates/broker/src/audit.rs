//! An audit of a log, offline: replays the facts it holds and checks after every record that no node was promised
//! twice. It keeps books of its own from what the records made known, not those of the ledger.

use crate::config::CoreConfig;
use crate::decide::{RestoreError, replay};
use crate::input::{Change, Held, TaskNow};
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
    /// How often what a node's tasks hold was summed up and compared with what it has.
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
                Change::Forgotten { task, .. } => {
                    self.unbook(task);
                }
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

    fn unbook(&mut self, task: TaskId) {
        if let Some(node) = self.on.remove(&task)
            && let Some(there) = self.held.get_mut(&node)
        {
            there.remove(&task);
        }
    }

    fn book(&mut self, now: &TaskNow) -> Option<NodeId> {
        let id = now.task.id();
        self.unbook(id);
        let node = now.on.clone()?;
        let holding = Holding::of(now)?;
        self.on.insert(id, node.clone());
        self.held.entry(node.clone()).or_default().insert(id, holding);
        Some(node)
    }

    fn check(&mut self, record: usize, node: &NodeId) {
        let (Some(facts), Some(there)) = (self.nodes.get(node), self.held.get(node)) else {
            return;
        };
        self.audit.checks += 1;
        let mut used = Amounts::default();
        let mut ports: BTreeMap<(u16, bool), TaskId> = BTreeMap::new();
        let mut wrong = Vec::new();
        for (id, holding) in there {
            match used.checked_add(&holding.amounts) {
                Some(sum) => used = sum,
                None => wrong.push(format!("what {node} is asked for does not fit a number")),
            }
            for (port, protocol) in &holding.ports {
                for udp in transports(*protocol) {
                    if let Some(other) = ports.insert((*port, *udp), *id) {
                        wrong.push(format!("port {port} of {node} is held by {other} and {id}"));
                    }
                }
            }
        }
        if let Some(resource) = used.short_of(&facts.allocatable()) {
            wrong.push(format!(
                "{node} has {}, its tasks hold {}",
                resource.amount(facts.allocatable().get(&resource)),
                resource.amount(used.get(&resource))
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

/// Violations that are told.
const MOST: usize = 20;

impl Holding {
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
