//! The desk: the one writer of what is wanted. Takes changes and notes over one bounded queue, decides with
//! the pure modules, stores, and only then shows: readers hold the newest value, the planner is woken.
//!
//! In: [`Order`]s. Out: the store, the watch of [`Desired`], events. Never waits for the pool.

use crate::announce::Announcer;
use crate::change::{self, Declined, Force, Limits, Occasion, Proposal, Wish};
use crate::desired::Desired;
use crate::events::Hub;
use crate::path::AppId;
use crate::plan::Deployment;
use crate::refusal::Refusal;
use crate::session::live_session;
use crate::stamp::Stamp;
use crate::store::{self, Revisions};
use plenum_contract::error::{Class, Classified};
use plenum_contract::state_store::{StateError, StateStore};
use plenum_model::ids::SessionEpoch;
use plenum_sdk::driver::{DriverState, Waker};
use plenum_sdk::time::Clock;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// Changes that may wait: each waits for a disk anyway, so a longer queue only hides overload.
const QUEUE: usize = 64;
/// Notes of the planner that may wait; it repeats what was not taken.
const STEPS: usize = 256;
/// How long to wait before reading again what could not be read.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// Decides which wishes a request has, looking at what is wanted at the moment it is its turn.
pub type Decide = Box<dyn FnOnce(&Desired) -> Result<Vec<(AppId, Wish)>, Refusal> + Send>;

/// Something for the desk to do.
enum Order {
    /// Change what is wanted.
    Change {
        decide: Decide,
        force: Force,
        reply: oneshot::Sender<Result<Done, Refusal>>,
    },
    /// Take a deployment back by a new one.
    Revert {
        deployment: String,
        reply: oneshot::Sender<Result<Done, Refusal>>,
    },
    /// Stop a deployment where it is.
    Cancel {
        deployment: String,
        reply: oneshot::Sender<Result<(), Refusal>>,
    },
}

/// What the planner saw: this step of this deployment is done.
type StepDone = (String, usize);

/// A change that was taken.
#[derive(Debug, Clone)]
pub struct Done {
    /// What was wanted before.
    pub before: Arc<Desired>,
    /// What is wanted now.
    pub after: Arc<Desired>,
    /// The deployment that brings it about.
    pub plan: crate::plan::Plan,
}

/// The handle on the desk.
#[derive(Clone)]
pub struct Desk {
    orders: mpsc::Sender<Order>,
    steps: mpsc::Sender<StepDone>,
    desired: watch::Receiver<Arc<Desired>>,
}

impl Desk {
    /// What is wanted, as stored.
    #[must_use]
    pub fn desired(&self) -> Arc<Desired> {
        Arc::clone(&self.desired.borrow())
    }

    /// Waits until what is wanted was read for the first time.
    ///
    /// # Errors
    /// `Unavailable` when the desk has ended before.
    pub async fn until_read(&self) -> Result<(), Refusal> {
        let mut desired = self.desired.clone();
        let read = desired.wait_for(|d| d.read_in.is_some()).await;
        read.map(|_| ())
            .map_err(|_| Refusal::Unavailable("the scheduler is stopping".to_owned()))
    }

    /// Changes what is wanted; stored when it returns.
    ///
    /// # Errors
    /// Whatever `decide` refuses, a lock, or `Unavailable` when the store cannot take it.
    pub async fn change(&self, force: Force, decide: Decide) -> Result<Done, Refusal> {
        self.ask(|reply| Order::Change { decide, force, reply }).await
    }

    /// Takes a deployment back.
    ///
    /// # Errors
    /// `NoDeployment`, or as [`Desk::change`].
    pub async fn revert(&self, deployment: String) -> Result<Done, Refusal> {
        self.ask(|reply| Order::Revert { deployment, reply }).await
    }

    /// Stops a deployment where it is.
    ///
    /// # Errors
    /// `NoDeployment`, or `Unavailable` when the store cannot take it.
    pub async fn cancel(&self, deployment: String) -> Result<(), Refusal> {
        self.ask(|reply| Order::Cancel { deployment, reply }).await
    }

    /// Notes that a step is done; if the queue is full the planner will say it again.
    pub fn step_done(&self, deployment: &str, step: usize) {
        if self.steps.try_send((deployment.to_owned(), step)).is_err() {
            tracing::debug!(
                deployment,
                step,
                "the desk is busy; the step is noted at the next look"
            );
        }
    }

    async fn ask<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<T, Refusal>>) -> Order,
    ) -> Result<T, Refusal> {
        let stopping = || Refusal::Unavailable("the scheduler is stopping".to_owned());
        let (reply, answer) = oneshot::channel();
        match self.orders.try_send(order(reply)) {
            Ok(()) => answer.await.map_err(|_| stopping())?,
            Err(mpsc::error::TrySendError::Full(_)) => Err(Refusal::Unavailable(format!(
                "more than {QUEUE} changes wait; try again"
            ))),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(stopping()),
        }
    }
}

/// The desk's own side. Give it to one task: [`DeskRunner::run`].
pub struct DeskRunner {
    orders: mpsc::Receiver<Order>,
    steps: mpsc::Receiver<StepDone>,
    desired: watch::Sender<Arc<Desired>>,
    store: Arc<dyn StateStore>,
    revisions: Revisions,
    limits: Limits,
    announcer: Announcer,
    clock: Clock,
}

/// A desk that has read nothing yet.
#[must_use]
pub fn desk(store: Arc<dyn StateStore>, limits: Limits, hub: Hub, clock: Clock) -> (Desk, DeskRunner) {
    let (tx, orders) = mpsc::channel(QUEUE);
    let (steps_tx, steps) = mpsc::channel(STEPS);
    let (desired_tx, desired) = watch::channel(Arc::new(Desired::default()));
    let revisions = Revisions::default();
    let runner = DeskRunner {
        orders,
        steps,
        desired: desired_tx,
        store,
        revisions,
        limits,
        announcer: Announcer(hub),
        clock,
    };
    (
        Desk {
            orders: tx,
            steps: steps_tx,
            desired,
        },
        runner,
    )
}

impl DeskRunner {
    /// Works until the last handle is gone or `cancelled` ends. Whatever was answered is stored. What is wanted
    /// is read anew in every session of the broker.
    pub async fn run(
        mut self,
        waker: Waker,
        mut session: watch::Receiver<DriverState>,
        cancelled: CancellationToken,
    ) {
        loop {
            let live = live_session(&session.borrow_and_update());
            if live.is_some() && self.current().read_in != live {
                self.read(live).await;
                waker.wake();
            }
            let unread = live.is_some() && self.current().read_in != live;
            tokio::select! {
                biased;
                () = cancelled.cancelled() => return,
                changed = session.changed() => if changed.is_err() { return },
                order = self.orders.recv() => match order {
                    Some(order) => {
                        self.serve(order, live).await;
                        waker.wake();
                    }
                    None => return,
                },
                Some((deployment, step)) = self.steps.recv() => {
                    if self.leads(live) {
                        self.step_done(&deployment, step).await;
                        waker.wake();
                    }
                }
                () = tokio::time::sleep(READ_AGAIN), if unread => {}
            }
        }
    }

    /// Reads what is wanted; after a failure readers keep what they had.
    async fn read(&mut self, session: Option<SessionEpoch>) {
        match store::load(&*self.store).await {
            Ok((mut desired, revisions)) => {
                desired.read_in = session;
                desired.deployments = self.with_steps(desired.deployments);
                self.revisions = revisions;
                self.desired.send_replace(Arc::new(desired));
                let desired = self.current();
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

    /// Deployments that were under way here before go on with the step they were at.
    fn with_steps(&self, read: Vec<Arc<Deployment>>) -> Vec<Arc<Deployment>> {
        let known = self.current();
        let step = |d: Arc<Deployment>| match known.deployment(&d.plan.id) {
            Some(there) if there.plan == d.plan => Arc::clone(there),
            Some(_) | None => d,
        };
        read.into_iter().map(step).collect()
    }

    async fn serve(&mut self, order: Order, live: Option<SessionEpoch>) {
        let leads = self.leads(live);
        let no_session = || Refusal::Unavailable("the scheduler has no session of the broker".to_owned());
        // a caller that has gone away does not undo what it asked for
        match order {
            Order::Change { decide, force, reply } => {
                let answer = if leads {
                    self.change(decide, force).await
                } else {
                    Err(no_session())
                };
                let _ = reply.send(answer);
            }
            Order::Revert { deployment, reply } => {
                let answer = if leads {
                    self.revert(deployment).await
                } else {
                    Err(no_session())
                };
                let _ = reply.send(answer);
            }
            Order::Cancel { deployment, reply } => {
                let answer = if leads {
                    self.cancel(&deployment).await
                } else {
                    Err(no_session())
                };
                let _ = reply.send(answer);
            }
        }
    }

    /// Whether what is wanted was read in the session that lives: only then may it be changed.
    fn leads(&self, live: Option<SessionEpoch>) -> bool {
        live.is_some() && self.current().read_in == live
    }

    fn now(&self) -> Stamp {
        crate::instance::stamp(self.clock.now().0)
    }

    fn current(&self) -> Arc<Desired> {
        Arc::clone(&self.desired.borrow())
    }

    async fn change(&mut self, decide: Decide, force: Force) -> Result<Done, Refusal> {
        let before = self.current();
        let wishes = decide(&before)?;
        let occasion = Occasion {
            now: self.now(),
            deployment: uuid::Uuid::new_v4().to_string(),
            force,
        };
        let groups = groups_of(&wishes);
        let proposal = match change::propose(&before, wishes, &occasion, &self.limits) {
            Ok(proposal) => proposal,
            Err(declined) => {
                let Declined { refusal, plan } = *declined;
                self.announcer
                    .refused(self.now(), &before, &groups, plan, &refusal);
                return Err(refusal);
            }
        };
        self.take(before, proposal, &groups).await
    }

    async fn revert(&mut self, id: String) -> Result<Done, Refusal> {
        let before = self.current();
        let Some(deployment) = before.deployment(&id).cloned() else {
            return Err(Refusal::NoDeployment(id));
        };
        let decide = Box::new(move |desired: &Desired| Ok(change::reverting(desired, &deployment)));
        self.change(decide, Force::Yes).await
    }

    async fn take(
        &mut self,
        before: Arc<Desired>,
        proposal: Proposal,
        groups: &[AppId],
    ) -> Result<Done, Refusal> {
        if let Err(error) = store::save(&*self.store, &proposal, &mut self.revisions).await {
            return Err(self.not_stored(error).await);
        }
        let after = Arc::new(proposal.desired);
        let now = self.now();
        for cancelled in &proposal.cancelled {
            self.announcer.cancelled(now, &before, cancelled);
        }
        self.desired.send_replace(Arc::clone(&after));
        self.announcer.taken(now, groups, proposal.plan.version);
        if let Some(deployment) = after.deployment(&proposal.plan.id) {
            self.announcer.step(now, &after, deployment);
        }
        Ok(Done {
            before,
            after,
            plan: proposal.plan,
        })
    }

    async fn cancel(&mut self, id: &str) -> Result<(), Refusal> {
        let before = self.current();
        let Some(deployment) = before.deployment(id) else {
            return Err(Refusal::NoDeployment(id.to_owned()));
        };
        if let Err(error) = store::end_deployment(&*self.store, id, &mut self.revisions).await {
            return Err(self.not_stored(error).await);
        }
        self.announcer.cancelled(self.now(), &before, deployment);
        let mut after = (*before).clone();
        after.deployments.retain(|d| d.plan.id != id);
        self.desired.send_replace(Arc::new(after));
        Ok(())
    }

    /// The step itself is not stored: a plan that is begun again finds its steps done.
    async fn step_done(&mut self, id: &str, step: usize) {
        let before = self.current();
        let Some(deployment) = before.deployment(id).filter(|d| d.step == step) else {
            return;
        };
        let mut next = (**deployment).clone();
        next.step += 1;
        let over = next.current().is_empty();
        if over && let Err(error) = store::end_deployment(&*self.store, id, &mut self.revisions).await {
            let refusal = self.not_stored(error).await;
            tracing::warn!(deployment = id, %refusal, "the end of a deployment is not stored yet");
            return;
        }
        let now = self.now();
        self.announcer.step_success(now, &before, deployment);
        let next = Arc::new(next);
        let mut after = (*before).clone();
        if over {
            after.deployments.retain(|d| d.plan.id != id);
        } else if let Some(slot) = after.deployments.iter_mut().find(|d| d.plan.id == id) {
            *slot = Arc::clone(&next);
        }
        let after = Arc::new(after);
        self.desired.send_replace(Arc::clone(&after));
        if over {
            self.announcer.success(now, &after, &next);
        } else {
            self.announcer.step(now, &after, &next);
        }
    }

    /// What the caller is told; if somebody else has written, what is wanted is read again.
    async fn not_stored(&mut self, error: StateError) -> Refusal {
        match error.class() {
            Class::Fatal => tracing::error!(%error, "the state store refuses a change"),
            Class::Retry | Class::Conflict => tracing::warn!(%error, "a change is not stored"),
        }
        // after an unknown outcome or a foreign write only the store knows what is wanted
        let session = self.current().read_in;
        self.read(session).await;
        Refusal::Unavailable(format!("the change is not stored: {error}"))
    }
}

/// The groups of the apps that wishes are about, each once.
fn groups_of(wishes: &[(AppId, Wish)]) -> Vec<AppId> {
    let mut groups: Vec<_> = wishes.iter().map(|(id, _)| id.parent()).collect();
    groups.sort();
    groups.dedup();
    groups
}
