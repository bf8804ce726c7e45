//! Logs of services and tasks: the lines of all tasks in one stream, each with where it comes from. A followed
//! service's log picks up the tasks that replace others and ends when the service is removed.

use super::look::{self, flag, query};
use crate::error::{ApiError, ApiResult};
use crate::ids;
use crate::state::{DoorState, Shared};
use crate::time;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use bytes::{BufMut, Bytes, BytesMut};
use futures::{StreamExt, stream};
use http::Uri;
use http::header::CONTENT_TYPE;
use plenum_contract::streams::{LogLine, LogQuery, LogSource, Output, StreamRequest};
use plenum_model::task::Task;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Frames that may wait for the client.
const DEPTH: usize = 64;

/// How lines are asked for and written.
#[derive(Clone)]
struct Asked {
    query: LogQuery,
    timestamps: bool,
    details: bool,
}

pub(super) async fn service(
    State(state): State<Shared>,
    Path(reference): Path<String>,
    uri: Uri,
) -> ApiResult {
    let asked = asked(&state, &uri)?;
    let id = look::service(&state.desk.desired(), &reference)?.id.clone();
    Ok(answer(state, asked, Of::Service(id)))
}

pub(super) async fn task(State(state): State<Shared>, Path(reference): Path<String>, uri: Uri) -> ApiResult {
    let asked = asked(&state, &uri)?;
    let task = look::task(&state, &reference)?;
    Ok(answer(state, asked, Of::Task(task)))
}

enum Of {
    Service(String),
    Task(Arc<Task>),
}

fn asked(state: &DoorState, uri: &Uri) -> Result<Asked, ApiError> {
    let q = query(uri);
    let (stdout, stderr) = (flag(&q, "stdout"), flag(&q, "stderr"));
    if !stdout && !stderr {
        return Err(ApiError::bad(
            "Bad parameters: you must choose at least one stream",
        ));
    }
    let tail = match q.get("tail").unwrap_or("all") {
        "" | "all" => None,
        // a negative number means all, as in docker
        text => text.parse::<u64>().ok(),
    };
    Ok(Asked {
        query: LogQuery {
            container: None,
            follow: flag(&q, "follow"),
            tail,
            since: q
                .get("since")
                .filter(|s| *s != "0")
                .and_then(|s| time::moment(s, state.now_ms())),
            stdout,
            stderr,
            previous: false,
        },
        timestamps: flag(&q, "timestamps"),
        details: flag(&q, "details"),
    })
}

fn answer(state: Shared, asked: Asked, of: Of) -> axum::response::Response {
    let (tx, rx) = mpsc::channel::<Bytes>(DEPTH);
    let follow = asked.query.follow;
    // owned by the answer's body: when the client goes, the receiver ends and so does every pump
    tokio::spawn(async move {
        match of {
            Of::Task(task) => pump(state, task, asked, tx).await,
            Of::Service(id) if follow => follow_service(state, id, asked, tx).await,
            Of::Service(id) => {
                let mut pumps = JoinSet::new();
                for task in tasks(&state, &id) {
                    pumps.spawn(pump(Arc::clone(&state), task, asked.clone(), tx.clone()));
                }
                while pumps.join_next().await.is_some() {}
            }
        }
    });
    let frames = stream::unfold(rx, |mut rx| async move {
        rx.recv().await.map(|b| (Ok::<_, Infallible>(b), rx))
    });
    let kind = "application/vnd.docker.multiplexed-stream";
    ([(CONTENT_TYPE, kind)], Body::from_stream(frames)).into_response()
}

fn tasks(state: &DoorState, id: &str) -> Vec<Arc<Task>> {
    state.mirror.read(|observed| {
        observed
            .workload(id)
            .filter(|t| t.status.started_at.is_some())
            .map(Arc::clone)
            .collect()
    })
}

async fn follow_service(state: Shared, id: String, asked: Asked, tx: mpsc::Sender<Bytes>) {
    let mut changes = state.mirror.changes();
    let mut seen = BTreeSet::new();
    let mut pumps = JoinSet::new();
    loop {
        changes.borrow_and_update();
        if state.desk.desired().services.get(&id).is_none() {
            break;
        }
        for task in tasks(&state, &id) {
            if seen.insert(task.id()) {
                pumps.spawn(pump(Arc::clone(&state), task, asked.clone(), tx.clone()));
            }
        }
        tokio::select! {
            biased;
            () = tx.closed() => return,
            () = state.stopping.cancelled() => return,
            changed = changes.changed() => if changed.is_err() { return },
            Some(_) = pumps.join_next() => {}
        }
    }
    while pumps.join_next().await.is_some() {}
}

/// All lines of one task; a node that does not answer is said in the stream, as a swarm says it.
async fn pump(state: Shared, task: Arc<Task>, asked: Asked, tx: mpsc::Sender<Bytes>) {
    let request = StreamRequest::Logs(asked.query.clone());
    let opened = tokio::select! {
        () = tx.closed() => return,
        opened = state.streams.open(task.id(), request) => opened,
    };
    let node = task.status.node.as_ref().map(ids::node).unwrap_or_default();
    let ends = match opened {
        Ok(ends) => ends,
        Err(error) => {
            tracing::debug!(task = %task.id(), %error, "the log cannot be read");
            return incomplete(&tx, &node).await;
        }
    };
    let context = format!(
        "com.docker.swarm.node.id={node},com.docker.swarm.service.id={},com.docker.swarm.task.id={}",
        task.terms.workload.uid,
        ids::task(task.id())
    );
    let mut output = ends.output;
    // kept: dropping the input ends the stream on the node
    let _input = ends.input;
    loop {
        let next = tokio::select! {
            () = tx.closed() => return,
            () = state.stopping.cancelled() => return,
            next = output.next() => next,
        };
        match next {
            Some(Ok(Output::Log(line))) => {
                if tx.send(frame(&line, &asked, &context)).await.is_err() {
                    return;
                }
            }
            Some(Ok(
                Output::Stdout(_)
                | Output::Stderr(_)
                | Output::Exit { .. }
                | Output::Stats(_)
                | Output::Image(_)
                | Output::Processes(_)
                | Output::Health(_),
            )) => {}
            Some(Err(error)) => {
                tracing::debug!(task = %task.id(), %error, "the log broke off");
                return incomplete(&tx, &node).await;
            }
            None => return,
        }
    }
}

async fn incomplete(tx: &mpsc::Sender<Bytes>, node: &str) {
    let text = format!(
        "Error grabbing logs: warning: incomplete log stream. some logs could not be retrieved for the following reasons: node {node} is not available\n"
    );
    // the third stream of the frames is where a daemon says its own errors; a client that has gone needs none
    let _ = tx.send(framed(3, text.as_bytes())).await;
}

fn frame(line: &LogLine, asked: &Asked, context: &str) -> Bytes {
    let mut text = Vec::new();
    if asked.timestamps {
        text.extend_from_slice(time::nanos(u128::from(line.at_nanos)).as_bytes());
        text.push(b' ');
    }
    if asked.details {
        text.extend_from_slice(context.as_bytes());
        text.push(b' ');
    }
    text.extend_from_slice(&line.bytes);
    if !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    let stream = match line.source {
        LogSource::Stdout => 1,
        LogSource::Stderr => 2,
    };
    framed(stream, &text)
}

fn framed(stream: u8, payload: &[u8]) -> Bytes {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut out = BytesMut::with_capacity(8 + payload.len());
    out.put_slice(&[stream, 0, 0, 0]);
    out.put_u32(length);
    out.put_slice(payload);
    out.freeze()
}
