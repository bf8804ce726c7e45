//! Applies a plan: calls to the session, answers to the mirror. Decides nothing; `crate::calls` does.

use crate::calls::{Call, Reply, calls, claim_batch, settle};
use crate::mirror::MirrorWriter;
use crate::plan::Plan;
use crate::time::Clock;
use plenum_contract::broker::{BrokerError, Refusal, Session};
use plenum_contract::error::{Class, Classified};
use plenum_model::ids::SpecId;
use std::collections::BTreeSet;
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
            batch,
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
        for call in calls(plan, self.batch) {
            match self.send(&call).await {
                Ok(reply) => {
                    let settled = mirror.write(|m| settle(clock.now(), &call, reply, m));
                    outcome.refused.extend(settled.refused);
                    outcome.learnt |= settled.learnt;
                }
                Err(error) => match call.refusals(error) {
                    Ok(refused) => outcome.refused.extend(refused),
                    Err(error) if was_not_taken(&error) => {
                        outcome.not_taken = Some(error);
                        break;
                    }
                    Err(error) => return Err(error),
                },
            }
        }
        Ok(outcome)
    }

    async fn send(&mut self, call: &Call) -> Result<Reply, BrokerError> {
        match call {
            Call::Amend(amends) => self.session.amend(amends.clone()).await.map(Reply::Refused),
            Call::Claim {
                claims,
                all_or_nothing,
            } => {
                let batch = claim_batch(claims, *all_or_nothing, &self.sent);
                let specs: Vec<SpecId> = batch.specs.iter().map(|s| s.id()).collect();
                let claimed = self.session.claim(batch).await?;
                self.sent.extend(specs);
                Ok(Reply::Claimed(claimed))
            }
            Call::Release { ids, grace_ms } => {
                self.session.release(ids.clone(), *grace_ms).await?;
                Ok(Reply::Released)
            }
            Call::Forget(ids) => self.session.forget(ids.clone()).await.map(Reply::Refused),
        }
    }
}

/// Whether the session lives and nothing was done. Of an unavailable broker nothing is known: only the
/// snapshot of the next session tells.
pub(super) fn was_not_taken(error: &BrokerError) -> bool {
    error.class() == Class::Retry && !matches!(error, BrokerError::Unavailable { .. })
}
