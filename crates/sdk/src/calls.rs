//! From a plan to calls of a session, and from their answers back to the mirror. Pure, so that a simulation
//! drives planners exactly as the driver does.

use crate::observed::Observed;
use crate::plan::{Claim, Plan, Release};
use crate::time::Moment;
use plenum_contract::broker::{Amend, BrokerError, Claimed, Refusal, RefusalReason};
use plenum_model::claim::{ClaimBatch, ClaimGroup, Terms};
use plenum_model::ids::{SpecId, TaskId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One call of a session.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// [`plenum_contract::broker::Session::amend`].
    Amend(Vec<Amend>),
    /// [`plenum_contract::broker::Session::claim`]; see [`claim_batch`].
    Claim {
        /// The tasks.
        claims: Vec<Claim>,
        /// All or none.
        all_or_nothing: bool,
    },
    /// [`plenum_contract::broker::Session::release`].
    Release {
        /// Which.
        ids: Vec<TaskId>,
        /// With this grace.
        grace_ms: Option<u64>,
    },
    /// [`plenum_contract::broker::Session::forget`].
    Forget(Vec<TaskId>),
}

/// What a call answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// To a claim.
    Claimed(Claimed),
    /// To an amendment or a forgetting: what was refused of it.
    Refused(Vec<Refusal>),
    /// To a release.
    Released,
}

/// What an answer leaves to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// Steps that were refused and that only the planner can mend.
    pub refused: Vec<Refusal>,
    /// An id turned out to be used up: the same plan made again takes the next.
    pub learnt: bool,
}

/// The calls of a plan, in its order, each with at most `batch` tasks; gangs stay whole.
#[must_use]
pub fn calls(plan: Plan, batch: usize) -> Vec<Call> {
    let batch = batch.max(1);
    let mut out: Vec<Call> = chunks(plan.amends, batch).map(Call::Amend).collect();
    let single = chunks(plan.claims, batch).map(|claims| Call::Claim {
        claims,
        all_or_nothing: false,
    });
    out.extend(single);
    let gangs = plan.gangs.into_iter().filter(|gang| !gang.is_empty());
    out.extend(gangs.map(|claims| Call::Claim {
        claims,
        all_or_nothing: true,
    }));
    for (grace_ms, ids) in by_grace(&plan.releases) {
        out.extend(chunks(ids, batch).map(|ids| Call::Release { ids, grace_ms }));
    }
    out.extend(chunks(plan.forgets, batch).map(Call::Forget));
    out
}

/// One group per `Arc` of terms, in the order of the claims, with the specs that are not among `sent`.
#[must_use]
pub fn claim_batch(claims: &[Claim], all_or_nothing: bool, sent: &BTreeSet<SpecId>) -> ClaimBatch {
    let mut batch = ClaimBatch {
        all_or_nothing,
        ..ClaimBatch::default()
    };
    let mut groups: BTreeMap<*const Terms, usize> = BTreeMap::new();
    let mut specs = BTreeSet::new();
    for claim in claims {
        let at = *groups.entry(Arc::as_ptr(&claim.terms)).or_insert_with(|| {
            let terms = Arc::clone(&claim.terms);
            batch.groups.push(ClaimGroup {
                terms,
                seats: Vec::new(),
            });
            batch.groups.len() - 1
        });
        batch.groups[at].seats.push(claim.seat.clone());
        let spec = claim.terms.spec;
        if !sent.contains(&spec) && specs.insert(spec) {
            batch.specs.push(Arc::clone(&claim.spec));
        }
    }
    batch
}

/// Takes an answer over into the mirror.
pub fn settle(now: Moment, call: &Call, reply: Reply, observed: &mut Observed) -> Settled {
    let refused = match reply {
        Reply::Claimed(claimed) => claimed.refused,
        Reply::Refused(refused) => refused,
        Reply::Released => Vec::new(),
    };
    let which: BTreeSet<TaskId> = refused.iter().map(|r| r.task).collect();
    let mut out = Settled::default();
    match call {
        Call::Amend(_) => out.refused = refused,
        Call::Claim {
            claims,
            all_or_nothing,
        } => {
            for refusal in refused {
                if refusal.reason == RefusalReason::Conflict {
                    observed.used_up(refusal.task);
                    out.learnt = true;
                } else {
                    out.refused.push(refusal);
                }
            }
            if *all_or_nothing && !which.is_empty() {
                return out;
            }
            for claim in claims.iter().filter(|c| !which.contains(&c.seat.id)) {
                observed.claimed(now, claim);
            }
        }
        Call::Release { ids, .. } => ids.iter().for_each(|id| observed.released(now, *id)),
        Call::Forget(ids) => {
            // Gone already is what was wanted.
            out.refused = refused;
            out.refused.retain(|r| r.reason != RefusalReason::Unknown);
            let kept: BTreeSet<TaskId> = out.refused.iter().map(|r| r.task).collect();
            ids.iter()
                .filter(|id| !kept.contains(id))
                .for_each(|id| observed.forgot(*id));
        }
    }
    out
}

impl Call {
    /// A call that made no sense as a whole, told as the refusal of each of its tasks; any other error back.
    ///
    /// # Errors
    /// The error, if it does not concern the call's content.
    pub fn refusals(&self, error: BrokerError) -> Result<Vec<Refusal>, BrokerError> {
        let BrokerError::Refused { field, why } = error else {
            return Err(error);
        };
        let ids: Vec<TaskId> = match self {
            Self::Amend(amends) => amends.iter().map(|a| a.task).collect(),
            Self::Claim { claims, .. } => claims.iter().map(|c| c.seat.id).collect(),
            Self::Release { ids, .. } | Self::Forget(ids) => ids.clone(),
        };
        let refusal = |task| Refusal {
            task,
            reason: RefusalReason::Invalid,
            field: field.clone(),
            why: why.clone(),
        };
        Ok(ids.into_iter().map(refusal).collect())
    }
}

fn by_grace(releases: &[Release]) -> BTreeMap<Option<u64>, Vec<TaskId>> {
    let mut groups: BTreeMap<Option<u64>, Vec<TaskId>> = BTreeMap::new();
    for release in releases {
        groups.entry(release.grace_ms).or_default().push(release.id);
    }
    groups
}

fn chunks<T>(items: Vec<T>, size: usize) -> impl Iterator<Item = Vec<T>> {
    let mut items = items.into_iter();
    std::iter::from_fn(move || {
        let chunk: Vec<T> = items.by_ref().take(size).collect();
        (!chunk.is_empty()).then_some(chunk)
    })
}
