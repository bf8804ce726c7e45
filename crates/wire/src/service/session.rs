//! One live session, as a stream of answers that owns everything: the session, the calls under way, the watch.
//! Each poll waits for whichever comes first: a request, a finished call, a batch of the watch that may be sent.

use crate::convert::definitions::{Incoming, Outgoing};
use crate::convert::enums::WireEnum;
use crate::malformed::{Malformed, each, need, task_ids};
use crate::proto::broker::v1 as wire;
use crate::status::{WireError, malformed, protocol};
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, Stream, StreamExt, unfold};
use plenum_contract::broker::{
    Amend, BrokerError, Claimed, Refusal, Session, WatchBatch, WatchEvent, WatchStream,
};
use plenum_model::claim::ClaimBatch;
use plenum_model::ids::{Cursor, TaskId};
use std::collections::VecDeque;
use std::sync::Arc;
use tonic::{Status, Streaming};
use wire::reply::Outcome;
use wire::session_request::Kind;
use wire::session_response::Kind as Answer;

/// Calls under way at a time, as `broker.proto` specifies; a scheduler has one or two.
const CALLS: usize = 64;

/// Events of one piece of a watch: a few hundred KB.
const PIECE: usize = 4_096;

/// A live session.
pub(super) struct Live {
    session: Arc<dyn Session>,
    requests: Streaming<wire::SessionRequest>,
    requests_open: bool,
    incoming: Incoming,
    outgoing: Outgoing,
    calls: FuturesUnordered<BoxFuture<'static, (u64, Done)>>,
    watch: Option<LiveWatch>,
    ready: VecDeque<wire::SessionResponse>,
    broken: bool,
}

struct LiveWatch {
    number: u64,
    credit: u64,
    stream: WatchStream,
    /// What is left of the batch that was read last.
    rest: Option<WatchBatch>,
}

/// A call that was understood.
enum Call {
    Claim(ClaimBatch),
    Amend(Vec<Amend>),
    Release(Vec<TaskId>, Option<u64>),
    Forget(Vec<TaskId>),
    Watch(Option<Cursor>, u32),
    Ack(Cursor),
}

/// What became of it.
enum Done {
    Claimed(Claimed),
    Refusals(Vec<Refusal>),
    Nothing,
    Watching(WatchStream, u32),
    Failed(BrokerError),
}

enum Happened {
    Request(Result<Option<wire::SessionRequest>, Status>),
    Call(u64, Done),
    News(Option<Result<WatchBatch, BrokerError>>),
}

impl Live {
    /// A session just opened.
    pub(super) fn new(session: Arc<dyn Session>, requests: Streaming<wire::SessionRequest>) -> Self {
        let opened = Answer::Opened(wire::Opened {
            epoch: session.epoch().0,
        });
        Self {
            session,
            requests,
            requests_open: true,
            incoming: Incoming::default(),
            outgoing: Outgoing::default(),
            calls: FuturesUnordered::new(),
            watch: None,
            ready: VecDeque::from([wire::SessionResponse {
                definitions: None,
                kind: Some(opened),
            }]),
            broken: false,
        }
    }

    /// All it answers until it ends.
    pub(super) fn answers(self) -> impl Stream<Item = Result<wire::SessionResponse, Status>> + Send {
        unfold(self, |mut live| async move {
            live.next().await.map(|answer| (answer, live))
        })
    }

    async fn next(&mut self) -> Option<Result<wire::SessionResponse, Status>> {
        while !self.broken {
            if let Some(answer) = self.ready.pop_front().or_else(|| self.cut_piece()) {
                return Some(Ok(answer));
            }
            // A scheduler that closed its side gets what it asked for before, and no more news.
            if !self.requests_open && self.calls.is_empty() {
                return None;
            }
            match self.wait().await {
                Happened::Request(Ok(Some(request))) => {
                    if let Err(status) = self.take(request) {
                        self.broken = true;
                        return Some(Err(status));
                    }
                }
                Happened::Request(Ok(None)) => {
                    self.requests_open = false;
                    self.watch = None;
                }
                Happened::Request(Err(_gone)) => return None,
                Happened::Call(number, done) => self.reply(number, done),
                Happened::News(news) => self.news(news),
            }
        }
        None
    }

    /// Cancel-safe: each branch either takes something whole or leaves it.
    async fn wait(&mut self) -> Happened {
        let listen = self.requests_open && self.calls.len() < CALLS;
        let watch = self.watch.as_mut().filter(|watch| watch.credit > 0);
        tokio::select! {
            request = self.requests.message(), if listen => Happened::Request(request),
            Some((number, done)) = self.calls.next() => Happened::Call(number, done),
            news = next_of(watch) => Happened::News(news),
        }
    }

    fn take(&mut self, request: wire::SessionRequest) -> Result<(), Status> {
        let bad = |bad: Malformed| malformed::<BrokerError>(&bad);
        self.incoming.learn(request.definitions).map_err(bad)?;
        let number = request.number;
        match need(request.kind, "kind").map_err(bad)? {
            Kind::Hello(_) => Err(protocol::<BrokerError>("a second `hello`")),
            Kind::Credit(credit) => {
                if let Some(watch) = self.watch.as_mut().filter(|w| w.number == credit.watch) {
                    watch.credit = watch.credit.saturating_add(credit.pieces.into());
                }
                Ok(())
            }
            Kind::Unwatch(unwatch) => {
                if self
                    .watch
                    .as_ref()
                    .is_some_and(|watch| watch.number == unwatch.watch)
                {
                    self.end_watch(None);
                }
                Ok(())
            }
            _ if number == 0 => Err(protocol::<BrokerError>("a call without a number")),
            call => {
                match self.read(call) {
                    Ok(call) => self.calls.push(run(Arc::clone(&self.session), number, call)),
                    Err(bad) => {
                        let refused = BrokerError::refused(bad.field, bad.fault.to_string());
                        self.reply(number, Done::Failed(refused));
                    }
                }
                Ok(())
            }
        }
    }

    fn read(&self, kind: Kind) -> Result<Call, Malformed> {
        Ok(match kind {
            Kind::Claim(claim) => Call::Claim(self.incoming.claim(claim)?),
            Kind::Amend(amend) => Call::Amend(each(amend.amends)?),
            Kind::Release(r) => Call::Release(task_ids(&r.ids, "release.ids")?, r.grace_ms),
            Kind::Forget(forget) => Call::Forget(task_ids(&forget.ids, "forget.ids")?),
            Kind::Watch(watch) => Call::Watch(watch.from.map(Cursor), watch.credit),
            Kind::Ack(ack) => Call::Ack(Cursor(ack.cursor)),
            Kind::Hello(_) | Kind::Credit(_) | Kind::Unwatch(_) => {
                return Err(Malformed::unexpected("kind"));
            }
        })
    }

    fn reply(&mut self, number: u64, done: Done) {
        let outcome = match done {
            Done::Claimed(claimed) => Outcome::Claimed((&claimed).into()),
            Done::Refusals(refusals) => Outcome::Refusals(wire::Refusals {
                refusals: refusals.iter().map(Into::into).collect(),
            }),
            Done::Nothing => Outcome::Done(()),
            Done::Failed(error) => Outcome::Error(error.message()),
            Done::Watching(stream, credit) => {
                self.end_watch(None);
                let credit = credit.into();
                self.watch = self.requests_open.then_some(LiveWatch {
                    number,
                    credit,
                    stream,
                    rest: None,
                });
                Outcome::Done(())
            }
        };
        let reply = wire::Reply {
            number,
            outcome: Some(outcome),
        };
        self.ready.push_back(wire::SessionResponse {
            definitions: None,
            kind: Some(Answer::Reply(reply)),
        });
    }

    fn news(&mut self, news: Option<Result<WatchBatch, BrokerError>>) {
        match news {
            Some(Ok(batch)) => {
                if let Some(watch) = &mut self.watch {
                    watch.rest = Some(batch);
                }
            }
            Some(Err(error)) => self.end_watch(Some(&error)),
            None => self.end_watch(None),
        }
    }

    fn end_watch(&mut self, error: Option<&BrokerError>) {
        if let Some(watch) = self.watch.take() {
            let end = wire::WatchEnd {
                watch: watch.number,
                error: error.map(WireError::message),
            };
            let kind = Some(Answer::WatchEnd(end));
            self.ready.push_back(wire::SessionResponse {
                definitions: None,
                kind,
            });
        }
    }

    /// The next piece of the batch that was read last, if it may be sent.
    fn cut_piece(&mut self) -> Option<wire::SessionResponse> {
        let watch = self.watch.as_mut().filter(|watch| watch.credit > 0)?;
        let mut batch = watch.rest.take()?;
        watch.credit -= 1;
        let later = batch.events.split_off(batch.events.len().min(PIECE));
        let (definitions, events) = self.outgoing.message(|out| {
            batch
                .events
                .iter()
                .map(|event: &WatchEvent| out.event(event))
                .collect::<Vec<_>>()
        });
        let piece = wire::Piece {
            watch: watch.number,
            cursor: batch.cursor.0,
            part: batch.part.number(),
            events,
            more: !later.is_empty(),
        };
        if piece.more {
            watch.rest = Some(WatchBatch {
                events: later,
                ..batch
            });
        }
        Some(wire::SessionResponse {
            definitions,
            kind: Some(Answer::Piece(piece)),
        })
    }
}

async fn next_of(watch: Option<&mut LiveWatch>) -> Option<Result<WatchBatch, BrokerError>> {
    match watch {
        Some(watch) => watch.stream.next().await,
        None => std::future::pending().await,
    }
}

fn run(session: Arc<dyn Session>, number: u64, call: Call) -> BoxFuture<'static, (u64, Done)> {
    Box::pin(async move {
        let done = match call {
            Call::Claim(batch) => session.claim(batch).await.map(Done::Claimed),
            Call::Amend(changes) => session.amend(changes).await.map(Done::Refusals),
            Call::Release(ids, grace_ms) => session.release(ids, grace_ms).await.map(|()| Done::Nothing),
            Call::Forget(ids) => session.forget(ids).await.map(Done::Refusals),
            Call::Watch(from, credit) => session
                .watch(from)
                .await
                .map(|stream| Done::Watching(stream, credit)),
            Call::Ack(cursor) => session.ack(cursor).await.map(|()| Done::Nothing),
        };
        (number, done.unwrap_or_else(Done::Failed))
    })
}
