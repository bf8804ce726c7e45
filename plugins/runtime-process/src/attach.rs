//! The standard streams of a container, through its shim.

use crate::blocking::chain;
use crate::exit::shell_code;
use crate::runtime::Engine;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use plenum_contract::runtime::ContainerKey;
use plenum_contract::streams::{Output, StreamError, StreamInput, StreamOutput};
use plenum_shim::client::{self, ShimError};
use plenum_shim::config::WindowSize;
use plenum_shim::wire::{Attach, Frame};
use std::future::pending;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Pieces of output on their way; what is not taken holds the container back for a while, then the shim
/// hangs up.
const QUEUE: usize = 16;

/// Joins the container's streams; it may be prepared only.
pub(crate) fn connect(engine: &Engine, key: &ContainerKey) -> Result<Attached, StreamError> {
    let failed = |why: String| StreamError::Failed { why };
    let found = engine.find(key).map_err(|error| failed(error.to_string()))?;
    let (dir, record) = found.ok_or_else(|| StreamError::NotFound {
        what: format!("container {key}"),
    })?;
    let streams = Attach {
        stdin: record.stdin,
        stdout: true,
        stderr: true,
    };
    let without = Attach {
        stdin: false,
        ..streams
    };
    let attached = match client::attach(&dir, streams) {
        // Its input was closed by an earlier client: its output can be had still.
        Err(ShimError::Refused(_)) if streams.stdin => {
            client::attach(&dir, without).map(|stream| (stream, false))
        }
        other => other.map(|stream| (stream, streams.stdin)),
    };
    let (stream, stdin) = attached.map_err(|error| match error {
        ShimError::Gone { .. } | ShimError::Refused(_) => StreamError::State {
            why: "container is not running".to_owned(),
        },
        ShimError::NotStarted(_) | ShimError::Io { .. } => failed(chain(&error)),
    })?;
    stream
        .set_nonblocking(true)
        .map_err(|error| failed(error.to_string()))?;
    Ok(Attached { stream, stdin })
}

/// A connection to a shim.
pub(crate) struct Attached {
    stream: std::os::unix::net::UnixStream,
    /// Whether it takes input.
    stdin: bool,
}

/// Carries bytes both ways until the container ends or the output is dropped.
pub(crate) fn run(
    attached: Attached,
    input: BoxStream<'static, StreamInput>,
) -> Result<StreamOutput, StreamError> {
    let stdin = attached.stdin;
    let stream = UnixStream::from_std(attached.stream).map_err(|error| StreamError::Failed {
        why: format!("cannot attach: {error}"),
    })?;
    let (from, to) = stream.into_split();
    let (tx, rx) = mpsc::channel(QUEUE);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        tokio::select! {
            () = receive(from, tx) => {}
            () = send(to, input, stdin) => {}
        }
    });
    // The task lives in the stream: dropping that closes the connection.
    let output = futures::stream::unfold((rx, tasks), |(mut rx, tasks)| async move {
        rx.recv().await.map(|output| (output, (rx, tasks)))
    });
    Ok(output.boxed())
}

async fn receive(mut from: OwnedReadHalf, tx: mpsc::Sender<Result<Output, StreamError>>) {
    let mut pending = Vec::new();
    loop {
        let output = match Frame::decode(&mut pending) {
            Ok(None) => match from.read_buf(&mut pending).await {
                Ok(1..) => continue,
                Ok(0) | Err(_) => Err(StreamError::Unavailable {
                    why: "the shim hung up".to_owned(),
                }),
            },
            Ok(Some(Frame::Stdout(bytes))) => Ok(Output::Stdout(Bytes::from(bytes))),
            Ok(Some(Frame::Stderr(bytes))) => Ok(Output::Stderr(Bytes::from(bytes))),
            Ok(Some(Frame::Ended(exit))) => Ok(Output::Exit {
                code: shell_code(&exit.outcome),
            }),
            Ok(Some(Frame::Stdin(_) | Frame::CloseStdin | Frame::Resize(_))) => Err(StreamError::Failed {
                why: "the shim said something unclear".to_owned(),
            }),
            Err(why) => Err(StreamError::Failed { why: why.to_owned() }),
        };
        let last = !matches!(output, Ok(Output::Stdout(_) | Output::Stderr(_)));
        if tx.send(output).await.is_err() || last {
            return;
        }
    }
}

/// Ends only with the connection: output goes on when no more input comes.
async fn send(mut to: OwnedWriteHalf, mut input: BoxStream<'static, StreamInput>, stdin: bool) {
    while let Some(piece) = input.next().await {
        let frame = match piece {
            StreamInput::Data(_) | StreamInput::Eof if !stdin => continue,
            StreamInput::Data(bytes) => Frame::Stdin(bytes.to_vec()),
            StreamInput::Resize(size) => Frame::Resize(WindowSize {
                cols: size.cols,
                rows: size.rows,
            }),
            StreamInput::Eof => Frame::CloseStdin,
        };
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        if to.write_all(&bytes).await.is_err() {
            break;
        }
    }
    pending::<()>().await;
}
