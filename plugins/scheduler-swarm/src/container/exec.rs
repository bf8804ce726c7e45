//! `docker exec`: another process in a container. What is created and not started is kept in memory, as in
//! Docker.

use super::Containers;
use super::attach::Attached;
use super::fields::Fields;
use super::pump::{Wanted, carry, plain, switching, upgrade};
use super::record::Container;
use super::view::State;
use crate::error::{ApiError, ApiResult};
use crate::ids;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use plenum_contract::streams::{ExecRequest, Output, StreamEnds, StreamInput, StreamRequest, WindowSize};
use plenum_model::ids::TaskId;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Execs remembered; the oldest that ended go first.
const KEPT: usize = 1000;
/// A terminal whose size nobody has said.
const SIZE: WindowSize = WindowSize { rows: 24, cols: 80 };

/// All execs.
#[derive(Default)]
pub(super) struct Execs(Mutex<BTreeMap<String, Exec>>);

struct Exec {
    number: u64,
    container: String,
    task: TaskId,
    request: ExecRequest,
    tty: bool,
    wanted: Wanted,
    size: WindowSize,
    stage: Stage,
}

enum Stage {
    Created,
    Running(Option<mpsc::Sender<StreamInput>>),
    Ended(Option<i32>),
}

fn missing(id: &str) -> ApiError {
    ApiError::missing(format!("No such exec instance: {id}"))
}

/// `POST /containers/{id}/exec`.
pub(super) fn create(containers: &Containers, container: &Container, body: &Value) -> ApiResult<String> {
    let not_running = || ApiError::conflict(format!("Container {} is not running", container.own.id));
    let task = containers.task(container).ok_or_else(not_running)?;
    if State::of(container, Some(&task)) != State::Running {
        return Err(not_running());
    }
    let fields = Fields::of(Some(body), "the body")?;
    if fields.flag("Privileged")? {
        return Err(ApiError::not_served("Privileged (--privileged) of an exec"));
    }
    let argv = fields.list("Cmd")?.unwrap_or_default();
    if argv.is_empty() {
        return Err(ApiError::bad("No exec command specified"));
    }
    let env = fields.list("Env")?.unwrap_or_default();
    let env = env.iter().filter_map(|pair| pair.split_once('='));
    let (tty, stdin) = (fields.flag("Tty")?, fields.flag("AttachStdin")?);
    let exec = Exec {
        number: 0,
        container: container.own.id.clone(),
        task: task.id(),
        request: ExecRequest {
            container: None,
            argv,
            env: env.map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            user: fields.maybe_text("User")?,
            workdir: fields.maybe_text("WorkingDir")?,
            tty: None,
            stdin,
        },
        tty,
        wanted: Wanted {
            tty,
            stdin,
            stdout: fields.flag("AttachStdout")?,
            stderr: fields.flag("AttachStderr")?,
        },
        size: console(&fields)?.unwrap_or(SIZE),
        stage: Stage::Created,
    };
    Ok(containers.execs.add(exec))
}

/// The size that a client gives its terminal: `[rows, columns]`.
pub(super) fn console(fields: &Fields<'_>) -> ApiResult<Option<WindowSize>> {
    let numbers: Vec<u16> = fields
        .items("ConsoleSize")?
        .iter()
        .filter_map(|n| n.as_u64().and_then(|n| u16::try_from(n).ok()))
        .collect();
    Ok(match numbers[..] {
        [rows, cols] if rows > 0 && cols > 0 => Some(WindowSize { rows, cols }),
        _ => None,
    })
}

impl Execs {
    fn add(&self, mut exec: Exec) -> String {
        let id = ids::random_hex();
        let mut all = self.0.lock();
        exec.number = all.values().map(|e| e.number + 1).max().unwrap_or(0);
        while all.len() >= KEPT {
            let ended = all.iter().filter(|(_, e)| !matches!(e.stage, Stage::Running(_)));
            let Some(oldest) = ended.min_by_key(|(_, e)| e.number).map(|(id, _)| id.clone()) else {
                break;
            };
            all.remove(&oldest);
        }
        all.insert(id.clone(), exec);
        id
    }

    fn with<T>(&self, id: &str, look: impl FnOnce(&mut Exec) -> T) -> ApiResult<T> {
        let mut all = self.0.lock();
        all.get_mut(id).map(look).ok_or_else(|| missing(id))
    }
}

/// `POST /exec/{id}/start`.
pub(super) async fn start(
    containers: &Arc<Containers>,
    id: &str,
    body: &Value,
    upgrade_from: &mut Request,
) -> ApiResult<Response> {
    let fields = Fields::of(Some(body), "the body")?;
    let size = console(&fields)?;
    let detach = fields.flag("Detach")?;
    let begun = containers.execs.with(id, |exec| {
        if !matches!(exec.stage, Stage::Created) {
            return Err(ApiError::conflict(format!("exec {id} has been started before")));
        }
        exec.size = size.unwrap_or(exec.size);
        exec.stage = Stage::Running(None);
        let mut request = exec.request.clone();
        request.tty = exec.tty.then_some(exec.size);
        request.stdin &= !detach;
        Ok((exec.task, request, exec.wanted, exec.container.clone()))
    })?;
    let (task, request, wanted, container) = begun?;
    let upgrade = if detach { None } else { upgrade(upgrade_from)? };
    let ends = match containers
        .parts
        .streams
        .open(task, StreamRequest::Exec(request))
        .await
    {
        Ok(ends) => ends,
        Err(error) => {
            containers
                .execs
                .with(id, |exec| exec.stage = Stage::Ended(None))?;
            return Err(error.into());
        }
    };
    let session = Attached::begin(containers, &container);
    containers
        .execs
        .with(id, |exec| exec.stage = Stage::Running(Some(ends.input.clone())))?;
    let (all, exec) = (Arc::clone(containers), id.to_owned());
    let ended = move |code| {
        // Forgotten meanwhile is as good as ended.
        let _ = all.execs.with(&exec, |e| e.stage = Stage::Ended(code));
    };
    let stopping = containers.parts.stopping.clone();
    match upgrade {
        Some(upgrade) => {
            let run = async move {
                match upgrade.await {
                    Ok(connection) => {
                        carry(TokioIo::new(connection), ends.input, ends.output, wanted, ended).await;
                    }
                    Err(_) => ended(None),
                }
                drop(session);
            };
            containers.tracker.spawn(stopping.run_until_cancelled_owned(run));
            Ok(switching(wanted.tty))
        }
        None if detach => {
            let run = async move {
                ended(drain(ends).await);
                drop(session);
            };
            containers.tracker.spawn(stopping.run_until_cancelled_owned(run));
            Ok(http::StatusCode::OK.into_response())
        }
        None => {
            let input = ends.input;
            let output = ends.output.inspect(move |piece| {
                let _held = (&session, &input);
                if let Ok(Output::Exit { code }) = piece {
                    ended(Some(*code));
                }
            });
            Ok(plain(output.boxed(), wanted))
        }
    }
}

async fn drain(mut ends: StreamEnds) -> Option<i32> {
    let mut last = None;
    while let Some(Ok(piece)) = ends.output.next().await {
        if let Output::Exit { code } = piece {
            last = Some(code);
        }
    }
    last
}

/// `POST /exec/{id}/resize`.
pub(super) fn resize(containers: &Containers, id: &str, size: WindowSize) -> ApiResult<()> {
    containers.execs.with(id, |exec| {
        exec.size = size;
        if let Stage::Running(Some(input)) = &exec.stage {
            // A client that does not keep up has more to do than to draw its window anew.
            let _ = input.try_send(StreamInput::Resize(size));
        }
    })
}

/// `GET /exec/{id}/json`.
pub(super) fn inspect(containers: &Containers, id: &str) -> ApiResult<Value> {
    containers.execs.with(id, |exec| {
        let (running, code) = match &exec.stage {
            Stage::Created => (false, None),
            Stage::Running(_) => (true, None),
            Stage::Ended(code) => (false, *code),
        };
        let (entry, arguments) = exec
            .request
            .argv
            .split_first()
            .map_or(("", &[][..]), |(e, a)| (e.as_str(), a));
        json!({
            "ID": id,
            "Running": running,
            "ExitCode": code,
            "ProcessConfig": {
                "tty": exec.tty, "entrypoint": entry, "arguments": arguments, "privileged": false,
                "user": exec.request.user,
            },
            "OpenStdin": exec.wanted.stdin,
            "OpenStdout": exec.wanted.stdout,
            "OpenStderr": exec.wanted.stderr,
            "CanRemove": false,
            "ContainerID": exec.container,
            "DetachKeys": "",
            "Pid": 0,
        })
    })
}
