//! The contract `Streams`, in process: whoever asks for a stream waits here until the agent dials back and
//! carries it; then the two are joined and the broker is out of the way.

use super::BrokerHandle;
use super::mailbox::Asked;
use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use parking_lot::Mutex;
use plenum_contract::dispatcher::{DispatchError, StreamId};
use plenum_contract::streams::{
    NodeRequest, Output, StreamEnds, StreamError, StreamInput, StreamOutput, StreamRequest, Streams,
};
use plenum_model::ids::{NodeId, TaskId};
use plenum_model::node::Liveness;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;

/// Pieces of input that may wait for the agent: a stream's credit in this direction.
const INPUT_DEPTH: usize = 32;

/// Streams that were asked for and are not carried yet. Each has somebody waiting, for a bounded time.
#[derive(Default)]
pub(super) struct Hub {
    next: AtomicU64,
    waiting: Arc<Mutex<BTreeMap<StreamId, Waiting>>>,
}

struct Waiting {
    node: NodeId,
    input: mpsc::Receiver<StreamInput>,
    output: oneshot::Sender<StreamOutput>,
}

/// Whoever waits may give up; then nobody is to be found any more.
struct Place {
    id: StreamId,
    waiting: Arc<Mutex<BTreeMap<StreamId, Waiting>>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.waiting.lock().remove(&self.id);
    }
}

impl Hub {
    fn wait(&self, node: NodeId) -> (Place, mpsc::Sender<StreamInput>, oneshot::Receiver<StreamOutput>) {
        let id = StreamId(self.next.fetch_add(1, Ordering::Relaxed));
        let (to_agent, input) = mpsc::channel(INPUT_DEPTH);
        let (output, carried) = oneshot::channel();
        self.waiting.lock().insert(id, Waiting { node, input, output });
        (
            Place {
                id,
                waiting: Arc::clone(&self.waiting),
            },
            to_agent,
            carried,
        )
    }

    pub(super) fn carry(
        &self,
        node: &NodeId,
        id: StreamId,
        up: BoxStream<'static, Result<Output, StreamError>>,
    ) -> Result<BoxStream<'static, StreamInput>, DispatchError> {
        let nobody = || DispatchError::NotFound {
            what: format!("stream {} of node {node}", id.0),
        };
        let mut waiting = self.waiting.lock();
        if waiting.get(&id).is_none_or(|w| w.node != *node) {
            return Err(nobody());
        }
        let found = waiting.remove(&id).ok_or_else(nobody)?;
        drop(waiting);
        found.output.send(up).map_err(|_| nobody())?;
        Ok(ReceiverStream::new(found.input).boxed())
    }
}

#[async_trait]
impl Streams for BrokerHandle {
    async fn open(&self, task: TaskId, request: StreamRequest) -> Result<StreamEnds, StreamError> {
        let node = self.node_of(task)?;
        self.ask(&node, Asked::Task(task, request)).await
    }

    async fn open_node(&self, node: &NodeId, request: NodeRequest) -> Result<StreamEnds, StreamError> {
        let known = self.0.shared.view.read().node(node).is_some();
        if !known {
            let what = format!("node {node}");
            return Err(StreamError::NotFound { what });
        }
        self.reachable(node)?;
        self.ask(node, Asked::Node(request)).await
    }
}

impl BrokerHandle {
    /// Asks the agent of a node for a stream, and waits until it carries it.
    async fn ask(&self, node: &NodeId, asked: Asked) -> Result<StreamEnds, StreamError> {
        let mailbox = self
            .0
            .shared
            .mailboxes
            .lock()
            .get(node)
            .map(|(_, mailbox)| Arc::clone(mailbox));
        let away = || StreamError::Unavailable {
            why: format!("the agent of node {node} is not connected"),
        };
        let mailbox = mailbox.ok_or_else(away)?;
        let (place, input, carried) = self.0.hub.wait(node.clone());
        if !mailbox.open_stream(place.id, asked) {
            return Err(away());
        }
        let patience = Duration::from_millis(self.0.config.stream_timeout_ms);
        tokio::select! {
            carried = tokio::time::timeout(patience, carried) => match carried {
                Ok(Ok(output)) => Ok(StreamEnds { input, output }),
                Ok(Err(_)) => Err(away()),
                Err(_) => Err(StreamError::Unavailable {
                    why: format!("the agent of node {node} did not answer within {} ms", patience.as_millis()),
                }),
            },
            () = mailbox.token().cancelled() => Err(away()),
            () = self.0.stop.cancelled() => {
                Err(StreamError::Unavailable { why: "the broker is stopping".to_owned() })
            }
        }
    }

    fn reachable(&self, node: &NodeId) -> Result<(), StreamError> {
        let view = self.0.shared.view.read();
        if view
            .node(node)
            .is_some_and(|n| n.liveness == Liveness::Unreachable)
        {
            return Err(StreamError::Unavailable {
                why: format!("node {node} is unreachable"),
            });
        }
        Ok(())
    }

    fn node_of(&self, task: TaskId) -> Result<NodeId, StreamError> {
        let view = self.0.shared.view.read();
        let now = view.task(task).ok_or_else(|| StreamError::NotFound {
            what: format!("task {task}"),
        })?;
        let node = now.on.clone().ok_or_else(|| StreamError::State {
            why: match now.task.status.phase().is_terminal() {
                true => format!("task {task} is {} and on no node", now.task.status.phase()),
                false => format!("task {task} waits for a node"),
            },
        })?;
        drop(view);
        self.reachable(&node)?;
        Ok(node)
    }
}
