//! The contracts' own suites.

use crate::disk::{open, small};
use async_trait::async_trait;
use bytes::Bytes;
use plenum_contract::ledger_log::LedgerLog;
use plenum_contract::state_store::{StateStore, Write};
use plenum_contract::suite::ledger_log::{LedgerLogFixture, ledger_log_suite};
use plenum_contract::suite::state_store::{StateStoreFixture, state_store_suite};
use plenum_store::{DataDir, MemoryLog, MemoryState, Options};
use std::sync::Arc;
use tempfile::TempDir;

struct OnDisk {
    dir: TempDir,
    options: Options,
}

impl OnDisk {
    fn new(options: Options) -> Self {
        let dir = TempDir::new().unwrap();
        Self { dir, options }
    }

    fn data(&self) -> DataDir {
        DataDir::open_with(self.dir.path(), self.options).unwrap()
    }
}

/// Pushes everything out of the history.
async fn push_out(store: &dyn StateStore) {
    for _ in 0..=history().history_revisions {
        let write = Write::Put("~".to_owned(), Bytes::new());
        store.txn(vec![], vec![write]).await.unwrap();
    }
}

impl LedgerLogFixture for OnDisk {
    fn open(&mut self) -> Box<dyn LedgerLog> {
        Box::new(self.data().ledger_log().unwrap())
    }
}

struct LogInMemory(MemoryLog);

impl LedgerLogFixture for LogInMemory {
    fn open(&mut self) -> Box<dyn LedgerLog> {
        Box::new(self.0.clone())
    }
}

#[async_trait]
impl StateStoreFixture for OnDisk {
    async fn open(&mut self) -> Arc<dyn StateStore> {
        self.data().state_store().unwrap()
    }

    async fn forget_history(&mut self, store: &dyn StateStore) {
        push_out(store).await;
    }
}

struct StateInMemory(MemoryState);

#[async_trait]
impl StateStoreFixture for StateInMemory {
    async fn open(&mut self) -> Arc<dyn StateStore> {
        Arc::new(self.0.clone())
    }

    async fn forget_history(&mut self, store: &dyn StateStore) {
        push_out(store).await;
    }
}

/// The history of the suite's own tests must fit; it is pushed out by as much.
fn history() -> Options {
    Options {
        history_revisions: 300,
        ..small()
    }
}

#[test]
fn the_ledger_log_on_disk_keeps_its_contract() {
    ledger_log_suite(|| OnDisk::new(small()));
}

#[test]
fn the_ledger_log_on_disk_keeps_its_contract_with_the_usual_segments() {
    ledger_log_suite(|| {
        OnDisk::new(Options {
            segment_bytes: 1 << 20,
            ..Options::default()
        })
    });
}

#[test]
fn the_ledger_log_in_memory_keeps_its_contract() {
    ledger_log_suite(|| LogInMemory(MemoryLog::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_state_store_on_disk_keeps_its_contract() {
    state_store_suite(|| OnDisk::new(history())).await;
}

#[tokio::test]
async fn the_state_store_in_memory_keeps_its_contract() {
    state_store_suite(|| StateInMemory(MemoryState::with_history(history().history_revisions))).await;
}

#[test]
fn a_directory_holds_both_stores_at_once() {
    let dir = TempDir::new().unwrap();
    let data = open(dir.path());
    let mut log = data.ledger_log().unwrap();
    assert!(log.load().is_ok());
    assert!(data.state_store().is_ok());
}
