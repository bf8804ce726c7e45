//! The contract `Broker`, in process. One permit per scheduler makes sure that one session lives; the next in
//! line is the stand-by. A watch is a cursor that reads the view; nothing is queued for it.

use super::{BrokerHandle, Call, Failed, Inner, Reply, ToCore};
use crate::input::{Answer, Caller, Denied, Input};
use crate::view::watch::Reader;
use async_trait::async_trait;
use futures::stream;
use parking_lot::Mutex;
use plenum_contract::broker::{
    API_VERSIONS, Amend, Broker, BrokerError, Claimed, Hello, Refusal, Session, WatchBatch, WatchStream,
};
use plenum_model::claim::ClaimBatch;
use plenum_model::ids::{Cursor, SessionEpoch, TaskId};
use std::sync::Arc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

/// Pieces of one batch of a watch: small enough to hold no reader of the view up for long, large enough that a
/// snapshot of 100,000 tasks is 100 messages.
const PAGE: usize = 1_000;

#[async_trait]
impl Broker for BrokerHandle {
    async fn open(&self, hello: Hello) -> Result<Arc<dyn Session>, BrokerError> {
        let (low, high) = hello.api;
        if low > API_VERSIONS.1 || high < API_VERSIONS.0 {
            let ours = format!("{}-{}", API_VERSIONS.0, API_VERSIONS.1);
            let why = format!("this broker speaks versions {ours}, the scheduler {low}-{high}");
            return Err(BrokerError::Refused {
                field: "api".to_owned(),
                why,
            });
        }
        let gate = {
            let mut gates = self.0.gates.lock();
            let gate = gates
                .entry(hello.scheduler.clone())
                .or_insert_with(|| Arc::new(Semaphore::new(1)));
            Arc::clone(gate)
        };
        let waited = self.0.stop.run_until_cancelled(gate.acquire_owned()).await;
        let Some(Ok(permit)) = waited else {
            return Err(stopping());
        };
        // In a task of its own: a caller that gives up half-way leaves a session that ends at once, not one
        // that nobody can end.
        let opening = self.0.tracker.spawn(open(Arc::clone(&self.0), hello, permit));
        let session = opening.await.map_err(|_| stopping())??;
        Ok(Arc::new(session))
    }
}

async fn open(
    inner: Arc<Inner>,
    hello: Hello,
    permit: OwnedSemaphorePermit,
) -> Result<LiveSession, BrokerError> {
    let (scheduler, watch_nodes) = (hello.scheduler.clone(), hello.watch_nodes);
    match answered(inner.ask(Input::Open(hello)).await)? {
        Answer::Opened(epoch) => Ok(LiveSession {
            caller: Caller { scheduler, epoch },
            watch_nodes,
            ended: CancellationToken::new(),
            watch: Mutex::default(),
            inner,
            _permit: permit,
        }),
        other => Err(unexpected(&other)),
    }
}

/// The live session of a scheduler; dropping it ends it.
struct LiveSession {
    inner: Arc<Inner>,
    caller: Caller,
    watch_nodes: bool,
    ended: CancellationToken,
    /// The one watch.
    watch: Mutex<CancellationToken>,
    _permit: OwnedSemaphorePermit,
}

#[async_trait]
impl Session for LiveSession {
    fn epoch(&self) -> SessionEpoch {
        self.caller.epoch
    }

    async fn claim(&self, batch: ClaimBatch) -> Result<Claimed, BrokerError> {
        match answered(self.inner.ask(Input::Claim(self.caller.clone(), batch)).await)? {
            Answer::Claimed(claimed) => Ok(claimed),
            other => Err(unexpected(&other)),
        }
    }

    async fn amend(&self, changes: Vec<Amend>) -> Result<Vec<Refusal>, BrokerError> {
        refusals(self.inner.ask(Input::Amend(self.caller.clone(), changes)).await)
    }

    async fn release(&self, ids: Vec<TaskId>, grace_ms: Option<u64>) -> Result<(), BrokerError> {
        answered(
            self.inner
                .ask(Input::Release(self.caller.clone(), ids, grace_ms))
                .await,
        )
        .map(|_| ())
    }

    async fn forget(&self, ids: Vec<TaskId>) -> Result<Vec<Refusal>, BrokerError> {
        refusals(self.inner.ask(Input::Forget(self.caller.clone(), ids)).await)
    }

    async fn watch(&self, from: Option<Cursor>) -> Result<WatchStream, BrokerError> {
        let over = self.ended.child_token();
        std::mem::replace(&mut *self.watch.lock(), over.clone()).cancel();
        let bumped = self.inner.shared.bumped.subscribe();
        let reader = self
            .inner
            .shared
            .view
            .read()
            .reader(&self.caller.scheduler, self.watch_nodes, from);
        let watching = Watching {
            inner: Arc::clone(&self.inner),
            stop: self.inner.stop.clone(),
            reader,
            bumped,
            over,
        };
        Ok(Box::pin(stream::unfold(watching, |mut watching| async move {
            let batch = watching.next().await?;
            Some((Ok(batch), watching))
        })))
    }

    async fn ack(&self, cursor: Cursor) -> Result<(), BrokerError> {
        answered(self.inner.ask(Input::Ack(self.caller.clone(), cursor)).await).map(|_| ())
    }
}

impl Drop for LiveSession {
    fn drop(&mut self) {
        self.ended.cancel();
        let call = Call {
            input: Input::Close(self.caller.clone()),
            reply: None,
            mailbox: None,
        };
        let Err(TrySendError::Full(call)) = self.inner.calls.try_send(ToCore::Call(call)) else {
            return;
        };
        // The queue is full: it is said when there is room. Should that never be, the next session fences
        // this one all the same.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (calls, stop) = (self.inner.calls.clone(), self.inner.stop.clone());
            let close = async move {
                let _ = stop.run_until_cancelled(calls.send(call)).await;
            };
            self.inner.tracker.spawn_on(close, &runtime);
        }
    }
}

struct Watching {
    inner: Arc<Inner>,
    stop: CancellationToken,
    reader: Reader,
    bumped: watch::Receiver<u64>,
    over: CancellationToken,
}

impl Watching {
    async fn next(&mut self) -> Option<WatchBatch> {
        loop {
            if self.over.is_cancelled() || self.stop.is_cancelled() {
                return None;
            }
            // Seen before the look, so that what comes after the look wakes it.
            self.bumped.borrow_and_update();
            let news = self.inner.shared.view.read().read(&mut self.reader, PAGE);
            if let Some(news) = news {
                return Some(WatchBatch {
                    cursor: news.cursor,
                    part: news.part,
                    events: news.events,
                });
            }
            tokio::select! {
                changed = self.bumped.changed() => changed.ok()?,
                () = self.over.cancelled() => return None,
                () = self.stop.cancelled() => return None,
            }
        }
    }
}

fn stopping() -> BrokerError {
    BrokerError::Unavailable {
        why: "the broker is stopping".to_owned(),
    }
}

fn unexpected(answer: &Answer) -> BrokerError {
    BrokerError::Unavailable {
        why: format!("the core answered something else: {answer:?}"),
    }
}

fn refusals(reply: Reply) -> Result<Vec<Refusal>, BrokerError> {
    match answered(reply)? {
        Answer::Refused(refused) => Ok(refused),
        other => Err(unexpected(&other)),
    }
}

fn answered(reply: Reply) -> Result<Answer, BrokerError> {
    reply.map_err(|failed| match failed {
        Failed::Overloaded { depth } => BrokerError::Overloaded { depth },
        Failed::Full => BrokerError::Full,
        Failed::Unavailable(why) => BrokerError::Unavailable { why },
        Failed::Denied(Denied::Fenced(Caller { scheduler, epoch })) => {
            BrokerError::Fenced { scheduler, epoch }
        }
        Failed::Denied(Denied::Refused { field, why }) => BrokerError::Refused { field, why },
        Failed::Denied(Denied::NotFound { kind, name }) => BrokerError::Refused {
            field: kind.to_owned(),
            why: format!("there is no {kind} `{name}`"),
        },
        Failed::Denied(Denied::Conflict { why }) => BrokerError::Refused {
            field: "state".to_owned(),
            why,
        },
        Failed::Denied(Denied::Replaced(node)) => BrokerError::Refused {
            field: "node".to_owned(),
            why: format!("{node} is attached elsewhere"),
        },
    })
}
