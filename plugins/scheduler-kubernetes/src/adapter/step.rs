//! What is asked of the broker for one pod.
//!
//! A pod without a node is claimed held and, once it is placed, bound by the desk; bound, it is told to run. A pod
//! that somebody else has bound is claimed with a pin. A pod that is to go is released; one that is gone from the
//! API is released and forgotten.

use super::book::{Entry, Pages, Work};
use super::charter::Charter;
use super::choice::{Choice, Nodes};
use super::pod::lower::{Lowered, terms};
use super::pod::relations;
use super::pod::{Refused, bound_to, is_over, name, uid};
use crate::object::taint;
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use plenum_contract::broker::Amend;
use plenum_model::claim::{Amendment, Desired, Pin, Seat};
use plenum_model::ids::{NodeId, TaskId};
use plenum_model::phase::Phase;
use plenum_model::rules::{Expr, Op, Rules, keys};
use plenum_model::task::{ExitReason, Task};
use plenum_sdk::observed::Observed;
use plenum_sdk::plan::{Claim, Plan, Release};
use plenum_sdk::time::Moment;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The slot of the one task of a pod.
pub(super) const SLOT: u64 = 0;
/// What a pod gets that was deleted by force: a moment to end.
pub(super) const FORCED_GRACE_MS: u64 = 1000;
/// An end that comes so much earlier is asked for again: the API's moments are whole seconds.
const EARLIER_MS: u64 = 1500;

/// One look at one pod.
pub(super) struct Step<'a> {
    pub(super) pages: &'a Pages,
    pub(super) observed: &'a Observed,
    pub(super) charter: &'a Charter,
    pub(super) now: Moment,
    pub(super) nodes: &'a mut Nodes,
    pub(super) asked: &'a mut BTreeMap<TaskId, u64>,
    /// What is asked for.
    pub(super) plan: Plan,
}

/// Whether a task ended without ever having run, because it was given up or held too long: another may follow.
#[must_use]
pub(super) fn was_seat_only(task: &Task) -> bool {
    let given_up = task.released || exit_is(task, ExitReason::HeldTooLong);
    task.status.phase() == Phase::Stopped && task.status.started_at.is_none() && given_up
}

fn exit_is(task: &Task, reason: ExitReason) -> bool {
    task.status.exit.as_ref().is_some_and(|e| e.reason == reason)
}

impl Step<'_> {
    /// What a pod needs whose object is there.
    pub(super) fn pod(&mut self, uid: &str, entry: &Entry) -> Result<(), Refused> {
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
            Some(node) => match self.nodes.ids.get(node).cloned() {
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
        let same = task.terms.spec == lowered.spec_id;
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
        let choice = self.nodes.choice(self.pages, spec);
        match newest.filter(|t| !was_seat_only(t)) {
            Some(task) if task.status.phase().is_terminal() || task.released => {}
            Some(task) => {
                let stands = match &task.status.node {
                    Some(node) => choice.fits.contains(node),
                    None => task.terms.rules == self.rules(&entry.pod, spec, &choice),
                };
                if !stands {
                    self.give_up(Some(task));
                }
            }
            None if choice.fits.is_empty() => {}
            None => {
                let rules = self.rules(&entry.pod, spec, &choice);
                self.claim(entry, lowered, rules, None, false)?;
            }
        }
        Ok(())
    }

    /// Where a pod may go, and what it wants of others there.
    fn rules(&self, pod: &Pod, spec: &PodSpec, choice: &Choice) -> Rules {
        let mut rules = choice.rules.clone();
        if relations::any(spec) {
            let places = self.nodes.places(self.pages, self.observed);
            relations::lower(pod, spec, &places, &mut rules);
        }
        rules
    }

    fn claim_at(
        &mut self,
        entry: &Entry,
        lowered: &Arc<Lowered>,
        node: &NodeId,
        waits: bool,
    ) -> Result<(), Refused> {
        let borne = entry.pod.spec.as_ref().map(taint::borne_when_bound);
        let rules = Rules {
            tolerations: borne.unwrap_or_default(),
            ..Rules::default()
        };
        if waits {
            let rules = Rules {
                required: vec![vec![Expr::equals(keys::NODE, node.as_str())]],
                ..rules
            };
            return self.claim(entry, lowered, rules, None, true);
        }
        let pin = Pin {
            node: node.clone(),
            past_cordon: true,
        };
        self.claim(entry, lowered, rules, Some(pin), true)
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
    pub(super) fn end(&mut self, task: &Task, grace_ms: Option<u64>) {
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
