//! The reconcile driver: a level-triggered loop that makes the pool match what a planner says.
//!
//! One task owns session, mirror and planner:
//!
//! ```text
//!           +--> open (waits as stand-by) --> snapshot --> live: watch | wake | timer
//!           |                                               | plan, apply, ack
//!           +---- back-off <---- session lost --------------+
//! ```
//!
//! Ids are derived and verbs are idempotent, so a driver that died at any point, or whose call had an unknown
//! outcome, opens a session again, takes in the snapshot and plans: no step is lost or done twice.
//! Read `run` for the loop and `apply` for what becomes of a plan.

mod apply;
mod run;
#[cfg(test)]
mod tests;

use crate::backoff::Backoff;
use crate::mirror::{Mirror, pair};
use crate::observed::Observed;
use crate::planner::Planner;
use plenum_contract::broker::Broker;
use plenum_model::ids::{SchedulerId, SessionEpoch};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How a driver behaves.
#[derive(Debug, Clone)]
pub struct DriverConfig {
    /// The scheduler's name.
    pub scheduler: SchedulerId,
    /// The orchestrator it speaks.
    pub kind: String,
    /// Whether the mirror has nodes, too.
    pub watch_nodes: bool,
    /// Delays between attempts to get a session again, and between attempts of a call that was not taken.
    pub retry: Backoff,
    /// The least time between two plans: news that come together are planned for once.
    pub settle: Duration,
    /// When to plan again although only refused steps are left.
    pub retry_refused: Duration,
    /// The most tasks in one call.
    pub batch: usize,
}

impl DriverConfig {
    /// The usual: no nodes, retries from 100 ms to 5 s, plans at least 5 ms apart, 1,000 tasks a call.
    #[must_use]
    pub fn new(scheduler: SchedulerId, kind: impl Into<String>) -> Self {
        Self {
            scheduler,
            kind: kind.into(),
            watch_nodes: false,
            retry: Backoff::new(Duration::from_millis(100), 2.0, Duration::from_secs(5)),
            settle: Duration::from_millis(5),
            retry_refused: Duration::from_secs(10),
            batch: 1000,
        }
    }

    /// The same with nodes in the mirror.
    #[must_use]
    pub fn with_nodes(mut self) -> Self {
        self.watch_nodes = true;
        self
    }
}

/// What a driver is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DriverState {
    /// It asks for a session; if another instance of the scheduler lives, this one stands by.
    Opening,
    /// It has a session and takes in the snapshot.
    Syncing(SessionEpoch),
    /// It follows the pool.
    Live(SessionEpoch),
    /// The session is gone; it will ask for another.
    Down {
        /// What was observed.
        why: String,
    },
    /// It has ended.
    Stopped,
}

impl DriverState {
    /// The session that lives.
    #[must_use]
    pub fn session(&self) -> Option<SessionEpoch> {
        match self {
            Self::Syncing(epoch) | Self::Live(epoch) => Some(*epoch),
            Self::Opening | Self::Down { .. } | Self::Stopped => None,
        }
    }
}

/// A running driver. Dropping it stops it without waiting; [`Driver::stop`] waits.
#[derive(Debug)]
pub struct Driver {
    mirror: Mirror,
    waker: Waker,
    state: watch::Receiver<DriverState>,
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

/// Tells a driver that desired state has changed. Cheap, never blocks; many calls count as one. The default one
/// belongs to no driver: what it is told is told to nobody.
#[derive(Debug, Clone, Default)]
pub struct Waker(Arc<Notify>);

impl Waker {
    /// Plan again.
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

impl Driver {
    /// Starts the loop on the current runtime. It goes on until it is stopped, whatever becomes of sessions.
    #[must_use]
    pub fn start<P: Planner>(broker: Arc<dyn Broker>, config: DriverConfig, planner: P) -> Self {
        let (writer, mirror) = pair(Observed::new(config.scheduler.clone()));
        let (state_tx, state) = watch::channel(DriverState::Opening);
        let waker = Waker(Arc::new(Notify::new()));
        let cancel = CancellationToken::new();
        let runner = run::Runner::new(broker, config, planner, writer, Arc::clone(&waker.0), state_tx);
        let task = tokio::spawn(runner.run(cancel.clone()));
        Self {
            mirror,
            waker,
            state,
            cancel,
            task,
        }
    }

    /// What is observed.
    #[must_use]
    pub fn mirror(&self) -> Mirror {
        self.mirror.clone()
    }

    /// The handle that makes it plan again.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// What it is doing.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<DriverState> {
        self.state.clone()
    }

    /// Ends the loop and with it the session; the tasks run on.
    pub async fn stop(mut self) {
        self.cancel.cancel();
        if let Err(e) = (&mut self.task).await {
            tracing::error!(error = %e, "the reconcile driver died");
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}
