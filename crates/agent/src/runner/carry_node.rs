//! Carries one stream between a caller and this node itself: its images. Dialled like a container's stream.

use super::carry::between;
use futures::stream::BoxStream;
use plenum_contract::dispatcher::{Dispatcher, StreamId};
use plenum_contract::images::carried::serve;
use plenum_contract::runtime::Runtime;
use plenum_contract::streams::{NodeRequest, StreamError, StreamInput, StreamOutput};
use plenum_model::ids::NodeId;
use std::sync::Arc;

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
        let between = between(self.dispatcher.as_ref(), &self.node, self.stream, |input| {
            self.open(request, input)
        });
        if let Err(why) = between.await {
            tracing::debug!(%why, "nobody waits for the stream");
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
