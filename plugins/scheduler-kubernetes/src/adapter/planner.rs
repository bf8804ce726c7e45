//! From pods and their tasks to what is asked of the broker. Pure and level-triggered: whatever was lost in a
//! crash is found again by looking at both sides. [`step`](super::step) has what is asked for one pod.
//!
//! Looked at is what may need something: pods that have changed on either side, and those for which something was
//! asked the last time, until nothing more is. All of them are when it begins, when the nodes have changed, and now
//! and then.

use super::book::{Book, Pages, Work};
use super::charter::Charter;
use super::choice::Nodes;
use super::status::events::{Note, events};
use super::step::{FORCED_GRACE_MS, Step};
use k8s_openapi::api::core::v1::Pod;
use plenum_contract::broker::{Refusal, RefusalReason};
use plenum_model::ids::TaskId;
use plenum_sdk::observed::Observed;
use plenum_sdk::plan::Plan;
use plenum_sdk::planner::{Change, Planner};
use plenum_sdk::time::Moment;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How often everything is looked at though nothing says so: nothing depends on it.
const ALL: Duration = Duration::from_secs(30);

/// An event on its way to the desk.
pub type Told = (Arc<Pod>, Note);

/// Plans for pods, and tells of them.
pub struct PodPlanner {
    book: Arc<Book>,
    charter: Charter,
    tell: mpsc::Sender<Told>,
    memory: Memory,
    /// Whose claim a task was, for what the broker says to it.
    claimed: BTreeMap<TaskId, String>,
}

/// What is remembered between two plans.
#[derive(Debug, Default)]
struct Memory {
    /// Pods to be looked at, by uid.
    due: BTreeSet<String>,
    /// When all of them are.
    all_at: Moment,
    nodes: Nodes,
    /// When each released task shall have ended at the latest, to ask again only for an earlier end.
    asked: BTreeMap<TaskId, u64>,
}

impl PodPlanner {
    /// A planner that remembers nothing.
    #[must_use]
    pub fn new(book: Arc<Book>, charter: Charter, tell: mpsc::Sender<Told>) -> Self {
        Self {
            book,
            charter,
            tell,
            memory: Memory::default(),
            claimed: BTreeMap::new(),
        }
    }
}

impl Planner for PodPlanner {
    fn plan(&mut self, now: Moment, observed: &Observed) -> Plan {
        let memory = &mut self.memory;
        memory.due.extend(self.book.unplanned());
        let (plan, refused) = self
            .book
            .read(|pages| plan(pages, observed, &self.charter, now, memory));
        self.claimed = plan
            .claims
            .iter()
            .map(|c| (c.seat.id, c.terms.workload.uid.clone()))
            .collect();
        for (uid, why) in refused {
            self.book.note(&uid, Work::Refused(why));
            self.book.touch([uid]);
        }
        plan
    }

    fn noticed(&mut self, _now: Moment, changes: &[Change]) {
        let mut touched = BTreeSet::new();
        for change in changes {
            let (before, after) = match change {
                Change::Task { before, after } => (before.as_deref(), after),
                Change::Forgotten(task) => {
                    self.memory.asked.remove(&task.id());
                    touched.insert(task.terms.workload.uid.clone());
                    continue;
                }
                Change::Nominated { .. } | Change::Preempting { .. } => continue,
            };
            let workload = &after.terms.workload;
            touched.insert(workload.uid.clone());
            let pod = self
                .book
                .read(|p| p.pods.get(&workload.uid).map(|e| Arc::clone(&e.pod)));
            if let Some(pod) = pod {
                for note in events(&pod, before, after) {
                    // events are told as long as there is room for them
                    let _ = self.tell.try_send((Arc::clone(&pod), note));
                }
            }
        }
        self.memory.due.extend(touched.iter().cloned());
        self.book.touch(touched);
    }

    fn refused(&mut self, _now: Moment, refusals: &[Refusal]) {
        for refusal in refusals {
            let lasting = matches!(
                refusal.reason,
                RefusalReason::NotSupported | RefusalReason::Invalid | RefusalReason::Conflict
            );
            tracing::debug!(%refusal, "the broker refused");
            let Some(uid) = self.claimed.get(&refusal.task).filter(|_| lasting) else {
                continue;
            };
            self.book
                .note(uid, Work::Refused(format!("{}: {}", refusal.field, refusal.why)));
            self.book.touch([uid.clone()]);
        }
    }
}

/// What shall be done, and pods that turned out not to be served.
fn plan(
    pages: &Pages,
    observed: &Observed,
    charter: &Charter,
    now: Moment,
    memory: &mut Memory,
) -> (Plan, Vec<(String, String)>) {
    let (mut plan, mut refused) = (Plan::default(), Vec::new());
    if !pages.is_whole() {
        return (plan, refused);
    }
    if memory.nodes.refresh(pages, observed) || now >= memory.all_at {
        memory.all_at = now.plus(ALL);
        memory.due.extend(pages.pods.keys().cloned());
        memory.due.extend(observed.workloads().map(str::to_owned));
    }
    for uid in std::mem::take(&mut memory.due) {
        let mut step = Step {
            pages,
            observed,
            charter,
            now,
            nodes: &mut memory.nodes,
            asked: &mut memory.asked,
            plan: Plan::default(),
        };
        match pages.pods.get(&uid) {
            Some(entry) => {
                if let Err(why) = step.pod(&uid, entry) {
                    refused.push((uid.clone(), why.to_string()));
                }
            }
            None => gone(&mut step, &uid),
        }
        let steps = step.plan;
        if !steps.is_empty() {
            // until it is known that they were taken
            memory.due.insert(uid);
            plan.merge(steps);
        }
    }
    plan.wake_by(memory.all_at);
    (plan, refused)
}

/// Nothing is left of a pod's object.
fn gone(step: &mut Step<'_>, uid: &str) {
    let observed = step.observed;
    for task in observed.workload(uid) {
        step.end(task, Some(FORCED_GRACE_MS));
    }
}

#[cfg(test)]
#[path = "planner_tests.rs"]
mod tests;
