//! From pods and their tasks to what is asked of the broker. Pure and level-triggered: whatever was lost in a
//! crash is found again by looking at both sides.
//!
//! A pod without a node is claimed held and, once it is placed, bound by the desk; bound, it is told to run. A pod
//! that somebody else has bound is claimed with a pin. A pod that is to go is released; one that is gone from the
//! API is released and forgotten.

use super::book::{Book, Entry, Pages, Work};
use super::names;
use super::pod::lower::{KIND, Lowered, terms};
use super::pod::place::{self, Bar};
use super::pod::relations;
use super::pod::{Refused, bound_to, is_over, name, uid};
use super::status::events::{Note, events};
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use plenum_contract::broker::{Amend, Refusal, RefusalReason};
use plenum_model::claim::{Amendment, Desired, Pin, Seat};
use plenum_model::ids::{NodeId, TaskId, TenantPath};
use plenum_model::phase::Phase;
use plenum_model::rules::{Expr, Op, Preference, Rules, keys};
use plenum_model::task::{ExitReason, Task};
use plenum_sdk::observed::Observed;
use plenum_sdk::plan::{Claim, Plan, Release};
use plenum_sdk::planner::{Change, Planner};
use plenum_sdk::time::Moment;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::mpsc;

/// The slot of the one task of a pod.
pub const SLOT: u64 = 0;
/// What a pod gets that was deleted by force: a moment to end.
const FORCED_GRACE_MS: u64 = 1000;
/// An end that comes so much earlier is asked for again: the API's moments are whole seconds.
const EARLIER_MS: u64 = 1500;

/// Whose pods are scheduled, and who is charged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charter {
    /// Values of `schedulerName` that are served.
    pub scheduler_names: BTreeSet<String>,
    /// Who is charged for a namespace that is no name of a tenant.
    pub tenant: TenantPath,
    /// Whether a namespace is a tenant of its own name.
    pub namespace_is_tenant: bool,
}

impl Charter {
    /// Whether this pod is to be given a node here.
    #[must_use]
    pub fn schedules(&self, spec: &PodSpec) -> bool {
        let name = spec.scheduler_name.as_deref().unwrap_or("default-scheduler");
        let gated = spec.scheduling_gates.as_ref().is_some_and(|g| !g.is_empty());
        self.scheduler_names.contains(name) && !gated
    }

    fn tenant_of(&self, namespace: &str) -> TenantPath {
        let own = TenantPath::new(namespace)
            .ok()
            .filter(|_| self.namespace_is_tenant);
        own.unwrap_or_else(|| self.tenant.clone())
    }
}

/// An event on its way to the desk.
pub type Told = (Arc<Pod>, Note);

/// Plans for pods, and tells of them.
pub struct PodPlanner {
    book: Arc<Book>,
    charter: Charter,
    tell: mpsc::Sender<Told>,
    /// When each released task shall have ended at the latest, to ask again only for an earlier end.
    asked: BTreeMap<TaskId, u64>,
    /// Whose claim a task was, for what the broker says to it.
    claimed: BTreeMap<TaskId, String>,
}

impl PodPlanner {
    /// A planner that remembers nothing.
    #[must_use]
    pub fn new(book: Arc<Book>, charter: Charter, tell: mpsc::Sender<Told>) -> Self {
        Self {
            book,
            charter,
            tell,
            asked: BTreeMap::new(),
            claimed: BTreeMap::new(),
        }
    }
}

impl Planner for PodPlanner {
    fn plan(&mut self, now: Moment, observed: &Observed) -> Plan {
        self.asked.retain(|id, _| observed.task(*id).is_some());
        let asked = &mut self.asked;
        let (plan, refused) = self
            .book
            .read(|pages| plan(pages, observed, &self.charter, now, asked));
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
                    touched.insert(task.terms.workload.uid.clone());
                    continue;
                }
                Change::Nominated { .. } | Change::Preempting { .. } => continue,
            };
            let workload = &after.terms.workload;
            if workload.kind != KIND {
                continue;
            }
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
    asked: &mut BTreeMap<TaskId, u64>,
) -> (Plan, Vec<(String, String)>) {
    let (mut plan, mut refused) = (Plan::default(), Vec::new());
    if !pages.is_whole() {
        return (plan, refused);
    }
    let ids: BTreeMap<String, NodeId> = observed
        .nodes()
        .map(|n| (names::node(&n.facts.id), n.facts.id.clone()))
        .collect();
    let mut step = Step {
        pages,
        observed,
        charter,
        now,
        ids: &ids,
        asked,
        plan: &mut plan,
    };
    for (uid, entry) in &pages.pods {
        if let Err(why) = step.pod(uid, entry) {
            refused.push((uid.clone(), why.to_string()));
        }
    }
    for task in observed.tasks() {
        let workload = &task.terms.workload;
        if workload.kind == KIND && !pages.pods.contains_key(&workload.uid) {
            step.end(task, Some(FORCED_GRACE_MS));
        }
    }
    (plan, refused)
}

/// One look at everything.
struct Step<'a> {
    pages: &'a Pages,
    observed: &'a Observed,
    charter: &'a Charter,
    now: Moment,
    /// The pool's names of nodes by those of the API.
    ids: &'a BTreeMap<String, NodeId>,
    asked: &'a mut BTreeMap<TaskId, u64>,
    plan: &'a mut Plan,
}

/// Whether a task ended without ever having run, because it was given up or held too long: another may follow.
#[must_use]
pub fn was_seat_only(task: &Task) -> bool {
    let given_up = task.released || exit_is(task, ExitReason::HeldTooLong);
    task.status.phase() == Phase::Stopped && task.status.started_at.is_none() && given_up
}

fn exit_is(task: &Task, reason: ExitReason) -> bool {
    task.status.exit.as_ref().is_some_and(|e| e.reason == reason)
}

impl Step<'_> {
    fn pod(&mut self, uid: &str, entry: &Entry) -> Result<(), Refused> {
        let tasks: Vec<&Arc<Task>> = self.observed.slot(uid, SLOT).collect();
        let (newest, old) = match tasks.split_last() {
            Some((newest, old)) => (Some(*newest), old),
            None => (None, &[][..]),
        };
        for task in old {
            self.end(task, Some(FORCED_GRACE_MS));
        }
        let pod = &entry.pod;
        if pod.metadata.deletion_timestamp.is_some() || is_over(pod) {
            if let Some(task) = newest.filter(|t| !t.status.phase().is_terminal()) {
                let grace = self.grace(pod);
                self.release(task, grace);
            }
            return Ok(());
        }
        match bound_to(pod) {
            Some(node) => match self.ids.get(node).cloned() {
                Some(node) => self.bound(entry, newest, &node),
                None => {
                    self.give_up(newest);
                    Ok(())
                }
            },
            None => self.unbound(entry, newest),
        }
    }

    /// A pod that has a node of ours.
    fn bound(&mut self, entry: &Entry, newest: Option<&Arc<Task>>, node: &NodeId) -> Result<(), Refused> {
        let Work::Ready(lowered) = &entry.work else {
            if matches!(entry.work, Work::Refused(_)) {
                self.give_up(newest);
            }
            return Ok(());
        };
        let Some(task) = newest.filter(|t| !was_seat_only(t)) else {
            // one that gave its seat up waits for the same node; one bound by others asks for it at once
            let again = newest.is_some();
            return self.claim_at(entry, lowered, node, again);
        };
        if task.status.phase().is_terminal() || task.released {
            return Ok(());
        }
        let here = task.status.node.as_ref() == Some(node);
        let coming = task.status.node.is_none() && only(task) == Some(node.as_str());
        let same = task.terms.spec == lowered.spec.id();
        let held = matches!(task.desired, Desired::Held { .. });
        if !here && !coming || held && !same {
            self.give_up(Some(task));
        } else if held && lowered.missing.is_empty() {
            self.plan.amends.push(Amend {
                task: task.id(),
                generation: task.generation,
                change: Amendment::Desired(Desired::Running),
            });
        }
        Ok(())
    }

    /// A pod that waits for a node.
    fn unbound(&mut self, entry: &Entry, newest: Option<&Arc<Task>>) -> Result<(), Refused> {
        let (Some(spec), Work::Ready(lowered)) = (&entry.pod.spec, &entry.work) else {
            self.give_up(newest);
            return Ok(());
        };
        if !self.charter.schedules(spec) {
            self.give_up(newest);
            return Ok(());
        }
        let fits = self.fitting(spec);
        match newest.filter(|t| !was_seat_only(t)) {
            Some(task) if task.status.phase().is_terminal() || task.released => {}
            Some(task) => {
                let stands = match &task.status.node {
                    Some(node) => fits.contains(node),
                    None => task.terms.rules == self.rules(&entry.pod, spec, &fits),
                };
                if !stands {
                    self.give_up(Some(task));
                }
            }
            None if fits.is_empty() => {}
            None => {
                let rules = self.rules(&entry.pod, spec, &fits);
                self.claim(entry, lowered, rules, None, false)?;
            }
        }
        Ok(())
    }

    /// The nodes that their objects do not rule out.
    fn fitting(&self, spec: &PodSpec) -> BTreeSet<NodeId> {
        let open = self
            .pages
            .places
            .iter()
            .filter(|(_, place)| place.bar(spec).is_none());
        open.filter_map(|(name, _)| self.ids.get(name).cloned()).collect()
    }

    /// Those nodes, as the broker understands it; nothing where every node will do.
    fn rules(&self, pod: &Pod, spec: &PodSpec, fits: &BTreeSet<NodeId>) -> Rules {
        let among = |nodes: Vec<String>| Expr {
            op: Op::In,
            values: nodes,
            ..Expr::equals(keys::NODE, "")
        };
        let all = fits.len() == self.ids.len();
        let required = if all {
            Vec::new()
        } else {
            vec![vec![among(fits.iter().map(ToString::to_string).collect())]]
        };
        let mut wishes: BTreeMap<i32, Vec<String>> = BTreeMap::new();
        for (name, place) in &self.pages.places {
            let wish = place.wish(spec);
            if let Some(id) = self.ids.get(name).filter(|_| wish != 0) {
                wishes.entry(wish).or_default().push(id.to_string());
            }
        }
        let preferred = wishes.into_iter().map(|(weight, nodes)| Preference {
            weight,
            all: vec![among(nodes)],
        });
        let mut rules = Rules {
            required,
            preferred: preferred.collect(),
            ..Rules::default()
        };
        let places = self.pages.places.iter();
        let facts: BTreeMap<_, _> = self.observed.nodes().map(|n| (&n.facts.id, &n.facts)).collect();
        let known = places.filter_map(|(name, place)| Some((place, *facts.get(self.ids.get(name)?)?)));
        relations::lower(pod, spec, &known.collect(), &mut rules);
        rules
    }

    fn claim_at(
        &mut self,
        entry: &Entry,
        lowered: &Arc<Lowered>,
        node: &NodeId,
        waits: bool,
    ) -> Result<(), Refused> {
        if waits {
            let rules = Rules {
                required: vec![vec![Expr::equals(keys::NODE, node.as_str())]],
                ..Rules::default()
            };
            return self.claim(entry, lowered, rules, None, true);
        }
        let pin = Pin {
            node: node.clone(),
            past_cordon: true,
        };
        self.claim(entry, lowered, Rules::default(), Some(pin), true)
    }

    fn claim(
        &mut self,
        entry: &Entry,
        lowered: &Arc<Lowered>,
        rules: Rules,
        pin: Option<Pin>,
        bound: bool,
    ) -> Result<(), Refused> {
        let pod = &entry.pod;
        let tenant = self.charter.tenant_of(super::pod::namespace(pod));
        let started = bound && lowered.missing.is_empty();
        let terms = Arc::new(terms(pod, lowered, tenant, rules, started)?);
        let seat = Seat {
            pin,
            ..Seat::new(self.observed.next_id(uid(pod), SLOT), name(pod), SLOT)
        };
        let spec = Arc::clone(&lowered.spec);
        self.plan.claims.push(Claim { terms, spec, seat });
        Ok(())
    }

    /// The grace a pod that is to go has left, in milliseconds.
    fn grace(&self, pod: &Pod) -> Option<u64> {
        let at = pod.metadata.deletion_timestamp.as_ref()?;
        let at = u64::try_from(at.0.as_millisecond()).unwrap_or(0);
        let seconds = pod.metadata.deletion_grace_period_seconds?;
        let whole = u64::try_from(seconds).unwrap_or(0) * 1000;
        // the moment is a whole second: never less than was asked for, if it was asked for just now
        let left = (at + 1000).saturating_sub(self.now.0);
        Some(left.min(whole))
    }

    /// Asks for the end of a task, again only if it shall end earlier than was asked before.
    fn release(&mut self, task: &Task, grace_ms: Option<u64>) {
        let id = task.id();
        let end = grace_ms.map_or(u64::MAX, |grace| self.now.0.saturating_add(grace));
        let due = match self.asked.get(&id) {
            None => !task.released || grace_ms.is_some(),
            Some(have) => end.saturating_add(EARLIER_MS) < *have,
        };
        if due {
            self.asked.insert(id, end);
            self.plan.releases.push(Release { id, grace_ms });
        }
    }

    fn give_up(&mut self, task: Option<&Arc<Task>>) {
        if let Some(task) = task.filter(|t| !t.status.phase().is_terminal() && !t.released) {
            self.release(task, Some(FORCED_GRACE_MS));
        }
    }

    /// Ends a task and lets its record go.
    fn end(&mut self, task: &Task, grace_ms: Option<u64>) {
        if task.status.phase().is_terminal() {
            self.plan.forgets.push(task.id());
        } else {
            self.release(task, grace_ms);
        }
    }
}

/// The node a waiting task is meant for, if it is one.
fn only(task: &Task) -> Option<&str> {
    if let Some(pin) = &task.seat.pin {
        return Some(pin.node.as_str());
    }
    match task.terms.rules.required.as_slice() {
        [all] => match all.as_slice() {
            [
                Expr {
                    key,
                    op: Op::In,
                    values,
                    ..
                },
            ] if key == keys::NODE => match values.as_slice() {
                [one] => Some(one),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// Which nodes their objects rule out for this pod.
#[must_use]
pub fn bars(pages: &Pages, spec: &PodSpec) -> Vec<Bar> {
    pages.places.values().filter_map(|p| p.bar(spec)).collect()
}

/// What of a pod's rules is not kept here, if it is to be scheduled here.
///
/// # Errors
/// The first of them.
pub fn check_rules(charter: &Charter, spec: &PodSpec) -> Result<(), Refused> {
    if charter.schedules(spec) {
        place::check(spec)
    } else {
        Ok(())
    }
}

#[cfg(test)]
#[path = "planner_tests.rs"]
mod tests;
