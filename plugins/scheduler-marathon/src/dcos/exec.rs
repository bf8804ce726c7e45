//! Processes in running tasks, as the agent API of Mesos starts them: one request launches and carries the output,
//! another carries the input. In JSON, the streams as RecordIO of it.

mod calls;

use super::front::Front;
use super::mesos::task_of_container;
use super::recordio::{self, Decoder};
use super::refused::{bad, by_stream, not_found, unsupported};
use super::sessions::{Running, Session};
use crate::door::reply::{Answer, Refused, empty, ok};
use axum::body::{Body, BodyDataStream};
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use calls::{Attached, Call, ContainerId, Control, Launch, ProcessIo};
use futures::{StreamExt, stream};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use plenum_contract::streams::{
    ExecRequest, Output, StreamEnds, StreamInput, StreamOutput, StreamRequest, WindowSize,
};
use serde::Serialize;
use std::convert::Infallible;
use std::sync::Arc;

const RECORDIO: &str = "application/recordio";
const JSON: &str = "application/json";
/// The longest call that is not a stream.
const CALL: usize = 1 << 20;
/// The size of a terminal until the client says its own.
const SIZE: WindowSize = WindowSize { rows: 24, cols: 80 };

/// `POST /slave/ID/api/v1`. Containers are known by their own ids, so the agent's is not looked at.
pub(super) async fn call(
    State(front): State<Arc<Front>>,
    Path(_): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or(JSON);
    let (kind, of) = (header(CONTENT_TYPE.as_str()), header("message-content-type"));
    if kind.starts_with(RECORDIO) && of.starts_with(JSON) {
        return attach(&front, body.into_data_stream()).await;
    }
    if !kind.starts_with(JSON) {
        return Ok(unsupported(
            "calls of the agent API are taken as application/json only, alone or as records",
        ));
    }
    let body = axum::body::to_bytes(body, CALL)
        .await
        .map_err(|e| bad(format!("the call cannot be read: {e}")))?;
    match read(&body)? {
        Call::LaunchNestedContainerSession {
            launch_nested_container_session: launched,
        } => launch(&front, launched).await,
        Call::WaitNestedContainer {
            wait_nested_container: waited,
        } => wait(&front, "WAIT_NESTED_CONTAINER", &waited.container_id).await,
        Call::WaitContainer {
            wait_container: waited,
        } => wait(&front, "WAIT_CONTAINER", &waited.container_id).await,
        Call::AttachContainerInput { .. } => Err(bad("ATTACH_CONTAINER_INPUT is a stream of records")),
    }
}

fn read(call: &[u8]) -> Result<Call, Refused> {
    serde_json::from_slice(call).map_err(|e| bad(format!("this call is not served: {e}")))
}

async fn launch(front: &Front, launched: Launch) -> Answer {
    let parent = launched.container_id.parent.as_deref();
    let parent = parent.ok_or_else(|| bad("a session is launched in a container, its `parent`"))?;
    let task = task_of_container(&parent.value)
        .ok_or_else(|| not_found(format!("there is no container `{}`", parent.value)))?;
    let tty = launched.container.is_some_and(|c| c.tty_info.is_some());
    let request = ExecRequest {
        argv: launched.command.argv().map_err(bad)?,
        env: launched.command.environment(),
        user: launched.command.user.clone(),
        tty: tty.then_some(SIZE),
        stdin: true,
        ..ExecRequest::default()
    };
    let StreamEnds { input, output } = front
        .streams
        .open(task, StreamRequest::Exec(request))
        .await
        .map_err(by_stream)?;
    let running = front
        .sessions
        .begin(&launched.container_id.value, input)
        .map_err(|taken| bad(taken.to_string()))?;
    let records = records(output, running).map(Ok::<_, Infallible>);
    let types = [(CONTENT_TYPE.as_str(), RECORDIO), ("message-content-type", JSON)];
    Ok((types, Body::from_stream(records)).into_response())
}

#[derive(Serialize)]
struct Record<'a> {
    r#type: &'static str,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    r#type: &'static str,
    data: &'a str,
}

/// What the process writes, record by record. What keeps it from running is told where its own errors would be.
fn records(output: StreamOutput, running: Running) -> impl stream::Stream<Item = Bytes> + Send {
    stream::unfold(Some((output, running)), |state| async {
        let (mut output, mut running) = state?;
        loop {
            let (kind, bytes) = match output.next().await? {
                Ok(Output::Stdout(bytes)) => ("STDOUT", bytes),
                Ok(Output::Stderr(bytes)) => ("STDERR", bytes),
                Ok(Output::Exit { code }) => {
                    running.exited(code);
                    return None;
                }
                Ok(
                    Output::Log(_)
                    | Output::Stats(_)
                    | Output::Image(_)
                    | Output::Processes(_)
                    | Output::Health(_),
                ) => continue,
                Err(error) => {
                    let told = record("STDERR", format!("{error}\n").as_bytes());
                    return Some((told, None));
                }
            };
            // clients take an empty record for a broken one
            if !bytes.is_empty() {
                return Some((record(kind, &bytes), Some((output, running))));
            }
        }
    })
}

fn record(kind: &'static str, bytes: &[u8]) -> Bytes {
    let data = Data {
        r#type: kind,
        data: &STANDARD.encode(bytes),
    };
    let record = Record { r#type: "DATA", data };
    recordio::encode(&serde_json::to_vec(&record).expect("plain data with text keys always serialises"))
}

/// Passes input on until the client has no more. Closing the connection does not close the input: clients try the
/// way with a first connection that says nothing; an empty piece closes it. What is sent to a process that has
/// ended goes nowhere, as it would from a shell.
async fn attach(front: &Front, body: BodyDataStream) -> Answer {
    let (mut decoder, mut session): (Decoder, Option<Session>) = (Decoder::default(), None);
    let mut body = body;
    while let Some(bytes) = body.next().await {
        decoder.push(&bytes.map_err(|e| bad(format!("the input broke: {e}")))?);
        while let Some(record) = decoder.next().map_err(|e| bad(e.to_string()))? {
            let Call::AttachContainerInput {
                attach_container_input: attached,
            } = read(&record)?
            else {
                return Err(bad("a stream of records is input: ATTACH_CONTAINER_INPUT"));
            };
            match (attached, &session) {
                (Attached::ContainerId { container_id }, None) => session = Some(find(front, &container_id)?),
                (Attached::ContainerId { .. }, Some(_)) => {
                    return Err(bad("only the first record names a container"));
                }
                (Attached::ProcessIo { .. }, None) => {
                    return Err(bad("the first record names the container"));
                }
                (Attached::ProcessIo { process_io }, Some(session)) => pass(session, &process_io).await?,
            }
        }
    }
    match session {
        Some(_) => Ok(empty(StatusCode::OK)),
        None => Err(bad("the first record names the container")),
    }
}

fn find(front: &Front, id: &ContainerId) -> Result<Session, Refused> {
    let found = front.sessions.find(&id.value);
    found.ok_or_else(|| not_found(format!("there is no container `{}`", id.value)))
}

async fn pass(session: &Session, io: &ProcessIo) -> Result<(), Refused> {
    let input = match io {
        ProcessIo::Data { data } => {
            let bytes = STANDARD.decode(data.data.as_bytes());
            let bytes = bytes.map_err(|e| bad(format!("data is not base64: {e}")))?;
            if bytes.is_empty() {
                StreamInput::Eof
            } else {
                StreamInput::Data(Bytes::from(bytes))
            }
        }
        ProcessIo::Control {
            control: Control::TtyInfo { tty_info },
        } => StreamInput::Resize(WindowSize {
            rows: tty_info.window_size.rows,
            cols: tty_info.window_size.columns,
        }),
        ProcessIo::Control {
            control: Control::Heartbeat {},
        } => return Ok(()),
    };
    if let Some(to) = &session.input
        && to.send(input).await.is_err()
    {
        tracing::debug!("input for a process that has ended");
    }
    Ok(())
}

#[derive(Serialize)]
struct Waited<'a> {
    r#type: &'a str,
    #[serde(flatten)]
    end: std::collections::BTreeMap<String, Ended>,
}

#[derive(Serialize)]
struct Ended {
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_status: Option<i32>,
}

/// How a process ended, once it has: its exit status is what the system's `wait` gives.
async fn wait(front: &Front, kind: &str, id: &ContainerId) -> Answer {
    let mut end = find(front, id)?.end;
    let code = end.wait_for(Option::is_some).await.map(|end| end.flatten());
    let ended = Ended {
        exit_status: code.unwrap_or(None).map(|code| (code & 0xff) << 8),
    };
    ok(&Waited {
        r#type: kind,
        end: [(kind.to_ascii_lowercase(), ended)].into(),
    })
}
