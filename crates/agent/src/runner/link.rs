//! The link to the broker: attaches, again and again, keeps the lease with heartbeats, hands on what comes.
//! One task; it owns the attachment.

use super::core::Event;
use crate::supervisor::Input;
use futures::StreamExt;
use plenum_contract::broker::API_VERSIONS;
use plenum_contract::dispatcher::{AgentHello, AgentMessage, BrokerMessage, DispatchError, Dispatcher};
use plenum_contract::error::{Class, Classified};
use plenum_model::ids::{LeaderEpoch, NodeId};
use plenum_model::node::NodeFacts;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

/// Messages on their way to the broker. Each holds up to 1,000 observations; more would only hide a slow broker.
const UP_DEPTH: usize = 16;

/// Delays between attempts, in milliseconds: first and last.
const AGAIN: (u64, u64) = (200, 10_000);

/// An attachment that lasted so long ends the row of failed ones.
const GOOD: Duration = Duration::from_secs(30);

/// See the module.
pub(super) struct Link {
    pub(super) node: NodeId,
    pub(super) dispatcher: Arc<dyn Dispatcher>,
    pub(super) facts: watch::Receiver<NodeFacts>,
    pub(super) epoch: watch::Receiver<LeaderEpoch>,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) reattach: Arc<Notify>,
    pub(super) stop: CancellationToken,
}

impl Link {
    /// Runs until the agent is stopped.
    pub(super) async fn run(mut self) {
        let stop = self.stop.clone();
        let mut failed = 0;
        loop {
            let since = Instant::now();
            let Some(ended) = stop.run_until_cancelled(self.attach()).await else {
                return;
            };
            if self.events.send(Event::Input(Input::Detached)).await.is_err() {
                return;
            }
            failed = if since.elapsed() >= GOOD { 1 } else { failed + 1 };
            let pause = pause(failed);
            match ended.class() {
                // Once, and then quietly: a broker that is away for long does not fill the log.
                Class::Retry if failed == 1 => {
                    tracing::warn!(node = %self.node, why = %ended, "not attached to the broker; it is tried again");
                }
                Class::Retry => tracing::info!(node = %self.node, why = %ended, ?pause, "detached"),
                Class::Conflict | Class::Fatal => {
                    tracing::warn!(node = %self.node, why = %ended, ?pause, "the broker refuses");
                }
            }
            if stop
                .run_until_cancelled(tokio::time::sleep(pause))
                .await
                .is_none()
            {
                return;
            }
        }
    }

    /// One attachment, until it ends.
    async fn attach(&mut self) -> DispatchError {
        let (up, messages) = mpsc::channel(UP_DEPTH);
        let hello = AgentHello {
            facts: self.facts.borrow_and_update().clone(),
            epoch: *self.epoch.borrow(),
            api: API_VERSIONS,
        };
        let attached = self
            .dispatcher
            .attach(hello, ReceiverStream::new(messages).boxed())
            .await;
        let mut stream = match attached {
            Ok(stream) => stream,
            Err(e) => return e,
        };
        let mut heartbeat: Option<tokio::time::Interval> = None;
        let reattach = Arc::clone(&self.reattach);
        loop {
            tokio::select! {
                message = stream.next() => match message {
                    None => return gone("the broker ended the stream"),
                    Some(Err(e)) => return e,
                    Some(Ok(BrokerMessage::Welcome { epoch, lease_ms })) => {
                        if epoch < *self.epoch.borrow() {
                            return gone("it is not the leader any more");
                        }
                        heartbeat = Some(every(lease_ms / 3));
                        if self.events.send(Event::Attached(epoch, up.clone())).await.is_err() {
                            return gone("the agent stops");
                        }
                    }
                    Some(Ok(message)) => if self.events.send(event(message)).await.is_err() {
                        return gone("the agent stops");
                    },
                },
                () = tick(heartbeat.as_mut()) => match up.try_send(AgentMessage::Heartbeat) {
                    // A full queue is full of signs of life.
                    Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => {}
                    Err(mpsc::error::TrySendError::Closed(_)) => return gone("the connection broke"),
                },
                Ok(()) = self.facts.changed(), if heartbeat.is_some() => {
                    let facts = Box::new(self.facts.borrow_and_update().clone());
                    if up.send(AgentMessage::Facts(facts)).await.is_err() {
                        return gone("the connection broke");
                    }
                }
                () = reattach.notified() => return gone("the agent needs the full set"),
            }
        }
    }
}

fn event(message: BrokerMessage) -> Event {
    match message {
        BrokerMessage::Welcome { epoch, .. } => Event::Input(Input::Attached(epoch)),
        BrokerMessage::Assignments(batch) => Event::Input(Input::Assignments(batch)),
        BrokerMessage::Acked(seq) => Event::Input(Input::Acked(seq)),
        BrokerMessage::OpenStream {
            stream,
            task,
            request,
        } => Event::OpenStream(stream, task, request),
        BrokerMessage::OpenNode { stream, request } => Event::OpenNode(stream, request),
    }
}

fn gone(why: &str) -> DispatchError {
    DispatchError::Unavailable { why: why.to_owned() }
}

fn every(ms: u64) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(Duration::from_millis(ms.max(1)));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

async fn tick(interval: Option<&mut tokio::time::Interval>) {
    match interval {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}

/// The pause after `failed` attempts in a row: doubled up to the cap, then half of it by chance, so that the
/// agents of a restarted broker do not come all at once.
fn pause(failed: u32) -> Duration {
    let (first, cap) = AGAIN;
    let full = first
        .saturating_mul(1 << failed.saturating_sub(1).min(16))
        .min(cap);
    Duration::from_millis(full / 2 + chance() % (full / 2 + 1))
}

/// A number without a pattern: the standard library seeds its hasher anew each time.
fn chance() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0_u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_cap_and_differ() {
        for (failed, low, high) in [(1, 100, 200), (3, 400, 800), (40, 5_000, 10_000)] {
            for _ in 0..50 {
                let ms = pause(failed).as_millis();
                assert!((low..=high).contains(&ms), "{failed}: {ms}");
            }
        }
        let differ: std::collections::BTreeSet<_> = (0..50).map(|_| pause(10)).collect();
        assert!(differ.len() > 1);
    }
}
