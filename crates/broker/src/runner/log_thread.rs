//! The thread that owns the log. It takes all that was decided while it was busy as one group: one append, one
//! sync. What is durable goes on to the publisher; a group that failed is refused, and everything after it,
//! until the core was built again.

use super::stats::{add, add_since, count};
use super::{Decided, Failed, Shared, publisher::ToPublisher};
use plenum_contract::ledger_log::{LedgerLog, Loaded, LogError};
use plenum_model::ids::{Cursor, LeaderEpoch};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Instant;

/// Steps that may wait for the disk. At 20,000 steps a second it holds what comes during a sync of 50 ms, so
/// that the core need not wait for one; a disk that is slower than that slows the callers down.
pub(super) const DECIDED_DEPTH: usize = 1024;
/// Bytes of one group: large enough that a sync is cheap beside them, small enough to answer soon.
const GROUP_BYTES: usize = 8 << 20;

/// What the core thread sends.
pub(super) enum ToLog {
    Decided(Decided),
    /// The ledger as it is after all that was sent before.
    Snapshot(Vec<u8>),
    /// Read the log back, and see whether it takes a record.
    Rebuild {
        probe: Vec<u8>,
        reply: SyncSender<Result<(Loaded, Cursor), Failed>>,
    },
}

pub(super) fn run(
    log: Box<dyn LedgerLog>,
    epoch: LeaderEpoch,
    inbox: Receiver<ToLog>,
    to_publisher: SyncSender<ToPublisher>,
    failed: Arc<AtomicBool>,
    shared: Arc<Shared>,
) -> impl FnOnce() + Send + 'static {
    let mut thread = LogThread {
        log,
        epoch,
        to_publisher,
        failed,
        shared,
        refusing: None,
    };
    move || thread.run(&inbox)
}

struct LogThread {
    log: Box<dyn LedgerLog>,
    epoch: LeaderEpoch,
    to_publisher: SyncSender<ToPublisher>,
    failed: Arc<AtomicBool>,
    shared: Arc<Shared>,
    /// A group has failed: what the core decided after it rests on what never was.
    refusing: Option<Failed>,
}

impl LogThread {
    fn run(&mut self, inbox: &Receiver<ToLog>) {
        let mut next = inbox.recv().ok();
        while let Some(message) = next.take() {
            let served = match message {
                ToLog::Decided(first) => {
                    let (group, rest) = gather(first, inbox);
                    next = rest;
                    self.group(group)
                }
                ToLog::Snapshot(bytes) => {
                    self.snapshot(&bytes);
                    true
                }
                ToLog::Rebuild { probe, reply } => {
                    let _ = reply.send(self.rebuild(probe));
                    true
                }
            };
            if !served {
                return;
            }
            if next.is_none() {
                next = inbox.recv().ok();
            }
        }
    }

    /// Makes a group durable and passes it on; says whether the publisher is still there.
    fn group(&mut self, mut group: Vec<Decided>) -> bool {
        if self.refusing.is_none() {
            let records: Vec<_> = group.iter_mut().filter_map(|d| d.record.take()).collect();
            if let Err(error) = self.append(&records) {
                tracing::error!(%error, "the ledger's log refused a group; what is outstanding is refused");
                add(&self.shared.stats.failed_commits, 1);
                self.refusing = Some(failure(&error));
                self.failed.store(true, Ordering::Release);
            }
        }
        let message = match &self.refusing {
            None => ToPublisher::Durable(group),
            Some(failed) => ToPublisher::Failed(group, failed.clone()),
        };
        self.to_publisher.send(message).is_ok()
    }

    fn append(&mut self, records: &[Vec<u8>]) -> Result<(), LogError> {
        if records.is_empty() {
            return Ok(());
        }
        let begun = Instant::now();
        self.log.append(self.epoch, records)?;
        let stats = &self.shared.stats;
        add_since(&stats.log_micros, begun);
        add(&stats.commits, 1);
        add(&stats.records, count(records.len()));
        add(&stats.record_bytes, records.iter().map(|r| count(r.len())).sum());
        stats
            .largest_group
            .fetch_max(count(records.len()), Ordering::Relaxed);
        Ok(())
    }

    /// A snapshot that cannot be written costs nothing but room: the records before it stand.
    fn snapshot(&mut self, bytes: &[u8]) {
        if self.refusing.is_some() {
            return;
        }
        match self.log.snapshot(self.epoch, bytes) {
            Ok(()) => add(&self.shared.stats.snapshots, 1),
            Err(error) => tracing::warn!(%error, "the ledger's snapshot was not written"),
        }
    }

    fn rebuild(&mut self, probe: Vec<u8>) -> Result<(Loaded, Cursor), Failed> {
        let loaded = self.log.load().map_err(|e| failure(&e))?;
        self.log.append(self.epoch, &[probe]).map_err(|e| failure(&e))?;
        // All that was durable before has been published once the publisher answers.
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        let gone = || Failed::stopping();
        self.to_publisher
            .send(ToPublisher::Fence(reply))
            .map_err(|_| gone())?;
        let shown = answer.recv().map_err(|_| gone())?;
        self.refusing = None;
        Ok((loaded, shown))
    }
}

/// All that was decided by now, up to a bound; and what came after it, if it was something else.
fn gather(first: Decided, inbox: &Receiver<ToLog>) -> (Vec<Decided>, Option<ToLog>) {
    let size = |d: &Decided| d.record.as_ref().map_or(0, Vec::len);
    let mut bytes = size(&first);
    let mut group = vec![first];
    while bytes < GROUP_BYTES {
        match inbox.try_recv() {
            Ok(ToLog::Decided(decided)) => {
                bytes += size(&decided);
                group.push(decided);
            }
            Ok(other) => return (group, Some(other)),
            Err(_) => break,
        }
    }
    (group, None)
}

fn failure(error: &LogError) -> Failed {
    match error {
        LogError::Full { .. } => Failed::Full,
        LogError::Fenced { .. }
        | LogError::Damaged { .. }
        | LogError::Schema { .. }
        | LogError::Locked { .. }
        | LogError::Io { .. } => Failed::Unavailable(error.to_string()),
    }
}
