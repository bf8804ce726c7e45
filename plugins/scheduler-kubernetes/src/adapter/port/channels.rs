//! Exec and attach: standard streams, the terminal's size and how it ended, over whatever the peer speaks.

use super::spdy::session::{Output as SpdyOutput, Session, Stream};
use super::upgrade::{Io, Protocol};
use super::websocket;
use axum::extract::Query;
use bytes::Bytes;
use futures::StreamExt;
use http::Uri;
use plenum_contract::streams::{Output, StreamEnds, StreamError, StreamInput, WindowSize};
use serde_json::json;
use std::time::Duration;
use tokio::sync::mpsc;

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
/// In v5: the next byte is a channel on which the peer sends no more.
const CLOSE: u8 = 255;

/// How long a peer may take to open all the streams it announced.
const OPENING: Duration = Duration::from_secs(30);

/// What is asked of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ask {
    /// The command, for exec.
    pub command: Vec<String>,
    /// Whether input will come.
    pub stdin: bool,
    /// Whether output is wanted.
    pub stdout: bool,
    /// Whether its errors are wanted apart.
    pub stderr: bool,
    /// Whether there is a terminal.
    pub tty: bool,
}

impl Ask {
    /// From a query, in the API's words or the node's.
    #[must_use]
    pub fn read(uri: &Uri) -> Self {
        let query: Vec<(String, String)> = Query::try_from_uri(uri).map(|Query(q)| q).unwrap_or_default();
        let on = |names: [&str; 2]| {
            query
                .iter()
                .any(|(k, v)| names.contains(&k.as_str()) && matches!(v.as_str(), "1" | "true"))
        };
        let tty = on(["tty", "tty"]);
        Self {
            command: query
                .iter()
                .filter(|(k, _)| k == "command")
                .map(|(_, v)| v.clone())
                .collect(),
            stdin: on(["stdin", "input"]),
            stdout: on(["stdout", "output"]),
            stderr: on(["stderr", "error"]) && !tty,
            tty,
        }
    }
}

/// What goes to the peer.
enum Out {
    Bytes(u8, Bytes),
    /// How it ended; the last thing.
    Status(String),
}

/// Carries until the process has ended or the peer is gone.
pub async fn carry(io: Io, ends: StreamEnds, ask: Ask) {
    match io.protocol {
        Protocol::ChannelsV4 | Protocol::ChannelsV5 => over_websocket(io, ends, ask).await,
        Protocol::Spdy => over_spdy(Session::new(io.io), ends, ask).await,
        Protocol::SpdyInWebSocket => {
            let (inside, carried) = websocket::tunnel(io.io).await;
            futures::future::join(carried, over_spdy(Session::new(inside), ends, ask)).await;
        }
    }
}

async fn over_websocket(io: Io, ends: StreamEnds, ask: Ask) {
    let StreamEnds { input, mut output } = ends;
    let (mut sender, mut receiver) = websocket::open(io.io).await;
    // clients wait for a first message on each channel they may read
    for (wanted, channel) in [(ask.stdout, STDOUT), (ask.stderr, STDERR)] {
        if wanted && sender.send(channel, Bytes::new()).await.is_err() {
            return;
        }
    }
    let inbound = async {
        while let Some((channel, bytes)) = receiver.next().await {
            let piece = match channel {
                STDIN if ask.stdin && !bytes.is_empty() => StreamInput::Data(bytes),
                RESIZE => match size(&bytes) {
                    Some(size) => StreamInput::Resize(size),
                    None => continue,
                },
                CLOSE if bytes.first() == Some(&STDIN) => StreamInput::Eof,
                _ => continue,
            };
            if input.send(piece).await.is_err() {
                break;
            }
        }
        receiver
    };
    let outbound = async {
        while let Some(piece) = next(&mut output, &ask).await {
            let (sent, last) = match piece {
                Out::Bytes(channel, bytes) => (sender.send(channel, bytes).await, false),
                Out::Status(status) => (sender.send(ERROR, status.into()).await, true),
            };
            if sent.is_err() || last {
                break;
            }
        }
        sender
    };
    let (inbound, outbound) = (std::pin::pin!(inbound), std::pin::pin!(outbound));
    match futures::future::select(inbound, outbound).await {
        // the peer is gone: dropping the ends ends the process's streams
        futures::future::Either::Left(_) => {}
        futures::future::Either::Right((mut sender, inbound)) => {
            sender.close().await;
            let farewell = async { inbound.await.farewell().await };
            let _ = tokio::time::timeout(super::FAREWELL, farewell).await;
        }
    }
}

fn size(bytes: &[u8]) -> Option<WindowSize> {
    let said: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let number = |key: &str| {
        said.get(key)
            .and_then(serde_json::Value::as_u64)
            .and_then(|n| u16::try_from(n).ok())
    };
    Some(WindowSize {
        rows: number("Height")?,
        cols: number("Width")?,
    })
}

/// The next thing that goes to the peer; none: nothing more.
async fn next(output: &mut plenum_contract::streams::StreamOutput, ask: &Ask) -> Option<Out> {
    loop {
        return Some(match output.next().await {
            Some(Ok(Output::Stdout(bytes))) if ask.stdout && !bytes.is_empty() => Out::Bytes(STDOUT, bytes),
            Some(Ok(Output::Stderr(bytes))) if ask.stderr && !bytes.is_empty() => Out::Bytes(STDERR, bytes),
            Some(Ok(Output::Stderr(bytes))) if ask.tty && !bytes.is_empty() => Out::Bytes(STDOUT, bytes),
            Some(Ok(Output::Exit { code })) => Out::Status(exit_status(code)),
            Some(Ok(_)) => continue,
            Some(Err(error)) => Out::Status(failure(&error)),
            // an attachment ends without an exit when its container does
            None => Out::Status(success()),
        });
    }
}

fn success() -> String {
    json!({"metadata": {}, "status": "Success"}).to_string()
}

fn exit_status(code: i32) -> String {
    if code == 0 {
        return success();
    }
    json!({
        "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
        "message": format!("command terminated with non-zero exit code: exit status {code}"),
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
    .to_string()
}

fn failure(error: &StreamError) -> String {
    json!({
        "metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500,
        "message": format!("Internal error occurred: {error}"),
        "details": {"causes": [{"message": error.to_string()}]},
    })
    .to_string()
}

/// The streams a peer opened, by what it called them.
struct Opened {
    error: SpdyOutput,
    stdout: Option<SpdyOutput>,
    stderr: Option<SpdyOutput>,
    stdin: Option<mpsc::Receiver<Bytes>>,
    resize: Option<mpsc::Receiver<Bytes>>,
}

async fn opened(session: &mut Session, ask: &Ask) -> Option<Opened> {
    let (mut error, mut stdout, mut stderr, mut stdin, mut resize) = (None, None, None, None, None);
    let wanted = 1 + [ask.stdin, ask.stdout, ask.stderr, ask.tty]
        .iter()
        .filter(|w| **w)
        .count();
    for _ in 0..wanted {
        let stream = session.accept().await?;
        let kind = stream.header("streamtype").unwrap_or_default().to_owned();
        let Stream { input, output, .. } = stream;
        match kind.as_str() {
            "error" => error = Some(output),
            "stdout" => stdout = Some(output),
            "stderr" => stderr = Some(output),
            "stdin" => stdin = Some(input),
            "resize" => resize = Some(input),
            _ => return None,
        }
    }
    Some(Opened {
        error: error?,
        stdout,
        stderr,
        stdin,
        resize,
    })
}

async fn over_spdy(mut session: Session, ends: StreamEnds, ask: Ask) {
    let StreamEnds { input, mut output } = ends;
    let streams = tokio::time::timeout(OPENING, opened(&mut session, &ask)).await;
    let Ok(Some(mut streams)) = streams else {
        return;
    };
    let stdin = streams.stdin.take();
    let resize = streams.resize.take();
    let inbound = async {
        let data = async {
            let Some(mut stdin) = stdin else { return };
            while let Some(bytes) = stdin.recv().await {
                if input.send(StreamInput::Data(bytes)).await.is_err() {
                    return;
                }
            }
            // the process may have ended, which needs no end of its input
            let _ = input.send(StreamInput::Eof).await;
        };
        let sizes = async {
            let Some(mut resize) = resize else { return };
            while let Some(bytes) = resize.recv().await {
                if let Some(size) = size(&bytes)
                    && input.send(StreamInput::Resize(size)).await.is_err()
                {
                    return;
                }
            }
        };
        // a peer that is gone opens no more streams
        let gone = async { while session.accept().await.is_some() {} };
        tokio::select! {
            () = gone => {}
            () = async { futures::future::join(data, sizes).await; std::future::pending::<()>().await } => {}
        }
    };
    let outbound = spdy_out(&mut output, &ask, streams);
    tokio::select! {
        () = inbound => return,
        () = outbound => {}
    }
    session.finish().await;
}

async fn spdy_out(output: &mut plenum_contract::streams::StreamOutput, ask: &Ask, streams: Opened) {
    while let Some(piece) = next(output, ask).await {
        let sent = match piece {
            Out::Bytes(STDERR, bytes) => match &streams.stderr {
                Some(stderr) => stderr.send(bytes).await,
                None => Ok(()),
            },
            Out::Bytes(_, bytes) => match &streams.stdout {
                Some(stdout) => stdout.send(bytes).await,
                None => Ok(()),
            },
            Out::Status(status) => {
                // whoever is gone by now needs no farewell
                let _ = streams.error.send(status.into()).await;
                let all = [
                    Some(&streams.error),
                    streams.stdout.as_ref(),
                    streams.stderr.as_ref(),
                ];
                for stream in all.into_iter().flatten() {
                    let _ = stream.finish().await;
                }
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}
