//! The desk's clerk: decides changes with the pure modules, stores, and only then shows and announces them.
//!
//! In: [`Order`]s. Out: the store, the board of [`Desired`], events. Never waits for the pool.

use crate::announce::Announcer;
use crate::change::{self, Declined, Force, Limits, Occasion, Proposal, Wish, revert};
use crate::desired::Desired;
use crate::events::Hub;
use crate::path::AppId;
use crate::plan::{Deployment, Plan};
use crate::refusal::Refusal;
use crate::stamp::Stamp;
use crate::store::{self, Revisions};
use async_trait::async_trait;
use plenum_contract::error::{Class, Classified};
use plenum_contract::state_store::{StateError, StateStore};
use plenum_model::ids::SessionEpoch;
use plenum_sdk::desk::{self, Board, Clerk, DeskRunner, NotTaken, Wanted};
use plenum_sdk::time::Clock;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Changes that may wait: each waits for a disk anyway, so a longer queue only hides overload.
const QUEUE: usize = 256;

/// Decides which wishes a request has, looking at what is wanted at the moment it is its turn.
pub type Decide = Box<dyn FnOnce(&Desired) -> Result<Vec<(AppId, Wish)>, Refusal> + Send>;

/// Something for the desk to do.
pub enum Order {
    /// Change what is wanted.
    Change {
        /// Says how.
        decide: Decide,
        /// Whether locks are broken.
        force: Force,
        /// Who waits.
        reply: oneshot::Sender<Result<Done, Refusal>>,
    },
    /// Take a deployment back by a new one.
    Revert {
        /// Which one.
        deployment: String,
        /// Who waits.
        reply: oneshot::Sender<Result<Done, Refusal>>,
    },
    /// Stop a deployment where it is.
    Cancel {
        /// Which one.
        deployment: String,
        /// Who waits.
        reply: oneshot::Sender<Result<(), Refusal>>,
    },
    /// The planner saw that a step of a deployment is done.
    StepDone {
        /// Of which deployment.
        deployment: String,
        /// Which step.
        step: usize,
    },
}

/// A change that was taken.
#[derive(Debug, Clone)]
pub struct Done {
    /// What was wanted before.
    pub before: Arc<Desired>,
    /// What is wanted now.
    pub after: Arc<Desired>,
    /// The deployment that brings it about.
    pub plan: Arc<Plan>,
}

impl Wanted for Desired {
    fn read_in(&self) -> Option<SessionEpoch> {
        self.read_in
    }
}

impl From<NotTaken> for Refusal {
    fn from(why: NotTaken) -> Self {
        Self::Unavailable(why.to_string())
    }
}

/// The handle on the desk.
#[derive(Clone)]
pub struct Desk(desk::Desk<Order, Desired>);

impl Desk {
    /// What is wanted, as stored.
    #[must_use]
    pub fn desired(&self) -> Arc<Desired> {
        self.0.wanted()
    }

    /// Waits until what is wanted was read for the first time.
    ///
    /// # Errors
    /// When the desk has ended before.
    pub async fn until_read(&self) -> Result<(), NotTaken> {
        self.0.until_read().await
    }

    /// Changes what is wanted; stored when it returns.
    ///
    /// # Errors
    /// Whatever `decide` refuses, a lock, or `Unavailable` when the store cannot take it.
    pub async fn change(&self, force: Force, decide: Decide) -> Result<Done, Refusal> {
        let order = |reply| Order::Change { decide, force, reply };
        self.0.ask(order).await
    }

    /// Takes a deployment back.
    ///
    /// # Errors
    /// `NoDeployment`, or as [`Desk::change`].
    pub async fn revert(&self, deployment: String) -> Result<Done, Refusal> {
        self.0.ask(|reply| Order::Revert { deployment, reply }).await
    }

    /// Stops a deployment where it is.
    ///
    /// # Errors
    /// `NoDeployment`, or `Unavailable` when the store cannot take it.
    pub async fn cancel(&self, deployment: String) -> Result<(), Refusal> {
        self.0.ask(|reply| Order::Cancel { deployment, reply }).await
    }

    /// Notes that a step is done; if the queue is full the planner will say it again.
    pub fn step_done(&self, deployment: &str, step: usize) {
        let order = Order::StepDone {
            deployment: deployment.to_owned(),
            step,
        };
        if !self.0.note(order) {
            tracing::debug!(
                deployment,
                step,
                "the desk is busy; the step is noted at the next look"
            );
        }
    }
}

/// Writes what is wanted.
pub struct DeskClerk {
    store: Arc<dyn StateStore>,
    revisions: Revisions,
    limits: Limits,
    announcer: Announcer,
    clock: Clock,
}

/// A desk that has read nothing yet, with the side that works and its clerk.
#[must_use]
pub fn desk(
    store: Arc<dyn StateStore>,
    limits: Limits,
    hub: Hub,
    clock: Clock,
) -> (Desk, DeskRunner<Order, Desired>, DeskClerk) {
    let (desk, runner) = desk::desk(QUEUE);
    let clerk = DeskClerk {
        store,
        revisions: Revisions::default(),
        limits,
        announcer: Announcer(hub),
        clock,
    };
    (Desk(desk), runner, clerk)
}

#[async_trait]
impl Clerk for DeskClerk {
    type Order = Order;
    type Wanted = Desired;

    async fn read(&mut self, board: &Board<Desired>, session: Option<SessionEpoch>) {
        match store::load(&*self.store).await {
            Ok((mut desired, revisions)) => {
                desired.read_in = session;
                desired.deployments = with_steps(&board.current(), desired.deployments);
                self.revisions = revisions;
                board.show(Arc::new(desired));
                let desired = board.current();
                desired
                    .deployments
                    .iter()
                    .for_each(|d| self.announcer.step(self.now(), &desired, d));
            }
            Err(error) => {
                let cause = std::error::Error::source(&error)
                    .map(ToString::to_string)
                    .unwrap_or_default();
                tracing::warn!(%error, cause, "what is wanted cannot be read yet");
            }
        }
    }

    async fn serve(&mut self, order: Order, board: &Board<Desired>, may: Result<(), NotTaken>) -> bool {
        // a caller that has gone away does not undo what it asked for
        match order {
            Order::Change { decide, force, reply } => {
                let answer = match may {
                    Ok(()) => self.change(board, decide, force).await,
                    Err(why) => Err(why.into()),
                };
                let _ = reply.send(answer);
            }
            Order::Revert { deployment, reply } => {
                let answer = match may {
                    Ok(()) => self.revert(board, deployment).await,
                    Err(why) => Err(why.into()),
                };
                let _ = reply.send(answer);
            }
            Order::Cancel { deployment, reply } => {
                let answer = match may {
                    Ok(()) => self.cancel(board, &deployment).await,
                    Err(why) => Err(why.into()),
                };
                let _ = reply.send(answer);
            }
            Order::StepDone { deployment, step } => match may {
                Ok(()) => self.step_done(board, &deployment, step).await,
                Err(_) => return false,
            },
        }
        true
    }
}

impl DeskClerk {
    fn now(&self) -> Stamp {
        crate::instance::stamp(self.clock.now().0)
    }

    async fn change(
        &mut self,
        board: &Board<Desired>,
        decide: Decide,
        force: Force,
    ) -> Result<Done, Refusal> {
        let before = board.current();
        let wishes = decide(&before)?;
        let occasion = Occasion {
            now: self.now(),
            deployment: uuid::Uuid::new_v4().to_string(),
            force,
        };
        let group = group_of(&wishes);
        let proposal = match change::propose(&before, wishes, &occasion, &self.limits) {
            Ok(proposal) => proposal,
            Err(declined) => {
                let Declined { refusal, plan } = *declined;
                self.announcer
                    .refused(self.now(), &before, &group, plan, &refusal);
                return Err(refusal);
            }
        };
        self.take(board, before, proposal, &group).await
    }

    async fn revert(&mut self, board: &Board<Desired>, id: String) -> Result<Done, Refusal> {
        let before = board.current();
        let Some(deployment) = before.deployment(&id).cloned() else {
            return Err(Refusal::NoDeployment(id));
        };
        let decide = Box::new(move |desired: &Desired| Ok(revert::reverting(desired, &deployment)));
        self.change(board, decide, Force::Yes).await
    }

    async fn take(
        &mut self,
        board: &Board<Desired>,
        before: Arc<Desired>,
        proposal: Proposal,
        group: &AppId,
    ) -> Result<Done, Refusal> {
        if let Err(error) = store::save(&*self.store, &proposal, &mut self.revisions).await {
            return Err(self.not_stored(board, error).await);
        }
        let after = Arc::new(proposal.desired);
        let now = self.now();
        for cancelled in &proposal.cancelled {
            self.announcer.cancelled(now, &before, cancelled);
        }
        board.show(Arc::clone(&after));
        self.announcer.taken(now, group, proposal.plan.version);
        match after.deployment(&proposal.plan.id) {
            Some(deployment) => {
                self.announcer.checks_added(now, &deployment.plan);
                self.announcer.step(now, &after, deployment);
            }
            None => {
                let done = Deployment::begin(proposal.plan.clone());
                self.announcer.success(now, &after, &done);
            }
        }
        Ok(Done {
            before,
            after,
            plan: Arc::new(proposal.plan),
        })
    }

    async fn cancel(&mut self, board: &Board<Desired>, id: &str) -> Result<(), Refusal> {
        let before = board.current();
        let Some(deployment) = before.deployment(id) else {
            return Err(Refusal::NoDeployment(id.to_owned()));
        };
        let after = without(&before, id);
        if let Err(error) = store::end_deployment(&*self.store, &after, deployment, &mut self.revisions).await
        {
            return Err(self.not_stored(board, error).await);
        }
        self.announcer.cancelled(self.now(), &before, deployment);
        board.show(Arc::new(after));
        Ok(())
    }

    /// The step itself is not stored: a plan that is begun again finds its steps done.
    async fn step_done(&mut self, board: &Board<Desired>, id: &str, step: usize) {
        let before = board.current();
        let Some(deployment) = before.deployment(id).filter(|d| d.step == step) else {
            return;
        };
        let mut next = (**deployment).clone();
        next.step += 1;
        if next.current().is_empty() {
            return self.over(board, &before, deployment, next).await;
        }
        let now = self.now();
        self.announcer.step_success(now, &before, deployment);
        let next = Arc::new(next);
        let mut after = (*before).clone();
        if let Some(slot) = after.deployments.iter_mut().find(|d| d.plan.id == id) {
            *slot = Arc::clone(&next);
        }
        let after = Arc::new(after);
        board.show(Arc::clone(&after));
        self.announcer.step(now, &after, &next);
    }

    /// The last step of a deployment is done.
    async fn over(
        &mut self,
        board: &Board<Desired>,
        before: &Desired,
        deployment: &Deployment,
        next: Deployment,
    ) {
        let id = deployment.plan.id.as_str();
        let after = without(before, id);
        if let Err(error) = store::end_deployment(&*self.store, &after, deployment, &mut self.revisions).await
        {
            let refusal = self.not_stored(board, error).await;
            tracing::warn!(deployment = id, %refusal, "the end of a deployment is not stored yet");
            return;
        }
        let now = self.now();
        self.announcer.step_success(now, before, deployment);
        let after = Arc::new(after);
        board.show(Arc::clone(&after));
        self.announcer.checks_removed(now, &next.plan);
        self.announcer.success(now, &after, &next);
    }

    /// What the caller is told; if somebody else has written, what is wanted is read again.
    async fn not_stored(&mut self, board: &Board<Desired>, error: StateError) -> Refusal {
        match error.class() {
            Class::Fatal => tracing::error!(%error, "the state store refuses a change"),
            Class::Retry | Class::Conflict => tracing::warn!(%error, "a change is not stored"),
        }
        // after an unknown outcome or a foreign write only the store knows what is wanted
        let session = board.current().read_in;
        self.read(board, session).await;
        Refusal::Unavailable(format!("the change is not stored: {error}"))
    }
}

/// Deployments that were under way here before go on with the step they were at.
fn with_steps(known: &Desired, read: Vec<Arc<Deployment>>) -> Vec<Arc<Deployment>> {
    let step = |d: Arc<Deployment>| match known.deployment(&d.plan.id) {
        Some(there) if there.plan == d.plan => Arc::clone(there),
        Some(_) | None => d,
    };
    read.into_iter().map(step).collect()
}

/// What is wanted, less a deployment.
fn without(desired: &Desired, deployment: &str) -> Desired {
    let mut after = desired.clone();
    after.deployments.retain(|d| d.plan.id != deployment);
    after
}

/// The innermost group that holds all that wishes are about: the one that events speak of.
fn group_of(wishes: &[(AppId, Wish)]) -> AppId {
    let mut parents = wishes.iter().map(|(id, _)| id.parent());
    let Some(mut group) = parents.next() else {
        return AppId::default();
    };
    for parent in parents {
        while !parent.is_within(&group) {
            group = group.parent();
        }
    }
    group
}
