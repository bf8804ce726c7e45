//! Keeps the caches abreast of the store: one task that owns the store's watch. A watch that breaks is taken up
//! again where it was; where the store has forgotten that place, the objects are listed anew and the difference
//! is told as changes, so that watches of clients go on.

use super::cache::Fate;
use super::codec::{self, Place, Read};
use super::writer::Storage;
use super::{Key, Object};
use bytes::Bytes;
use futures::StreamExt;
use plenum_contract::state_store::{Change, StateError, StateStore};
use plenum_model::ids::Revision;
use plenum_sdk::backoff::Backoff;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Keys read at once.
const PAGE: usize = 500;
/// How far back a server that starts reads changes, so that watches go on through its restart.
const HISTORY: u64 = 2000;
/// A broken watch is tried again after so long; the store is mostly in the same process.
const RETRY: Backoff = Backoff::new(Duration::from_millis(50), 2.0, Duration::from_secs(2));

/// Why the objects could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The store said no.
    #[error("the API server's objects cannot be read")]
    Store(#[from] StateError),
}

/// Objects read from the store.
pub(super) struct Loaded {
    /// Resource, key, value, revision.
    pub(super) objects: Vec<(String, Key, Value, u64)>,
    pub(super) revision: Revision,
}

/// The task that keeps the caches.
#[derive(Debug)]
pub struct Keeper {
    storage: Arc<Storage>,
    from: Revision,
}

impl Keeper {
    /// Loads every object, with the recent changes where the store still has them.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn load(storage: Arc<Storage>) -> Result<Self, LoadError> {
        let now = storage.store().list(codec::ROOT, None, None, 1).await?.revision;
        let start = Revision(now.0.saturating_sub(HISTORY));
        let loaded = match load_at(&**storage.store(), codec::ROOT, Some(start)).await {
            Ok(loaded) => loaded,
            Err(StateError::Compacted { oldest, .. }) => {
                match load_at(&**storage.store(), codec::ROOT, Some(oldest)).await {
                    Ok(loaded) => loaded,
                    Err(_) => load_at(&**storage.store(), codec::ROOT, None).await?,
                }
            }
            Err(_) => load_at(&**storage.store(), codec::ROOT, None).await?,
        };
        let from = loaded.revision;
        storage.fill(loaded);
        let mut keeper = Self { storage, from };
        keeper.replay(now).await?;
        Ok(keeper)
    }

    /// Takes in what happened between the snapshot and `upto`.
    async fn replay(&mut self, upto: Revision) -> Result<(), LoadError> {
        if self.from >= upto {
            return Ok(());
        }
        let Ok(mut changes) = self.storage.store().watch(codec::ROOT, self.from).await else {
            return self.reload().await.map_err(LoadError::Store);
        };
        // The last change below the root may be older than the store's newest revision: other users write too. That
        // nothing more comes for a while may also be a store that is slow, so what is missing is looked for then.
        let quiet = Duration::from_millis(200);
        while self.from < upto {
            match tokio::time::timeout(quiet, changes.next()).await {
                Ok(Some(Ok(batch))) => self.take(batch).await?,
                Ok(Some(Err(_)) | None) | Err(_) => return self.reload().await.map_err(LoadError::Store),
            }
        }
        Ok(())
    }

    /// Follows the store until the end.
    pub async fn run(mut self, cancel: CancellationToken) {
        let mut failures = 0;
        loop {
            let ended = tokio::select! {
                () = cancel.cancelled() => return,
                ended = self.follow(&mut failures) => ended,
            };
            failures = failures.saturating_add(1);
            tracing::warn!(error = %ended, revision = self.from.0, "the watch of the API server's objects broke");
            if matches!(ended, StateError::Compacted { .. } | StateError::Invalid { .. })
                && let Err(error) = self.reload().await
            {
                tracing::warn!(%error, "the API server's objects cannot be listed anew");
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(RETRY.delay(failures)) => {}
            }
        }
    }

    async fn follow(&mut self, failures: &mut u32) -> StateError {
        let mut changes = match self.storage.store().watch(codec::ROOT, self.from).await {
            Ok(changes) => changes,
            Err(error) => return error,
        };
        while let Some(batch) = changes.next().await {
            let taken = match batch {
                Ok(batch) => self.take(batch).await,
                Err(error) => return error,
            };
            if let Err(error) = taken {
                return error;
            }
            *failures = 0;
        }
        StateError::Unavailable {
            why: "its watch ended".to_owned(),
        }
    }

    /// Takes in one batch of whole revisions.
    async fn take(&mut self, batch: Vec<Change>) -> Result<(), StateError> {
        let mut by_resource: BTreeMap<String, Vec<(Key, u64, Fate)>> = BTreeMap::new();
        let mut newest = self.from;
        for change in batch {
            let (path, revision, bytes) = match change {
                Change::Put(entry) => (entry.key, entry.modified, Some(entry.value)),
                Change::Deleted { key, revision } => (key, revision, None),
            };
            newest = newest.max(revision);
            let Place::Object(resource, key) = codec::place(&path) else {
                continue;
            };
            let Some((shape, _)) = self.storage.caches.get(resource.as_str()) else {
                continue;
            };
            let fresh = self.storage.pending.take(&path, bytes.as_ref());
            let fate = match (bytes, fresh) {
                (None, last) => Fate::Gone(last.map(|last| last.at(*shape, revision.0))),
                (Some(_), Some(written)) => Fate::Put(written.at(*shape, revision.0)),
                (Some(bytes), None) => {
                    let store = &**self.storage.store();
                    let value = readable(store, &resource, &key, &bytes, revision).await?;
                    value.map_or(Fate::Gone(None), |value| {
                        Fate::Put(Object::new(*shape, &value, revision.0))
                    })
                }
            };
            by_resource
                .entry(resource)
                .or_default()
                .push((key, revision.0, fate));
        }
        self.storage.apply(by_resource, newest.0);
        self.from = newest;
        Ok(())
    }

    /// Lists everything anew and tells the difference as changes.
    async fn reload(&mut self) -> Result<(), StateError> {
        self.storage.pending.clear();
        let loaded = load_at(&**self.storage.store(), codec::ROOT, None).await?;
        let revision = loaded.revision;
        let mut wanted: BTreeMap<&'static str, BTreeMap<Key, (Value, u64)>> = BTreeMap::new();
        for (resource, key, value, modified) in loaded.objects {
            if let Some((name, _)) = self.storage.caches.get_key_value(resource.as_str()) {
                wanted.entry(name).or_default().insert(key, (value, modified));
            }
        }
        let mut changes: BTreeMap<String, Vec<(Key, u64, Fate)>> = BTreeMap::new();
        for (name, (shape, cache)) in &self.storage.caches {
            let mut now = wanted.remove(name).unwrap_or_default();
            let mut of_this = Vec::new();
            for (key, old) in cache.list("").objects {
                match now.remove(&key) {
                    None => of_this.push((key, revision.0, Fate::Gone(None))),
                    Some((_, modified)) if modified == old.revision() => {}
                    Some((value, modified)) => {
                        of_this.push((key, modified, Fate::Put(Object::new(*shape, &value, modified))));
                    }
                }
            }
            let made = now.into_iter().map(|(key, (value, modified))| {
                (key, modified, Fate::Put(Object::new(*shape, &value, modified)))
            });
            of_this.extend(made);
            of_this.sort_by_key(|(_, revision, _)| *revision);
            changes.insert((*name).to_owned(), of_this);
        }
        self.storage.apply(changes, revision.0);
        self.from = revision;
        Ok(())
    }
}

impl Storage {
    fn fill(&self, loaded: Loaded) {
        let revision = loaded.revision.0;
        let mut by_resource: BTreeMap<String, BTreeMap<Key, Arc<Object>>> = BTreeMap::new();
        for (resource, key, value, modified) in loaded.objects {
            if let Some((shape, _)) = self.caches.get(resource.as_str()) {
                let object = Arc::new(Object::new(*shape, &value, modified));
                by_resource.entry(resource).or_default().insert(key, object);
            }
        }
        for (name, (_, cache)) in &self.caches {
            cache.load(by_resource.remove(*name).unwrap_or_default(), revision);
        }
        self.seen.send_replace(revision);
    }

    fn apply(&self, changes: BTreeMap<String, Vec<(Key, u64, Fate)>>, newest: u64) {
        for (resource, changes) in changes {
            if let Some((_, cache)) = self.caches.get(resource.as_str())
                && !changes.is_empty()
            {
                cache.apply(changes);
            }
        }
        self.advance(newest);
    }

    fn advance(&self, revision: u64) {
        for (_, cache) in self.caches.values() {
            cache.advance(revision);
        }
        self.seen.send_replace(revision);
    }
}

/// The objects under a prefix at a revision (none: now).
pub(super) async fn load_at(
    store: &dyn StateStore,
    prefix: &str,
    at: Option<Revision>,
) -> Result<Loaded, StateError> {
    let mut objects = Vec::new();
    let mut at = at;
    let mut after: Option<String> = None;
    loop {
        let page = store.list(prefix, at, after.as_deref(), PAGE).await?;
        at = Some(page.revision);
        after = page.entries.last().map(|entry| entry.key.clone());
        for entry in page.entries {
            let Place::Object(resource, key) = codec::place(&entry.key) else {
                continue;
            };
            if let Some(value) = readable(store, &resource, &key, &entry.value, page.revision).await? {
                objects.push((resource, key, value, entry.modified.0));
            }
        }
        if !page.more {
            let revision = page.revision;
            return Ok(Loaded { objects, revision });
        }
    }
}

/// A stored object; none for one that does not read back, which must not keep the others from being served.
async fn readable(
    store: &dyn StateStore,
    resource: &str,
    key: &Key,
    bytes: &Bytes,
    revision: Revision,
) -> Result<Option<Value>, StateError> {
    match whole(store, resource, key, bytes, revision).await {
        Ok(value) => Ok(Some(value)),
        Err(error @ StateError::Damaged { .. }) => {
            tracing::error!(%error, "an object is not shown");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// A stored object, its parts joined, as of `revision`.
pub(super) async fn whole(
    store: &dyn StateStore,
    resource: &str,
    key: &Key,
    bytes: &Bytes,
    revision: Revision,
) -> Result<Value, StateError> {
    let damaged = || StateError::Damaged {
        what: format!("object {resource} {}", key.as_str()),
    };
    let parts = match codec::read(bytes).ok_or_else(damaged)? {
        Read::Whole(value) => return Ok(value),
        Read::InParts(parts) => parts,
    };
    let prefix = codec::parts_prefix(resource, key);
    let page = store.list(&prefix, Some(revision), None, parts).await?;
    let joined: Vec<u8> = page
        .entries
        .iter()
        .flat_map(|part| part.value.iter().copied())
        .collect();
    match codec::read(&joined) {
        Some(Read::Whole(value)) => Ok(value),
        Some(Read::InParts(_)) | None => Err(damaged()),
    }
}

#[cfg(test)]
#[path = "pump_tests.rs"]
mod tests;
