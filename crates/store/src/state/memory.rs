//! The state store in memory, for tests and for trying things out.

use super::index::{Index, Limits, Put, first_broken};
use super::reader::{self, Backing};
use crate::options::Options;
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use parking_lot::RwLock;
use plenum_contract::state_store::{Change, Compare, Entry, Page, StateError, StateStore, Write, validate};
use plenum_model::ids::Revision;
use std::sync::Arc;
use tokio::sync::watch;

/// A handle to a state store in memory; clones share it.
#[derive(Clone)]
pub struct MemoryState {
    values: Arc<Values>,
    newest: Arc<watch::Sender<Revision>>,
}

struct Values {
    index: RwLock<Index<Bytes>>,
}

impl MemoryState {
    /// An empty store that keeps as much of the past as one on disk does.
    #[must_use]
    pub fn new() -> Self {
        Self::with_history(Options::default().history_revisions)
    }

    /// An empty store that keeps the last `revisions` revisions.
    #[must_use]
    pub fn with_history(revisions: usize) -> Self {
        let limits = Limits {
            revisions,
            bytes: Options::default().history_bytes,
        };
        let index = RwLock::new(Index::new(limits));
        Self {
            values: Arc::new(Values { index }),
            newest: Arc::new(watch::Sender::new(Revision(0))),
        }
    }
}

impl Default for MemoryState {
    fn default() -> Self {
        Self::new()
    }
}

impl Backing for Values {
    type Value = Bytes;

    fn index(&self) -> &RwLock<Index<Bytes>> {
        &self.index
    }

    fn fetch(&self, value: &Bytes) -> Result<Bytes, StateError> {
        Ok(value.clone())
    }

    async fn run<T: Send + 'static>(
        self: Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, StateError> {
        work(&self)
    }
}

#[async_trait]
impl StateStore for MemoryState {
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
        let mut index = self.values.index.write();
        if let Some(key) = first_broken(&compares, |key| index.modified(key)) {
            let key = key.to_owned();
            return Err(StateError::Conflict { key });
        }
        let puts: Vec<Put<Bytes>> = writes
            .into_iter()
            .filter_map(|write| match write {
                Write::Put(key, value) => Some(Put {
                    key: key.into(),
                    bytes: value.len() as u64,
                    value: Some(value),
                }),
                Write::Delete(key) => index.modified(&key).map(|_| Put {
                    key: key.into(),
                    bytes: 0,
                    value: None,
                }),
            })
            .collect();
        if puts.is_empty() {
            return Ok(index.newest());
        }
        let revision = index.newest().next();
        index.apply(revision, puts);
        // Under the lock, so that watchers never see revisions go back.
        self.newest.send_replace(revision);
        Ok(revision)
    }

    async fn watch(
        &self,
        prefix: &str,
        from: Revision,
    ) -> Result<BoxStream<'static, Result<Vec<Change>, StateError>>, StateError> {
        reader::watch(&self.values, self.newest.subscribe(), prefix, from)
    }
}
