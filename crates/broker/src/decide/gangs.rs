//! Gangs: tasks that are claimed all or nothing. They wait as one, and are placed in one step or not at all: what the
//! first of them would hold is only tried until the last one has found room, so two gangs never hold a part each. Nobody
//! is stopped for a gang, and no room is kept for one.

use super::Core;
use super::claim::refusal;
use crate::fact::{Fact, TermsIx};
use crate::ledger::queue::{ClassKey, State, Whom};
use crate::place::choose::Chosen;
use crate::place::needs::Unfit;
use plenum_contract::broker::{Claimed, Refusal, RefusalReason};
use plenum_model::claim::{ClaimGroup, Seat, Terms};
use plenum_model::ids::{SchedulerId, TaskId};
use plenum_model::spec::TaskSpec;
use plenum_model::why::{GangShort, LimitReached, Why};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What stands in the way of a gang.
enum Blocked {
    Limit(LimitReached),
    Room(TermsIx, TaskId),
}

impl Core {
    /// Takes in a gang as a whole, or refuses all of it.
    pub(super) fn claim_gang(
        &mut self,
        scheduler: &SchedulerId,
        groups: Vec<ClaimGroup>,
        result: &mut Claimed,
    ) {
        let (mut known, mut fresh, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        let (mut ids, mut specs) = (BTreeSet::new(), Vec::new());
        for group in &groups {
            let known_as = self.ledger.terms.find(scheduler, &group.terms);
            for seat in &group.seats {
                match self.known(known_as, seat) {
                    Some(Ok(())) => known.push(seat.id),
                    Some(Err(why)) => refused.push(refusal(seat.id, RefusalReason::Conflict, "id", why)),
                    None => fresh.push(seat.id),
                }
                let unfit = unfit_for_a_gang(seat, !ids.insert(seat.id));
                refused.extend(unfit.map(|(reason, field, why)| refusal(seat.id, reason, field, why)));
            }
            match self.fit_for_a_gang(scheduler, group, &groups[0].terms) {
                Ok(spec) => specs.push(spec),
                Err((reason, field, why)) => {
                    let seats = group.seats.iter();
                    refused.extend(seats.map(|seat| refusal(seat.id, reason, field, why.clone())));
                }
            }
        }
        if fresh.is_empty() && refused.is_empty() {
            result.known = known;
            return;
        }
        if !known.is_empty() {
            let why = "others of the gang were claimed before without it";
            let conflict = |id: &TaskId| refusal(*id, RefusalReason::Conflict, "all_or_nothing", why.into());
            refused.extend(fresh.iter().map(conflict));
        }
        if let Some(first) = refused.first().cloned() {
            result.refused = all_of(&fresh, refused, &first);
            result.known = known;
            return;
        }
        let gang = self.ledger.ages + 1;
        for (group, spec) in groups.into_iter().zip(specs) {
            let known_as = self.ledger.terms.find(scheduler, &group.terms);
            let terms = self.intern(scheduler, &group.terms, known_as, spec);
            self.ensure_tenant(&group.terms.tenant);
            self.commit(Fact::Claimed {
                terms,
                seats: group.seats,
                gang: Some(gang),
            });
        }
    }

    fn fit_for_a_gang(
        &self,
        scheduler: &SchedulerId,
        group: &ClaimGroup,
        first: &Terms,
    ) -> Result<Arc<TaskSpec>, Unfit> {
        let known_as = self.ledger.terms.find(scheduler, &group.terms);
        if group.terms.tenant != first.tenant || group.terms.priority != first.priority {
            let why = "a gang waits as one: its tasks have one tenant and one priority";
            return Err((RefusalReason::Invalid, "all_or_nothing", why.to_owned()));
        }
        if group.terms.may_preempt {
            let why = "nobody is stopped for a gang yet";
            return Err((RefusalReason::NotSupported, "may_preempt", why.to_owned()));
        }
        self.fit_to_claim(scheduler, &group.terms, known_as)
    }

    /// Places all of a gang, or none.
    pub(super) fn try_gang(&mut self, key: &ClassKey) {
        let Some(class) = self.ledger.queue.get(key) else {
            return;
        };
        let members: Vec<_> = class.waiting().collect();
        let before = self.ledger.begin_to_try();
        let mut places: Vec<(TaskId, Chosen)> = Vec::with_capacity(members.len());
        let mut blocked = None;
        for id in &members {
            match self.try_member(*id) {
                Ok((node, ports)) => {
                    self.ledger.book_on_trial(*id, node, &ports, true);
                    places.push((*id, (node, ports)));
                }
                Err(what) => {
                    blocked = Some(what);
                    break;
                }
            }
        }
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let short = GangShort {
            of: count(members.len()),
            fit: count(places.len()),
        };
        let park = blocked.map(|blocked| self.blocked(blocked, short));
        for (id, (node, ports)) in places.iter().rev() {
            self.ledger.book_on_trial(*id, *node, ports, false);
        }
        self.ledger.end_of_try(before);
        match park {
            Some((state, why)) => self.park(key, state, Some(why)),
            None => {
                for (id, (node, ports)) in places {
                    self.place(id, node, ports);
                }
            }
        }
    }

    fn try_member(&mut self, id: TaskId) -> Result<Chosen, Blocked> {
        let terms = self
            .ledger
            .tasks
            .get(id)
            .map_or(TermsIx(u64::MAX), |row| row.terms);
        self.prepare(terms);
        if let Some(limit) = self.limit(terms, None) {
            return Err(Blocked::Limit(limit));
        }
        let exact = self.config.exact_nodes;
        let chosen = self.question(terms, id, (None, None), |q| q.among_all(exact));
        chosen.ok_or(Blocked::Room(terms, id))
    }

    /// Where a gang is parked, and what it is told, while those of it that find room hold theirs on trial.
    fn blocked(&self, blocked: Blocked, short: GangShort) -> (State, Why) {
        let gang = Some(short);
        match blocked {
            Blocked::Limit(limit) => {
                let tenant = self.ledger.tenants.find(&limit.tenant).unwrap_or_default();
                let why = self.limited(limit);
                (State::ForLimit(tenant), Why { gang, ..why })
            }
            Blocked::Room(terms, id) => {
                let alone = ClassKey {
                    terms,
                    node: None,
                    whom: Whom::Each,
                };
                let why = self.funnel(&alone, id, None);
                let (resource, amount) = self.scarcest(terms, &why);
                (State::ForRoom(resource, amount), Why { gang, ..why })
            }
        }
    }
}

fn unfit_for_a_gang(seat: &Seat, twice: bool) -> Option<Unfit> {
    let unfit = |reason, field, why: &str| Some((reason, field, why.to_owned()));
    if twice {
        unfit(RefusalReason::Conflict, "id", "the id stands twice in the batch")
    } else if seat.pin.is_some() {
        unfit(
            RefusalReason::NotSupported,
            "pin",
            "a task of a gang cannot be pinned yet",
        )
    } else if seat.replaces.is_some() {
        let why = "a task of a gang cannot replace another yet";
        unfit(RefusalReason::NotSupported, "replaces", why)
    } else {
        None
    }
}

/// One refusal for each task: its own, or that of the one for whose sake the gang is not taken.
fn all_of(fresh: &[TaskId], refused: Vec<Refusal>, first: &Refusal) -> Vec<Refusal> {
    let mut told = BTreeSet::new();
    let mut all: Vec<_> = refused.into_iter().filter(|r| told.insert(r.task)).collect();
    let why = format!(
        "another task of the gang was refused at {}: {}",
        first.field, first.why
    );
    let others = fresh.iter().filter(|id| told.insert(**id));
    all.extend(others.map(|id| refusal(*id, first.reason, "all_or_nothing", why.clone())));
    all
}
