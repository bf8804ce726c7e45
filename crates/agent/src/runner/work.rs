//! Does what the supervisor asks: every verb on a task of its own, so that a slow pull holds up nobody. Owns
//! these tasks; each answers exactly once, unless the agent is stopping.

use super::core::Event;
use super::fetch::Fetcher;
use super::images::Bringer;
use super::{ports, probe};
use crate::supervisor::{Answer, Done, Input, PlannedContainer, ProbeWork, Verb, VerbKind, Work, WorkError};
use crate::{files, volumes};
use futures::FutureExt;
use plenum_contract::error::{Class, Classified};
use plenum_contract::runtime::{Runtime, RuntimeError};
use plenum_model::ids::TaskId;
use plenum_model::task::ExitReason;
use std::collections::BTreeMap;
use std::io;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// So many containers are prepared at once: enough to fill a link with pulls, few enough that a burst of tasks
/// does not bury the engine.
const PREPARES: usize = 16;

/// Between two attempts to ask a runtime what it has.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// The hands of the agent.
pub(super) struct Workers {
    runtimes: BTreeMap<String, Arc<dyn Runtime>>,
    fetcher: Fetcher,
    bringer: Bringer,
    answers: mpsc::Sender<Event>,
    tracker: TaskTracker,
    stop: CancellationToken,
    prepares: Arc<Semaphore>,
    /// By which the fetches and prepares of a task are given up.
    cancels: BTreeMap<TaskId, Vec<CancellationToken>>,
}

impl Workers {
    pub(super) fn new(
        runtimes: &[Arc<dyn Runtime>],
        fetcher: Fetcher,
        answers: mpsc::Sender<Event>,
        tracker: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let by_name = runtimes.iter().map(|r| (r.name().to_owned(), Arc::clone(r)));
        Self {
            runtimes: by_name.collect(),
            bringer: Bringer::new(fetcher.node.clone(), Arc::clone(&fetcher.dispatcher)),
            fetcher,
            answers,
            tracker,
            stop,
            prepares: Arc::new(Semaphore::new(PREPARES)),
            cancels: BTreeMap::new(),
        }
    }

    /// The runtime of this name.
    pub(super) fn runtime(&self, name: &str) -> Option<Arc<dyn Runtime>> {
        self.runtimes.get(name).cloned()
    }

    /// Asks every runtime what it has, until it answers.
    pub(super) fn recover(&self) {
        for (name, runtime) in &self.runtimes {
            let (name, runtime) = (name.clone(), Arc::clone(runtime));
            let (answers, stop) = (self.answers.clone(), self.stop.clone());
            self.tracker.spawn(async move {
                let recovered = stop.run_until_cancelled(ask(&name, runtime.as_ref())).await;
                if let Some(input) = recovered {
                    // The loop is gone only when the agent stops.
                    let _ = answers.send(Event::Input(input)).await;
                }
            });
        }
    }

    /// Gives up every fetch and prepare of a task.
    pub(super) fn cancel(&mut self, task: TaskId) {
        for token in self.cancels.remove(&task).into_iter().flatten() {
            token.cancel();
        }
    }

    /// Does one probe and answers.
    pub(super) fn probe(&self, work: ProbeWork) {
        let runtime = self.runtime(&work.runtime);
        let (answers, stop) = (self.answers.clone(), self.stop.clone());
        self.tracker.spawn(async move {
            let Some((saw, result)) = stop.run_until_cancelled(probe::run(&work, runtime)).await else {
                return;
            };
            let (key, index) = (work.key, work.index);
            let checked = Input::Checked {
                key: key.clone(),
                index,
                saw,
            };
            let probed = result.map(|result| Input::Probed { key, index, result });
            for input in [Some(checked), probed].into_iter().flatten() {
                // The loop is gone only when the agent stops.
                let _ = answers.send(Event::Input(input)).await;
            }
        });
    }

    /// Does one piece of work and answers.
    pub(super) fn start(&mut self, work: Work) {
        let kind = work.verb.kind();
        let cancel = CancellationToken::new();
        if matches!(kind, VerbKind::Fetch | VerbKind::Prepare) {
            self.cancels.retain(|_, tokens| {
                tokens.retain(|token| !token.is_cancelled());
                !tokens.is_empty()
            });
            self.cancels
                .entry(work.key.task)
                .or_default()
                .push(cancel.clone());
        }
        let runtime = self.runtime(&work.runtime);
        let (answers, stop) = (self.answers.clone(), self.stop.clone());
        let prepares = Arc::clone(&self.prepares);
        let hands = (self.fetcher.clone(), self.bringer.clone());
        self.tracker.spawn(async move {
            let key = work.key.clone();
            let done = attempt(cancel.clone(), work, runtime, hands, prepares);
            // Only these may be dropped half way; a stopping agent waits for the others.
            let result = if matches!(kind, VerbKind::Fetch | VerbKind::Prepare | VerbKind::Wait) {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = cancel.cancelled() => Err(WorkError::Cancelled),
                    result = done => result,
                }
            } else {
                done.await
            };
            cancel.cancel();
            let done = Done {
                key,
                verb: kind,
                result,
            };
            // The loop is gone only when the agent stops: then `recover` tells what came of it.
            let _ = answers.send(Event::Input(Input::Done(done))).await;
        });
    }
}

async fn ask(name: &str, runtime: &dyn Runtime) -> Input {
    let mut said = false;
    loop {
        match runtime.recover().await {
            Ok(found) => {
                return Input::Recovered {
                    runtime: name.to_owned(),
                    found,
                };
            }
            Err(why) if !said => {
                said = true;
                tracing::warn!(runtime = name, %why, "cannot be asked what it has; its tasks wait");
            }
            Err(why) => tracing::debug!(runtime = name, %why, "still cannot be asked what it has"),
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

/// One attempt, whatever the runtime does.
async fn attempt(
    cancel: CancellationToken,
    work: Work,
    runtime: Option<Arc<dyn Runtime>>,
    (fetcher, bringer): (Fetcher, Bringer),
    prepares: Arc<Semaphore>,
) -> Result<Answer, WorkError> {
    let name = work.runtime.clone();
    let Some(runtime) = runtime else {
        let why = format!("the agent has no runtime {name}");
        return Err(RuntimeError::Failed {
            runtime: "agent",
            op: "find runtime",
            why,
        }
        .into());
    };
    let _permit = match work.verb {
        Verb::Prepare(_) => prepares.acquire().await.ok(),
        _ => None,
    };
    if cancel.is_cancelled() {
        return Err(WorkError::Cancelled);
    }
    let verb = work.verb.kind();
    let key = work.key.clone();
    // A runtime that panics must not leave its task waiting for ever.
    let result = AssertUnwindSafe(perform(&runtime, &fetcher, &bringer, work))
        .catch_unwind()
        .await
        .unwrap_or_else(|_| {
            let why = format!("it panicked at {verb:?}");
            Err(RuntimeError::Failed {
                runtime: "plugin",
                op: "run",
                why,
            }
            .into())
        });
    if let Err(why) = &result {
        let again = match why {
            WorkError::Runtime(why) => why.class() == Class::Retry,
            WorkError::Away(_) => true,
            WorkError::Cancelled => false,
        };
        tracing::info!(%key, ?verb, runtime = name, %why, again, "not done");
    }
    result
}

async fn perform(
    runtime: &Arc<dyn Runtime>,
    fetcher: &Fetcher,
    bringer: &Bringer,
    work: Work,
) -> Result<Answer, WorkError> {
    let key = &work.key;
    match work.verb {
        Verb::MakeSandbox(path) => blocking("make the sandbox", move || make_sandbox(&path)).await?,
        Verb::RemoveSandbox(path) => blocking("remove the sandbox", move || remove_sandbox(&path)).await?,
        Verb::CheckPorts(list) if list.is_empty() => {}
        Verb::CheckPorts(list) => match tokio::task::spawn_blocking(move || ports::check(&list)).await {
            Ok(checked) => checked?,
            Err(why) => return Err(failed("check ports", why.to_string()).into()),
        },
        Verb::Fetch(list) => fetcher.have(key.task, list).await?,
        Verb::RemoveFiles(dirs) => blocking("remove files", move || files::remove(&dirs)).await?,
        Verb::RemoveVolumes(paths) => blocking("remove volumes", move || volumes::remove(&paths)).await?,
        Verb::MakeVolumes(list) => match tokio::task::spawn_blocking(move || volumes::make(&list)).await {
            Ok(made) => made?,
            Err(why) => return Err(failed("make volumes", why.to_string()).into()),
        },
        Verb::MakeNetwork(plan) => return Ok(Answer::Network(runtime.make_sandbox(&plan).await?)),
        Verb::Prepare(planned) => return prepare(runtime, bringer, *planned).await,
        Verb::Start => runtime.start(key).await?,
        Verb::Wait => return Ok(Answer::Exit(runtime.wait(key).await?)),
        Verb::Hook(argv) => {
            // Whatever it answers, the container is asked to stop after it.
            if let Err(why) = probe::exec(runtime.as_ref(), key, &argv).await {
                tracing::info!(%key, %why, "what is done before the stop went wrong");
            }
        }
        Verb::Stop(signal) => {
            let own = match signal {
                Some(signal) => Some(signal),
                None => runtime.stop_signal(key).await?,
            };
            runtime.signal(key, own.as_deref().unwrap_or("SIGTERM")).await?;
        }
        Verb::Kill => runtime.signal(key, "SIGKILL").await?,
        Verb::Remove { kill } => remove(runtime.as_ref(), key, kill).await?,
    }
    Ok(Answer::Done)
}

async fn prepare(
    runtime: &Arc<dyn Runtime>,
    bringer: &Bringer,
    planned: PlannedContainer,
) -> Result<Answer, WorkError> {
    let filled =
        tokio::task::spawn_blocking(move || volumes::check(&planned).and_then(|()| files::fill(planned)));
    let plan = match filled.await {
        Ok(filled) => filled?,
        Err(why) => return Err(failed("fill in files", why.to_string()).into()),
    };
    bringer.prepare(runtime, &plan).await?;
    if plan.among.is_none() {
        return Ok(Answer::Done);
    }
    Ok(Answer::Made(runtime.names(&plan.key).await?))
}

async fn remove(
    runtime: &dyn Runtime,
    key: &plenum_contract::runtime::ContainerKey,
    kill: bool,
) -> Result<(), RuntimeError> {
    if kill {
        match runtime.signal(key, "SIGKILL").await {
            Ok(()) => {}
            // Never started, or gone: nothing to kill.
            Err(RuntimeError::NotFound { .. } | RuntimeError::Refused { .. }) => {}
            Err(e @ RuntimeError::Failed { .. }) => return Err(e),
        }
    }
    match runtime.remove(key).await {
        Err(RuntimeError::NotFound { .. }) => Ok(()),
        other => other,
    }
}

async fn blocking(
    op: &'static str,
    f: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> Result<(), RuntimeError> {
    match tokio::task::spawn_blocking(f).await {
        Ok(Ok(())) => Ok(()),
        // These never mend themselves; the user must hear of them at once.
        Ok(Err(e))
            if matches!(
                e.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            Err(RuntimeError::Refused {
                reason: ExitReason::Setup,
                why: format!("cannot {op}: {e}"),
            })
        }
        Ok(Err(e)) => Err(failed(op, e.to_string())),
        Err(e) => Err(failed(op, e.to_string())),
    }
}

fn failed(op: &'static str, why: String) -> RuntimeError {
    RuntimeError::Failed {
        runtime: "agent",
        op,
        why,
    }
}

fn make_sandbox(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

fn remove_sandbox(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
