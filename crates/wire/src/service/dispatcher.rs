//! `plenum.agent.v1.Dispatcher` in front of a `Dispatcher`.

use super::Answers;
use crate::convert::definitions::Outgoing;
use crate::convert::dispatcher::{read_carried, read_carry};
use crate::malformed::{Malformed, name, need, task_id};
use crate::proto::agent::v1 as wire;
use crate::status::{malformed, protocol, status};
use futures::FutureExt;
use futures::stream::{BoxStream, StreamExt, once, unfold};
use plenum_contract::dispatcher::{AgentHello, AgentMessage, BrokerStream, DispatchError, Dispatcher};
use plenum_contract::streams::{Output, StreamError};
use std::future::ready;
use std::sync::Arc;
use tokio::sync::oneshot;
use tonic::{Request, Response, Status, Streaming};
use wire::attach_request::Message;

/// Serves a dispatcher.
#[derive(Clone)]
pub struct DispatcherService(pub Arc<dyn Dispatcher>);

fn bad(bad: Malformed) -> Status {
    malformed::<DispatchError>(&bad)
}

#[async_trait::async_trait]
impl wire::dispatcher_server::Dispatcher for DispatcherService {
    type AttachStream = Answers<wire::AttachResponse>;
    type CarryStream = Answers<wire::CarryResponse>;
    type FetchImageStream = Answers<wire::FetchImageResponse>;

    async fn attach(
        &self,
        request: Request<Streaming<wire::AttachRequest>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let mut requests = request.into_inner();
        let first = requests.message().await?.and_then(|request| request.message);
        let Message::Hello(hello) = need(first, "hello").map_err(bad)? else {
            return Err(protocol::<DispatchError>("the first message must be `hello`"));
        };
        let hello = AgentHello::try_from(hello).map_err(bad)?;
        let (fault, faulted) = oneshot::channel();
        let down = self
            .0
            .attach(hello, messages(requests, fault))
            .await
            .map_err(|e| status(&e))?;
        Ok(Response::new(answers(down, faulted)))
    }

    async fn carry(
        &self,
        request: Request<Streaming<wire::CarryRequest>>,
    ) -> Result<Response<Self::CarryStream>, Status> {
        let mut requests = request.into_inner();
        let first = need(requests.message().await?, "open").map_err(bad)?;
        let (node, stream) = read_carry(first).map_err(bad)?;
        let input = self
            .0
            .carry(node, stream, outputs(requests))
            .await
            .map_err(|e| status(&e))?;
        let answers = input.map(|input| {
            Ok(wire::CarryResponse {
                input: Some(input.into()),
            })
        });
        Ok(Response::new(answers.boxed()))
    }

    async fn fetch(
        &self,
        request: Request<wire::FetchRequest>,
    ) -> Result<Response<wire::FetchResponse>, Status> {
        let wire::FetchRequest {
            node,
            key,
            revision,
            task,
        } = request.into_inner();
        let node = name(&node, "node").map_err(bad)?;
        let task = task_id(&task, "task").map_err(bad)?;
        let content = self
            .0
            .fetch(node, task, key, revision)
            .await
            .map_err(|e| status(&e))?;
        Ok(Response::new(wire::FetchResponse { content }))
    }

    async fn fetch_image(
        &self,
        request: Request<wire::FetchImageRequest>,
    ) -> Result<Response<Self::FetchImageStream>, Status> {
        use wire::fetch_image_response::Message;
        let wire::FetchImageRequest { node, task, image } = request.into_inner();
        let node = name(&node, "node").map_err(bad)?;
        let task = task_id(&task, "task").map_err(bad)?;
        let found = self.0.fetch_image(node, task, image).await;
        let found = found.map_err(|e| status(&e))?;
        let archive = found.archive.map(|piece| match piece {
            Ok(bytes) => Message::Archive(bytes),
            Err(error) => Message::Failed(error.into()),
        });
        let answers = once(ready(Message::Found(found.id))).chain(archive);
        let answers = answers.map(|message| {
            Ok(wire::FetchImageResponse {
                message: Some(message),
            })
        });
        Ok(Response::new(answers.boxed()))
    }
}

/// What the agent sends, until its side ends, breaks or does not decode; the last is told through `fault`.
fn messages(
    requests: Streaming<wire::AttachRequest>,
    fault: oneshot::Sender<Malformed>,
) -> BoxStream<'static, AgentMessage> {
    let state = Some((requests, fault));
    unfold(state, |state| async {
        let (mut requests, fault) = state?;
        let request = requests.message().await.ok().flatten()?;
        match AgentMessage::try_from(request) {
            Ok(message) => Some((message, Some((requests, fault)))),
            Err(bad) => {
                // Nobody is left to be told when the answers are gone.
                let _ = fault.send(bad);
                None
            }
        }
    })
    .boxed()
}

/// What the broker sends, until it ends or the agent sent what does not decode.
fn answers(down: BrokerStream, faulted: oneshot::Receiver<Malformed>) -> Answers<wire::AttachResponse> {
    let faulted = Box::pin(async move {
        match faulted.await {
            Ok(fault) => bad(fault),
            Err(_no_fault) => std::future::pending().await,
        }
    });
    let state = Some((down, faulted, Outgoing::default()));
    unfold(state, |state| async {
        let (mut down, mut faulted, mut outgoing) = state?;
        let message = tokio::select! {
            message = down.next() => message,
            fault = &mut faulted => return Some((Err(fault), None)),
        };
        match message {
            Some(Ok(message)) => {
                let answer = outgoing.broker_message(&message);
                Some((Ok(answer), Some((down, faulted, outgoing))))
            }
            Some(Err(error)) => Some((Err(status(&error)), None)),
            // The broker lets an agent go whose side has ended; if it ended over a fault, that is to be told.
            None => (&mut faulted).now_or_never().map(|fault| (Err(fault), None)),
        }
    })
    .boxed()
}

/// What a container gives, until the agent's side ends; a side that breaks says so at last.
fn outputs(requests: Streaming<wire::CarryRequest>) -> BoxStream<'static, Result<Output, StreamError>> {
    unfold(Some(requests), |requests| async {
        let mut requests = requests?;
        let output = match requests.message().await {
            Ok(request) => read_carried(request?),
            Err(broken) => {
                let why = format!("the agent's side broke: {}", broken.message());
                return Some((Err(StreamError::Unavailable { why }), None));
            }
        };
        Some(match output {
            Ok(output) => (output, Some(requests)),
            Err(bad) => (Err(StreamError::Failed { why: bad.to_string() }), None),
        })
    })
    .boxed()
}
