//! Commits objects: one transaction each, compared with the revision that the decision was made on.

use super::cache::Cache;
use super::codec;
use super::object::Written;
use super::pending::Pending;
use super::{Key, Object, Shape};
use plenum_contract::state_store::{Compare, StateError, StateStore, Write};
use plenum_model::ids::Revision;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// How long a read waits for the cache to see what was written before it.
const CATCH_UP: Duration = Duration::from_secs(10);

/// What a write expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// No object.
    Absent,
    /// The object as of this revision.
    At(u64),
}

/// What is written.
#[derive(Debug, Clone, Copy)]
pub enum Commit<'a> {
    /// This object.
    Put(&'a Value),
    /// Nothing is left of it; this is what it was last.
    Delete(&'a Value),
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Somebody else wrote in between: read again, decide again.
    #[error("the object was changed in between")]
    Conflict,
    /// The store said no.
    #[error("the object cannot be kept")]
    Store(#[source] StateError),
}

/// The objects of every resource.
pub struct Storage {
    store: Arc<dyn StateStore>,
    pub(super) caches: BTreeMap<&'static str, (Shape, Cache)>,
    /// The newest revision that the caches have seen.
    pub(super) seen: watch::Sender<u64>,
    /// The newest revision that this server wrote.
    written: AtomicU64,
    pub(super) pending: Pending,
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Storage")
            .field("resources", &self.caches.len())
            .finish_non_exhaustive()
    }
}

impl Storage {
    /// Storage of these resources (`deployments.apps`), empty until it is loaded; watches find so many changes of
    /// each.
    #[must_use]
    pub fn new(
        store: Arc<dyn StateStore>,
        resources: impl IntoIterator<Item = (&'static str, Shape)>,
        kept_changes: usize,
    ) -> Self {
        let caches = resources
            .into_iter()
            .map(|(name, shape)| (name, (shape, Cache::new(kept_changes))))
            .collect();
        Self {
            store,
            caches,
            seen: watch::Sender::new(0),
            written: AtomicU64::new(0),
            pending: Pending::default(),
        }
    }

    pub(super) fn store(&self) -> &Arc<dyn StateStore> {
        &self.store
    }

    /// The objects of a resource.
    ///
    /// # Panics
    /// When the resource is none of those it was made with: names are constants of the kinds.
    #[must_use]
    pub fn cache(&self, resource: &str) -> &Cache {
        &self.caches.get(resource).expect("every kind has a cache").1
    }

    /// Waits until reads see everything that this server wrote before the call.
    ///
    /// # Errors
    /// `Unavailable` when the store does not tell in time.
    pub async fn settled(&self) -> Result<(), StateError> {
        self.reached(self.written.load(Ordering::Acquire)).await
    }

    /// Waits until reads see `revision`.
    ///
    /// # Errors
    /// `Unavailable` when the store does not tell in time.
    pub async fn reached(&self, revision: u64) -> Result<(), StateError> {
        let mut seen = self.seen.subscribe();
        let waited = tokio::time::timeout(CATCH_UP, seen.wait_for(|seen| *seen >= revision)).await;
        match waited {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(StateError::Unavailable {
                why: "its watch is behind its writes".to_owned(),
            }),
        }
    }

    /// The newest revision that reads see.
    #[must_use]
    pub fn revision(&self) -> u64 {
        *self.seen.borrow()
    }

    /// Writes one object; returns it as of its revision.
    ///
    /// # Errors
    /// See [`CommitError`].
    pub async fn commit(
        &self,
        resource: &'static str,
        key: &Key,
        expect: Expect,
        commit: Commit<'_>,
    ) -> Result<Object, CommitError> {
        let path = codec::object_key(resource, key);
        let compare = match expect {
            Expect::Absent => Compare::Absent(path),
            Expect::At(revision) => Compare::ModifiedAt(path, Revision(revision)),
        };
        let (shape, cache) = self.caches.get(resource).expect("every kind has a cache");
        let before = cache.get(key).map_or(0, |old| codec::parts(old.size()));
        let (writes, object) = match commit {
            Commit::Put(value) => {
                let object = Written::of(*shape, value);
                (codec::put(resource, key, object.bytes(), before), object)
            }
            Commit::Delete(last) => (codec::delete(resource, key, before), Written::of(*shape, last)),
        };
        // Noted before the write, since the store may tell of it before it returns.
        let first = writes.first();
        let in_parts = first.is_some_and(|write| matches!(write, Write::Put(..))) && writes.len() > 1;
        let ticket = first.and_then(|write| self.pending.note(write, in_parts, object.clone()));
        let written = self.txn(vec![compare], writes).await;
        let told = written
            .as_ref()
            .is_ok_and(|revision| *revision <= self.revision());
        if let Some(ticket) = ticket.filter(|_| told || written.is_err()) {
            self.pending.forget(&ticket);
        }
        let revision = written?;
        self.written.fetch_max(revision, Ordering::AcqRel);
        Ok(object.at(*shape, revision))
    }

    async fn txn(&self, compares: Vec<Compare>, writes: Vec<Write>) -> Result<u64, CommitError> {
        match self.store.txn(compares, writes).await {
            Ok(revision) => Ok(revision.0),
            Err(StateError::Conflict { .. }) => Err(CommitError::Conflict),
            Err(error) => Err(CommitError::Store(error)),
        }
    }

    /// One object as the store has it now, past the cache: for a decision after a conflict.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn read(&self, resource: &'static str, key: &Key) -> Result<Option<Arc<Object>>, StateError> {
        let shape = self.caches.get(resource).expect("every kind has a cache").0;
        let Some(entry) = self.store.get(&codec::object_key(resource, key)).await? else {
            return Ok(None);
        };
        let revision = entry.modified;
        let value = super::pump::whole(&*self.store, resource, key, &entry.value, revision).await?;
        Ok(Some(Arc::new(Object::new(shape, &value, revision.0))))
    }

    /// A private value of the server (`keys/tokens`), outside the objects.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn private(&self, name: &str) -> Result<Option<bytes::Bytes>, StateError> {
        let entry = self.store.get(&format!("{}{name}", codec::PRIVATE)).await?;
        Ok(entry.map(|entry| entry.value))
    }

    /// Keeps a private value unless there is one; says whether it was kept.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn keep_private(&self, name: &str, value: Vec<u8>) -> Result<bool, StateError> {
        let key = format!("{}{name}", codec::PRIVATE);
        let absent = vec![Compare::Absent(key.clone())];
        match self.txn(absent, vec![Write::Put(key, value.into())]).await {
            Ok(_) => Ok(true),
            Err(CommitError::Conflict) => Ok(false),
            Err(CommitError::Store(error)) => Err(error),
        }
    }

    /// The objects of a resource as they were at `revision`.
    ///
    /// # Errors
    /// `Compacted` when the store does not keep that any more.
    pub async fn past(
        &self,
        resource: &'static str,
        namespace: &str,
        revision: u64,
    ) -> Result<Vec<(Key, Arc<Object>)>, StateError> {
        let shape = self.caches.get(resource).expect("every kind has a cache").0;
        let mut prefix = codec::resource_prefix(resource);
        if !namespace.is_empty() {
            prefix.push_str(namespace);
            prefix.push('/');
        }
        let loaded = super::pump::load_at(&*self.store, &prefix, Some(Revision(revision))).await?;
        let object = |(_, key, value, modified): (String, Key, Value, u64)| {
            (key, Arc::new(Object::new(shape, &value, modified)))
        };
        Ok(loaded.objects.into_iter().map(object).collect())
    }
}
