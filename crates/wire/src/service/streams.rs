//! `plenum.api.v1.Streams` in front of `Streams`.

use super::Answers;
use crate::convert::stream::output;
use crate::malformed::{Malformed, name, need, required, task_id};
use crate::proto::api::v1 as wire;
use crate::status::{malformed, protocol, status};
use futures::stream::{StreamExt, unfold};
use plenum_contract::streams::{StreamEnds, StreamError, StreamInput, StreamOutput, Streams};
use std::sync::Arc;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status, Streaming};
use wire::open_request::Message;

/// Serves byte streams.
#[derive(Clone)]
pub struct StreamsService(pub Arc<dyn Streams>);

fn bad(bad: Malformed) -> Status {
    malformed::<StreamError>(&bad)
}

#[async_trait::async_trait]
impl wire::streams_server::Streams for StreamsService {
    type OpenStream = Answers<wire::OpenResponse>;

    async fn open(
        &self,
        request: Request<Streaming<wire::OpenRequest>>,
    ) -> Result<Response<Self::OpenStream>, Status> {
        let mut requests = request.into_inner();
        let first = requests.message().await?.and_then(|request| request.message);
        let ends = match need(first, "open").map_err(bad)? {
            Message::Open(open) => {
                let task = task_id(&open.task, "open.task").map_err(bad)?;
                let asked = required(open.request, "open.request").map_err(bad)?;
                self.0.open(task, asked).await
            }
            Message::OpenNode(open) => {
                let node = name(&open.node, "open_node.node").map_err(bad)?;
                let asked = required(open.request, "open_node.request").map_err(bad)?;
                self.0.open_node(&node, asked).await
            }
            Message::Input(_) => {
                return Err(protocol::<StreamError>("the first message must be `open`"));
            }
        };
        let ends = ends.map_err(|e| status(&e))?;
        Ok(Response::new(answers(ends, requests)))
    }
}

/// The output, while the input is passed on beside it. When the transport drops this, both ends are dropped.
fn answers(ends: StreamEnds, requests: Streaming<wire::OpenRequest>) -> Answers<wire::OpenResponse> {
    let input = Box::pin(pass_on(requests, ends.input));
    unfold(Some((ends.output, Some(input))), |state| async {
        let (mut output, mut input) = state?;
        loop {
            let Some(passing) = &mut input else {
                return next(&mut output)
                    .await
                    .map(|answer| (Ok(answer), Some((output, input))));
            };
            tokio::select! {
                answer = next(&mut output) => {
                    return answer.map(|answer| (Ok(answer), Some((output, input))));
                }
                passed = passing => match passed {
                    Ok(()) => input = None,
                    Err(status) => return Some((Err(status), None)),
                },
            }
        }
    })
    .boxed()
}

async fn next(from: &mut StreamOutput) -> Option<wire::OpenResponse> {
    let item = from.next().await?;
    Some(wire::OpenResponse {
        output: Some(output(item)),
    })
}

/// Passes input on until the caller closes its side, and then closes the container's. What comes for a container
/// that takes no more is read and dropped, so that the caller is not held up.
async fn pass_on(
    mut requests: Streaming<wire::OpenRequest>,
    to: mpsc::Sender<StreamInput>,
) -> Result<(), Status> {
    while let Some(request) = requests.message().await? {
        let Message::Input(input) = need(request.message, "message").map_err(bad)? else {
            return Err(protocol::<StreamError>("a second `open`"));
        };
        let input = StreamInput::try_from(input).map_err(bad)?;
        let _ = to.send(input).await;
    }
    Ok(())
}
