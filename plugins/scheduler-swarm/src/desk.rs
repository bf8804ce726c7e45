//! The desk's clerk: lets each change decide on the newest state, stores its edits, and only then shows them.

use crate::error::ApiError;
use crate::store::{self, Desired, Edits};
use async_trait::async_trait;
use plenum_contract::state_store::StateStore;
use plenum_model::ids::SessionEpoch;
use plenum_sdk::desk::{self, Board, Clerk, DeskRunner, NotTaken, Wanted};
use std::sync::Arc;
use tokio::sync::{oneshot, watch};

/// Changes that may wait: each waits for a disk anyway, so a longer queue only hides overload.
const QUEUE: usize = 256;

/// Decides what to write, looking at what is wanted at the moment it is its turn. No edits: nothing to do.
pub type Decide = Box<dyn FnOnce(&Desired) -> Result<Edits, ApiError> + Send>;

/// A change; the planner's own have nobody who waits for them.
pub struct Order {
    decide: Decide,
    reply: Option<oneshot::Sender<Result<Arc<Desired>, ApiError>>>,
}

impl Wanted for Desired {
    fn read_in(&self) -> Option<SessionEpoch> {
        self.read_in
    }
}

impl From<NotTaken> for ApiError {
    fn from(why: NotTaken) -> Self {
        Self::unavailable(why.to_string())
    }
}

/// A handle on the desk.
#[derive(Clone)]
pub struct Desk(desk::Desk<Order, Desired>);

impl Desk {
    /// What is wanted.
    #[must_use]
    pub fn desired(&self) -> Arc<Desired> {
        self.0.wanted()
    }

    /// Follows what is wanted.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<Desired>> {
        self.0.watch()
    }

    /// Waits until what is wanted has been read.
    ///
    /// # Errors
    /// If the desk ends before.
    pub async fn until_read(&self) -> Result<(), NotTaken> {
        self.0.until_read().await
    }

    /// Decides and stores; what is wanted afterwards.
    ///
    /// # Errors
    /// What `decide` refuses; 503 if it cannot be stored.
    pub async fn change(
        &self,
        decide: impl FnOnce(&Desired) -> Result<Edits, ApiError> + Send + 'static,
    ) -> Result<Arc<Desired>, ApiError> {
        let decide: Decide = Box::new(decide);
        let order = |reply| Order {
            decide,
            reply: Some(reply),
        };
        self.0.ask(order).await
    }

    /// The planner's own changes: whoever finds the same again notes it again, so one may be dropped. Says
    /// whether it was taken.
    pub fn note(&self, decide: impl FnOnce(&Desired) -> Result<Edits, ApiError> + Send + 'static) -> bool {
        let decide = Box::new(decide);
        self.0.note(Order { decide, reply: None })
    }
}

/// A desk that has read nothing yet, with the side that works and its clerk.
#[must_use]
pub fn desk(store: Arc<dyn StateStore>) -> (Desk, DeskRunner<Order, Desired>, DeskClerk) {
    let (desk, runner) = desk::desk(QUEUE);
    (Desk(desk), runner, DeskClerk(store))
}

/// Writes what is wanted.
pub struct DeskClerk(Arc<dyn StateStore>);

#[async_trait]
impl Clerk for DeskClerk {
    type Order = Order;
    type Wanted = Desired;

    async fn read(&mut self, board: &Board<Desired>, session: Option<SessionEpoch>) {
        match store::load(&*self.0).await {
            Ok(mut desired) => {
                desired.read_in = session;
                board.show(Arc::new(desired));
            }
            Err(error) => tracing::warn!(%error, "what is wanted cannot be read yet"),
        }
    }

    async fn serve(&mut self, order: Order, board: &Board<Desired>, may: Result<(), NotTaken>) -> bool {
        let result = match may {
            Ok(()) => self.change(board, order.decide).await,
            Err(why) => Err(why.into()),
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
}

impl DeskClerk {
    /// What is wanted afterwards, and whether anything was written.
    async fn change(
        &mut self,
        board: &Board<Desired>,
        decide: Decide,
    ) -> Result<(Arc<Desired>, bool), ApiError> {
        let before = board.current();
        let edits = decide(&before)?;
        if edits.is_empty() {
            return Ok((before, false));
        }
        let (compares, writes, apply) = edits.into_parts();
        let revision = match self.0.txn(compares, writes).await {
            Ok(revision) => revision,
            Err(error) => {
                tracing::warn!(%error, "a change is not stored");
                // after an unknown outcome or a foreign write only the store knows what is wanted
                self.read(board, before.read_in).await;
                return Err(error.into());
            }
        };
        let mut after = (*before).clone();
        apply.into_iter().for_each(|a| a(&mut after, revision.0));
        let after = Arc::new(after);
        board.show(Arc::clone(&after));
        Ok((after, true))
    }
}
