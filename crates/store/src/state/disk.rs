//! The state store on local disk: keys and revisions in memory, values where the journal wrote them.

use super::codec::{self, StoredWrite};
use super::index::{Index, Keyed, Limits, Put, Version};
use super::place::Place;
use super::reader::{self, Backing};
use super::values::Values;
use super::writer::{Compaction, Txn, Writer};
use crate::fs::{damaged, failed};
use crate::hold::Hold;
use crate::journal::{Item, Journal, Placed};
use crate::options::Options;
use async_trait::async_trait;
use futures::stream::BoxStream;
use plenum_contract::ledger_log::LogError;
use plenum_contract::state_store::{Change, Compare, Entry, Page, StateError, StateStore, Write, validate};
use plenum_model::ids::Revision;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot, watch};

/// Transactions that wait for the writer; each caller waits for its answer anyway, so more would only hide
/// how late it is.
const QUEUE: usize = 1024;

/// The state store of a data directory. Dropping it waits for what is being written.
pub struct DiskState {
    values: Arc<Values>,
    newest: watch::Receiver<Revision>,
    /// None only while it is dropped.
    txns: Option<mpsc::Sender<Txn>>,
    writer: Option<JoinHandle<()>>,
    /// Keeps the data directory locked and this the only handle; released last.
    _hold: Hold,
}

impl DiskState {
    pub(crate) fn open(dir: PathBuf, options: &Options, hold: Hold) -> Result<Self, LogError> {
        let limits = Limits {
            revisions: options.history_revisions,
            bytes: options.history_bytes,
        };
        let mut replay = Replay::new(limits);
        let journal = Journal::open(&dir, options.segment_size(), &mut |item| match item {
            Item::Chunk(chunk) => replay.chunk(&chunk),
            Item::Group(group) => replay.group(&group),
        })?;
        let values = Values::new(replay.done());
        let (sender, newest) = watch::channel(values.index().read().newest());
        let (txns, queue) = mpsc::channel(QUEUE);
        let path = dir.clone();
        let compaction = Compaction {
            every_bytes: options.compact_bytes,
            due_at: options.compact_bytes,
            stop: Arc::default(),
            running: None,
        };
        let writer = Writer {
            journal,
            dir,
            values: values.clone(),
            txns: queue,
            newest: sender,
            compaction,
        };
        let writer = std::thread::Builder::new()
            .name("store-state".to_owned())
            .spawn(move || writer.run())
            .map_err(|e| failed("start the writer of", &path, e))?;
        Ok(Self {
            values,
            newest,
            txns: Some(txns),
            writer: Some(writer),
            _hold: hold,
        })
    }
}

impl Drop for DiskState {
    fn drop(&mut self) {
        self.txns = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the writer of the state store panicked");
        }
    }
}

/// Builds the index from what the journal holds.
struct Replay {
    index: Index<Place>,
    bounds: Option<(Revision, Revision)>,
    snapshot: Vec<(Keyed<Place>, u64)>,
}

impl Replay {
    fn new(limits: Limits) -> Self {
        Self {
            index: Index::new(limits),
            bounds: None,
            snapshot: Vec::new(),
        }
    }

    fn chunk(&mut self, chunk: &Placed<'_>) -> Result<(), LogError> {
        let Placed { file, at, payload } = chunk;
        if self.bounds.is_none() {
            self.bounds = Some(codec::read_bounds(&file.path, *at, payload)?);
            return Ok(());
        }
        codec::read_entries(&file.path, *at, payload, |created, modified, stored| {
            let StoredWrite { key, value } = stored;
            let value = value.map(|range| Place::of(file, at + range.start as u64, &payload[range]));
            let bytes = value.as_ref().map_or(0, |v| u64::from(v.len()));
            let version = Version {
                created,
                modified,
                value,
            };
            self.snapshot.push(((key.into(), version), bytes));
        })
    }

    fn restore(&mut self) {
        if let Some((oldest, newest)) = self.bounds.take() {
            let versions = std::mem::take(&mut self.snapshot);
            self.index.restore(oldest, newest, versions);
        }
    }

    fn group(&mut self, group: &Placed<'_>) -> Result<(), LogError> {
        self.restore();
        let Placed { file, at, payload } = group;
        codec::read_group(&file.path, *at, payload, |revision, writes| {
            if revision <= self.index.newest() {
                let newest = self.index.newest();
                let what = format!("revision {revision} follows revision {newest}");
                return Err(damaged(&file.path, *at, what));
            }
            let put = |StoredWrite { key, value }| Put {
                key: Arc::from(key),
                bytes: value.as_ref().map_or(0, |range| range.len() as u64),
                value: value.map(|range| Place::of(file, at + range.start as u64, &payload[range])),
            };
            self.index.apply(revision, writes.into_iter().map(put).collect());
            Ok(())
        })
    }

    fn done(mut self) -> Index<Place> {
        self.restore();
        self.index
    }
}

fn closed() -> StateError {
    StateError::Unavailable {
        why: "the store was closed".to_owned(),
    }
}

#[async_trait]
impl StateStore for DiskState {
    async fn get(&self, key: &str) -> Result<Option<Entry>, StateError> {
        reader::get(&self.values, key).await
    }

    async fn list(
        &self,
        prefix: &str,
        at: Option<Revision>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page, StateError> {
        reader::list(&self.values, prefix, at, after, limit).await
    }

    async fn txn(&self, compares: Vec<Compare>, writes: Vec<Write>) -> Result<Revision, StateError> {
        validate(&compares, &writes)?;
        let (answer, answered) = oneshot::channel();
        let txn = Txn {
            compares,
            writes,
            answer,
        };
        let txns = self.txns.as_ref().ok_or_else(closed)?;
        txns.send(txn).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    async fn watch(
        &self,
        prefix: &str,
        from: Revision,
    ) -> Result<BoxStream<'static, Result<Vec<Change>, StateError>>, StateError> {
        reader::watch(&self.values, self.newest.clone(), prefix, from)
    }
}
