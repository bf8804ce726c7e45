//! The callers' side of each contract, over a channel that may be shared by all of them.

mod broker;
mod channel;
mod dispatcher;
mod pool;
mod session;
mod state;
mod streams;

pub use broker::RemoteBroker;
pub use channel::{BadUrl, connect};
pub use dispatcher::RemoteDispatcher;
pub use pool::RemotePool;
pub use state::RemoteState;
pub use streams::RemoteStreams;

use crate::malformed::Malformed;
use crate::status::{WireError, read, unreadable};
use futures::stream::{BoxStream, Stream, StreamExt, unfold};
use std::pin::Pin;
use std::task::{Context, Poll};
use tonic::Streaming;

/// The requests of a stream, under a type with a name: the compiler cannot prove of a nameless one that it may
/// change threads within the future of a call.
struct Requests<T>(BoxStream<'static, T>);

impl<T> Requests<T> {
    fn new(requests: impl Stream<Item = T> + Send + 'static) -> Self {
        Self(requests.boxed())
    }
}

impl<T> Stream for Requests<T> {
    type Item = T;
    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.poll_next_unpin(context)
    }
}

/// The answers of a stream, decoded, until it ends or the first error, which is the last item.
fn answers<W, T, E>(
    stream: Streaming<W>,
    decode: impl FnMut(W) -> Result<T, Malformed> + Send + 'static,
) -> BoxStream<'static, Result<T, E>>
where
    W: Send + 'static,
    T: Send + 'static,
    E: WireError + Send + 'static,
{
    unfold(Some((stream, decode)), |state| async {
        let (mut stream, mut decode) = state?;
        match stream.message().await {
            Ok(answer) => Some(match decode(answer?) {
                Ok(answer) => (Ok(answer), Some((stream, decode))),
                Err(bad) => (Err(unreadable(&bad)), None),
            }),
            Err(broken) => Some((Err(read(&broken)), None)),
        }
    })
    .boxed()
}
