//! Bytes between a client and a container: a hijacked connection, or the body of an answer.

use super::frame::{Source, frame, media_type};
use crate::error::{ApiError, ApiResult};
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt;
use http::header::{CONNECTION, CONTENT_TYPE, UPGRADE};
use http::{HeaderValue, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use plenum_contract::streams::{Output, StreamInput, StreamOutput};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;

/// Bytes read at once from a client.
const CHUNK: usize = 32 << 10;

/// A client's connection once its request is answered.
pub(super) type Connection = TokioIo<hyper::upgrade::Upgraded>;

/// Which streams a client wants, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) tty: bool,
    pub(super) stdin: bool,
    pub(super) stdout: bool,
    pub(super) stderr: bool,
}

/// The connection to be taken over; none: the client asks for a plain answer.
///
/// # Errors
/// 400 when it cannot be.
pub(super) fn upgrade(request: &mut Request) -> ApiResult<Option<OnUpgrade>> {
    if !request.headers().contains_key(UPGRADE) {
        return Ok(None);
    }
    let upgrade = request.extensions_mut().remove::<OnUpgrade>();
    upgrade
        .map(Some)
        .ok_or_else(|| ApiError::bad("this connection cannot carry a stream; use HTTP/1.1"))
}

/// The answer after which the connection is taken over.
pub(super) fn switching(tty: bool) -> Response {
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("tcp"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type(tty)));
    response
}

/// The answer whose body is the output, for clients that send no input.
pub(super) fn plain(output: StreamOutput, wanted: Wanted) -> Response {
    let pieces =
        output.filter_map(move |piece| std::future::ready(piece.ok().and_then(|p| shown(p, wanted))));
    body(media_type(wanted.tty), pieces)
}

/// Carries both directions until the output ends or the client is gone. A client that ends its input still
/// gets all output. `ended` hears the exit code, if the stream told one, before the client sees the end: what
/// the client asks next must know it.
pub(super) async fn carry(
    connection: Connection,
    input: mpsc::Sender<StreamInput>,
    output: StreamOutput,
    wanted: Wanted,
    ended: impl FnOnce(Option<i32>),
) {
    let (read, mut write) = tokio::io::split(connection);
    let inbound = take_in(read, input, wanted.stdin);
    let outbound = give_out(&mut write, output, wanted);
    let code = {
        tokio::pin!(inbound, outbound);
        tokio::select! {
            code = &mut outbound => code,
            () = &mut inbound => outbound.await,
        }
    };
    ended(code);
    // A client that is gone already needs no goodbye.
    let _ = write.shutdown().await;
}

/// Bytes of the client for the container, or for nobody. Holds the sender open: a closed one would end the
/// container's input.
async fn take_in(mut read: ReadHalf<Connection>, input: mpsc::Sender<StreamInput>, stdin: bool) {
    let mut buffer = vec![0; CHUNK];
    while let Ok(n) = read.read(&mut buffer).await {
        if n == 0 {
            break;
        }
        let data = StreamInput::Data(Bytes::copy_from_slice(&buffer[..n]));
        if stdin && input.send(data).await.is_err() {
            break;
        }
    }
    if stdin {
        let _ = input.send(StreamInput::Eof).await;
    }
    input.closed().await;
}

async fn give_out(
    write: &mut WriteHalf<Connection>,
    mut output: StreamOutput,
    wanted: Wanted,
) -> Option<i32> {
    let mut last = None;
    while let Some(piece) = output.next().await {
        let piece = match piece {
            Ok(piece) => piece,
            Err(error) => {
                tracing::debug!(%error, "a stream of a container broke");
                break;
            }
        };
        if let Output::Exit { code } = piece {
            last = Some(code);
        }
        let Some(bytes) = shown(piece, wanted) else {
            continue;
        };
        if write.write_all(&bytes).await.is_err() || write.flush().await.is_err() {
            break;
        }
    }
    last
}

/// A piece as the client gets it, if it wants it.
fn shown(piece: Output, wanted: Wanted) -> Option<Bytes> {
    let (source, bytes) = match piece {
        Output::Stdout(bytes) if bytes.is_empty() => return None,
        Output::Stdout(bytes) => (Source::Stdout, bytes),
        Output::Stderr(bytes) => (Source::Stderr, bytes),
        Output::Log(line) => (super::logs::source(line.source), line.bytes),
        Output::Exit { .. }
        | Output::Stats(_)
        | Output::Image(_)
        | Output::Processes(_)
        | Output::Health(_) => return None,
    };
    let asked = match source {
        Source::Stdout => wanted.stdout,
        Source::Stderr => wanted.stderr,
    };
    asked.then(|| frame(wanted.tty, source, bytes))
}

/// The answer whose body is a stream of pieces.
pub(super) fn body(
    media: &'static str,
    pieces: impl futures::Stream<Item = Bytes> + Send + 'static,
) -> Response {
    let pieces = pieces.map(Ok::<_, std::convert::Infallible>);
    ([(CONTENT_TYPE, media)], Body::from_stream(pieces)).into_response()
}
