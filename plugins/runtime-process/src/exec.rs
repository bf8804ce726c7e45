//! Another process in a container: the shim's `exec`, with pipes or a terminal in between.

use crate::blocking::chain;
use crate::runtime::Engine;
use crate::terminal::{self, Terminal};
use crate::users;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use plenum_contract::runtime::ContainerKey;
use plenum_contract::streams::{ExecRequest, Output, StreamError, StreamInput, StreamOutput, WindowSize};
use plenum_shim::client::{self, Recovered};
use plenum_shim::config::ExecConfig;
use plenum_shim::state::Status;
use std::future::pending;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Pieces of output on their way; what is not taken holds the program back.
const QUEUE: usize = 16;
const CHUNK: usize = 32 << 10;
/// What a program leaves running may hold its output open; it is not waited for longer than this.
const LINGER: Duration = Duration::from_millis(500);

/// All that is needed to run it.
pub(crate) struct Ready {
    command: std::process::Command,
    terminal: Option<WindowSize>,
    stdin: bool,
}

/// Looks whether it can be run, and makes the command.
pub(crate) fn prepare(
    engine: &Engine,
    key: &ContainerKey,
    request: ExecRequest,
) -> Result<Ready, StreamError> {
    let failed = |why: String| StreamError::Failed { why };
    let found = engine.find(key).map_err(|error| failed(error.to_string()))?;
    let (dir, _) = found.ok_or_else(|| StreamError::NotFound {
        what: format!("container {key}"),
    })?;
    match client::recover(&dir).map_err(|error| failed(chain(&error)))? {
        Recovered::Alive(Status { main: Some(_), .. }) => {}
        Recovered::Alive(_) | Recovered::Ended(_) | Recovered::Gone { .. } => {
            return Err(StreamError::State {
                why: "container is not running".to_owned(),
            });
        }
    }
    if request.argv.first().is_none_or(String::is_empty) {
        return Err(failed("there is no command to run".to_owned()));
    }
    let user = match &request.user {
        None => None,
        Some(wanted) => Some(users::resolve(wanted).map_err(failed)?.user),
    };
    let config = ExecConfig {
        argv: request.argv,
        env: request.env.into_iter().collect(),
        cwd: request.workdir.map(Into::into),
        user,
        terminal: request.tty.is_some(),
    };
    let command = client::exec_command(&engine.shim, &dir, &config).map_err(|error| failed(chain(&error)))?;
    Ok(Ready {
        command,
        terminal: request.tty,
        stdin: request.stdin,
    })
}

/// Runs it. It ends when the output is dropped.
pub(crate) fn run(ready: Ready, input: BoxStream<'static, StreamInput>) -> Result<StreamOutput, StreamError> {
    let (tx, rx) = mpsc::channel(QUEUE);
    let mut tasks = JoinSet::new();
    let started = match ready.terminal {
        Some(size) => with_terminal(ready.command, size).map(|(child, terminal)| {
            tasks.spawn(drive_terminal(child, terminal, input, tx));
        }),
        None => with_pipes(ready.command, ready.stdin).map(|child| {
            tasks.spawn(drive_pipes(child, input, tx));
        }),
    };
    started.map_err(|error| StreamError::Failed {
        why: format!("cannot run the shim: {error}"),
    })?;
    // The task lives in the stream: dropping that drops the child, which is killed.
    let output = futures::stream::unfold((rx, tasks), |(mut rx, tasks)| async move {
        rx.recv().await.map(|output| (output, (rx, tasks)))
    });
    Ok(output.boxed())
}

type Sender = mpsc::Sender<Result<Output, StreamError>>;

fn with_pipes(command: std::process::Command, stdin: bool) -> std::io::Result<Child> {
    let mut command = Command::from(command);
    command.stdin(if stdin { Stdio::piped() } else { Stdio::null() });
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
}

fn with_terminal(command: std::process::Command, size: WindowSize) -> std::io::Result<(Child, Terminal)> {
    let (terminal, inner) = terminal::open(size)?;
    let mut command = Command::from(command);
    command
        .stdin(inner.try_clone()?)
        .stdout(inner.try_clone()?)
        .stderr(inner);
    let child = command.kill_on_drop(true).spawn()?;
    Ok((child, terminal))
}

async fn drive_pipes(mut child: Child, input: BoxStream<'static, StreamInput>, tx: Sender) {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let output = async {
        tokio::join!(
            pump(stdout, Output::Stdout, &tx),
            pump(stderr, Output::Stderr, &tx)
        );
    };
    let feed = async {
        feed_pipe(stdin, input).await;
        pending::<()>().await;
    };
    finish(&mut child, output, feed, &tx).await;
}

async fn drive_terminal(
    mut child: Child,
    terminal: Terminal,
    input: BoxStream<'static, StreamInput>,
    tx: Sender,
) {
    let output = async {
        let mut buffer = vec![0; CHUNK];
        while let Ok(read @ 1..) = terminal.read(&mut buffer).await {
            if tx
                .send(Ok(Output::Stdout(Bytes::copy_from_slice(&buffer[..read]))))
                .await
                .is_err()
            {
                return;
            }
        }
    };
    let feed = async {
        feed_terminal(&terminal, input).await;
        pending::<()>().await;
    };
    finish(&mut child, output, feed, &tx).await;
}

/// Until the program has ended and its output is through.
async fn finish(
    child: &mut Child,
    output: impl Future<Output = ()>,
    feed: impl Future<Output = ()>,
    tx: &Sender,
) {
    tokio::pin!(output, feed);
    let mut open = true;
    let ended = loop {
        tokio::select! {
            ended = child.wait() => break ended,
            () = &mut output, if open => open = false,
            () = &mut feed => {}
        }
    };
    if open {
        let _ = tokio::time::timeout(LINGER, output).await;
    }
    let last = match ended {
        Ok(status) => Ok(Output::Exit {
            code: status
                .code()
                .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
        }),
        Err(error) => Err(StreamError::Failed {
            why: error.to_string(),
        }),
    };
    let _ = tx.send(last).await;
}

async fn pump<R: AsyncRead + Unpin>(from: Option<R>, wrap: fn(Bytes) -> Output, tx: &Sender) {
    let Some(mut from) = from else { return };
    let mut buffer = vec![0; CHUNK];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if tx
            .send(Ok(wrap(Bytes::copy_from_slice(&buffer[..read]))))
            .await
            .is_err()
        {
            return;
        }
    }
}

async fn feed_pipe(mut to: Option<ChildStdin>, mut input: BoxStream<'static, StreamInput>) {
    while let Some(piece) = input.next().await {
        match (piece, &mut to) {
            (StreamInput::Data(bytes), Some(pipe)) => {
                // A program that does not read has closed its input; output goes on.
                if pipe.write_all(&bytes).await.is_err() {
                    to = None;
                }
            }
            (StreamInput::Eof, _) => to = None,
            (StreamInput::Data(_), None) | (StreamInput::Resize(_), _) => {}
        }
    }
}

async fn feed_terminal(terminal: &Terminal, mut input: BoxStream<'static, StreamInput>) {
    while let Some(piece) = input.next().await {
        let done = match piece {
            StreamInput::Data(bytes) => terminal.write_all(&bytes).await,
            StreamInput::Resize(size) => terminal.resize(size),
            // A terminal has no end of input; the program sees the end when its session is closed.
            StreamInput::Eof => Ok(()),
        };
        if done.is_err() {
            return;
        }
    }
}
