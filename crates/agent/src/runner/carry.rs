//! Carries one stream between a caller and a container. The agent dials: it opens the stream at the broker
//! first, so that every error reaches the caller as part of it.

use crate::supervisor::Location;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use plenum_contract::dispatcher::{DispatchError, Dispatcher, StreamId};
use plenum_contract::runtime::{Runtime, RuntimeError};
use plenum_contract::streams::{Output, StreamError, StreamInput, StreamOutput, StreamRequest};
use plenum_model::ids::{NodeId, TaskId};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Pieces on their way to the caller: a stream's own credit. Behind it the container's output waits.
const CREDIT: usize = 32;

/// A caller that has not read an answer by then does not read it.
const LINGER: Duration = Duration::from_secs(60);

/// Bytes read at once from a forwarded connection.
const CHUNK: usize = 32 << 10;

/// One stream to carry.
pub(super) struct Carry {
    pub(super) node: NodeId,
    pub(super) dispatcher: Arc<dyn Dispatcher>,
    pub(super) stream: StreamId,
    pub(super) place: Option<(Location, Arc<dyn Runtime>)>,
    pub(super) task: TaskId,
}

/// Which container a request is for; none: the first main one.
pub(super) fn container(request: &StreamRequest) -> Option<&str> {
    match request {
        StreamRequest::Logs(query) => query.container.as_deref(),
        StreamRequest::Exec(exec) => exec.container.as_deref(),
        StreamRequest::Attach { container }
        | StreamRequest::Stats { container }
        | StreamRequest::Top { container, .. }
        | StreamRequest::Health { container }
        | StreamRequest::Signal { container, .. } => container.as_deref(),
        StreamRequest::PortForward { .. } => None,
    }
}

impl Carry {
    /// Runs until either end is done.
    pub(super) async fn run(self, request: StreamRequest) {
        let between = between(self.dispatcher.as_ref(), &self.node, self.stream, |input| {
            self.open(request, input)
        });
        if let Err(why) = between.await {
            tracing::debug!(task = %self.task, %why, "nobody waits for the stream");
        }
    }

    async fn open(
        &self,
        request: StreamRequest,
        input: BoxStream<'static, StreamInput>,
    ) -> Result<StreamOutput, StreamError> {
        let Some((place, runtime)) = &self.place else {
            let what = match container(&request) {
                Some(name) => format!("container {name} of task {} on node {}", self.task, self.node),
                None => format!("task {} on node {}", self.task, self.node),
            };
            return Err(StreamError::NotFound { what });
        };
        match request {
            StreamRequest::Logs(query) if query.previous => {
                let none = || StreamError::NotFound {
                    what: format!("run before this one of container {}", place.key.container),
                };
                let previous = place.previous.as_ref().ok_or_else(none)?;
                runtime.logs(previous, query).await
            }
            StreamRequest::Logs(query) => runtime.logs(&place.key, query).await,
            StreamRequest::Exec(exec) => runtime.exec(&place.key, exec, input).await,
            StreamRequest::Attach { .. } => {
                let output = runtime.attach(&place.key, input).await?;
                // Whoever attached before the start may start it now.
                let attached = futures::stream::iter([Ok(Output::Stdout(Bytes::new()))]);
                Ok(attached.chain(output).boxed())
            }
            StreamRequest::Stats { .. } => {
                let stats = runtime.stats(&place.key).await?;
                Ok(futures::stream::iter([Ok(Output::Stats(stats))]).boxed())
            }
            StreamRequest::Top { arguments, .. } => {
                let table = runtime.top(&place.key, &arguments).await?;
                Ok(futures::stream::iter([Ok(Output::Processes(table))]).boxed())
            }
            StreamRequest::Health { .. } => {
                let health = match place.image_check {
                    false => place.health.clone(),
                    true => {
                        let told = runtime.image_health(&place.key).await.map_err(not_sent)?;
                        told.map(|told| told.health).unwrap_or_default()
                    }
                };
                Ok(futures::stream::iter([Ok(Output::Health(health))]).boxed())
            }
            StreamRequest::Signal { name, .. } => {
                let sent = runtime.signal(&place.key, &name).await;
                sent.map_err(not_sent)?;
                Ok(futures::stream::empty().boxed())
            }
            StreamRequest::PortForward { port } => forward(place, port, input).await,
        }
    }
}

fn not_sent(error: RuntimeError) -> StreamError {
    match error {
        RuntimeError::NotFound { key } => StreamError::NotFound {
            what: format!("container {key}"),
        },
        RuntimeError::Refused { why, .. } => StreamError::Failed { why },
        RuntimeError::Failed { .. } => StreamError::Unavailable {
            why: error.to_string(),
        },
    }
}

/// Carries what `open` gives for the caller's input, until either end is done.
pub(super) async fn between<F>(
    dispatcher: &dyn Dispatcher,
    node: &NodeId,
    stream: StreamId,
    open: impl FnOnce(BoxStream<'static, StreamInput>) -> F,
) -> Result<(), DispatchError>
where
    F: Future<Output = Result<StreamOutput, StreamError>>,
{
    let (out, pieces) = mpsc::channel(CREDIT);
    let up = ReceiverStream::new(pieces).boxed();
    let input = dispatcher.carry(node.clone(), stream, up).await?;
    let (to, given) = mpsc::channel(1);
    let forwarding = pass_on(input, to);
    let answering = answer(open(ReceiverStream::new(given).boxed()), out);
    tokio::pin!(forwarding, answering);
    tokio::select! {
        () = &mut forwarding => answering.await,
        // The caller closes its side when it has read everything. Until then this side stays: a connection that
        // is given up takes with it what is still on its way.
        () = &mut answering => drop(tokio::time::timeout(LINGER, forwarding).await),
    }
    Ok(())
}

/// Passes input on as long as somebody reads it, and reads it to its end.
async fn pass_on(mut input: BoxStream<'static, StreamInput>, to: mpsc::Sender<StreamInput>) {
    while let Some(piece) = input.next().await {
        // Whoever has all it needs reads no more.
        let _ = to.send(piece).await;
    }
}

async fn answer(
    open: impl Future<Output = Result<StreamOutput, StreamError>>,
    out: mpsc::Sender<Result<Output, StreamError>>,
) {
    let opened = tokio::select! {
        () = out.closed() => return,
        opened = open => opened,
    };
    match opened {
        Ok(output) => pump(output, &out).await,
        // If the caller is gone nobody is left to tell.
        Err(e) => drop(out.send(Err(e)).await),
    }
}

async fn pump(mut output: StreamOutput, out: &mpsc::Sender<Result<Output, StreamError>>) {
    loop {
        let piece = tokio::select! {
            () = out.closed() => return,
            piece = output.next() => piece,
        };
        let Some(piece) = piece else { return };
        if out.send(piece).await.is_err() {
            return;
        }
    }
}

/// A connection to a port of the task: at its own address, or through the port of the node that leads to it.
async fn forward(
    place: &Location,
    port: u16,
    mut input: BoxStream<'static, StreamInput>,
) -> Result<StreamOutput, StreamError> {
    let published = place.ports.iter().find(|(inside, _)| *inside == port);
    let (address, at) = match (&place.own_address, published) {
        (Some(own), _) => (own.as_str(), port),
        (None, Some((_, host))) => (place.address.as_str(), *host),
        (None, None) => {
            return Err(StreamError::NotFound {
                what: format!("published TCP port {port} of the task"),
            });
        }
    };
    let failed = |e: std::io::Error| StreamError::Failed {
        why: format!("port {port}: {e}"),
    };
    let socket = TcpStream::connect((address, at)).await.map_err(failed)?;
    let (mut from, mut to) = socket.into_split();
    let (out, pieces) = mpsc::channel(CREDIT);
    // Ends with the connection, or when the caller drops the pieces.
    let pump_both = async move {
        let inbound = async {
            while let Some(piece) = input.next().await {
                match piece {
                    StreamInput::Data(bytes) => {
                        if to.write_all(&bytes).await.is_err() {
                            return;
                        }
                    }
                    StreamInput::Resize(_) => {}
                    StreamInput::Eof => break,
                }
            }
            // The other side learns of the half-closed connection; if it is gone there is nothing to tell.
            let _ = to.shutdown().await;
            std::future::pending::<()>().await;
        };
        let outbound = async {
            let mut buffer = vec![0; CHUNK];
            loop {
                let piece = match from.read(&mut buffer).await {
                    Ok(0) => return,
                    Ok(n) => Ok(Output::Stdout(Bytes::copy_from_slice(&buffer[..n]))),
                    Err(e) => Err(StreamError::Failed { why: e.to_string() }),
                };
                let ended = piece.is_err();
                if out.send(piece).await.is_err() || ended {
                    return;
                }
            }
        };
        tokio::select! {
            () = inbound => {}
            () = outbound => {}
            () = out.closed() => {}
        }
    };
    let ended = futures::stream::once(pump_both).filter_map(|()| std::future::ready(None));
    Ok(futures::stream::select(ReceiverStream::new(pieces), ended).boxed())
}
