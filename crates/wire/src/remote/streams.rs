//! `Streams` over a channel.

use super::{Requests, answers};
use crate::convert::stream::read_output;
use crate::limits;
use crate::malformed::{id_bytes, need};
use crate::proto::api::v1 as wire;
use crate::status::read;
use async_trait::async_trait;
use futures::stream::{StreamExt, once};
use plenum_contract::streams::{NodeRequest, StreamEnds, StreamError, StreamInput, StreamRequest, Streams};
use plenum_model::ids::{NodeId, TaskId};
use std::future::ready;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use wire::open_request::Message;
use wire::streams_client::StreamsClient;

/// Pieces of input that wait to be sent; a caller that has more waits.
const INPUT: usize = 16;

/// Byte streams that are opened over a channel. Dropping the output ends the stream.
#[derive(Clone)]
pub struct RemoteStreams(StreamsClient<Channel>);

impl RemoteStreams {
    /// The streams behind `channel`.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        Self(
            StreamsClient::new(channel)
                .max_decoding_message_size(limits::MESSAGE)
                .max_encoding_message_size(limits::MESSAGE),
        )
    }
}

#[async_trait]
impl Streams for RemoteStreams {
    async fn open(&self, task: TaskId, request: StreamRequest) -> Result<StreamEnds, StreamError> {
        let open = wire::OpenStream {
            task: id_bytes(&task),
            request: Some((&request).into()),
        };
        self.start(Message::Open(open)).await
    }

    async fn open_node(&self, node: &NodeId, request: NodeRequest) -> Result<StreamEnds, StreamError> {
        let open = wire::OpenNode {
            node: node.as_str().to_owned(),
            request: Some((&request).into()),
        };
        self.start(Message::OpenNode(open)).await
    }
}

impl RemoteStreams {
    async fn start(&self, first: Message) -> Result<StreamEnds, StreamError> {
        let (input, waiting) = mpsc::channel(INPUT);
        let requests = requests(first, waiting);
        let output = self
            .0
            .clone()
            .open(requests)
            .await
            .map_err(|status| read::<StreamError>(&status))?;
        let output = answers(output.into_inner(), |answer: wire::OpenResponse| {
            need(answer.output, "output").and_then(read_output)
        });
        // What the stream says of itself and what became of the stream are one thing to the caller.
        let output = output.map(|item| item.and_then(|output| output)).boxed();
        Ok(StreamEnds { input, output })
    }
}

fn requests(first: Message, input: mpsc::Receiver<StreamInput>) -> Requests<wire::OpenRequest> {
    let first = wire::OpenRequest { message: Some(first) };
    let input = ReceiverStream::new(input).map(|input| wire::OpenRequest {
        message: Some(Message::Input(input.into())),
    });
    Requests::new(once(ready(first)).chain(input))
}
