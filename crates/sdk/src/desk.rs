//! The desk: the one writer of what a scheduler's users want. Orders come over one bounded queue and each is
//! decided on the newest state; a [`Clerk`] stores and only then shows: readers hold the newest value, and the
//! planner is woken.
//!
//! What is wanted is read anew in every session of the broker, because another instance of the scheduler may have
//! written between two; nothing read before the session that lives is changed or planned for.

use crate::driver::{DriverState, Waker};
use async_trait::async_trait;
use plenum_model::ids::SessionEpoch;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// How long to wait before reading again what could not be read.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// The driver's state, for a planner that is made before its driver: set once, right after that is started.
pub type SessionState = OnceLock<watch::Receiver<DriverState>>;

/// What users want, whole, as one value.
pub trait Wanted: Default + Send + Sync + 'static {
    /// The session of the broker in which it was read; none: not yet.
    fn read_in(&self) -> Option<SessionEpoch>;

    /// Whether it was read in the session that lives: only then may it be changed, or planned for.
    fn is_current(&self, live: Option<SessionEpoch>) -> bool {
        live.is_some() && self.read_in() == live
    }
}

/// Why an order was not taken. Nothing of it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// The queue is full.
    #[error("more than {0} changes wait; try again")]
    Full(usize),
    /// No session lives, or what is wanted was not yet read in it.
    #[error("the scheduler has no session of the broker")]
    NoSession,
    /// The desk ends.
    #[error("the scheduler is stopping")]
    Stopping,
}

/// Does the orders of a desk. It alone writes what is wanted.
#[async_trait]
pub trait Clerk: Send {
    /// What it is told to do.
    type Order: Send + 'static;
    /// What it keeps.
    type Wanted: Wanted;

    /// Reads what is wanted and shows it, marked with the session; after a failure readers keep what they had.
    async fn read(&mut self, board: &Board<Self::Wanted>, session: Option<SessionEpoch>);

    /// Does one order and answers it; `may` says why nothing may be changed now. Returns whether the planner has
    /// something to look at.
    async fn serve(
        &mut self,
        order: Self::Order,
        board: &Board<Self::Wanted>,
        may: Result<(), NotTaken>,
    ) -> bool;
}

/// Where a clerk shows what is wanted.
#[derive(Debug)]
pub struct Board<W>(watch::Sender<Arc<W>>);

impl<W> Board<W> {
    /// What is shown.
    #[must_use]
    pub fn current(&self) -> Arc<W> {
        Arc::clone(&self.0.borrow())
    }

    /// Shows something newer.
    pub fn show(&self, wanted: Arc<W>) {
        self.0.send_replace(wanted);
    }
}

/// A handle on the desk.
#[derive(Debug)]
pub struct Desk<O, W> {
    orders: mpsc::Sender<O>,
    wanted: watch::Receiver<Arc<W>>,
}

impl<O, W> Clone for Desk<O, W> {
    fn clone(&self) -> Self {
        Self {
            orders: self.orders.clone(),
            wanted: self.wanted.clone(),
        }
    }
}

impl<O: Send + 'static, W: Wanted> Desk<O, W> {
    /// What is wanted, as stored.
    #[must_use]
    pub fn wanted(&self) -> Arc<W> {
        Arc::clone(&self.wanted.borrow())
    }

    /// Follows what is wanted.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<W>> {
        self.wanted.clone()
    }

    /// Waits until what is wanted was read for the first time.
    ///
    /// # Errors
    /// `Stopping` when the desk has ended before.
    pub async fn until_read(&self) -> Result<(), NotTaken> {
        let mut wanted = self.wanted.clone();
        let read = wanted.wait_for(|w| w.read_in().is_some()).await;
        read.map(|_| ()).map_err(|_| NotTaken::Stopping)
    }

    /// Gives an order and waits for its answer.
    ///
    /// # Errors
    /// What the clerk answers; [`NotTaken`] when it never gets it.
    pub async fn ask<T, E: From<NotTaken>>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<T, E>>) -> O,
    ) -> Result<T, E> {
        let (reply, answer) = oneshot::channel();
        match self.orders.try_send(order(reply)) {
            Ok(()) => answer.await.map_err(|_| E::from(NotTaken::Stopping))?,
            Err(mpsc::error::TrySendError::Full(_)) => Err(NotTaken::Full(self.orders.max_capacity()).into()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(NotTaken::Stopping.into()),
        }
    }

    /// Gives an order that nobody waits for, such as a planner's, who gives it again when it finds the same
    /// again. Says whether there was room for it.
    pub fn note(&self, order: O) -> bool {
        self.orders.try_send(order).is_ok()
    }
}

/// The desk's own side. Give it to one task: [`DeskRunner::run`].
#[derive(Debug)]
pub struct DeskRunner<O, W> {
    orders: mpsc::Receiver<O>,
    board: Board<W>,
}

/// A desk that has read nothing yet, at which so many orders may wait.
#[must_use]
pub fn desk<O: Send + 'static, W: Wanted>(queue: usize) -> (Desk<O, W>, DeskRunner<O, W>) {
    let (tx, orders) = mpsc::channel(queue);
    let (board, wanted) = watch::channel(Arc::new(W::default()));
    let board = Board(board);
    (Desk { orders: tx, wanted }, DeskRunner { orders, board })
}

impl<O: Send + 'static, W: Wanted> DeskRunner<O, W> {
    /// Works until the last handle is gone or `cancelled` ends. An order begun is finished.
    pub async fn run(
        mut self,
        mut clerk: impl Clerk<Order = O, Wanted = W>,
        waker: Waker,
        mut session: watch::Receiver<DriverState>,
        cancelled: CancellationToken,
    ) {
        loop {
            let live = session.borrow_and_update().session();
            if live.is_some() && !self.board.current().is_current(live) {
                clerk.read(&self.board, live).await;
                waker.wake();
            }
            let current = self.board.current().is_current(live);
            let may = if current { Ok(()) } else { Err(NotTaken::NoSession) };
            tokio::select! {
                biased;
                () = cancelled.cancelled() => return,
                changed = session.changed() => if changed.is_err() { return },
                order = self.orders.recv() => match order {
                    Some(order) => {
                        if clerk.serve(order, &self.board, may).await {
                            waker.wake();
                        }
                    }
                    None => return,
                },
                () = tokio::time::sleep(READ_AGAIN), if live.is_some() && !current => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Clone)]
    struct Count {
        read_in: Option<SessionEpoch>,
        value: u32,
    }

    impl Wanted for Count {
        fn read_in(&self) -> Option<SessionEpoch> {
            self.read_in
        }
    }

    /// Adds; another instance has left 10 in the store.
    struct Adder;

    type Add = (u32, oneshot::Sender<Result<u32, NotTaken>>);

    #[async_trait]
    impl Clerk for Adder {
        type Order = Add;
        type Wanted = Count;

        async fn read(&mut self, board: &Board<Count>, read_in: Option<SessionEpoch>) {
            board.show(Arc::new(Count { read_in, value: 10 }));
        }

        async fn serve(&mut self, (n, reply): Add, board: &Board<Count>, may: Result<(), NotTaken>) -> bool {
            let answer = may.map(|()| {
                let mut next = (*board.current()).clone();
                next.value += n;
                board.show(Arc::new(next));
                board.current().value
            });
            let _ = reply.send(answer);
            true
        }
    }

    #[tokio::test]
    async fn orders_are_taken_in_the_session_in_which_all_was_read_and_in_no_other() {
        let (desk, runner) = desk::<Add, Count>(4);
        let (state, states) = watch::channel(DriverState::Opening);
        let cancelled = CancellationToken::new();
        let task = tokio::spawn(runner.run(Adder, Waker::default(), states, cancelled.clone()));
        let add = |n| {
            let desk = desk.clone();
            async move { desk.ask(|reply| (n, reply)).await }
        };
        assert_eq!(add(1).await, Err(NotTaken::NoSession));
        state.send_replace(DriverState::Live(SessionEpoch(1)));
        desk.until_read().await.expect("it reads");
        assert_eq!(add(1).await, Ok(11));
        state.send_replace(DriverState::Down { why: String::new() });
        let mut wanted = desk.watch();
        assert_eq!(add(1).await, Err(NotTaken::NoSession));
        state.send_replace(DriverState::Live(SessionEpoch(2)));
        wanted
            .wait_for(|w| w.read_in == Some(SessionEpoch(2)))
            .await
            .expect("it reads again");
        assert_eq!(
            add(1).await,
            Ok(11),
            "what the other instance left, not what was known"
        );
        cancelled.cancel();
        task.await.expect("it ends");
        assert_eq!(add(1).await, Err(NotTaken::Stopping));
    }

    #[tokio::test]
    async fn a_full_queue_is_said_and_a_note_is_dropped() {
        let (desk, _runner) = desk::<Add, Count>(1);
        let order = || (1, oneshot::channel().0);
        assert!(desk.note(order()));
        assert!(!desk.note(order()));
        let full: Result<u32, NotTaken> = desk.ask(|reply| (1, reply)).await;
        assert_eq!(full, Err(NotTaken::Full(1)));
    }
}
