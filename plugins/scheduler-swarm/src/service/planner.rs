//! Which tasks there shall be for services. Everything it remembers may be lost but for a reason that is shown.

use super::look::{Fate, Look, rank, slot_of};
use super::lower;
use super::node::{Availability, SwarmNode, nodes};
use super::node_events::NodeWatch;
use super::place;
use super::record::ServiceRecord;
use super::restart::{EVICTED, was_evicted};
use super::rollout;
use super::spec::Copies;
use crate::config::SwarmConfig;
use crate::desk::Desk;
use crate::events::Events;
use crate::ids;
use crate::service::cluster;
use crate::store::{Desired, Edits, Stored};
use plenum_contract::broker::{Amend, Refusal};
use plenum_model::claim::{Amendment, Seat, Terms};
use plenum_model::ids::{NodeId, TaskId};
use plenum_model::node::Liveness;
use plenum_model::rules::Rules;
use plenum_model::spec::TaskSpec;
use plenum_model::task::Task;
use plenum_sdk::observed::Observed;
use plenum_sdk::plan::{Claim, Plan};
use plenum_sdk::planner::Change;
use plenum_sdk::rollout::engine::{Next, Step};
use plenum_sdk::settled::Settled;
use plenum_sdk::time::Moment;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// When a note that the desk had no room for is made again.
const NOTE_AGAIN: Duration = Duration::from_millis(200);
/// The kind of workload that is planned here.
pub const WORKLOAD: &str = "service";

/// Tasks with the same terms travel as one group, so terms are made once.
type Lowered = (Arc<Terms>, Arc<TaskSpec>);

/// See the module's header.
pub struct ServicePlanner {
    desk: Desk,
    config: SwarmConfig,
    events: Events,
    lowered: BTreeMap<(String, u64, String), Lowered>,
    /// Ids of services whose spec the broker refused, with its words.
    refused: BTreeMap<TaskId, String>,
    watch: NodeWatch,
    settled: Settled<Stored<ServiceRecord>, [(usize, u64); 2]>,
}

impl ServicePlanner {
    /// A planner that remembers nothing yet.
    #[must_use]
    pub fn new(desk: Desk, config: SwarmConfig, events: Events) -> Self {
        Self {
            desk,
            config,
            events,
            lowered: BTreeMap::new(),
            refused: BTreeMap::new(),
            watch: NodeWatch::default(),
            settled: Settled::default(),
        }
    }

    /// What shall be done now.
    pub fn plan(&mut self, now: Moment, desired: &Desired, observed: &Observed) -> Plan {
        let nodes = nodes(desired, observed);
        for event in self.watch.look(&nodes) {
            self.events
                .swarm(now.0, "node", event.action, &event.id, event.attributes);
        }
        let mut plan = Plan::default();
        let besides = [desired.cluster.version(), desired.nodes.version()];
        for record in desired.services.iter() {
            if self.settled.at_rest(&record.id, record, observed, &besides) {
                continue;
            }
            let look = Look::of(record, desired, observed, &nodes, now);
            let mut own = Plan::default();
            match record.spec.copies() {
                Copies::Replicated(count) => self.replicated(&look, count, &mut own),
                Copies::Global => self.global(&look, &mut own),
            }
            forget_old(&look, history(desired, &self.config), &mut own);
            if own.is_empty() && own.wake_at.is_none() {
                self.settled.rests(&record.id, record, observed, besides);
            }
            plan.merge(own);
        }
        self.settled.retain(|id| desired.services.get(id).is_some());
        orphans(desired, observed, &mut plan);
        self.lowered
            .retain(|(id, index, _), _| desired.services.get(id).is_some_and(|s| s.index == *index));
        plan
    }

    /// What has changed.
    pub fn noticed(&mut self, now: Moment, changes: &[Change]) {
        for change in changes {
            if let Change::Forgotten(task) = change {
                self.refused.remove(&task.id());
            }
        }
        let _ = (now, &self.events);
    }

    /// What the broker refused.
    pub fn refused(&mut self, _now: Moment, refusals: &[Refusal]) {
        for refusal in refusals {
            tracing::warn!(%refusal, "the pool refuses a task of a service");
            self.refused.insert(refusal.task, refusal.why.clone());
        }
    }

    fn replicated(&mut self, look: &Look<'_>, count: u32, plan: &mut Plan) {
        let mut gone = BTreeSet::new();
        for task in look.live() {
            let fate = look.fate(task);
            if fate != Fate::Stays {
                leave(task, fate, plan);
                gone.insert(task.id());
            }
        }
        let mut all = look.copies(&gone, |slot| slot.checked_sub(1));
        rank(&mut all, look.observed);
        let starts = look.goal_slots(look.slots(), |slot| slot.checked_sub(1));
        let next = look.next(count, &all, &starts.launch_from);
        self.conclude(look, count, &next, plan);
        // Costs as much as there are nodes, and mostly nothing starts.
        let mut lowered = None;
        for step in &next.steps {
            match step {
                Step::Stop { id, .. } => plan.release(*id),
                Step::Start { slot, .. } if starts.over.contains(slot) => {}
                Step::Start { slot, .. } => {
                    let lowered =
                        lowered.get_or_insert_with(|| self.lowered(look, look.places.rules(look.nodes)));
                    claim(look, slot + 1, None, lowered.clone(), plan);
                }
            }
        }
    }

    fn global(&mut self, look: &Look<'_>, plan: &mut Plan) {
        let mut gone = BTreeSet::new();
        let mut occupied: BTreeSet<&NodeId> = BTreeSet::new();
        for task in look.live() {
            let fate = look.fate(task);
            if fate != Fate::Stays {
                leave(task, fate, plan);
                gone.insert(task.id());
            } else if let Some(node) = &task.status.node {
                occupied.insert(node);
            }
        }
        let wanted: Vec<&SwarmNode> = look
            .nodes
            .iter()
            .filter(|n| look.places.allows(n) && (is_open(n) || occupied.contains(&n.node.facts.id)))
            .collect();
        let slots: Vec<u64> = wanted.iter().map(|n| slot_of(&n.node.facts.id)).collect();
        let index = |slot: u64| slots.iter().position(|s| *s == slot).map(|i| i as u64);
        let all = look.copies(&gone, index);
        let starts = look.goal_slots(slots.iter().copied().collect(), index);
        let count = u32::try_from(wanted.len()).unwrap_or(u32::MAX);
        let next = look.next(count, &all, &starts.launch_from);
        self.conclude(look, count, &next, plan);
        for step in &next.steps {
            match step {
                Step::Stop { id, .. } => plan.release(*id),
                Step::Start { slot, .. } if starts.over.contains(slot) => {}
                Step::Start { slot, .. } => {
                    let at = usize::try_from(*slot).unwrap_or(usize::MAX);
                    if let (Some(node), Some(slot)) = (wanted.get(at), slots.get(at)) {
                        let lowered = self.lowered(look, place::only(node));
                        claim(look, *slot, Some(node), lowered, plan);
                    }
                }
            }
        }
    }

    fn lowered(&mut self, look: &Look<'_>, rules: Rules) -> Lowered {
        let text = serde_json::to_string(&rules).expect("plain data with text keys always serialises");
        let key = (look.record.id.clone(), look.record.index, text);
        let config = &self.config;
        let make = || {
            let spec = lower::task_spec(look.record);
            let terms = lower::terms(look.record, &spec, rules, look.desired, config);
            (Arc::new(terms), Arc::new(spec))
        };
        self.lowered.entry(key).or_insert_with(make).clone()
    }

    /// Wakes again when the engine wants it, and writes down how the update goes.
    fn conclude(&self, look: &Look<'_>, count: u32, next: &Next, plan: &mut Plan) {
        if let Some(at) = next.wake_at {
            plan.wake_by(at);
        }
        let Some(outcome) = rollout::outcome(look.record, count, next) else {
            return;
        };
        let cause = look.newest_failure();
        let (id, index, now) = (look.record.id.clone(), look.record.index, look.now.0);
        let events = self.events.clone();
        // the same may be found and noted several times before the first is stored: it is told by the one that is
        let noted = self.desk.note(move |desired| {
            let mut edits = Edits::new();
            if let Some(stored) = desired.services.get(&id).filter(|s| s.index == index) {
                let after = rollout::apply(stored, outcome, &cause, now);
                events.swarm(now, "service", "update", &id, told(stored, &after));
                edits.replace(stored, after);
            }
            Ok(edits)
        });
        if !noted {
            plan.wake_by(look.now.plus(NOTE_AGAIN));
        }
    }
}

/// What an event says of an update that has come further.
fn told(before: &ServiceRecord, after: &ServiceRecord) -> [(String, String); 3] {
    let state = |r: &ServiceRecord| r.update.as_ref().map_or("", |u| u.state.as_str()).to_owned();
    [
        ("name".to_owned(), after.spec.name().to_owned()),
        ("updatestate.old".to_owned(), state(before)),
        ("updatestate.new".to_owned(), state(after)),
    ]
}

fn is_open(node: &SwarmNode) -> bool {
    // Services bear no taints: what keeps tasks off is no place for a new one.
    let tainted = node.node.all_taints().any(|taint| taint.effect.keeps_away());
    node.availability() == Availability::Active && node.node.liveness == Liveness::Ready && !tainted
}

fn claim(look: &Look<'_>, slot: u64, node: Option<&SwarmNode>, (terms, spec): Lowered, plan: &mut Plan) {
    let id = look.observed.next_id(&look.record.id, slot);
    let middle = node.map_or_else(|| slot.to_string(), |n| n.id.clone());
    let name = format!("{}.{middle}.{}", look.record.spec.name(), ids::task(id));
    plan.claims.push(Claim {
        terms,
        spec,
        seat: Seat::new(id, name, slot),
    });
}

/// Asks a task to end; one that is evicted is marked first, so that it is known why.
fn leave(task: &Task, fate: Fate, plan: &mut Plan) {
    if fate == Fate::Evicted && !was_evicted(task) {
        let mut labels = task.terms.labels.clone();
        labels.insert(EVICTED.to_owned(), "constraint".to_owned());
        plan.amends.push(Amend {
            task: task.id(),
            generation: task.generation,
            change: Amendment::Labels(labels),
        });
    }
    plan.release(task.id());
}

/// How many tasks a slot keeps; none: all.
fn history(desired: &Desired, config: &SwarmConfig) -> Option<usize> {
    let limit = desired
        .cluster
        .get(cluster::KEY)
        .map_or(i64::from(config.task_history_limit), |c| c.task_history);
    usize::try_from(limit).ok()
}

/// Lets the oldest ended tasks of each slot go, and all of slots that were scaled away.
fn forget_old(look: &Look<'_>, limit: Option<usize>, plan: &mut Plan) {
    let count = match look.record.spec.copies() {
        Copies::Replicated(count) => count as usize,
        Copies::Global => usize::MAX,
    };
    let staying = look.live().map(|t| t.seat.slot).collect::<BTreeSet<_>>();
    for slot in look.slots() {
        let tasks: Vec<&Arc<Task>> = look.observed.slot(&look.record.id, slot).collect();
        let ended: Vec<&Arc<Task>> = tasks
            .iter()
            .copied()
            .filter(|t| t.status.phase().is_terminal())
            .collect();
        let scaled_away =
            !staying.contains(&slot) && staying.len() >= count && tasks.last().is_some_and(|t| t.released);
        let keep = match limit {
            _ if scaled_away => 0,
            None => usize::MAX,
            Some(limit) => limit
                .max(look.restarts.remembers().min(1000))
                .saturating_sub(tasks.len() - ended.len()),
        };
        let never_placed = |t: &&&Arc<Task>| t.status.node.is_none() && t.released;
        plan.forgets
            .extend(ended.iter().filter(never_placed).map(|t| t.id()));
        let shown: Vec<_> = ended.iter().filter(|t| !never_placed(t)).collect();
        let old = shown.len().saturating_sub(keep);
        plan.forgets.extend(shown.iter().take(old).map(|t| t.id()));
    }
}

/// Tasks of services that nobody wants any more: stopped, then forgotten.
fn orphans(desired: &Desired, observed: &Observed, plan: &mut Plan) {
    let gone = observed
        .workloads()
        .filter(|uid| desired.services.get(uid).is_none());
    let tasks = gone.flat_map(|uid| observed.workload(uid));
    for task in tasks.filter(|t| t.terms.workload.kind == WORKLOAD) {
        if task.status.phase().is_terminal() {
            plan.forgets.push(task.id());
        } else if !task.released {
            plan.release(task.id());
        }
    }
}

#[cfg(test)]
#[path = "planner_tests.rs"]
mod tests;
