//! The ledger log in memory, for tests and for trying things out: what is "on disk" outlives the handle, and
//! it fails when it is told to.

use parking_lot::Mutex;
use plenum_contract::ledger_log::{LedgerLog, Loaded, LogError};
use plenum_model::ids::LeaderEpoch;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How the next append or snapshot shall fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No room: `Full`, nothing written, usable at once.
    Full,
    /// The system refuses: `Io`, nothing written, nothing more until the next `load`.
    Io,
    /// The write is cut short: `Io`, and the next `load` drops it, as a torn tail is dropped.
    Torn,
    /// It is written, but the answer is lost, as when the machine dies between sync and answer: `Io`, and the
    /// next `load` finds it.
    AnswerLost,
}

/// A handle to a log in memory; clones share it. A handle is like an open file of a process: dropping it is a
/// crash, and a clone made before (or later, from another clone) loads what was durable.
#[derive(Debug, Default)]
pub struct MemoryLog {
    shared: Arc<Mutex<Shared>>,
    /// Set by `load`, cleared by a failure: appends need it.
    loaded: bool,
}

#[derive(Debug, Default)]
struct Shared {
    content: Loaded,
    /// Written, but never acknowledged; the next load settles it.
    unsettled: Option<Unsettled>,
    faults: VecDeque<Fault>,
    appends: u64,
}

#[derive(Debug)]
enum Change {
    Records(Vec<Vec<u8>>),
    Snapshot(Vec<u8>),
}

#[derive(Debug)]
struct Unsettled {
    epoch: LeaderEpoch,
    change: Change,
}

impl Clone for MemoryLog {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            loaded: false,
        }
    }
}

impl MemoryLog {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the next append or snapshot of any handle fail so; several wait in line.
    pub fn fail_next(&self, fault: Fault) {
        self.shared.lock().faults.push_back(fault);
    }

    /// How many appends and snapshots were acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.shared.lock().appends
    }

    /// What a load would find now, without being one.
    #[must_use]
    pub fn durable(&self) -> Loaded {
        self.shared.lock().content.clone()
    }

    fn write(&mut self, epoch: LeaderEpoch, change: Change) -> Result<(), LogError> {
        let mut shared = self.shared.lock();
        if !self.loaded {
            return Err(io("append to", "the log was not loaded first"));
        }
        let have = shared.content.epoch;
        if have > epoch {
            return Err(LogError::Fenced { have, got: epoch });
        }
        let Some(fault) = shared.faults.pop_front() else {
            shared.appends += 1;
            shared.content.epoch = epoch;
            shared.content.apply(change);
            return Ok(());
        };
        match fault {
            Fault::Full => return Err(LogError::Full { path: place() }),
            Fault::Io | Fault::Torn => {}
            Fault::AnswerLost => shared.unsettled = Some(Unsettled { epoch, change }),
        }
        drop(shared);
        self.loaded = false;
        Err(io("sync", "it failed as it was told to"))
    }
}

trait Apply {
    fn apply(&mut self, change: Change);
}

impl Apply for Loaded {
    fn apply(&mut self, change: Change) {
        match change {
            Change::Records(records) => self.records.extend(records),
            Change::Snapshot(snapshot) => {
                self.snapshot = Some(snapshot);
                self.records.clear();
            }
        }
    }
}

fn place() -> PathBuf {
    Path::new("memory").to_owned()
}

fn io(op: &'static str, what: &'static str) -> LogError {
    LogError::Io {
        op,
        path: place(),
        source: std::io::Error::other(what),
    }
}

impl LedgerLog for MemoryLog {
    fn load(&mut self) -> Result<Loaded, LogError> {
        let mut shared = self.shared.lock();
        if let Some(Unsettled { epoch, change }) = shared.unsettled.take() {
            shared.content.epoch = shared.content.epoch.max(epoch);
            shared.content.apply(change);
        }
        self.loaded = true;
        Ok(shared.content.clone())
    }

    fn append(&mut self, epoch: LeaderEpoch, records: &[Vec<u8>]) -> Result<(), LogError> {
        self.write(epoch, Change::Records(records.to_vec()))
    }

    fn snapshot(&mut self, epoch: LeaderEpoch, snapshot: &[u8]) -> Result<(), LogError> {
        self.write(epoch, Change::Snapshot(snapshot.to_vec()))
    }
}
