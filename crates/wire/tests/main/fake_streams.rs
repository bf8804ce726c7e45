//! Streams that echo.

use crate::fake_images::FakeImages;
use crate::nouns::{node_id, task_id};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{StreamExt, iter, once, repeat_with, unfold};
use plenum_contract::images::carried::serve;
use plenum_contract::streams::{
    NodeRequest, Output, StreamEnds, StreamError, StreamInput, StreamRequest, Streams, WindowSize,
};
use plenum_model::ids::{NodeId, TaskId};
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, watch};

#[derive(Default)]
pub(crate) struct FakeStreams {
    pub(crate) asked: Mutex<Vec<StreamRequest>>,
    /// The images of the node.
    pub(crate) images: Arc<FakeImages>,
    /// Streams that live.
    live: watch::Sender<u64>,
    /// Pieces that were taken from the endless one.
    pub(crate) taken: watch::Sender<u64>,
}

impl FakeStreams {
    /// Waits until so many streams live.
    pub(crate) async fn until(&self, right: impl Fn(u64) -> bool) {
        let mut live = self.live.subscribe();
        crate::wired::soon("the streams' count", live.wait_for(|n| right(*n)))
            .await
            .unwrap();
    }
}

/// Every error that a stream has.
pub(crate) fn every_error() -> Vec<StreamError> {
    vec![
        StreamError::NotFound { what: "task".into() },
        StreamError::State {
            why: "container is not running".into(),
        },
        StreamError::NotSupported {
            what: "attach".into(),
            runtime: "process".into(),
        },
        StreamError::Unavailable {
            why: "node is silent".into(),
        },
        StreamError::Failed {
            why: "no such file".into(),
        },
    ]
}

/// The task whose output never ends.
pub(crate) fn endless() -> TaskId {
    task_id(50)
}

/// The task whose stream breaks.
pub(crate) fn breaking() -> TaskId {
    task_id(51)
}

struct Alive(watch::Sender<u64>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n -= 1);
    }
}

#[async_trait]
impl Streams for FakeStreams {
    async fn open(&self, task: TaskId, request: StreamRequest) -> Result<StreamEnds, StreamError> {
        if let StreamRequest::PortForward { port } = request {
            return Err(every_error().remove(port.into()));
        }
        self.asked.lock().unwrap().push(request);
        self.live.send_modify(|n| *n += 1);
        let alive = Alive(self.live.clone());
        let (input, mut given) = mpsc::channel(4);
        let output = if task == endless() {
            given.close();
            let taken = self.taken.clone();
            repeat_with(move || {
                let _alive = &alive;
                taken.send_modify(|n| *n += 1);
                Ok(Output::Stdout(Bytes::from_static(&[7; 1024])))
            })
            .boxed()
        } else if task == breaking() {
            iter([
                Ok(Output::Stdout(Bytes::from_static(b"a"))),
                Err(every_error().remove(3)),
            ])
            .boxed()
        } else {
            unfold(Some((given, alive)), echo).map(Ok).boxed()
        };
        Ok(StreamEnds { input, output })
    }

    async fn open_node(&self, node: &NodeId, request: NodeRequest) -> Result<StreamEnds, StreamError> {
        if *node != node_id(1) {
            return Err(every_error().remove(0));
        }
        let NodeRequest::Images { request, .. } = request;
        let (input, given) = mpsc::channel(4);
        let given = tokio_stream::wrappers::ReceiverStream::new(given).boxed();
        // A load is over when its input is, which comes only once this is open.
        let images = Arc::clone(&self.images);
        let output = once(async move { serve(images.as_ref(), request, given).await });
        let output = output.flatten().boxed();
        Ok(StreamEnds { input, output })
    }
}

type Echoing = Option<(mpsc::Receiver<StreamInput>, Alive)>;

async fn echo(state: Echoing) -> Option<(Output, Echoing)> {
    let (mut given, alive) = state?;
    Some(match given.recv().await {
        Some(StreamInput::Data(bytes)) => (Output::Stdout(bytes), Some((given, alive))),
        Some(StreamInput::Resize(WindowSize { rows, cols })) => (
            Output::Stderr(Bytes::from(format!("{rows}x{cols}"))),
            Some((given, alive)),
        ),
        Some(StreamInput::Eof) => (Output::Exit { code: 0 }, None),
        None => (Output::Exit { code: 1 }, None),
    })
}
