//! Claims: what is taken, what is known, what is refused. Placement follows in the same step (`schedule`),
//! except for pins, whose verdict is immediate.

use super::{Core, Verdict};
use crate::fact::{Fact, TermsIx};
use crate::input::{Answer, Caller};
use crate::ledger::tenants::lineage;
use crate::place::needs::{Needs, Unfit};
use crate::place::verdict::{Extra, in_words, verdict};
use plenum_contract::broker::{Claimed, Refusal, RefusalReason};
use plenum_model::claim::{ClaimBatch, ClaimGroup, Pin, Seat, Terms};
use plenum_model::ids::{SchedulerId, TaskId, TenantPath};
use plenum_model::phase::Phase;
use plenum_model::spec::TaskSpec;
use plenum_model::task::{Exit, ExitReason};
use plenum_model::tenant::Tenant;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Core {
    pub(super) fn claim(&mut self, caller: &Caller, batch: ClaimBatch) -> Verdict {
        self.session(caller)?;
        for spec in batch.specs {
            self.sessions.learn(&caller.scheduler, spec);
        }
        let mut result = Claimed::default();
        let tasks: usize = batch.groups.iter().map(|g| g.seats.len()).sum();
        // One task is all or nothing by nature.
        let gang = batch.all_or_nothing && tasks > 1;
        if gang {
            self.claim_gang(&caller.scheduler, batch.groups, &mut result);
            return Ok(Answer::Claimed(result));
        }
        for group in batch.groups {
            self.claim_group(&caller.scheduler, group, &mut result);
        }
        Ok(Answer::Claimed(result))
    }

    fn claim_group(&mut self, scheduler: &SchedulerId, group: ClaimGroup, result: &mut Claimed) {
        let known_as = self.ledger.terms.find(scheduler, &group.terms);
        let mut fresh = Vec::with_capacity(group.seats.len());
        let mut ids = BTreeSet::new();
        for seat in group.seats {
            match self.known(known_as, &seat) {
                Some(Ok(())) => result.known.push(seat.id),
                Some(Err(why)) => result
                    .refused
                    .push(refusal(seat.id, RefusalReason::Conflict, "id", why)),
                None if !ids.insert(seat.id) => {
                    let why = "the id stands twice in the batch".to_owned();
                    result
                        .refused
                        .push(refusal(seat.id, RefusalReason::Conflict, "id", why));
                }
                None => fresh.push(seat),
            }
        }
        if fresh.is_empty() {
            return;
        }
        let spec = match self.fit_to_claim(scheduler, &group.terms, known_as) {
            Ok(spec) => spec,
            Err((reason, field, why)) => {
                let refused = fresh
                    .iter()
                    .map(|seat| refusal(seat.id, reason, field, why.clone()));
                result.refused.extend(refused);
                return;
            }
        };
        let mut replaced = BTreeSet::new();
        fresh.retain(|seat| {
            let unfit = self.unfit_to_replace(scheduler, seat).or_else(|| {
                let twice = seat.replaces.is_some_and(|from| !replaced.insert(from));
                twice.then_some((
                    RefusalReason::Conflict,
                    "two tasks of the batch replace the same one",
                ))
            });
            let refused = unfit.map(|(reason, why)| refusal(seat.id, reason, "replaces", why.to_owned()));
            let stays = refused.is_none();
            result.refused.extend(refused);
            stays
        });
        if !fresh.is_empty() {
            self.take(scheduler, &group.terms, known_as, spec, fresh);
        }
    }

    /// Whether a seat was claimed before: with the same content, or why it cannot be claimed.
    pub(super) fn known(&self, terms: Option<TermsIx>, seat: &Seat) -> Option<Result<(), String>> {
        if let Some(row) = self.ledger.tasks.get(seat.id) {
            let same = Some(row.claimed_terms) == terms && row.task.seat == *seat;
            return Some(if same {
                Ok(())
            } else {
                Err("it was claimed before with other content".into())
            });
        }
        let highest = *self.ledger.slots.get(&seat.id.slot_key())?;
        let used = seat.id.attempt() <= highest;
        used.then(|| {
            Err(format!(
                "attempt {highest} of this slot was used before; use a higher one"
            ))
        })
    }

    pub(super) fn fit_to_claim(
        &self,
        scheduler: &SchedulerId,
        terms: &Arc<Terms>,
        known_as: Option<TermsIx>,
    ) -> Result<Arc<TaskSpec>, Unfit> {
        if let Some(row) = known_as.and_then(|ix| self.ledger.terms.get(ix)) {
            return Ok(Arc::clone(&row.needs.spec));
        }
        let sent = self
            .sessions
            .spec(scheduler, &terms.spec)
            .or_else(|| self.ledger.terms.spec(&terms.spec));
        let Some(spec) = sent else {
            let why = format!("spec {} was not sent in this session", terms.spec);
            return Err((RefusalReason::Invalid, "spec", why));
        };
        let needs = Needs::new(Arc::clone(terms), Arc::clone(spec), self.config.strict_caps)?;
        needs.check()?;
        Ok(Arc::clone(spec))
    }

    /// Why a seat cannot take the place of the one it names. One that is gone has no place to take any more.
    fn unfit_to_replace(
        &self,
        scheduler: &SchedulerId,
        seat: &Seat,
    ) -> Option<(RefusalReason, &'static str)> {
        let from = seat.replaces?;
        let holder = self.ledger.tasks.get(from);
        let heir = self.ledger.nominations.heir(from);
        if seat.pin.is_some() {
            Some((RefusalReason::Invalid, "a pinned task has its node"))
        } else if from == seat.id {
            Some((RefusalReason::Invalid, "a task cannot replace itself"))
        } else if holder.is_some_and(|row| row.task.scheduler != *scheduler) {
            Some((RefusalReason::Invalid, "it is no task of this scheduler"))
        } else if heir.is_some_and(|heir| heir != seat.id) {
            Some((RefusalReason::Conflict, "another task waits for the same place"))
        } else {
            None
        }
    }

    fn take(
        &mut self,
        scheduler: &SchedulerId,
        terms: &Arc<Terms>,
        known_as: Option<TermsIx>,
        spec: Arc<TaskSpec>,
        seats: Vec<Seat>,
    ) {
        let terms_ix = self.intern(scheduler, terms, known_as, spec);
        if known_as.is_none() {
            self.ensure_tenant(&terms.tenant);
        }
        let pinned: Vec<_> = seats
            .iter()
            .filter_map(|s| Some((s.id, s.pin.clone()?)))
            .collect();
        let heirs: Vec<_> = seats
            .iter()
            .filter(|s| s.replaces.is_some())
            .map(|s| s.id)
            .collect();
        self.commit(Fact::Claimed {
            terms: terms_ix,
            seats,
            gang: None,
        });
        for id in heirs {
            self.nominate_seat(id);
        }
        for (id, pin) in pinned {
            self.decide_pin(terms_ix, id, &pin);
        }
    }

    /// The number of terms; new ones become known, with their spec.
    pub(super) fn intern(
        &mut self,
        scheduler: &SchedulerId,
        terms: &Arc<Terms>,
        known_as: Option<TermsIx>,
        spec: Arc<TaskSpec>,
    ) -> TermsIx {
        if let Some(ix) = known_as {
            return ix;
        }
        if self.ledger.terms.spec(&terms.spec).is_none() {
            self.commit(Fact::Spec { id: terms.spec, spec });
        }
        let ix = TermsIx(self.ledger.terms.next);
        self.commit(Fact::Terms {
            ix,
            scheduler: scheduler.clone(),
            terms: Arc::clone(terms),
        });
        ix
    }

    /// A tenant that nobody has set is there from its first use, with weight 1 and without limits; so are
    /// those above it.
    pub(super) fn ensure_tenant(&mut self, path: &TenantPath) {
        for path in lineage(path) {
            if self.ledger.tenants.get(&path).is_none() {
                let tenant = Tenant::new(path);
                self.commit(Fact::TenantSet {
                    tenant,
                    actor: "broker".to_owned(),
                });
            }
        }
    }

    fn decide_pin(&mut self, terms_ix: TermsIx, id: TaskId, pin: &Pin) {
        self.prepare(terms_ix);
        match self.pin_verdict(terms_ix, id, pin) {
            Ok((node, ports)) => self.place(id, node, ports),
            Err(message) => {
                let exit = Exit {
                    code: None,
                    signal: None,
                    reason: ExitReason::Setup,
                    message,
                };
                self.commit(Fact::Ended {
                    task: id,
                    phase: Phase::Rejected,
                    exit,
                });
            }
        }
    }

    fn pin_verdict(
        &self,
        terms_ix: TermsIx,
        id: TaskId,
        pin: &Pin,
    ) -> Result<(crate::fact::NodeIx, Vec<u16>), String> {
        let ledger = &self.ledger;
        let (ix, node) = ledger
            .nodes
            .find(&pin.node)
            .ok_or_else(|| format!("there is no node {}", pin.node))?;
        let row = ledger.terms.row(terms_ix);
        if let Some(l) = self.limit(terms_ix, None) {
            return Err(l.to_string());
        }
        let extra = Extra {
            task: id,
            holds: None,
            given: None,
            past_cordon: pin.past_cordon,
        };
        let (look, around) = (node.look(), row.related.around(ix, &ledger.tallies));
        match verdict(&row.needs, &look, &extra, &around) {
            Ok(ports) => Ok((ix, ports)),
            Err(cause) => {
                let detail = in_words(&cause, &row.needs, &look, &around);
                let detail = if detail.is_empty() {
                    detail
                } else {
                    format!(" ({detail})")
                };
                Err(format!("node {}: {cause}{detail}", pin.node))
            }
        }
    }
}

/// One refusal.
pub(super) fn refusal(task: TaskId, reason: RefusalReason, field: &str, why: String) -> Refusal {
    Refusal {
        task,
        reason,
        field: field.to_owned(),
        why,
    }
}
