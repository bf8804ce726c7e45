//! What becomes of a plan: batches to the session, acknowledgements to the mirror, refusals sorted. Decides
//! nothing.

use crate::mirror::MirrorWriter;
use crate::plan::{Claim, Plan, Release};
use crate::time::Clock;
use plenum_contract::broker::{Amend, BrokerError, Refusal, RefusalReason, Session};
use plenum_contract::error::{Class, Classified};
use plenum_model::claim::{ClaimBatch, ClaimGroup, Terms};
use plenum_model::ids::{SpecId, TaskId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What became of a plan.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Steps that were refused and that only the planner can mend.
    pub(super) refused: Vec<Refusal>,
    /// An id turned out to be used up: the same plan made again takes the next.
    pub(super) learnt: bool,
    /// The call that was not taken, with it and everything after it still to be done.
    pub(super) not_taken: Option<BrokerError>,
}

/// Applies plans to one session.
pub(super) struct Applier {
    session: Arc<dyn Session>,
    /// The most tasks in one call.
    batch: usize,
    /// Specs the session has.
    sent: BTreeSet<SpecId>,
}

impl Applier {
    pub(super) fn new(session: Arc<dyn Session>, batch: usize) -> Self {
        Self {
            session,
            batch: batch.max(1),
            sent: BTreeSet::new(),
        }
    }

    /// Applies a plan in its order. An error means that the session is gone and the rest of the plan with it.
    pub(super) async fn apply(
        &mut self,
        plan: Plan,
        mirror: &MirrorWriter,
        clock: &Clock,
    ) -> Result<Outcome, BrokerError> {
        let mut outcome = Outcome::default();
        for amends in plan.amends.chunks(self.batch) {
            if !self.amend(amends, &mut outcome).await? {
                return Ok(outcome);
            }
        }
        for claims in plan.claims.chunks(self.batch) {
            if !self.claim(claims, false, mirror, clock, &mut outcome).await? {
                return Ok(outcome);
            }
        }
        for gang in &plan.gangs {
            if !self.claim(gang, true, mirror, clock, &mut outcome).await? {
                return Ok(outcome);
            }
        }
        for (grace, ids) in by_grace(&plan.releases) {
            for ids in ids.chunks(self.batch) {
                if !self.release(ids, grace, mirror, clock, &mut outcome).await? {
                    return Ok(outcome);
                }
            }
        }
        for ids in plan.forgets.chunks(self.batch) {
            if !self.forget(ids, mirror, &mut outcome).await? {
                return Ok(outcome);
            }
        }
        Ok(outcome)
    }

    async fn amend(&self, amends: &[Amend], outcome: &mut Outcome) -> Result<bool, BrokerError> {
        match self.session.amend(amends.to_vec()).await {
            Ok(refused) => outcome.refused.extend(refused),
            Err(e) => return outcome.failed(e, amends.iter().map(|a| a.task)),
        }
        Ok(true)
    }

    async fn claim(
        &mut self,
        claims: &[Claim],
        all_or_nothing: bool,
        mirror: &MirrorWriter,
        clock: &Clock,
        outcome: &mut Outcome,
    ) -> Result<bool, BrokerError> {
        if claims.is_empty() {
            return Ok(true);
        }
        let batch = self.group(claims, all_or_nothing);
        let specs: Vec<SpecId> = batch.specs.iter().map(|s| s.id()).collect();
        let answer = match self.session.claim(batch).await {
            Ok(answer) => answer,
            Err(e) => return outcome.failed(e, claims.iter().map(|c| c.seat.id)),
        };
        self.sent.extend(specs);
        let refused: BTreeSet<TaskId> = answer.refused.iter().map(|r| r.task).collect();
        let now = clock.now();
        mirror.write(|m| {
            for refusal in &answer.refused {
                if refusal.reason == RefusalReason::Conflict {
                    m.used_up(refusal.task);
                }
            }
            if all_or_nothing && !refused.is_empty() {
                return;
            }
            for claim in claims.iter().filter(|c| !refused.contains(&c.seat.id)) {
                m.claimed(now, claim);
            }
        });
        for refusal in answer.refused {
            if refusal.reason == RefusalReason::Conflict {
                tracing::debug!(%refusal, "taking the next attempt");
                outcome.learnt = true;
            } else {
                outcome.refused.push(refusal);
            }
        }
        Ok(true)
    }

    /// One group per `Arc` of terms, in the order of the plan, with the specs the session does not have.
    fn group(&self, claims: &[Claim], all_or_nothing: bool) -> ClaimBatch {
        let mut batch = ClaimBatch {
            all_or_nothing,
            ..ClaimBatch::default()
        };
        let mut groups: BTreeMap<*const Terms, usize> = BTreeMap::new();
        let mut specs = BTreeSet::new();
        for claim in claims {
            let at = *groups.entry(Arc::as_ptr(&claim.terms)).or_insert_with(|| {
                batch.groups.push(ClaimGroup {
                    terms: Arc::clone(&claim.terms),
                    seats: Vec::new(),
                });
                batch.groups.len() - 1
            });
            batch.groups[at].seats.push(claim.seat.clone());
            let spec = claim.terms.spec;
            if !self.sent.contains(&spec) && specs.insert(spec) {
                batch.specs.push(Arc::clone(&claim.spec));
            }
        }
        batch
    }

    async fn release(
        &self,
        ids: &[TaskId],
        grace_ms: Option<u64>,
        mirror: &MirrorWriter,
        clock: &Clock,
        outcome: &mut Outcome,
    ) -> Result<bool, BrokerError> {
        if let Err(e) = self.session.release(ids.to_vec(), grace_ms).await {
            return outcome.failed(e, ids.iter().copied());
        }
        let now = clock.now();
        mirror.write(|m| ids.iter().for_each(|id| m.released(now, *id)));
        Ok(true)
    }

    async fn forget(
        &self,
        ids: &[TaskId],
        mirror: &MirrorWriter,
        outcome: &mut Outcome,
    ) -> Result<bool, BrokerError> {
        let mut refused = match self.session.forget(ids.to_vec()).await {
            Ok(refused) => refused,
            Err(e) => return outcome.failed(e, ids.iter().copied()),
        };
        // Gone already is what was wanted.
        refused.retain(|r| r.reason != RefusalReason::Unknown);
        let kept: BTreeSet<TaskId> = refused.iter().map(|r| r.task).collect();
        mirror.write(|m| {
            ids.iter()
                .filter(|id| !kept.contains(id))
                .for_each(|id| m.forgot(*id));
        });
        outcome.refused.extend(refused);
        Ok(true)
    }
}

impl Outcome {
    /// Sorts a failed call: whether to go on with the plan (a call that makes no sense concerns its own tasks
    /// only), to stop it (try later), or that the session is gone.
    fn failed(
        &mut self,
        error: BrokerError,
        tasks: impl Iterator<Item = TaskId>,
    ) -> Result<bool, BrokerError> {
        if let BrokerError::Refused { field, why } = &error {
            self.refused.extend(tasks.map(|task| Refusal {
                task,
                reason: RefusalReason::Invalid,
                field: field.clone(),
                why: why.clone(),
            }));
            return Ok(true);
        }
        let unknown = matches!(error, BrokerError::Unavailable { .. });
        if error.class() == Class::Retry && !unknown {
            self.not_taken = Some(error);
            return Ok(false);
        }
        Err(error)
    }
}

fn by_grace(releases: &[Release]) -> BTreeMap<Option<u64>, Vec<TaskId>> {
    let mut groups: BTreeMap<Option<u64>, Vec<TaskId>> = BTreeMap::new();
    for release in releases {
        groups.entry(release.grace_ms).or_default().push(release.id);
    }
    groups
}
