//! Carries one stream between a caller and this node itself: its images. Dialled like a container's stream.

use super::carry::{CREDIT, pump};
use futures::StreamExt;
use futures::stream::BoxStream;
use plenum_contract::dispatcher::{Dispatcher, StreamId};
use plenum_contract::images::carried::serve;
use plenum_contract::runtime::Runtime;
use plenum_contract::streams::{NodeRequest, Output, StreamError, StreamInput, StreamOutput};
use plenum_model::ids::NodeId;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// A caller that has not read an answer by then does not read it.
const LINGER: Duration = Duration::from_secs(60);

/// One stream to carry.
pub(super) struct NodeCarry {
    pub(super) node: NodeId,
    pub(super) dispatcher: Arc<dyn Dispatcher>,
    pub(super) stream: StreamId,
    /// The runtime that is asked, if the node has it.
    pub(super) runtime: Option<Arc<dyn Runtime>>,
}

impl NodeCarry {
    /// Runs until either end is done.
    pub(super) async fn run(self, request: NodeRequest) {
        let (out, pieces) = mpsc::channel(CREDIT);
        let up = ReceiverStream::new(pieces).boxed();
        let input = match self.dispatcher.carry(self.node.clone(), self.stream, up).await {
            Ok(input) => input,
            Err(why) => {
                tracing::debug!(%why, "nobody waits for the stream");
                return;
            }
        };
        let (to, given) = mpsc::channel(1);
        let forwarding = forward(input, to);
        let answering = self.answer(request, ReceiverStream::new(given).boxed(), out);
        tokio::pin!(forwarding, answering);
        tokio::select! {
            () = &mut forwarding => answering.await,
            // The caller closes its side when it has read everything. Until then this side stays: a connection
            // that is given up takes with it what is still on its way.
            () = &mut answering => drop(tokio::time::timeout(LINGER, forwarding).await),
        }
    }

    async fn answer(
        &self,
        request: NodeRequest,
        input: BoxStream<'static, StreamInput>,
        out: mpsc::Sender<Result<Output, StreamError>>,
    ) {
        let opened = tokio::select! {
            () = out.closed() => return,
            opened = self.open(request, input) => opened,
        };
        match opened {
            Ok(output) => pump(output, &out).await,
            // If the caller is gone nobody is left to tell.
            Err(e) => drop(out.send(Err(e)).await),
        }
    }

    async fn open(
        &self,
        request: NodeRequest,
        input: BoxStream<'static, StreamInput>,
    ) -> Result<StreamOutput, StreamError> {
        let NodeRequest::Images { runtime, request } = request;
        let images = self.runtime.as_ref().and_then(|r| r.images());
        let Some(images) = images else {
            return Err(StreamError::NotSupported {
                what: format!("images on node {}", self.node),
                runtime,
            });
        };
        Ok(serve(images, request, input).await)
    }
}

/// Passes input on as long as somebody reads it, and reads it to its end.
async fn forward(mut input: BoxStream<'static, StreamInput>, to: mpsc::Sender<StreamInput>) {
    while let Some(piece) = input.next().await {
        // Whoever has all it needs reads no more.
        let _ = to.send(piece).await;
    }
}
