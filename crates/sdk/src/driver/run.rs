//! The loop of the driver. Owns the session, the writing end of the mirror and the planner; see `mod` for the
//! picture. Everything it waits for is in one `select!`.

use super::apply::{Applier, Outcome, was_not_taken};
use super::{DriverConfig, DriverState};
use crate::mirror::MirrorWriter;
use crate::observed::Observed;
use crate::planner::Planner;
use crate::time::{Clock, Moment};
use futures::{FutureExt, StreamExt};
use plenum_contract::broker::{API_VERSIONS, Broker, BrokerError, Hello, WatchBatch, WatchStream};
use plenum_model::ids::Cursor;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// Batches taken in before planning: bounds how long news can hold a plan up.
const DRAIN: usize = 256;
/// The broker needs acknowledgements to forget, which is never urgent.
const ACK_EVERY: Duration = Duration::from_millis(250);

pub(super) struct Runner<P> {
    broker: Arc<dyn Broker>,
    config: DriverConfig,
    planner: P,
    mirror: MirrorWriter,
    clock: Clock,
    wake: Arc<Notify>,
    state: watch::Sender<DriverState>,
}

/// What a session's loop remembers.
struct Pace {
    /// Something may have to be done.
    dirty: bool,
    /// No plan before this.
    not_before: Moment,
    /// A plan at this moment at the latest.
    wake_at: Option<Moment>,
    /// Calls in a row that were not taken.
    overloads: u32,
    acked_at: Moment,
    unacked: bool,
}

impl<P: Planner> Runner<P> {
    pub(super) fn new(
        broker: Arc<dyn Broker>,
        config: DriverConfig,
        planner: P,
        mirror: MirrorWriter,
        wake: Arc<Notify>,
        state: watch::Sender<DriverState>,
    ) -> Self {
        Self {
            broker,
            config,
            planner,
            mirror,
            clock: Clock::default(),
            wake,
            state,
        }
    }

    pub(super) async fn run(mut self, cancel: CancellationToken) {
        let ended = cancel.run_until_cancelled(self.sessions()).await;
        debug_assert!(ended.is_none(), "sessions go on until cancelled");
        self.mirror.write(Observed::end_session);
        self.state.send_replace(DriverState::Stopped);
    }

    async fn sessions(&mut self) {
        let mut failures = 0;
        loop {
            self.state.send_replace(DriverState::Opening);
            let mut lived = false;
            let Err(error) = self.session(&mut lived).await;
            self.mirror.write(Observed::end_session);
            failures = if lived { 1 } else { failures + 1 };
            let delay = self.config.retry.delay(failures);
            tracing::warn!(%error, ?delay, scheduler = %self.config.scheduler, "session ended");
            self.state.send_replace(DriverState::Down {
                why: error.to_string(),
            });
            tokio::time::sleep(delay).await;
        }
    }

    /// One session from its opening to its end, which is always an error.
    async fn session(&mut self, lived: &mut bool) -> Result<Never, BrokerError> {
        let session = self
            .broker
            .open(Hello {
                scheduler: self.config.scheduler.clone(),
                kind: self.config.kind.clone(),
                api: API_VERSIONS,
                watch_nodes: self.config.watch_nodes,
            })
            .await?;
        self.state.send_replace(DriverState::Syncing(session.epoch()));
        self.mirror.write(Observed::begin_session);
        // From the start, not from the last cursor: only the end of a snapshot proves that the mirror has
        // everything of which the outcome was unknown when the last session broke.
        let mut watch = session.watch(None).await?;
        let mut applier = Applier::new(Arc::clone(&session), self.config.batch);
        let mut pace = Pace {
            dirty: true,
            not_before: Moment(0),
            wake_at: None,
            overloads: 0,
            acked_at: self.clock.now(),
            unacked: false,
        };
        loop {
            self.wait(&mut watch, &mut pace).await?;
            let synced = self.mirror.read(Observed::is_synced);
            if synced && !*lived {
                *lived = true;
                self.state.send_replace(DriverState::Live(session.epoch()));
            }
            let now = self.clock.now();
            if synced && pace.dirty && now >= pace.not_before {
                self.plan(&mut applier, &mut pace).await?;
            }
            if let Some(cursor) = self.ack_due(&mut pace) {
                match session.ack(cursor).await {
                    // The next one says the same and more.
                    Err(e) if was_not_taken(&e) => pace.unacked = true,
                    other => other?,
                }
            }
        }
    }

    /// Waits for news, a wake-up or a timer, and takes news in.
    async fn wait(&mut self, watch: &mut WatchStream, pace: &mut Pace) -> Result<(), BrokerError> {
        let now = self.clock.now();
        let timer = pace.next_timer().map(|at| at.since(now));
        tokio::select! {
            biased;
            batch = watch.next() => {
                self.take(batch)?;
                for _ in 0..DRAIN {
                    match watch.next().now_or_never() {
                        Some(batch) => self.take(batch)?,
                        None => break,
                    }
                }
                pace.dirty = true;
                pace.unacked = true;
            }
            () = self.wake.notified() => pace.dirty = true,
            () = tokio::time::sleep(timer.unwrap_or_default()), if timer.is_some() => {
                let now = self.clock.now();
                pace.dirty |= pace.wake_at.is_some_and(|at| at <= now);
            }
        }
        Ok(())
    }

    fn take(&mut self, batch: Option<Result<WatchBatch, BrokerError>>) -> Result<(), BrokerError> {
        let batch = batch.unwrap_or_else(|| {
            Err(BrokerError::Unavailable {
                why: "the watch has ended".to_owned(),
            })
        })?;
        let now = self.clock.now();
        let changes = self.mirror.write(|m| m.apply(now, batch));
        if !changes.is_empty() {
            self.planner.noticed(now, &changes);
        }
        Ok(())
    }

    async fn plan(&mut self, applier: &mut Applier, pace: &mut Pace) -> Result<(), BrokerError> {
        let now = self.clock.now();
        pace.dirty = false;
        let plan = self.mirror.read(|observed| self.planner.plan(now, observed));
        pace.wake_at = plan.wake_at;
        pace.not_before = now.plus(self.config.settle);
        let outcome = applier.apply(plan, &self.mirror, &self.clock).await;
        self.settle(outcome?, pace);
        Ok(())
    }

    fn settle(&mut self, outcome: Outcome, pace: &mut Pace) {
        let now = self.clock.now();
        if !outcome.refused.is_empty() {
            for refusal in &outcome.refused {
                tracing::warn!(%refusal, "a step was refused");
            }
            self.planner.refused(now, &outcome.refused);
            pace.wake_by(now.plus(self.config.retry_refused));
        }
        pace.dirty |= outcome.learnt;
        if let Some(error) = outcome.not_taken {
            pace.overloads += 1;
            let delay = self.config.retry.delay(pace.overloads);
            tracing::warn!(%error, ?delay, "a call was not taken");
            pace.dirty = true;
            pace.not_before = now.plus(delay);
        } else {
            pace.overloads = 0;
        }
    }

    /// What is to be acknowledged now.
    fn ack_due(&self, pace: &mut Pace) -> Option<Cursor> {
        let now = self.clock.now();
        if !pace.unacked || now < pace.acked_at.plus(ACK_EVERY) {
            return None;
        }
        pace.acked_at = now;
        pace.unacked = false;
        self.mirror.read(Observed::cursor)
    }
}

/// There is no such value.
enum Never {}

impl Pace {
    fn wake_by(&mut self, at: Moment) {
        self.wake_at = Some(self.wake_at.map_or(at, |have| have.min(at)));
    }

    /// The next moment at which something is to be done without news.
    fn next_timer(&self) -> Option<Moment> {
        let plan = if self.dirty {
            Some(self.not_before)
        } else {
            self.wake_at
        };
        let ack = self.unacked.then(|| self.acked_at.plus(ACK_EVERY));
        plan.into_iter().chain(ack).min()
    }
}
