//! A broker in memory: remembers what it wants on the node, takes observations, can go away.

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use plenum_contract::dispatcher::*;
use plenum_contract::streams::*;
use plenum_model::ids::{LeaderEpoch, NodeId, Seq, TaskId};
use plenum_model::phase::Phase;
use plenum_model::task::{Observation, Status};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

type Down = mpsc::Sender<Result<BrokerMessage, DispatchError>>;

#[derive(Default)]
pub(crate) struct FakeBroker {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    wanted: BTreeMap<TaskId, Assignment>,
    down: Option<Down>,
    attached: usize,
    heartbeats: usize,
    tasks: BTreeMap<TaskId, Status>,
    seen: Vec<Observation>,
    deaf: bool,
    carried: BTreeMap<u64, Carried>,
    values: BTreeMap<(String, u64), Bytes>,
    fetches: usize,
    /// So many fetches find nobody.
    away: usize,
}

/// The broker's ends of a stream that the agent carries.
pub(crate) struct Carried {
    pub(crate) input: mpsc::Sender<StreamInput>,
    pub(crate) output: BoxStream<'static, Result<Output, StreamError>>,
}

impl FakeBroker {
    pub(crate) fn want(&self, a: Assignment) {
        let mut state = self.state.lock().unwrap();
        state.tasks.entry(a.seat.id).or_insert_with(|| Status::pending(0));
        state.wanted.insert(a.seat.id, a.clone());
        state.send(Assignments {
            epoch: LeaderEpoch(1),
            specs: vec![crate::spec(), crate::probed_spec()],
            assign: vec![a],
            ..Default::default()
        });
    }

    pub(crate) fn remove(&self, task: TaskId) {
        let mut state = self.state.lock().unwrap();
        state.wanted.remove(&task);
        state.send(Assignments {
            epoch: LeaderEpoch(1),
            remove: vec![task],
            ..Default::default()
        });
    }

    pub(crate) fn open(&self, stream: u64, task: TaskId, request: StreamRequest) {
        let message = BrokerMessage::OpenStream {
            stream: StreamId(stream),
            task,
            request,
        };
        self.state.lock().unwrap().tell(message);
    }

    pub(crate) fn carried(&self, stream: u64) -> Option<Carried> {
        self.state.lock().unwrap().carried.remove(&stream)
    }

    pub(crate) fn is_carried(&self, stream: u64) -> bool {
        self.state.lock().unwrap().carried.contains_key(&stream)
    }

    pub(crate) fn keep(&self, key: &str, revision: u64, value: &'static [u8]) {
        let value = Bytes::from_static(value);
        self.state
            .lock()
            .unwrap()
            .values
            .insert((key.into(), revision), value);
    }

    /// The next so many fetches find nobody.
    pub(crate) fn be_away(&self, fetches: usize) {
        self.state.lock().unwrap().away = fetches;
    }

    pub(crate) fn fetches(&self) -> usize {
        self.state.lock().unwrap().fetches
    }

    /// Cuts the attachment off.
    pub(crate) fn hang_up(&self) {
        self.state.lock().unwrap().down = None;
    }

    /// Takes observations without acknowledging them, or does again.
    pub(crate) fn be_deaf(&self, deaf: bool) {
        self.state.lock().unwrap().deaf = deaf;
    }

    pub(crate) fn phase(&self, task: TaskId) -> Phase {
        self.state
            .lock()
            .unwrap()
            .tasks
            .get(&task)
            .map_or(Phase::Pending, Status::phase)
    }

    pub(crate) fn status(&self, task: TaskId) -> Status {
        self.state.lock().unwrap().tasks[&task].clone()
    }

    pub(crate) fn attached(&self) -> usize {
        self.state.lock().unwrap().attached
    }

    pub(crate) fn heartbeats(&self) -> usize {
        self.state.lock().unwrap().heartbeats
    }

    pub(crate) fn seen(&self) -> Vec<Observation> {
        self.state.lock().unwrap().seen.clone()
    }
}

impl State {
    fn send(&mut self, batch: Assignments) {
        self.tell(BrokerMessage::Assignments(batch));
    }

    fn tell(&mut self, message: BrokerMessage) {
        if let Some(down) = &self.down {
            down.try_send(Ok(message)).unwrap();
        }
    }

    fn take(&mut self, message: AgentMessage) {
        match message {
            AgentMessage::Heartbeat => self.heartbeats += 1,
            AgentMessage::Facts(_) => {}
            AgentMessage::Observed(seen) => {
                let last = seen.iter().map(|o| o.seq).max().unwrap_or(Seq(0));
                for o in &seen {
                    if let Some(status) = self.tasks.get_mut(&o.task) {
                        status.observe(o);
                    }
                }
                self.seen.extend(seen);
                if !self.deaf {
                    self.tell(BrokerMessage::Acked(last));
                }
            }
        }
    }
}

#[async_trait]
impl Dispatcher for FakeBroker {
    async fn attach(
        &self,
        _hello: AgentHello,
        mut up: BoxStream<'static, AgentMessage>,
    ) -> Result<BrokerStream, DispatchError> {
        let (down, messages) = mpsc::channel(10_000);
        let mut state = self.state.lock().unwrap();
        state.down = Some(down);
        state.attached += 1;
        state.tell(BrokerMessage::Welcome {
            epoch: LeaderEpoch(1),
            lease_ms: 60,
        });
        let assign = state.wanted.values().cloned().collect();
        state.send(Assignments {
            epoch: LeaderEpoch(1),
            full: true,
            specs: vec![crate::spec(), crate::probed_spec()],
            assign,
            remove: vec![],
        });
        let shared = Arc::clone(&self.state);
        tokio::spawn(async move {
            while let Some(message) = up.next().await {
                shared.lock().unwrap().take(message);
            }
        });
        Ok(ReceiverStream::new(messages).boxed())
    }

    async fn carry(
        &self,
        _node: NodeId,
        stream: StreamId,
        up: BoxStream<'static, Result<Output, StreamError>>,
    ) -> Result<BoxStream<'static, StreamInput>, DispatchError> {
        let (input, down) = mpsc::channel(10);
        self.state
            .lock()
            .unwrap()
            .carried
            .insert(stream.0, Carried { input, output: up });
        Ok(ReceiverStream::new(down).boxed())
    }

    async fn fetch(
        &self,
        _node: NodeId,
        _task: TaskId,
        key: String,
        revision: u64,
    ) -> Result<Bytes, DispatchError> {
        let mut state = self.state.lock().unwrap();
        state.fetches += 1;
        if state.away > 0 {
            state.away -= 1;
            return Err(DispatchError::Unavailable { why: "away".into() });
        }
        let value = state.values.get(&(key.clone(), revision)).cloned();
        value.ok_or(DispatchError::NotFound {
            what: format!("{key}@{revision}"),
        })
    }
}
