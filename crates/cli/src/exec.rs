//! `plenum task exec`: a command in a task's container, as if it ran here: its input and output, the size of the
//! terminal, its exit code.

use crate::failure::{Done, Failure};
use crate::output;
use crate::session::Session;
use crate::terminal::{Raw, size};
use clap::Args;
use plenum_client::ClientError;
use plenum_client::exec::{ExecInput, ExecOutput};
use plenum_client::frame::Frame;
use plenum_client::v1::stream::ExecStart;
use plenum_model::code;
use std::io::{self, Read, Write};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Bytes of input read at once.
const CHUNK: usize = 16 * 1024;

/// What to run where.
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// Pass standard input on
    #[arg(short = 'i', long)]
    pub interactive: bool,
    /// With a terminal
    #[arg(short = 't', long)]
    pub tty: bool,
    /// Which container [default: the main one]
    #[arg(long)]
    pub container: Option<String>,
    /// As another user
    #[arg(short = 'u', long)]
    pub user: Option<String>,
    /// In another directory
    #[arg(short = 'w', long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// An environment variable (may be repeated)
    #[arg(short = 'e', long = "env", value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// The task's name or id, or the start of one
    pub task: String,
    /// The command
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    pub command: Vec<String>,
}

pub(crate) async fn run(args: &ExecArgs, session: &Session<'_>) -> Done {
    let start = start(args)?;
    let (input, output) = session.client.exec(&args.task, &start).await?;
    let failed = |e: io::Error| Failure::new(code::INTERNAL, format!("cannot take the terminal: {e}"));
    let raw = if args.tty && args.interactive {
        Raw::enter().map_err(failed)?
    } else {
        None
    };
    let code = tokio::select! {
        code = carry_out(output) => code,
        failure = carry_in(input, args.interactive, args.tty) => Err(failure),
    };
    drop(raw);
    let code = code?;
    if args.interactive {
        // A thread that still waits for input cannot be stopped, and must not keep the command from ending.
        std::process::exit(code);
    }
    Ok(u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from))
}

fn start(args: &ExecArgs) -> Result<ExecStart, Failure> {
    let pair = |text: &String| {
        text.split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .ok_or_else(|| Failure::usage(format!("`{text}` is not NAME=VALUE")).at("--env"))
    };
    Ok(ExecStart {
        container: args.container.clone(),
        argv: args.command.clone(),
        env: args.env.iter().map(pair).collect::<Result<_, _>>()?,
        user: args.user.clone(),
        workdir: args.workdir.clone(),
        tty: args.tty.then(size),
        stdin: args.interactive,
    })
}

/// Prints what comes until the process ends; gives its exit code.
async fn carry_out(mut output: ExecOutput) -> Result<i32, Failure> {
    while let Some(frame) = output.next().await {
        match frame? {
            Frame::Stdout(bytes) => output::bytes(&bytes)?,
            Frame::Stderr(bytes) => {
                let written = io::stderr().lock().write_all(&bytes);
                written.map_err(|e| Failure::new(code::INTERNAL, e.to_string()))?;
            }
            Frame::Exit(code) => return Ok(code),
            // The client makes an error of it before it gets here; the others only go the other way.
            Frame::Error(body) => return Err(ClientError::Refused { status: 500, body }.into()),
            Frame::Stdin(_) | Frame::Resize(_) | Frame::Eof => {}
        }
    }
    Err(Failure::new(
        code::UNAVAILABLE,
        "the session broke off before the process ended",
    ))
}

/// Carries input and sizes. Ends only when that fails: the process decides when all is over.
async fn carry_in(mut input: ExecInput, interactive: bool, tty: bool) -> Failure {
    let mut resized = match signal(SignalKind::window_change()) {
        Ok(signal) => signal,
        Err(e) => return Failure::new(code::INTERNAL, e.to_string()),
    };
    let mut typed = interactive.then(read_stdin);
    loop {
        let frame = tokio::select! {
            _ = resized.recv(), if tty => Frame::Resize(size()),
            bytes = next(&mut typed) => match bytes {
                Some(bytes) => Frame::Stdin(bytes.into()),
                None => {
                    typed = None;
                    Frame::Eof
                }
            },
        };
        if input.send(frame).await.is_err() {
            // The session is over; its end says why.
            std::future::pending::<()>().await;
        }
    }
}

async fn next(typed: &mut Option<mpsc::Receiver<Vec<u8>>>) -> Option<Vec<u8>> {
    match typed {
        Some(typed) => typed.recv().await,
        None => std::future::pending().await,
    }
}

/// Reads standard input on a thread of its own: a read of a terminal cannot be given up.
fn read_stdin() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(4);
    std::thread::spawn(move || {
        let mut buffer = vec![0; CHUNK];
        loop {
            match io::stdin().lock().read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(n) => {
                    if sender.blocking_send(buffer[..n].to_vec()).is_err() {
                        return;
                    }
                }
            }
        }
    });
    receiver
}
