//! From what is wanted of containers and what is seen of their tasks to what is done. Pure, level-triggered.

use super::Plans;
use super::lower::KIND;
use super::record::{Container, Run, Wanted};
use super::shelf::Note;
use super::tell::tell;
use crate::events::Events;
use crate::store::Desired as Book;
use plenum_contract::broker::{Amend, Refusal};
use plenum_model::claim::{Amendment, Desired, Seat};
use plenum_model::ids::{Incarnation, TaskId};
use plenum_model::phase::Phase;
use plenum_model::task::Task;
use plenum_sdk::observed::Observed;
use plenum_sdk::plan::{Claim, Plan, Release};
use plenum_sdk::planner::Change;
use plenum_sdk::time::Moment;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Plans for containers, and tells of them.
pub struct ContainerPlanner {
    plans: Plans,
    events: Events,
}

impl ContainerPlanner {
    /// A planner that remembers nothing: all it knows is shared with the routes.
    #[must_use]
    pub fn new(plans: Plans, events: Events) -> Self {
        Self { plans, events }
    }

    /// What shall be done now.
    pub fn plan(&mut self, now: Moment, desired: &Book, observed: &Observed) -> Plan {
        let watched: Watched = self.plans.sessions.lock().open.keys().cloned().collect();
        let refused = self.plans.refused.borrow().clone();
        let (plan, notes) = plan(desired, observed, &watched, |id| refused.contains_key(&id));
        for note in notes {
            let events = self.events.clone();
            let gone = move |c: &Container| tell(&events, now.0, c, "destroy", &[]);
            self.plans.shelf.note(note, gone);
        }
        plan
    }

    /// What has changed.
    pub fn noticed(&mut self, now: Moment, changes: &[Change]) {
        let book = self.plans.shelf.book();
        for change in changes {
            let Change::Task { before, after } = change else {
                continue;
            };
            if after.terms.workload.kind != KIND {
                continue;
            }
            let Some(container) = book.containers.get(&after.terms.workload.uid) else {
                continue;
            };
            let code = super::view::exit_code(after.status.exit.as_ref()).to_string();
            let more = [("exitCode", code)];
            // One that is seen for the first time was there before this door.
            for action in before.iter().flat_map(|before| happened(before, after)) {
                let more = if action == "die" { &more[..] } else { &[] };
                tell(&self.events, now.0, container, action, more);
            }
        }
        self.tell_of_health(now, &book, changes);
    }

    fn tell_of_health(&self, now: Moment, book: &Book, changes: &[Change]) {
        for change in changes {
            let Change::Task { before, after } = change else {
                continue;
            };
            let Some(container) = book.containers.get(&after.terms.workload.uid) else {
                continue;
            };
            let is = super::view::health(container, Some(after));
            let was = super::view::health(container, before.as_deref());
            if let Some(is @ ("healthy" | "unhealthy")) = is
                && was != Some(is)
            {
                let action = format!("health_status: {is}");
                tell(&self.events, now.0, container, &action, &[]);
            }
        }
    }

    /// What the broker refused.
    pub fn refused(&mut self, _now: Moment, refusals: &[Refusal]) {
        self.plans.refused(refusals);
    }
}

/// What happened between two looks, in order: what came and went so fast that nobody saw it, too.
fn happened(before: &Task, after: &Task) -> impl Iterator<Item = &'static str> {
    let same = before.status.progress.incarnation == after.status.progress.incarnation;
    let rank = |task: &Task| match task.status.phase() {
        Phase::Pending | Phase::Placed | Phase::Preparing => 0,
        Phase::Prepared | Phase::Starting => 1,
        Phase::Running | Phase::Stopping => 2,
        Phase::Finished | Phase::Failed | Phase::Stopped | Phase::Lost | Phase::Rejected => {
            // It ended: after it ran, or without.
            if task.status.started_at.is_some() { 3 } else { 0 }
        }
    };
    let (had, has) = (if same { rank(before) } else { 0 }, rank(after));
    let first = after.restarts() == 0 && before.status.started_at.is_none();
    let steps = [(1, "create", first), (2, "start", true), (3, "die", true)];
    steps
        .into_iter()
        .filter(move |(rank, _, told)| *told && had < *rank && *rank <= has)
        .map(|(_, action, _)| action)
}

/// The slot of the one task of a container.
pub(super) const SLOT: u64 = 0;

/// Containers that somebody is attached to: they are not removed under their readers.
pub(super) type Watched = BTreeSet<String>;

/// The newest task of a container.
pub(super) fn task_of<'a>(observed: &'a Observed, id: &str) -> Option<&'a Arc<Task>> {
    observed.slot(id, SLOT).last()
}

/// The newest task of a container, which may be of a service.
pub(super) fn seen<'a>(observed: &'a Observed, container: &Container) -> Option<&'a Arc<Task>> {
    match container.of_service {
        None => task_of(observed, &container.own.id),
        Some(task) => observed.task(task),
    }
}

/// Which run of its container a task is in.
pub(super) fn run_of(task: &Task) -> Run {
    let Incarnation(incarnation) = task.status.progress.incarnation;
    Run {
        attempt: task.id().attempt(),
        incarnation,
    }
}

/// What shall be done, and what the shelf is to be told.
pub(super) fn plan(
    book: &Book,
    observed: &Observed,
    watched: &Watched,
    refused: impl Fn(TaskId) -> bool,
) -> (Plan, Vec<Note>) {
    let (mut plan, mut notes) = (Plan::default(), Vec::new());
    for container in book.containers.iter() {
        let id = &container.own.id;
        let container = &container.record;
        let tasks: Vec<&Arc<Task>> = observed.slot(id, SLOT).collect();
        let old = tasks.len().saturating_sub(1);
        plan.forgets.extend(
            tasks
                .iter()
                .take(old)
                .filter(|t| t.status.phase().is_terminal())
                .map(|t| t.id()),
        );
        match tasks.last() {
            _ if container.own.removing => remove(id, &tasks, &mut plan, &mut notes),
            None => claim(container, observed, &refused, &mut plan),
            Some(task) => {
                if expired(container, task) {
                    if !watched.contains(id) {
                        notes.push(Note::Expired(id.clone()));
                    }
                } else {
                    follow(container, task, observed, &refused, &mut plan);
                }
            }
        }
    }
    for task in observed.tasks() {
        let workload = &task.terms.workload;
        if workload.kind == KIND && book.containers.get(&workload.uid).is_none() {
            end(task, &mut plan);
        }
    }
    (plan, notes)
}

fn claim(container: &Container, observed: &Observed, refused: &impl Fn(TaskId) -> bool, plan: &mut Plan) {
    let record = &container.own;
    let id = observed.next_id(&record.id, SLOT);
    if refused(id) {
        return;
    }
    plan.claims.push(Claim {
        terms: Arc::clone(&container.lowered.terms),
        spec: Arc::clone(&container.lowered.spec),
        seat: Seat::new(id, record.name.clone(), SLOT),
    });
}

fn remove(id: &str, tasks: &[&Arc<Task>], plan: &mut Plan, notes: &mut Vec<Note>) {
    if tasks.is_empty() {
        notes.push(Note::Gone(id.to_owned()));
    }
    for task in tasks {
        end(task, plan);
    }
}

fn end(task: &Task, plan: &mut Plan) {
    if task.status.phase().is_terminal() {
        if !plan.forgets.contains(&task.id()) {
            plan.forgets.push(task.id());
        }
    } else if !task.released {
        plan.releases.push(Release {
            id: task.id(),
            grace_ms: Some(0),
        });
    }
}

/// Whether a container that removes itself has run as it was asked to, or never can.
fn expired(container: &Container, task: &Task) -> bool {
    let ended = task.status.phase().is_terminal();
    let over = match container.own.wanted {
        Wanted::Created => false,
        Wanted::Running(run) => run_of(task) >= run,
        Wanted::Stopped => true,
    };
    container.lowered.auto_remove && ended && over
}

fn follow(
    container: &Container,
    task: &Task,
    observed: &Observed,
    refused: &impl Fn(TaskId) -> bool,
    plan: &mut Plan,
) {
    let ended = task.status.phase().is_terminal();
    let to = match container.own.wanted {
        Wanted::Created => return,
        Wanted::Running(run) => {
            let have = run_of(task);
            if ended && run.attempt > have.attempt {
                return claim(container, observed, refused, plan);
            }
            let due = if ended {
                have < run
            } else {
                task.desired != Desired::Stopped
            };
            if !due || (!ended && task.desired == Desired::Running) {
                return;
            }
            Desired::Running
        }
        // Before it has a node only the pool's own stop ends it, which the door has asked for.
        Wanted::Stopped if ended || task.desired == Desired::Stopped || task.status.node.is_none() => return,
        Wanted::Stopped => Desired::Stopped,
    };
    plan.amends.push(Amend {
        task: task.id(),
        generation: task.generation,
        change: Amendment::Desired(to),
    });
}

#[cfg(test)]
#[path = "planner_tests.rs"]
mod tests;
