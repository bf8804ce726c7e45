//! A session over a stream. Callers put what they ask into one bounded queue; the stream that the transport polls
//! numbers nothing and decides nothing, it encodes in order. One reader task takes the answers and hands each to
//! whoever waits for it; it never waits itself, so a watch that nobody reads holds up no reply. The reader lives as
//! long as the session; dropping the session drops both sides of the stream, which ends it at the broker.

use crate::convert::broker::part;
use crate::convert::definitions::{Incoming, Outgoing};
use crate::limits;
use crate::malformed::{Malformed, each};
use crate::proto::broker::v1 as wire;
use crate::status::{WireError, read, unreadable};
use async_trait::async_trait;
use futures::stream::{Stream, StreamExt, unfold};
use plenum_contract::broker::{Amend, BrokerError, Claimed, Refusal, Session, WatchBatch, WatchStream};
use plenum_model::claim::ClaimBatch;
use plenum_model::ids::{Cursor, SessionEpoch, TaskId};
use prost::Message;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;
use tonic::Streaming;
use wire::reply::Outcome;
use wire::session_request::Kind;
use wire::session_response::Kind as Answer;

/// Requests that wait to be encoded. Callers wait for an answer anyway, so a deeper queue would only hide that the
/// network does not keep up.
const QUEUE: usize = 32;

/// Pieces of a watch in flight: enough to keep the network busy while one is taken in, 16 x 4,096 tasks at most.
const CREDIT: u32 = 16;

/// What goes to the broker.
pub(super) enum Outbound {
    Claim(u64, ClaimBatch),
    Amend(u64, Vec<Amend>),
    Release(u64, Vec<TaskId>, Option<u64>),
    Forget(u64, Vec<TaskId>),
    Watch(u64, Option<Cursor>),
    Ack(u64, Cursor),
    Credit(u64, u32),
    Unwatch(u64),
}

/// The queue to the broker and what the transport reads from it.
pub(super) fn outbound(
    waiting: &Shared,
) -> (
    mpsc::Sender<Outbound>,
    impl Stream<Item = wire::SessionRequest> + Send + use<>,
) {
    let (queue, queued) = mpsc::channel(QUEUE);
    let state = (queued, Outgoing::default(), Arc::downgrade(waiting));
    let requests = unfold(state, |(mut queued, mut outgoing, waiting)| async {
        loop {
            let request = encode(&mut outgoing, queued.recv().await?);
            let bytes = request.encoded_len();
            if bytes <= limits::MESSAGE {
                return Some((request, (queued, outgoing, waiting)));
            }
            // Sent, it would end the session; so it fails alone.
            outgoing.restart();
            refuse(&waiting, request.number, bytes);
        }
    });
    (queue, requests)
}

fn refuse(waiting: &Weak<Mutex<Waiting>>, number: u64, bytes: usize) {
    let call = waiting
        .upgrade()
        .and_then(|waiting| lock(&waiting).calls.remove(&number));
    if let Some(call) = call {
        let why = format!(
            "it has {bytes} bytes, at most {} can be sent at once",
            limits::MESSAGE
        );
        // Whoever gave up waiting needs no answer.
        let _ = call.send(Err(BrokerError::refused("request", why)));
    }
}

fn encode(outgoing: &mut Outgoing, what: Outbound) -> wire::SessionRequest {
    let ids = |ids: &[TaskId]| ids.iter().map(crate::malformed::id_bytes).collect();
    let (definitions, (number, kind)) = outgoing.message(|out| match what {
        Outbound::Claim(number, batch) => (number, Kind::Claim(out.claim(&batch))),
        Outbound::Amend(number, all) => (
            number,
            Kind::Amend(wire::AmendAll {
                amends: all.iter().map(Into::into).collect(),
            }),
        ),
        Outbound::Release(number, all, grace_ms) => (
            number,
            Kind::Release(wire::Release {
                ids: ids(&all),
                grace_ms,
            }),
        ),
        Outbound::Forget(number, all) => (number, Kind::Forget(wire::Forget { ids: ids(&all) })),
        Outbound::Watch(number, from) => (
            number,
            Kind::Watch(wire::Watch {
                from: from.map(|cursor| cursor.0),
                credit: CREDIT,
            }),
        ),
        Outbound::Ack(number, cursor) => (number, Kind::Ack(wire::Ack { cursor: cursor.0 })),
        Outbound::Credit(watch, pieces) => (0, Kind::Credit(wire::Credit { watch, pieces })),
        Outbound::Unwatch(watch) => (0, Kind::Unwatch(wire::Unwatch { watch })),
    });
    wire::SessionRequest {
        definitions,
        number,
        kind: Some(kind),
    }
}

/// What became of a call.
enum Done {
    Claimed(Claimed),
    Refusals(Vec<Refusal>),
    Nothing,
}

/// What a watch receives; if its sender is gone without `End`, the session is.
enum News {
    Piece { batch: WatchBatch, more: bool },
    End(Option<BrokerError>),
}

/// Who waits for what.
#[derive(Default)]
pub(super) struct Waiting {
    calls: HashMap<u64, oneshot::Sender<Result<Done, BrokerError>>>,
    watches: HashMap<u64, mpsc::Sender<News>>,
    /// Why the session has ended.
    ended: Option<BrokerError>,
}

pub(super) type Shared = Arc<Mutex<Waiting>>;

fn lock(shared: &Shared) -> MutexGuard<'_, Waiting> {
    // Nothing that holds the lock can panic half way.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A live session over a stream.
pub(super) struct RemoteSession {
    epoch: SessionEpoch,
    next: AtomicU64,
    outbound: mpsc::Sender<Outbound>,
    waiting: Shared,
    _reader: AbortOnDropHandle<()>,
}

impl RemoteSession {
    /// Takes over an opened stream.
    pub(super) fn start(
        epoch: SessionEpoch,
        waiting: Shared,
        outbound: mpsc::Sender<Outbound>,
        answers: Streaming<wire::SessionResponse>,
    ) -> Arc<dyn Session> {
        let reader = AbortOnDropHandle::new(tokio::spawn(read_all(Arc::clone(&waiting), answers)));
        Arc::new(Self {
            epoch,
            next: AtomicU64::new(1),
            outbound,
            waiting,
            _reader: reader,
        })
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    async fn call(&self, number: u64, what: Outbound) -> Result<Done, BrokerError> {
        let (answer, answered) = oneshot::channel();
        {
            let mut waiting = lock(&self.waiting);
            if let Some(ended) = &waiting.ended {
                return Err(ended.clone());
            }
            waiting.calls.insert(number, answer);
        }
        // A queue that is closed belongs to a stream that has ended; the reader then tells why.
        let _ = self.outbound.send(what).await;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    async fn done(&self, number: u64, what: Outbound) -> Result<(), BrokerError> {
        match self.call(number, what).await? {
            Done::Nothing => Ok(()),
            Done::Claimed(_) | Done::Refusals(_) => Err(odd()),
        }
    }

    async fn refusals(&self, number: u64, what: Outbound) -> Result<Vec<Refusal>, BrokerError> {
        match self.call(number, what).await? {
            Done::Refusals(refusals) => Ok(refusals),
            Done::Claimed(_) | Done::Nothing => Err(odd()),
        }
    }
}

fn gone() -> BrokerError {
    BrokerError::unavailable("the session has ended".to_owned())
}

fn unread(bad: Malformed) -> BrokerError {
    unreadable(&bad)
}

fn odd() -> BrokerError {
    BrokerError::unavailable("the broker answered something else than was asked".to_owned())
}

#[async_trait]
impl Session for RemoteSession {
    fn epoch(&self) -> SessionEpoch {
        self.epoch
    }

    async fn claim(&self, batch: ClaimBatch) -> Result<Claimed, BrokerError> {
        let number = self.number();
        match self.call(number, Outbound::Claim(number, batch)).await? {
            Done::Claimed(claimed) => Ok(claimed),
            Done::Refusals(_) | Done::Nothing => Err(odd()),
        }
    }

    async fn amend(&self, changes: Vec<Amend>) -> Result<Vec<Refusal>, BrokerError> {
        let number = self.number();
        self.refusals(number, Outbound::Amend(number, changes)).await
    }

    async fn release(&self, ids: Vec<TaskId>, grace_ms: Option<u64>) -> Result<(), BrokerError> {
        let number = self.number();
        self.done(number, Outbound::Release(number, ids, grace_ms)).await
    }

    async fn forget(&self, ids: Vec<TaskId>) -> Result<Vec<Refusal>, BrokerError> {
        let number = self.number();
        self.refusals(number, Outbound::Forget(number, ids)).await
    }

    async fn watch(&self, from: Option<Cursor>) -> Result<WatchStream, BrokerError> {
        let number = self.number();
        // One place more than the broker may fill, for the end.
        let (news, taken) = mpsc::channel(CREDIT as usize + 1);
        lock(&self.waiting).watches.insert(number, news);
        let watching = Watching {
            number,
            news: taken,
            outbound: self.outbound.downgrade(),
            waiting: Arc::downgrade(&self.waiting),
        };
        self.done(number, Outbound::Watch(number, from)).await?;
        Ok(unfold(Some(watching), Watching::step).boxed())
    }

    async fn ack(&self, cursor: Cursor) -> Result<(), BrokerError> {
        let number = self.number();
        self.done(number, Outbound::Ack(number, cursor)).await
    }
}

/// The taking end of a watch. It holds only weak ends of the session: a watch keeps no session alive.
struct Watching {
    number: u64,
    news: mpsc::Receiver<News>,
    outbound: mpsc::WeakSender<Outbound>,
    waiting: Weak<Mutex<Waiting>>,
}

impl Watching {
    async fn step(watching: Option<Self>) -> Option<(Result<WatchBatch, BrokerError>, Option<Self>)> {
        let mut watching = watching?;
        let mut whole: Option<WatchBatch> = None;
        loop {
            let (batch, more) = match watching.news.recv().await {
                Some(News::Piece { batch, more }) => (batch, more),
                Some(News::End(error)) => return error.map(|error| (Err(error), None)),
                None => return Some((Err(watching.why_gone()), None)),
            };
            if let Some(outbound) = watching.outbound.upgrade() {
                // If the stream has ended, the next piece will tell.
                let _ = outbound.send(Outbound::Credit(watching.number, 1)).await;
            }
            let whole = match &mut whole {
                Some(whole) => {
                    whole.events.extend(batch.events);
                    whole
                }
                None => whole.insert(batch),
            };
            if !more {
                let empty = WatchBatch {
                    cursor: whole.cursor,
                    part: whole.part,
                    events: Vec::new(),
                };
                return Some((Ok(std::mem::replace(whole, empty)), Some(watching)));
            }
        }
    }

    fn why_gone(&self) -> BrokerError {
        let ended = self
            .waiting
            .upgrade()
            .and_then(|shared| lock(&shared).ended.clone());
        ended.unwrap_or_else(gone)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if let Some(shared) = self.waiting.upgrade() {
            lock(&shared).watches.remove(&self.number);
        }
        if let Some(outbound) = self.outbound.upgrade() {
            // Only a courtesy: without it the broker stops when its credit is used up.
            let _ = outbound.try_send(Outbound::Unwatch(self.number));
        }
    }
}

async fn read_all(shared: Shared, mut answers: Streaming<wire::SessionResponse>) {
    let mut incoming = Incoming::default();
    let ended = loop {
        match answers.message().await {
            Ok(Some(answer)) => {
                if let Err(error) = hand_over(&shared, &mut incoming, answer) {
                    break error;
                }
            }
            Ok(None) => break BrokerError::unavailable("the broker ended the session".to_owned()),
            Err(status) => break read(&status),
        }
    };
    let (calls, watches) = {
        let mut waiting = lock(&shared);
        waiting.ended = Some(ended.clone());
        (
            std::mem::take(&mut waiting.calls),
            std::mem::take(&mut waiting.watches),
        )
    };
    for (_, call) in calls {
        // Whoever gave up waiting needs no answer.
        let _ = call.send(Err(ended.clone()));
    }
    drop(watches);
}

/// Gives an answer to whoever waits for it; an error ends the session.
fn hand_over(
    shared: &Shared,
    incoming: &mut Incoming,
    answer: wire::SessionResponse,
) -> Result<(), BrokerError> {
    incoming.learn(answer.definitions).map_err(unread)?;
    match answer.kind {
        Some(Answer::Reply(reply)) => {
            let waiting = lock(shared).calls.remove(&reply.number);
            if let Some(waiting) = waiting {
                // Whoever gave up waiting needs no answer.
                let _ = waiting.send(outcome(reply));
            }
            Ok(())
        }
        Some(Answer::Piece(piece)) => {
            let Some(news) = lock(shared).watches.get(&piece.watch).cloned() else {
                return Ok(());
            };
            let piece = read_piece(incoming, piece).map_err(unread)?;
            match news.try_send(piece) {
                Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
                Err(mpsc::error::TrySendError::Full(_)) => Err(BrokerError::unavailable(
                    "the broker sent more than it was granted".to_owned(),
                )),
            }
        }
        Some(Answer::WatchEnd(end)) => {
            let error = end.error.map(BrokerError::read).transpose().map_err(unread)?;
            if let Some(news) = lock(shared).watches.remove(&end.watch) {
                // Its place is kept free, see `watch`.
                let _ = news.try_send(News::End(error));
            }
            Ok(())
        }
        Some(Answer::Opened(_)) | None => Err(odd()),
    }
}

fn outcome(reply: wire::Reply) -> Result<Done, BrokerError> {
    let done = match reply.outcome {
        Some(Outcome::Claimed(claimed)) => claimed.try_into().map(Done::Claimed),
        Some(Outcome::Refusals(all)) => each(all.refusals).map(Done::Refusals),
        Some(Outcome::Done(())) => Ok(Done::Nothing),
        Some(Outcome::Error(error)) => return Err(BrokerError::read(error).unwrap_or_else(unread)),
        None => Err(Malformed::missing("outcome")),
    };
    done.map_err(unread)
}

fn read_piece(incoming: &Incoming, piece: wire::Piece) -> Result<News, Malformed> {
    let part = part(&piece)?;
    let events = piece
        .events
        .into_iter()
        .map(|event| incoming.event(event))
        .collect::<Result<_, _>>()?;
    let batch = WatchBatch {
        cursor: Cursor(piece.cursor),
        part,
        events,
    };
    Ok(News::Piece {
        batch,
        more: piece.more,
    })
}
