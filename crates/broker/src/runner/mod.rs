//! The broker as a running thing. Three threads in a row, each the only owner of what it touches:
//!
//! ```text
//! calls --> core thread --> log thread --> publisher --> answers, view, assignments
//!           (the core)      (the log)      (writes the view)
//! ```
//! The core decides without waiting for the disk; the log thread takes whatever was decided meanwhile as one
//! group and pays one sync for it; only then does the publisher let anything of it be seen. The contracts are
//! served beside them: calls go in at the left (`session`, `dispatch`, `admin`), reads look at the view.

mod admin;
mod core_thread;
mod dispatch;
mod files;
mod images;
mod log_thread;
mod mailbox;
mod publisher;
mod session;
mod stats;
mod streams;

use crate::config::BrokerConfig;
use crate::decide::{Core, RestoreError};
use crate::input::{Answer, Attachment, Change, Denied, Effects, Input};
use crate::view::View;
use mailbox::Mailbox;
use parking_lot::{Mutex, RwLock};
use plenum_contract::ledger_log::{LedgerLog, LogError};
use plenum_contract::state_store::StateStore;
use plenum_model::ids::{LeaderEpoch, NodeId, SchedulerId};
pub use stats::BrokerStats;
use stats::Stats;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Why a broker did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its log cannot be read or written.
    #[error("the ledger's log does not serve")]
    Log(#[source] LogError),
    /// What the log holds is not a ledger.
    #[error("the ledger cannot be built from its log")]
    Restore(#[source] RestoreError),
    /// A thread cannot be started.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

/// A running broker. Clones are the same broker; it implements `Broker`, `Pool`, `Dispatcher` and `Streams`.
#[derive(Clone)]
pub struct BrokerHandle(Arc<Inner>);

struct Inner {
    config: BrokerConfig,
    epoch: LeaderEpoch,
    calls: mpsc::Sender<ToCore>,
    shared: Arc<Shared>,
    /// One permit per scheduler: who holds it has the live session, who waits for it is a stand-by.
    gates: Mutex<BTreeMap<SchedulerId, Arc<Semaphore>>>,
    attachments: AtomicU64,
    hub: streams::Hub,
    /// Where schedulers keep what their files refer to. Read for agents only; never part of the ledger.
    state: Arc<dyn StateStore>,
    stop: CancellationToken,
    tracker: TaskTracker,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What the threads and the readers share.
struct Shared {
    /// Written by the publisher only.
    view: RwLock<View>,
    /// Raised whenever the view has changed.
    bumped: watch::Sender<u64>,
    /// The agents that are attached. Changed by the publisher only.
    mailboxes: Mutex<HashMap<NodeId, (Attachment, Arc<Mailbox>)>>,
    stats: Stats,
}

/// A call on its way to the core.
struct Call {
    input: Input,
    reply: Option<oneshot::Sender<Reply>>,
    mailbox: Option<Arc<Mailbox>>,
}

/// What goes to the core thread.
enum ToCore {
    Call(Call),
    /// Say the whole ledger.
    Copy(oneshot::Sender<Vec<u8>>),
    /// Take no more, finish what was taken.
    Stop,
}

/// What a call gets back, once what it caused is durable.
type Reply = Result<Answer, Failed>;

/// Why a call failed.
#[derive(Debug, Clone)]
enum Failed {
    Denied(Denied),
    Overloaded { depth: usize },
    Full,
    Unavailable(String),
}

/// Unix milliseconds that never go back and do not jump with the wall clock.
#[derive(Clone, Copy)]
struct Clock {
    base: u64,
    since: Instant,
}

impl Clock {
    /// One that starts now, or at `at_least` if the wall clock is behind that.
    fn starting(at_least: u64) -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            base: millis(wall).max(at_least),
            since: Instant::now(),
        }
    }

    fn now(&self) -> u64 {
        self.base.saturating_add(millis(self.since.elapsed()))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Starts a broker on a log: builds the ledger from it, takes the lead with the next epoch, and serves. Files and
/// secrets that claims refer to are read from `state`, the whole store, when an agent fetches them. To be called
/// within a tokio runtime. Dropping every handle stops it, [`BrokerHandle::stop`] does so in order.
///
/// # Errors
/// See [`StartError`].
pub fn start(
    config: BrokerConfig,
    mut log: Box<dyn LedgerLog>,
    state: Arc<dyn StateStore>,
) -> Result<BrokerHandle, StartError> {
    let loaded = log.load().map_err(StartError::Log)?;
    let epoch = loaded.epoch.next();
    let mut view = View::new(config.events_kept, config.forgotten_kept);
    view.serve_first(config.core.system.clone());
    let restored = Core::restore(
        config.core.clone(),
        loaded.snapshot.as_deref(),
        &loaded.records,
        |change| {
            view.apply(change);
        },
    );
    let mut core = restored.map_err(StartError::Restore)?;
    let clock = Clock::starting(core.now());
    let mut effects = Effects::default();
    core.step(clock.now(), Input::Lead(epoch), &mut effects);
    log.append(epoch, &[core.record(&effects.facts)])
        .map_err(StartError::Log)?;
    effects.changes.into_iter().for_each(|change| view.apply(change));
    let shared = Arc::new(Shared {
        view: RwLock::new(view),
        bumped: watch::Sender::new(0),
        mailboxes: Mutex::default(),
        stats: Stats::default(),
    });
    run(config, core, clock, epoch, log, shared, state)
}

fn run(
    config: BrokerConfig,
    core: Core,
    clock: Clock,
    epoch: LeaderEpoch,
    log: Box<dyn LedgerLog>,
    shared: Arc<Shared>,
    state: Arc<dyn StateStore>,
) -> Result<BrokerHandle, StartError> {
    let (calls, inbox) = mpsc::channel(config.queue_depth);
    let (to_log, decided) = std::sync::mpsc::sync_channel(log_thread::DECIDED_DEPTH);
    let (to_publisher, durable) = std::sync::mpsc::sync_channel(publisher::GROUPS_DEPTH);
    let failed = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let threads = vec![
        thread("plenum-publish", publisher::run(durable, Arc::clone(&shared)))?,
        thread(
            "plenum-log",
            log_thread::run(
                log,
                epoch,
                decided,
                to_publisher,
                Arc::clone(&failed),
                Arc::clone(&shared),
            ),
        )?,
        thread(
            "plenum-core",
            core_thread::CoreThread::new(core, config.clone(), clock, epoch, to_log, failed, &shared)
                .run(inbox),
        )?,
    ];
    let handle = BrokerHandle(Arc::new(Inner {
        hub: streams::Hub::default(),
        attachments: AtomicU64::new(0),
        gates: Mutex::default(),
        stop: CancellationToken::new(),
        tracker: TaskTracker::new(),
        threads: Mutex::new(threads),
        state,
        calls,
        shared,
        epoch,
        config,
    }));
    handle.0.tracker.spawn(tick(
        Arc::downgrade(&handle.0),
        handle.0.stop.clone(),
        Duration::from_millis(handle.0.config.tick_ms.max(1)),
    ));
    Ok(handle)
}

fn thread(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(StartError::Thread)
}

/// Has the core look at the clock now and then. A full queue brings inputs of its own, so a tick may be left out.
async fn tick(inner: Weak<Inner>, stop: CancellationToken, period: Duration) {
    let mut timer = tokio::time::interval(period);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(timer.tick()).await.is_some() {
        let Some(inner) = inner.upgrade() else { return };
        let call = Call {
            input: Input::Tick,
            reply: None,
            mailbox: None,
        };
        if let Err(mpsc::error::TrySendError::Closed(_)) = inner.calls.try_send(ToCore::Call(call)) {
            return;
        }
    }
}

impl BrokerHandle {
    /// What it has done so far and what it holds.
    #[must_use]
    pub fn stats(&self) -> BrokerStats {
        let depth = self.0.config.queue_depth - self.0.calls.capacity().min(self.0.config.queue_depth);
        self.0.shared.stats.snapshot(depth)
    }

    /// Stops in order: takes no more calls, makes durable and answers what was taken, ends every stream. Tasks
    /// run on. Later calls are refused as unavailable.
    pub async fn stop(&self) {
        self.0.stop.cancel();
        self.0.tracker.close();
        self.0.tracker.wait().await;
        let threads = std::mem::take(&mut *self.0.threads.lock());
        if threads.is_empty() {
            return;
        }
        // It fails only if the thread is gone already.
        let _ = self.0.calls.send(ToCore::Stop).await;
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads.into_iter().rev() {
                if thread.join().is_err() {
                    tracing::error!("a thread of the broker panicked");
                }
            }
        });
        if joined.await.is_err() {
            tracing::error!("the broker's threads could not be awaited");
        }
    }
}

impl Inner {
    /// Hands an input to the core and waits until what it caused is durable.
    async fn ask(&self, input: Input) -> Reply {
        self.ask_with(input, None).await
    }

    /// The whole ledger as the core has it now.
    async fn copy(&self) -> Result<Vec<u8>, Failed> {
        let (reply, answer) = oneshot::channel();
        self.send(ToCore::Copy(reply))?;
        answer.await.map_err(|_| Failed::stopping())
    }

    async fn ask_with(&self, input: Input, mailbox: Option<Arc<Mailbox>>) -> Reply {
        let (reply, answer) = oneshot::channel();
        let call = Call {
            input,
            reply: Some(reply),
            mailbox,
        };
        self.send(ToCore::Call(call))?;
        answer.await.unwrap_or_else(|_| Err(Failed::stopping()))
    }

    fn send(&self, message: ToCore) -> Result<(), Failed> {
        if self.stop.is_cancelled() {
            return Err(Failed::stopping());
        }
        self.calls.try_send(message).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => Failed::Overloaded {
                depth: self.config.queue_depth,
            },
            mpsc::error::TrySendError::Closed(_) => Failed::stopping(),
        })
    }
}

impl Failed {
    fn stopping() -> Self {
        Self::Unavailable("the broker is stopping".to_owned())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What one step of the core leads to, on its way to the disk and beyond.
struct Decided {
    /// To be made durable first; none if it changed nothing.
    record: Option<Vec<u8>>,
    changes: Vec<Change>,
    answer: Option<Result<Answer, Denied>>,
    reply: Option<oneshot::Sender<Reply>>,
    mailbox: Option<Arc<Mailbox>>,
}
