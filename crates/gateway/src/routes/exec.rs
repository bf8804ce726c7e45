//! Another process in a task's container, over a WebSocket. The framing stands in `plenum_client::frame`.

use super::tasks::find;
use crate::extract::Name;
use crate::problem::Problem;
use crate::state::App;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use plenum_client::frame::Frame;
use plenum_client::v1::error::ErrorBody;
use plenum_client::v1::stream::ExecStart;
use plenum_contract::streams::{
    ExecRequest, Output, StreamEnds, StreamInput, StreamOutput, StreamRequest, WindowSize,
};
use plenum_model::code;
use plenum_model::ids::TaskId;
use std::time::Duration;
use tokio::sync::mpsc;

/// The most bytes of one message.
const MAX_MESSAGE_BYTES: usize = 1 << 20;
/// How long the first message may take.
const START_WITHIN: Duration = Duration::from_secs(10);

/// Another process in a task's container. The answer becomes a WebSocket. The first message is text: what to execute,
/// as JSON (`ExecStart`). All others are binary, one byte for the channel, then its bytes: 0 standard input, 1
/// standard output or the terminal, 2 standard error, 3 size of the terminal (rows, columns; 16 bit each, big
/// endian), 4 no more input, 5 exit code (32 bit with sign, big endian; the last message), 6 why it failed, as JSON
/// (the last message).
#[utoipa::path(
    get, path = "/v1/tasks/{task}/exec", tag = "streams",
    params(("task" = String, Path, description = "As in `/v1/tasks/{task}`")), request_body = ExecStart,
    responses((status = 101), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody))
)]
pub(super) async fn exec(
    State(app): State<App>,
    Name(task): Name,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|e| {
        Problem::new(code::INVALID, e.body_text())
            .with_status(e.status())
            .hint("exec takes a WebSocket")
    })?;
    let id = find(&app, &task).await?.id();
    let permit = app.stream_permit()?;
    let session = move |socket| async move {
        let stop = app.stop.clone();
        tokio::select! {
            () = session(app, id, socket) => {}
            () = stop.cancelled() => {}
        }
        drop(permit);
    };
    Ok(upgrade.max_message_size(MAX_MESSAGE_BYTES).on_upgrade(session))
}

async fn session(app: App, id: TaskId, socket: WebSocket) {
    let (mut sink, mut stream) = socket.split();
    let last = match open(&app, id, &mut stream).await {
        Ok(StreamEnds { input, output }) => tokio::select! {
            // Whoever asked has gone: dropping both ends stops the process.
            () = pump_in(&mut stream, input) => return,
            last = pump_out(output, &mut sink) => last,
        },
        Err(problem) => Frame::Error(problem.body),
    };
    // The client may have gone; then nobody is left to tell.
    if sink.send(Message::Binary(last.encode())).await.is_ok() {
        let _closed = sink.close().await;
    }
}

async fn open(app: &App, id: TaskId, stream: &mut SplitStream<WebSocket>) -> Result<StreamEnds, Problem> {
    let first = tokio::time::timeout(START_WITHIN, stream.next()).await;
    let Ok(Some(Ok(Message::Text(text)))) = first else {
        return Err(Problem::new(
            code::INVALID,
            "the first message is not what to execute",
        ));
    };
    let start: ExecStart = serde_json::from_str(text.as_str())
        .map_err(|e| Problem::new(code::INVALID, e.to_string()).at("ExecStart"))?;
    if start.argv.is_empty() {
        return Err(Problem::new(code::INVALID, "there is no command").at("argv"));
    }
    Ok(app.streams.open(id, StreamRequest::Exec(request(start))).await?)
}

fn request(start: ExecStart) -> ExecRequest {
    ExecRequest {
        container: start.container,
        argv: start.argv,
        env: start.env,
        user: start.user,
        workdir: start.workdir,
        tty: start.tty.map(|size| WindowSize {
            rows: size.rows,
            cols: size.cols,
        }),
        stdin: start.stdin,
    }
}

/// Carries input until the client goes. The process may be deaf before: what comes then is dropped.
async fn pump_in(stream: &mut SplitStream<WebSocket>, input: mpsc::Sender<StreamInput>) {
    while let Some(Ok(message)) = stream.next().await {
        let frame = match message {
            Message::Binary(bytes) => Frame::decode(&bytes),
            Message::Close(_) => return,
            Message::Text(_) | Message::Ping(_) | Message::Pong(_) => continue,
        };
        let carried = match frame {
            Ok(Frame::Stdin(bytes)) => StreamInput::Data(bytes),
            Ok(Frame::Resize(size)) => StreamInput::Resize(WindowSize {
                rows: size.rows,
                cols: size.cols,
            }),
            Ok(Frame::Eof) => StreamInput::Eof,
            // A client that does not speak the framing gets no further.
            Ok(Frame::Stdout(_) | Frame::Stderr(_) | Frame::Exit(_) | Frame::Error(_)) | Err(_) => return,
        };
        let _deaf = input.send(carried).await;
    }
}

/// Carries output until the process ends; gives the last frame.
async fn pump_out(mut output: StreamOutput, sink: &mut SplitSink<WebSocket, Message>) -> Frame {
    while let Some(output) = output.next().await {
        let frame = match output {
            Ok(Output::Stdout(bytes)) => Frame::Stdout(bytes),
            Ok(Output::Stderr(bytes)) => Frame::Stderr(bytes),
            Ok(Output::Exit { code }) => return Frame::Exit(code),
            Ok(
                Output::Log(_)
                | Output::Stats(_)
                | Output::Image(_)
                | Output::Processes(_)
                | Output::Health(_),
            ) => continue,
            Err(e) => return Frame::Error(Problem::from(e).body),
        };
        if sink.send(Message::Binary(frame.encode())).await.is_err() {
            break;
        }
    }
    Frame::Error(ErrorBody::new(
        code::UNAVAILABLE,
        "the session broke off before the process ended",
    ))
}
