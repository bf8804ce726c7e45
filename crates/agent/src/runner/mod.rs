//! The thin runner: wires supervisor, journal, workers and the link to the broker together, and stops them in
//! order. Stopping an agent leaves its tasks running; the next one adopts them.

mod carry;
mod carry_node;
mod clock;
mod core;
mod fetch;
mod get;
mod images;
mod link;
mod lock;
mod ports;
mod probe;
mod tls;
mod work;

use crate::config::{AgentConfig, FILES, SECRETS, VOLUMES};
use crate::facts::detect;
use crate::files::sweep;
use crate::journal::{Journal, JournalError};
use crate::supervisor::{NodeView, Supervisor};
use clock::Clock;
use core::{Core, QUEUE_DEPTH};
use fetch::Fetcher;
use link::Link;
use lock::{DirLock, LockError};
use plenum_contract::dispatcher::Dispatcher;
use plenum_contract::runtime::Runtime;
use plenum_model::ids::Seq;
use plenum_model::node::NodeFacts;
use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use work::Workers;

/// How often the node is looked at again: a dockerd that comes or goes is news within this time.
const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// A stopping agent waits so long for verbs under way (a start, a removal); `recover` mends what is cut off.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// Why an agent could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another agent uses the data directory.
    #[error("{} is in use by {holder}", .path.display())]
    Locked {
        /// The data directory.
        path: PathBuf,
        /// Who holds it (`agent n1, pid 17`).
        holder: String,
    },
    /// The data directory cannot be used.
    #[error("cannot use data directory {}", .path.display())]
    DataDir {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// A running agent. Dropping it stops it, too, but nobody waits for the end then.
#[derive(Debug)]
pub struct AgentHandle {
    facts: watch::Receiver<NodeFacts>,
    stop: DropGuard,
    tracker: TaskTracker,
    core: tokio::task::JoinHandle<()>,
}

impl AgentHandle {
    /// What the agent says of its node.
    #[must_use]
    pub fn facts(&self) -> NodeFacts {
        self.facts.borrow().clone()
    }

    /// Stops the agent; its tasks run on. Returns when nothing of it is under way any more and its data
    /// directory is free.
    pub async fn stop(self) {
        drop(self.stop);
        if self.core.await.is_err() {
            tracing::error!("the agent's loop panicked");
        }
        if tokio::time::timeout(STOP_WITHIN, self.tracker.wait())
            .await
            .is_err()
        {
            tracing::warn!(under_way = self.tracker.len(), "stopped with verbs under way");
        }
    }

    /// Completes when the agent has ended by itself, which it does only if its loop failed.
    pub async fn ended(&mut self) {
        // A second call after the end must not panic on the finished handle.
        if !self.core.is_finished() {
            let _ = (&mut self.core).await;
        }
    }
}

/// Starts an agent: takes its data directory, reads its journal and describes the node; then joins the pool
/// through `dispatcher`, again and again, and drives `runtimes`. Give it every runtime its tasks may be of,
/// also one that does not answer at the moment: what an absent runtime has cannot be known, and its tasks wait.
///
/// # Errors
/// See [`StartError`].
pub async fn start(
    config: AgentConfig,
    runtimes: Vec<Arc<dyn Runtime>>,
    dispatcher: Arc<dyn Dispatcher>,
) -> Result<AgentHandle, StartError> {
    let dir = &config.data_dir;
    let sandboxes = dir.join("sandboxes");
    let (files, secrets) = (dir.join(FILES), dir.join(SECRETS));
    let volumes = dir.join(VOLUMES);
    let unusable = |source| StartError::DataDir {
        path: dir.clone(),
        source,
    };
    make_dir(&sandboxes).map_err(unusable)?;
    let holder = format!("agent {}, pid {}", config.node, std::process::id());
    let lock = DirLock::take(dir, &holder).map_err(|e| match e {
        LockError::Held(holder) => StartError::Locked {
            path: dir.clone(),
            holder,
        },
        LockError::Io(source) => unusable(source),
    })?;
    // A node whose journal was lost numbers on above all it ever used: one a microsecond is far more than
    // it could have written.
    let first = Seq(clock::unix_ms().saturating_mul(1000));
    let (journal, memory) = Journal::open(&dir.join("journal"), first)?;
    let known: BTreeSet<String> = memory.tasks.keys().map(ToString::to_string).collect();
    [&files, &secrets].into_iter().for_each(|all| sweep(all, &known));
    crate::volumes::sweep(&volumes, &known);
    let facts = detect(&config, &runtimes).await;
    for runtime in &runtimes {
        if !facts.runtimes.contains_key(runtime.name()) {
            tracing::warn!(node = %config.node, runtime = runtime.name(), "not available, left out for now");
        }
    }
    let view = NodeView {
        id: config.node.clone(),
        hostname: facts.hostname.clone(),
        address: config.address.clone(),
        sandboxes,
        volumes,
        files,
        secrets,
        runtimes: runtimes.iter().map(|r| r.name().to_owned()).collect(),
    };
    Ok(wire(
        config,
        Supervisor::new(view, memory),
        journal,
        lock,
        facts,
        runtimes,
        dispatcher,
    ))
}

fn make_dir(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o711)
        .create(path)
}

fn wire(
    config: AgentConfig,
    supervisor: Supervisor,
    journal: Journal,
    lock: DirLock,
    facts: NodeFacts,
    runtimes: Vec<Arc<dyn Runtime>>,
    dispatcher: Arc<dyn Dispatcher>,
) -> AgentHandle {
    let stop = CancellationToken::new();
    let tracker = TaskTracker::new();
    let reattach = Arc::new(Notify::new());
    let (events_tx, events) = mpsc::channel(QUEUE_DEPTH);
    let (facts_tx, facts_rx) = watch::channel(facts);
    let (epoch_tx, epoch_rx) = watch::channel(supervisor.epoch());
    let link = Link {
        node: config.node.clone(),
        dispatcher: Arc::clone(&dispatcher),
        facts: facts_rx.clone(),
        epoch: epoch_rx,
        events: events_tx.clone(),
        reattach: Arc::clone(&reattach),
        stop: stop.clone(),
    };
    let fetcher = Fetcher {
        node: config.node.clone(),
        dispatcher: Arc::clone(&dispatcher),
    };
    let core = Core {
        supervisor,
        journal: Some(journal),
        clock: Clock::new(),
        events,
        workers: Workers::new(&runtimes, fetcher, events_tx, tracker.clone(), stop.clone()),
        node: config.node.clone(),
        dispatcher,
        epoch: epoch_tx,
        reattach,
        up: None,
        tracker: tracker.clone(),
        stop: stop.clone(),
    };
    tracker.spawn(link.run());
    tracker.spawn(look(config, runtimes, facts_tx, stop.clone()));
    let ended = stop.clone();
    let core = tokio::spawn(async move {
        core.run().await;
        // Whatever ended the loop, nothing else goes on without it.
        ended.cancel();
        drop(lock);
    });
    tracker.close();
    AgentHandle {
        facts: facts_rx,
        stop: stop.drop_guard(),
        tracker,
        core,
    }
}

/// Looks at the node again and again, and tells what changed.
async fn look(
    config: AgentConfig,
    runtimes: Vec<Arc<dyn Runtime>>,
    facts: watch::Sender<NodeFacts>,
    stop: CancellationToken,
) {
    let mut interval = tokio::time::interval(LOOK_AGAIN);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval.tick().await;
    while stop.run_until_cancelled(interval.tick()).await.is_some() {
        let Some(new) = stop.run_until_cancelled(detect(&config, &runtimes)).await else {
            return;
        };
        facts.send_if_modified(|old| std::mem::replace(old, new) != *old);
    }
}
