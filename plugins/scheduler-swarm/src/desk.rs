//! The desk: the one writer of what is wanted. Takes changes over one bounded queue, lets each decide on the
//! newest state, stores, and only then shows: readers hold the newest value, the planner is woken.

use crate::error::ApiError;
use crate::session::live_session;
use crate::store::{self, Desired, Edits};
use plenum_contract::state_store::StateStore;
use plenum_model::ids::SessionEpoch;
use plenum_sdk::driver::{DriverState, Waker};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// Changes that may wait: each waits for a disk anyway, so a longer queue only hides overload.
const QUEUE: usize = 256;
/// How long to wait before reading again what could not be read.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// Decides what to write, looking at what is wanted at the moment it is its turn. No edits: nothing to do.
pub type Decide = Box<dyn FnOnce(&Desired) -> Result<Edits, ApiError> + Send>;

struct Order {
    decide: Decide,
    reply: Option<oneshot::Sender<Result<Arc<Desired>, ApiError>>>,
}

/// A handle on the desk.
#[derive(Clone)]
pub struct Desk {
    orders: mpsc::Sender<Order>,
    desired: watch::Receiver<Arc<Desired>>,
}

impl Desk {
    /// What is wanted.
    #[must_use]
    pub fn desired(&self) -> Arc<Desired> {
        Arc::clone(&self.desired.borrow())
    }

    /// Follows what is wanted.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<Desired>> {
        self.desired.clone()
    }

    /// Decides and stores; what is wanted afterwards.
    ///
    /// # Errors
    /// What `decide` refuses; 503 if it cannot be stored.
    pub async fn change(
        &self,
        decide: impl FnOnce(&Desired) -> Result<Edits, ApiError> + Send + 'static,
    ) -> Result<Arc<Desired>, ApiError> {
        let stopping = || ApiError::unavailable("the scheduler is stopping");
        let (reply, answer) = oneshot::channel();
        let order = Order {
            decide: Box::new(decide),
            reply: Some(reply),
        };
        match self.orders.try_send(order) {
            Ok(()) => answer.await.map_err(|_| stopping())?,
            Err(mpsc::error::TrySendError::Full(_)) => Err(ApiError::unavailable(format!(
                "more than {QUEUE} changes wait; try again"
            ))),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(stopping()),
        }
    }

    /// The planner's own changes: whoever finds the same again notes it again, so one may be dropped. Says
    /// whether it was taken.
    pub fn note(&self, decide: impl FnOnce(&Desired) -> Result<Edits, ApiError> + Send + 'static) -> bool {
        let order = Order {
            decide: Box::new(decide),
            reply: None,
        };
        self.orders.try_send(order).is_ok()
    }

    /// Waits until what is wanted has been read.
    ///
    /// # Errors
    /// 503 if the desk ends before.
    pub async fn until_read(&self) -> Result<(), ApiError> {
        let mut desired = self.desired.clone();
        desired
            .wait_for(|d| d.read_in.is_some())
            .await
            .map(|_| ())
            .map_err(|_| ApiError::unavailable("the scheduler is stopping"))
    }
}

/// The desk's own side. Give it to one task: [`DeskRunner::run`].
pub struct DeskRunner {
    orders: mpsc::Receiver<Order>,
    desired: watch::Sender<Arc<Desired>>,
    store: Arc<dyn StateStore>,
}

/// A desk that has read nothing yet.
#[must_use]
pub fn desk(store: Arc<dyn StateStore>) -> (Desk, DeskRunner) {
    let (tx, orders) = mpsc::channel(QUEUE);
    let (desired_tx, desired) = watch::channel(Arc::new(Desired::default()));
    let runner = DeskRunner {
        orders,
        desired: desired_tx,
        store,
    };
    (Desk { orders: tx, desired }, runner)
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
                        if self.serve(order, live).await {
                            waker.wake();
                        }
                    }
                    None => return,
                },
                () = tokio::time::sleep(READ_AGAIN), if unread => {}
            }
        }
    }

    /// Reads what is wanted; after a failure readers keep what they had.
    async fn read(&mut self, session: Option<SessionEpoch>) {
        match store::load(&*self.store).await {
            Ok(mut desired) => {
                desired.read_in = session;
                self.desired.send_replace(Arc::new(desired));
            }
            Err(error) => tracing::warn!(%error, "what is wanted cannot be read yet"),
        }
    }

    fn current(&self) -> Arc<Desired> {
        Arc::clone(&self.desired.borrow())
    }

    /// Says whether anything was written.
    async fn serve(&mut self, order: Order, live: Option<SessionEpoch>) -> bool {
        let before = self.current();
        // only what was read in the session that lives may be changed
        let result = if live.is_some() && before.read_in == live {
            self.change(before, order.decide).await
        } else {
            Err(ApiError::unavailable(
                "the scheduler has no session of the broker",
            ))
        };
        let wrote = matches!(result, Ok((_, true)));
        match order.reply {
            // a caller that has gone away does not undo what it asked for
            Some(reply) => {
                let _ = reply.send(result.map(|(desired, _)| desired));
            }
            None => {
                if let Err(error) = result {
                    tracing::debug!(%error, "a note of the planner is not stored yet");
                }
            }
        }
        wrote
    }

    async fn change(
        &mut self,
        before: Arc<Desired>,
        decide: Decide,
    ) -> Result<(Arc<Desired>, bool), ApiError> {
        let edits = decide(&before)?;
        if edits.is_empty() {
            return Ok((before, false));
        }
        let (compares, writes, apply) = edits.into_parts();
        let revision = match self.store.txn(compares, writes).await {
            Ok(revision) => revision,
            Err(error) => {
                tracing::warn!(%error, "a change is not stored");
                // after an unknown outcome or a foreign write only the store knows what is wanted
                self.read(before.read_in).await;
                return Err(error.into());
            }
        };
        let mut after = (*before).clone();
        apply.into_iter().for_each(|a| a(&mut after, revision.0));
        let after = Arc::new(after);
        self.desired.send_replace(Arc::clone(&after));
        Ok((after, true))
    }
}
