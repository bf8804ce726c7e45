//! What must hold whatever happens: of what a step touched, and of all there is.

use super::account::{Account, Before, add, group, is_well, leaves, lineage, numbers, stopped_for_others};
use crate::law;
use plenum_broker::input::{Change, Held, TaskEvent, TaskNow, What};
use plenum_broker::view::View;
use plenum_model::amounts::Amounts;
use plenum_model::claim::{Desired, Terms};
use plenum_model::ids::{NodeId, SchedulerId, TaskId, TenantPath};
use std::collections::BTreeSet;

impl Account {
    /// Holds what a step touched against all that must be.
    pub(crate) fn check(&mut self, before: &Before, changes: &[Change]) {
        let ended: BTreeSet<TaskId> = changes.iter().filter_map(ended).collect();
        for (id, old) in &before.tasks {
            match (old, self.tasks.get(id)) {
                (Some(old), Some(now)) => self.goes_on(old, now),
                (None, Some(now)) => {
                    let highest = self.attempts.get(&id.slot_key()).copied();
                    assert!(
                        highest.is_none_or(|n| n < id.attempt()),
                        "{id} lives a second time"
                    );
                    assert!(now.held == Held::Nothing || now.task.status.placed_at.is_some());
                    self.attempts.insert(id.slot_key(), id.attempt());
                }
                (Some(old), None) => {
                    let over = old.task.status.phase().is_terminal() && old.held != Held::Full;
                    assert!(over || ended.contains(id), "{id} is forgotten before its end");
                }
                (None, None) => unreachable!("what was not there is not forgotten"),
            }
        }
        before
            .nodes
            .iter()
            .for_each(|(id, held)| self.node_has_room(id, held));
        before
            .tenants
            .iter()
            .for_each(|(path, used)| self.keeps_its_limit(path, used));
        let changed = before.tasks.keys().filter_map(|id| self.tasks.get(id));
        for now in changed.clone() {
            let old = before.tasks[&now.task.id()].as_ref();
            self.gang_is_whole(old, now);
            self.is_announced_for_a_reason(old, now);
        }
        for group in changed.filter_map(group).collect::<BTreeSet<_>>() {
            self.group_can_spare_them(&group, before);
        }
    }

    fn goes_on(&self, old: &TaskNow, now: &TaskNow) {
        let id = now.task.id();
        law::goes_on(old, now);
        assert_eq!((&now.task.seat, now.age), (&old.task.seat, old.age));
        if let (Some(from), Some(to)) = (&old.on, &now.on) {
            assert_eq!(from, to, "{id} moved");
        }
    }

    /// Of no resource is more held than there is, unless there was more of it; and nothing is kept but of the rest.
    fn node_has_room(&self, id: &NodeId, before: &Amounts) {
        let Some(book) = self.nodes.get(id) else { return };
        let all = book.now.facts.allocatable();
        for (resource, held) in book.held.iter() {
            let most = all.get(&resource).max(before.get(&resource));
            assert!(held <= most, "{id} has {most} of {resource}, and {held} is held");
        }
        let rest = all.saturating_sub(&book.held);
        let (mut kept, mut ports) = (Amounts::default(), BTreeSet::new());
        for task in &book.kept {
            let now = &self.tasks[task];
            let Some(room) = &now.kept else {
                unreachable!("it is on the list")
            };
            add(&mut kept, &room.amounts);
            for port in numbers(now, &room.ports) {
                assert!(ports.insert(port), "port {port:?} of {id} is kept twice");
                let holder = book.ports.get(&port);
                let gives = |holder: &TaskId| {
                    let theirs = &self.tasks[holder];
                    let goes = theirs.task.status.preempting.is_some() || leaves(theirs);
                    goes || now.task.seat.replaces == Some(*holder)
                };
                assert!(
                    holder.is_none_or(gives),
                    "port {port:?} of {id} is kept for {task}, and another holds it"
                );
            }
        }
        assert!(
            kept.fits(&rest),
            "{id}: {kept:?} is kept, and the rest is {rest:?}"
        );
    }

    fn keeps_its_limit(&self, path: &TenantPath, before: &Amounts) {
        let book = &self.tenants[path];
        for (resource, limit) in book.tenant.limit.iter() {
            let (used, was) = (book.used.get(&resource), before.get(&resource));
            assert!(
                used <= limit.max(was),
                "{path} may have {limit} of {resource} and uses {used}, before it was {was}"
            );
        }
    }

    /// Who of a gang waits to be placed has no mate that ever was.
    fn gang_is_whole(&self, old: Option<&TaskNow>, now: &TaskNow) {
        let first = old.is_none_or(|old| old.task.status.placed_at.is_none());
        if !first || now.task.status.placed_at.is_none() {
            return;
        }
        let mates = self.gangs.get(&now.task.id());
        for mate in mates.into_iter().flat_map(|gang| gang.iter()) {
            let waits = |mate: &TaskNow| mate.waits && mate.task.status.placed_at.is_none();
            let left_out = self.tasks.get(mate).is_some_and(waits);
            assert!(!left_out, "{} is placed without {mate}", now.task.seat.name);
        }
    }

    /// Nobody is stopped for another before the time that was announced, nor while too few of its group are well.
    pub(crate) fn stops_in_time(&self, changes: &[Change]) {
        for (id, at) in stopped_for_others(changes) {
            let Some(victim) = self.tasks.get(&id) else {
                continue;
            };
            let held_too_long = matches!(victim.task.desired, Desired::Held { .. });
            let (false, Some(announced)) = (held_too_long, victim.task.status.preempting) else {
                assert!(held_too_long, "{id} is stopped by the broker unannounced");
                continue;
            };
            assert!(announced.deadline <= at, "{id} is stopped before its time");
            if let Some(group) = group(victim) {
                let (well, least) = self.health(&group);
                assert!(
                    well >= least,
                    "{id} is stopped, and of {group:?} only {well} are well"
                );
            }
        }
    }

    /// How many of a group are well and not announced, and how many must be.
    fn health(&self, group: &(SchedulerId, String)) -> (usize, usize) {
        let members = self.groups.get(group).into_iter().flatten();
        let members = members.map(|id| &self.tasks[id]);
        let well = |now: &&TaskNow| is_well(now) && now.task.status.preempting.is_none();
        let least = members
            .clone()
            .filter_map(|now| Some(now.task.terms.budget.as_ref()?.min_healthy));
        let least = usize::try_from(least.max().unwrap_or(0)).unwrap();
        (members.filter(well).count(), least)
    }

    /// Whoever was well and is announced now left enough others.
    fn group_can_spare_them(&self, group: &(SchedulerId, String), before: &Before) {
        let members = self.groups.get(group).into_iter().flatten();
        let announced = members.filter(|id| {
            let is_new = |old: &TaskNow| is_well(old) && old.task.status.preempting.is_none();
            let old = before.tasks.get(id).and_then(Option::as_ref);
            let now = &self.tasks[*id];
            now.task.status.preempting.is_some() && is_well(now) && old.is_some_and(is_new)
        });
        if announced.count() > 0 {
            let (well, least) = self.health(group);
            assert!(
                well >= least,
                "of {group:?} some are to be stopped, and {well} would be well"
            );
        }
    }

    /// Whoever is to be stopped for another is so for one of two reasons: that other's tenant, or one above it, is
    /// guaranteed something that this one is not part of; or the other has the higher priority, and it counts there.
    fn is_announced_for_a_reason(&self, old: Option<&TaskNow>, now: &TaskNow) {
        let Some(announced) = now.task.status.preempting else {
            return;
        };
        let known = old.is_some_and(|old| old.task.status.preempting == Some(announced));
        // Once it is being stopped, what is guaranteed may be changed.
        if known || now.task.desired == Desired::Stopped {
            return;
        }
        let (victim, by) = (&now.task.terms, &self.tasks[&announced.by].task.terms);
        assert!(
            self.is_guaranteed_beside(by, victim) || outranks(by, victim),
            "{} is to be stopped for {} without a reason",
            now.task.seat.name,
            self.tasks[&announced.by].task.seat.name
        );
    }

    fn is_guaranteed_beside(&self, by: &Terms, victim: &Terms) -> bool {
        let top = lineage(&by.tenant).last();
        let guarantees = self
            .tenants
            .values()
            .filter(|book| !book.tenant.guarantee.is_zero());
        // What is guaranteed below is guaranteed above.
        let mut above = guarantees.filter(|book| lineage(&book.tenant.path).last() == top);
        above.any(|book| !within(&victim.tenant, &book.tenant.path))
    }

    /// What need not be looked at after every step: what is announced and kept fits together, nobody waits for what is
    /// there, and readers are shown what was told. All must have been told.
    pub(crate) fn check_all(&self, view: &View, strict_caps: bool) {
        for now in self.tasks.values() {
            law::is_kept_while_it_waits(now, &self.tasks);
            if now.waits {
                self.waits_for_something(view, now, strict_caps);
            }
        }
        for node in view.nodes() {
            let book = &self.nodes[&node.facts.id];
            let mut sum = book.held.clone();
            for kept in book.kept.iter().filter_map(|id| self.tasks[id].kept.as_ref()) {
                add(&mut sum, &kept.amounts);
            }
            let shown = node.held.values().fold(Amounts::default(), |mut all, held| {
                add(&mut all, held);
                all
            });
            assert_eq!(shown, sum, "what readers are shown of {}", node.facts.id);
        }
        for tenant in view.tenants() {
            assert_eq!(tenant.used, self.tenants[&tenant.tenant.path].used);
        }
    }

    fn waits_for_something(&self, view: &View, now: &TaskNow, strict_caps: bool) {
        let explained = view.explain(now.task.id(), strict_caps).expect("it is there");
        let why = now.task.status.why.as_ref().expect("whoever waits was told why");
        let from = now.task.seat.replaces.and_then(|from| self.tasks.get(&from));
        let node = now.kept.as_ref().map(|kept| &kept.node);
        let sits = from.is_some_and(|from| from.held == Held::Full && from.on.as_ref() == node);
        if why.limit.is_some() || why.gang.is_some() || sits {
            return;
        }
        for verdict in explained.nodes {
            let (name, node) = (&now.task.seat.name, verdict.node);
            assert!(
                verdict.cause.is_some(),
                "{name} waits, though {node} could take it"
            );
        }
    }
}

fn within(path: &TenantPath, of: &TenantPath) -> bool {
    lineage(path).any(|above| above == *of)
}

fn outranks(by: &Terms, victim: &Terms) -> bool {
    let scope_of = |terms: &Terms| {
        let scope = terms.priority.scope.clone();
        scope.unwrap_or_else(|| terms.tenant.clone())
    };
    let (scope, theirs) = (scope_of(by), scope_of(victim));
    let counts = theirs == victim.tenant && victim.tenant == by.tenant || within(&by.tenant, &theirs);
    let value = if counts { victim.priority.value } else { 0 };
    by.may_preempt && within(&victim.tenant, &scope) && value < by.priority.value
}

/// A task may end and be forgotten in one step; then the timeline tells of its end.
fn ended(change: &Change) -> Option<TaskId> {
    match change {
        Change::Happened(happened) => match &happened.what {
            What::Task(TaskEvent::Ended, task, _) => Some(task.id()),
            _ => None,
        },
        _ => None,
    }
}
