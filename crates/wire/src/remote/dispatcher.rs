//! `Dispatcher` over a channel.

use super::{Requests, answers};
use crate::convert::definitions::Incoming;
use crate::convert::dispatcher::{carried, carry, hello};
use crate::limits;
use crate::malformed::{Malformed, id_bytes, need};
use crate::proto::agent::v1 as wire;
use crate::status::{read, unreadable};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, once, unfold};
use plenum_contract::dispatcher::{
    AgentHello, AgentMessage, BrokerStream, DispatchError, Dispatcher, StreamId,
};
use plenum_contract::images::{Archive, FoundImage, ImageError};
use plenum_contract::streams::{Output, StreamError, StreamInput};
use plenum_model::ids::{NodeId, TaskId};
use std::future::ready;
use tonic::Streaming;
use tonic::transport::Channel;
use wire::dispatcher_client::DispatcherClient;
use wire::fetch_image_response;

/// A dispatcher that is called over a channel.
#[derive(Clone)]
pub struct RemoteDispatcher(DispatcherClient<Channel>);

impl RemoteDispatcher {
    /// The dispatcher behind `channel`.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        Self(
            DispatcherClient::new(channel)
                .max_decoding_message_size(limits::MESSAGE)
                .max_encoding_message_size(limits::MESSAGE),
        )
    }
}

#[async_trait]
impl Dispatcher for RemoteDispatcher {
    async fn attach(
        &self,
        agent: AgentHello,
        up: BoxStream<'static, AgentMessage>,
    ) -> Result<BrokerStream, DispatchError> {
        let down = self
            .0
            .clone()
            .attach(attachment(&agent, up))
            .await
            .map_err(|status| read::<DispatchError>(&status))?;
        let mut incoming = Incoming::default();
        Ok(answers(down.into_inner(), move |answer| {
            incoming.broker_message(answer)
        }))
    }

    async fn carry(
        &self,
        node: NodeId,
        stream: StreamId,
        up: BoxStream<'static, Result<Output, StreamError>>,
    ) -> Result<BoxStream<'static, StreamInput>, DispatchError> {
        let input = self
            .0
            .clone()
            .carry(carriage(&node, stream, up))
            .await
            .map_err(|status| read::<DispatchError>(&status))?;
        Ok(inputs(input.into_inner()))
    }

    async fn fetch(
        &self,
        node: NodeId,
        task: TaskId,
        key: String,
        revision: u64,
    ) -> Result<Bytes, DispatchError> {
        let request = wire::FetchRequest {
            node: node.as_str().to_owned(),
            key,
            revision,
            task: id_bytes(&task),
        };
        let answer = self
            .0
            .clone()
            .fetch(request)
            .await
            .map_err(|status| read::<DispatchError>(&status))?;
        Ok(answer.into_inner().content)
    }

    async fn fetch_image(
        &self,
        node: NodeId,
        task: TaskId,
        image: String,
    ) -> Result<FoundImage, DispatchError> {
        let request = wire::FetchImageRequest {
            node: node.as_str().to_owned(),
            task: id_bytes(&task),
            image,
        };
        let answer = self.0.clone().fetch_image(request).await;
        let mut pieces = answer
            .map_err(|status| read::<DispatchError>(&status))?
            .into_inner();
        let first = pieces.message().await;
        let first = first.map_err(|status| read::<DispatchError>(&status))?;
        match first.and_then(|first| first.message) {
            Some(fetch_image_response::Message::Found(id)) => Ok(FoundImage {
                id,
                archive: archive(pieces),
            }),
            Some(fetch_image_response::Message::Archive(_) | fetch_image_response::Message::Failed(_))
            | None => Err(unreadable(&Malformed::missing("found"))),
        }
    }
}

fn attachment(agent: &AgentHello, up: BoxStream<'static, AgentMessage>) -> Requests<wire::AttachRequest> {
    let up = up.map(|message| wire::AttachRequest::from(&message));
    Requests::new(once(ready(hello(agent))).chain(up))
}

fn carriage(
    node: &NodeId,
    stream: StreamId,
    up: BoxStream<'static, Result<Output, StreamError>>,
) -> Requests<wire::CarryRequest> {
    Requests::new(once(ready(carry(node, stream))).chain(up.map(carried)))
}

/// The archive that follows; whole when the stream ends well.
fn archive(pieces: Streaming<wire::FetchImageResponse>) -> Archive {
    use fetch_image_response::Message;
    unfold(Some(pieces), |pieces| async {
        let mut pieces = pieces?;
        let unavailable = |why: String| (Err(ImageError::Unavailable { why }), None);
        let message = match pieces.message().await {
            Ok(piece) => piece?.message,
            Err(broken) => return Some(unavailable(broken.message().to_owned())),
        };
        Some(match message {
            Some(Message::Archive(bytes)) => (Ok(bytes), Some(pieces)),
            Some(Message::Failed(error)) => match error.try_into() {
                Ok(error) => (Err(error), None),
                Err(bad) => unavailable(Malformed::to_string(&bad)),
            },
            Some(Message::Found(_)) | None => unavailable(Malformed::missing("archive").to_string()),
        })
    })
    .boxed()
}

/// Input has no error of its own: where it breaks, it ends.
fn inputs(stream: Streaming<wire::CarryResponse>) -> BoxStream<'static, StreamInput> {
    let inputs = answers::<_, _, DispatchError>(stream, |answer| {
        need(answer.input, "input").and_then(StreamInput::try_from)
    });
    inputs.scan((), |(), input| ready(input.ok())).boxed()
}
