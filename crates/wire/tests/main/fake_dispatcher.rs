//! A dispatcher that acknowledges what it hears, and remembers it.

use crate::nouns::{claim, node_id, scheduler, spec, task_id};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, iter};
use plenum_contract::dispatcher::{
    AgentHello, AgentMessage, Assignment, Assignments, BrokerMessage, BrokerStream, DispatchError,
    Dispatcher, StreamId,
};
use plenum_contract::streams::{Output, StreamError, StreamInput, StreamRequest, WindowSize};
use plenum_model::claim::Desired;
use plenum_model::ids::{Generation, LeaderEpoch, NodeId, Seq, TaskId};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

#[derive(Default)]
pub(crate) struct FakeDispatcher {
    pub(crate) hellos: Mutex<Vec<AgentHello>>,
    pub(crate) heard: Arc<Mutex<Vec<AgentMessage>>>,
    pub(crate) carried: Arc<Mutex<Vec<String>>>,
    live: watch::Sender<u64>,
}

impl FakeDispatcher {
    /// Waits until so many attachments live.
    pub(crate) async fn until(&self, right: impl Fn(u64) -> bool) {
        let mut live = self.live.subscribe();
        crate::wired::soon("the dispatcher's count", live.wait_for(|n| right(*n)))
            .await
            .unwrap();
    }
}

/// Every error that a dispatcher has.
pub(crate) fn every_error() -> Vec<DispatchError> {
    vec![
        DispatchError::NotFound {
            what: "stream 4".into(),
        },
        DispatchError::Replaced { node: node_id(1) },
        DispatchError::Refused {
            field: "facts.ports".into(),
            why: "none".into(),
        },
        DispatchError::Unavailable {
            why: "starting".into(),
        },
    ]
}

/// What every agent is told first.
pub(crate) fn told() -> Vec<BrokerMessage> {
    let group = claim("app", 200).groups.remove(0);
    let assign = group.seats.into_iter().map(|seat| Assignment {
        scheduler: scheduler(),
        seat,
        terms: Arc::clone(&group.terms),
        ports: vec![31_000, u16::MAX],
        generation: Generation(4),
        desired: Desired::Stopped,
        grace_ms: Some(0),
        again_after: None,
    });
    let assignments = Assignments {
        epoch: LeaderEpoch(3),
        full: true,
        specs: vec![spec()],
        assign: assign.collect(),
        remove: vec![task_id(900)],
    };
    vec![
        BrokerMessage::Welcome {
            epoch: LeaderEpoch(3),
            lease_ms: 9_000,
        },
        BrokerMessage::Assignments(assignments),
        BrokerMessage::OpenStream {
            stream: StreamId(5),
            task: task_id(1),
            request: StreamRequest::PortForward { port: 80 },
        },
    ]
}

struct Alive(watch::Sender<u64>);

impl Alive {
    fn new(live: &watch::Sender<u64>) -> Self {
        live.send_modify(|n| *n += 1);
        Self(live.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n -= 1);
    }
}

#[async_trait]
impl Dispatcher for FakeDispatcher {
    async fn attach(
        &self,
        hello: AgentHello,
        up: BoxStream<'static, AgentMessage>,
    ) -> Result<BrokerStream, DispatchError> {
        let epoch = usize::try_from(hello.epoch.0).unwrap();
        self.hellos.lock().unwrap().push(hello);
        if epoch >= 100 {
            return Err(every_error().remove(epoch - 100));
        }
        let alive = Alive::new(&self.live);
        let heard = Arc::clone(&self.heard);
        let acks = up.filter_map(move |message| {
            let _alive = &alive;
            heard.lock().unwrap().push(message.clone());
            std::future::ready(match message {
                AgentMessage::Observed(all) => {
                    Some(BrokerMessage::Acked(all.last().map_or(Seq(0), |seen| seen.seq)))
                }
                AgentMessage::Heartbeat | AgentMessage::Facts(_) => None,
            })
        });
        Ok(iter(told()).chain(acks).map(Ok).boxed())
    }

    async fn carry(
        &self,
        node: NodeId,
        stream: StreamId,
        mut up: BoxStream<'static, Result<Output, StreamError>>,
    ) -> Result<BoxStream<'static, StreamInput>, DispatchError> {
        if stream == StreamId(4) {
            return Err(every_error().remove(0));
        }
        let carried = Arc::clone(&self.carried);
        carried.lock().unwrap().push(format!("{node} {stream:?}"));
        let first = [
            StreamInput::Data(Bytes::from_static(b"in")),
            StreamInput::Resize(WindowSize { rows: 2, cols: 3 }),
        ];
        // The last input comes when all output was read: so both directions flow at once.
        let last = async move {
            while let Some(output) = up.next().await {
                carried.lock().unwrap().push(format!("{output:?}"));
            }
            StreamInput::Eof
        };
        Ok(iter(first).chain(futures::stream::once(last)).boxed())
    }

    async fn fetch(
        &self,
        node: NodeId,
        task: TaskId,
        key: String,
        revision: u64,
    ) -> Result<Bytes, DispatchError> {
        match key.as_str() {
            "missing" => Err(every_error().remove(0)),
            _ => Ok(Bytes::from(format!("{node} {task} {key} {revision}"))),
        }
    }
}
