//! The loop that owns the supervisor and the journal. In: events, from the link to the broker and from the
//! workers, over one bounded queue. Out: records to disk, then work to the workers, then observations to the
//! broker. Inputs that wait together are stepped together and share one fsync.
//!
//! Never: performs an effect before the records of its batch are durable. While the disk refuses, nothing new
//! is begun and nothing is reported; what runs, runs on.

use super::carry::{self, Carry};
use super::carry_node::NodeCarry;
use super::clock::Clock;
use super::work::Workers;
use crate::journal::{Journal, JournalError};
use crate::supervisor::{Effect, Input, Record, Supervisor};
use plenum_contract::dispatcher::{AgentMessage, Dispatcher, StreamId};
use plenum_contract::streams::{NodeRequest, StreamRequest};
use plenum_model::ids::{LeaderEpoch, NodeId, TaskId};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Events wait for an fsync at most; a deeper queue would only delay its senders' news.
pub(super) const QUEUE_DEPTH: usize = 1024;

/// Observations of one message: some 200 KB.
const REPORT: usize = 1000;

/// Between two attempts to write to a disk that refuses.
const WRITE_AGAIN: Duration = Duration::from_secs(1);

/// What reaches the loop.
pub(super) enum Event {
    /// Something for the supervisor.
    Input(Input),
    /// A broker welcomed this agent; observations go here.
    Attached(LeaderEpoch, mpsc::Sender<AgentMessage>),
    /// Somebody asks for a stream.
    OpenStream(StreamId, TaskId, StreamRequest),
    /// Somebody asks for a stream to the node itself.
    OpenNode(StreamId, NodeRequest),
}

/// See the module.
pub(super) struct Core {
    pub(super) supervisor: Supervisor,
    pub(super) journal: Option<Journal>,
    pub(super) clock: Clock,
    pub(super) events: mpsc::Receiver<Event>,
    pub(super) workers: Workers,
    pub(super) node: NodeId,
    pub(super) dispatcher: Arc<dyn Dispatcher>,
    pub(super) epoch: watch::Sender<LeaderEpoch>,
    pub(super) reattach: Arc<Notify>,
    pub(super) up: Option<mpsc::Sender<AgentMessage>>,
    pub(super) tracker: TaskTracker,
    pub(super) stop: CancellationToken,
}

enum Woken {
    Stop,
    Events(Vec<Event>),
    /// The broker can take observations.
    Report,
}

impl Core {
    /// Runs until the agent is stopped.
    pub(super) async fn run(mut self) {
        self.workers.recover();
        loop {
            let events = match self.next().await {
                Woken::Stop => return,
                Woken::Report => continue,
                Woken::Events(events) => events,
            };
            let mut effects = Vec::new();
            let now = self.clock.now();
            for event in events {
                if let Some(input) = self.taken(event) {
                    effects.extend(self.supervisor.step(now, input));
                }
            }
            if !self.perform(effects).await {
                return;
            }
            for probe in self.supervisor.take_probes() {
                self.workers.probe(probe);
            }
        }
    }

    async fn next(&mut self) -> Woken {
        let wake = self.supervisor.next_wake().map(|tick| self.clock.at(tick));
        let report = (!self.supervisor.outbox_is_empty())
            .then(|| self.up.clone())
            .flatten();
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Woken::Stop,
            permit = ready(report.as_ref()) => {
                match permit {
                    Some(permit) => permit.send(AgentMessage::Observed(self.supervisor.outbox(REPORT))),
                    // The link says by an event that the broker is gone.
                    None => self.up = None,
                }
                Woken::Report
            }
            event = self.events.recv() => match event {
                None => Woken::Stop,
                Some(first) => {
                    let mut events = vec![first];
                    while events.len() < QUEUE_DEPTH && let Ok(more) = self.events.try_recv() {
                        events.push(more);
                    }
                    Woken::Events(events)
                }
            },
            () = at(wake) => Woken::Events(vec![Event::Input(Input::Wake)]),
        }
    }

    fn taken(&mut self, event: Event) -> Option<Input> {
        match event {
            Event::Input(Input::Detached) => {
                self.up = None;
                Some(Input::Detached)
            }
            Event::Input(input) => Some(input),
            Event::Attached(epoch, up) => {
                self.up = Some(up);
                Some(Input::Attached(epoch))
            }
            Event::OpenStream(stream, task, request) => {
                self.carry(stream, task, request);
                None
            }
            Event::OpenNode(stream, request) => {
                self.carry_node(stream, request);
                None
            }
        }
    }

    fn carry(&self, stream: StreamId, task: TaskId, request: StreamRequest) {
        let place = self.supervisor.locate(task, carry::container(&request));
        let runtime = place.as_ref().and_then(|p| self.workers.runtime(&p.runtime));
        let carry = Carry {
            node: self.node.clone(),
            dispatcher: Arc::clone(&self.dispatcher),
            stream,
            place: place.zip(runtime),
            task,
        };
        let stop = self.stop.clone();
        self.tracker
            .spawn(async move { stop.run_until_cancelled(carry.run(request)).await });
    }

    fn carry_node(&self, stream: StreamId, request: NodeRequest) {
        let NodeRequest::Images { runtime, .. } = &request;
        let carry = NodeCarry {
            node: self.node.clone(),
            dispatcher: Arc::clone(&self.dispatcher),
            stream,
            runtime: self.workers.runtime(runtime),
        };
        let stop = self.stop.clone();
        self.tracker
            .spawn(async move { stop.run_until_cancelled(carry.run(request)).await });
    }

    /// Performs effects, records first. Returns whether to go on.
    async fn perform(&mut self, effects: Vec<Effect>) -> bool {
        let mut records = Vec::new();
        let mut others = Vec::new();
        for effect in effects {
            match effect {
                Effect::Persist(record) => records.push(record),
                Effect::Do(_) | Effect::Cancel(_) | Effect::Refused(_) | Effect::Reattach(_) => {
                    others.push(effect)
                }
            }
        }
        if !records.is_empty() && !self.persist(records).await {
            return false;
        }
        self.epoch
            .send_if_modified(|e| std::mem::replace(e, self.supervisor.epoch()) != *e);
        for effect in others {
            match effect {
                Effect::Persist(_) => {}
                Effect::Do(work) => self.workers.start(work),
                Effect::Cancel(task) => self.workers.cancel(task),
                Effect::Refused(why) => tracing::warn!(%why, "refused"),
                Effect::Reattach(why) => {
                    tracing::warn!(%why, "attaching again");
                    self.reattach.notify_one();
                }
            }
        }
        true
    }

    /// Writes down, however long the disk refuses. Returns false if the agent is stopped meanwhile.
    async fn persist(&mut self, records: Vec<Record>) -> bool {
        let records = Arc::new(records);
        loop {
            let Some(journal) = self.journal.take() else {
                return false;
            };
            let batch = Arc::clone(&records);
            let written = tokio::task::spawn_blocking(move || append(journal, &batch)).await;
            let Ok((journal, result)) = written else {
                tracing::error!("the journal's writer panicked; the agent stops");
                return false;
            };
            let compact = journal.is_mostly_history();
            self.journal = Some(journal);
            match result {
                Ok(()) => return !compact || self.compact().await,
                Err(e) => {
                    tracing::error!(error = %chain(&e), "cannot write; nothing new is begun until that works")
                }
            }
            let pause = tokio::time::sleep(WRITE_AGAIN);
            if self.stop.run_until_cancelled(pause).await.is_none() {
                return false;
            }
        }
    }

    async fn compact(&mut self) -> bool {
        let Some(mut journal) = self.journal.take() else {
            return false;
        };
        let memory = self.supervisor.memory().clone();
        let done = tokio::task::spawn_blocking(move || {
            let result = journal.compact(&memory);
            (journal, result)
        });
        let Ok((journal, result)) = done.await else {
            return false;
        };
        self.journal = Some(journal);
        if let Err(e) = result {
            // The old file is whole and still in use: only longer than it need be.
            tracing::warn!(error = %chain(&e), "not compacted");
        }
        true
    }
}

fn append(mut journal: Journal, records: &[Record]) -> (Journal, Result<(), JournalError>) {
    let result = journal.append(records);
    (journal, result)
}

async fn ready(up: Option<&mpsc::Sender<AgentMessage>>) -> Option<mpsc::Permit<'_, AgentMessage>> {
    match up {
        Some(up) => up.reserve().await.ok(),
        None => std::future::pending().await,
    }
}

async fn at(wake: Option<tokio::time::Instant>) {
    match wake {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// An error with its causes, for the log.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
