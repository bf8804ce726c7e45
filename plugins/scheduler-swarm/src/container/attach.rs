//! `attach`: a container's own streams, to a client. A client that comes before the start misses nothing.

use super::planner::{run_of, seen};
use super::pump::{Wanted, carry, plain, switching, upgrade};
use super::record::{Container, Run};
use super::shelf::Kept;
use super::wait::next_run;
use super::{Containers, Sessions};
use crate::error::{ApiError, ApiResult};
use axum::extract::Request;
use axum::response::Response;
use futures::StreamExt;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use plenum_contract::streams::{LogQuery, StreamEnds, StreamError, StreamInput, StreamRequest, WindowSize};
use plenum_model::ids::TaskId;
use plenum_model::phase::Phase;
use plenum_sdk::driver::Waker;
use std::sync::Arc;
use tokio::sync::mpsc;

/// One client that is attached. While it is there its container is not removed by itself.
pub(super) struct Attached {
    sessions: Arc<Mutex<Sessions>>,
    container: String,
    number: u64,
    waker: Waker,
}

impl Attached {
    pub(super) fn begin(containers: &Containers, container: &str) -> Self {
        let sessions = Arc::clone(&containers.plans.sessions);
        let number = {
            let mut all = sessions.lock();
            all.next += 1;
            let number = all.next;
            all.open
                .entry(container.to_owned())
                .or_default()
                .insert(number, None);
            number
        };
        let waker = containers.parts.waker.clone();
        Self {
            sessions,
            container: container.to_owned(),
            number,
            waker,
        }
    }

    /// From now on it takes sizes of its terminal; gives the one that was asked for before.
    fn opened(&self, input: &mpsc::Sender<StreamInput>) -> Option<WindowSize> {
        let mut all = self.sessions.lock();
        let open = all.open.entry(self.container.clone()).or_default();
        open.insert(self.number, Some(input.clone()));
        all.sizes.get(&self.container).copied()
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let mut all = self.sessions.lock();
        if let Some(open) = all.open.get_mut(&self.container) {
            open.remove(&self.number);
            if open.is_empty() {
                all.open.remove(&self.container);
            }
        }
        drop(all);
        self.waker.wake();
    }
}

/// Gives the terminal of a container another size: now, or to whoever attaches.
pub(super) fn resize(containers: &Containers, container: &str, size: WindowSize) {
    let inputs: Vec<_> = {
        let mut all = containers.plans.sessions.lock();
        all.sizes.insert(container.to_owned(), size);
        all.open
            .get(container)
            .into_iter()
            .flat_map(|open| open.values().flatten().cloned())
            .collect()
    };
    for input in inputs {
        // A client that does not keep up has more to do than to draw its window anew.
        let _ = input.try_send(StreamInput::Resize(size));
    }
}

/// Answers `POST /containers/{id}/attach`.
pub(super) async fn attach(
    containers: &Arc<Containers>,
    container: &Kept,
    wanted: Wanted,
    mut request: Request,
) -> ApiResult<Response> {
    let upgrade = upgrade(&mut request)?;
    if upgrade.is_none() && wanted.stdin {
        return Err(ApiError::bad(
            "input needs the headers `Connection: Upgrade` and `Upgrade: tcp`",
        ));
    }
    let session = Attached::begin(containers, &container.own.id);
    let task = containers.task(container);
    let over = task.as_ref().is_some_and(|t| t.status.phase().is_terminal());
    let next = next_run(task.as_deref());
    let ends = if over {
        None
    } else {
        Some(open(containers, container, next, false, wanted).await?)
    };
    let Some(upgrade) = upgrade else {
        let ends =
            ends.ok_or_else(|| ApiError::conflict(format!("Container {} is not running", container.own.id)))?;
        let (input, output) = (ends.input, ends.output);
        // The session lives as long as the answer's body.
        let output = output.inspect(move |_| {
            let _held = (&session, &input);
        });
        return Ok(plain(output.boxed(), wanted));
    };
    let (all, it) = (Arc::clone(containers), Arc::clone(container));
    containers.tracker.spawn(async move {
        let stopping = all.parts.stopping.clone();
        let run = async {
            let connection = upgrade.await?;
            let ends = match ends {
                Some(ends) => Ok(ends),
                // `docker start -a`: it attaches to what is about to start again.
                None => open(&all, &it, next, true, wanted).await,
            };
            match ends {
                Ok(ends) => {
                    let size = session.opened(&ends.input);
                    if let Some(size) = size.filter(|_| wanted.tty) {
                        let _ = ends.input.try_send(StreamInput::Resize(size));
                    }
                    carry(TokioIo::new(connection), ends.input, ends.output, wanted, |_| {}).await;
                }
                Err(error) => tracing::debug!(%error, "nothing to attach to"),
            }
            Ok::<_, hyper::Error>(())
        };
        if let Some(Err(error)) = stopping.run_until_cancelled(run).await {
            tracing::debug!(%error, "a client left before it was attached");
        }
        drop(session);
    });
    Ok(switching(wanted.tty))
}

/// The streams of a run, once it is prepared. After a restart its log is what misses nothing; only who types
/// needs the streams themselves.
async fn open(
    containers: &Containers,
    container: &Container,
    run: Run,
    again: bool,
    wanted: Wanted,
) -> ApiResult<StreamEnds> {
    let id = container.own.id.clone();
    let mut book = containers.plans.shelf.changes();
    let gone = async {
        // The book's writer outlives the door.
        let single = container.of_service.is_none();
        let _ = book.wait_for(|b| single && b.containers.get(&id).is_none()).await;
    };
    let prepared = containers.parts.mirror.until(|observed| {
        let task = seen(observed, container)?;
        let made = match task.status.phase() {
            Phase::Pending | Phase::Placed | Phase::Preparing => false,
            Phase::Prepared | Phase::Starting | Phase::Running | Phase::Stopping => true,
            Phase::Finished | Phase::Failed | Phase::Stopped | Phase::Lost | Phase::Rejected => true,
        };
        (made && run_of(task) >= run).then(|| task.id())
    });
    let task = tokio::select! {
        task = prepared => task.map_err(|e| ApiError::unavailable(e.to_string()))?,
        () = gone => return Err(ApiError::missing(format!("No such container: {}", container.own.id))),
    };
    if again && !(wanted.stdin && container.lowered.stdin) {
        let query = LogQuery {
            follow: true,
            ..LogQuery::default()
        };
        return Ok(containers
            .parts
            .streams
            .open(task, StreamRequest::Logs(query))
            .await?);
    }
    Ok(attached(containers, task).await?)
}

/// Opens the streams and waits until nothing can be missed.
async fn attached(containers: &Containers, task: TaskId) -> Result<StreamEnds, StreamError> {
    let request = StreamRequest::Attach { container: None };
    let StreamEnds { input, mut output } = containers.parts.streams.open(task, request).await?;
    match output.next().await {
        Some(Ok(first)) => {
            let output = futures::stream::iter([Ok(first)]).chain(output).boxed();
            Ok(StreamEnds { input, output })
        }
        Some(Err(error)) => Err(error),
        None => Err(StreamError::Unavailable {
            why: "the stream ended before it began".to_owned(),
        }),
    }
}
