//! Reads and watches, the same for every state store here: the index says what, the backing fetches the
//! bytes. A watch keeps no queue: it holds a revision and reads on from there when there is something new,
//! so a reader that is too slow for the history finds it compacted, and costs nothing until then.

use super::index::{Index, Keyed, TooOld};
use bytes::Bytes;
use futures::stream::BoxStream;
use parking_lot::RwLock;
use plenum_contract::state_store::{Change, Entry, Page, StateError};
use plenum_model::ids::Revision;
use std::sync::Arc;
use tokio::sync::watch;

/// Writes looked at per batch of a watch: bounds what one batch holds in memory.
const BATCH: usize = 256;
/// Bytes of values after which a batch ends, at the next whole revision.
const BATCH_BYTES: usize = 4 << 20;

/// Where values are.
pub(super) trait Backing: Send + Sync + 'static {
    type Value: Clone + Send + Sync + 'static;

    fn index(&self) -> &RwLock<Index<Self::Value>>;

    /// Fetches a value; may block.
    fn fetch(&self, value: &Self::Value) -> Result<Bytes, StateError>;

    /// Runs `work`, which fetches, where it may block.
    fn run<T: Send + 'static>(
        self: Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, StateError> + Send + 'static,
    ) -> impl Future<Output = Result<T, StateError>> + Send;
}

pub(super) async fn get<B: Backing>(backing: &Arc<B>, key: &str) -> Result<Option<Entry>, StateError> {
    let found = backing.index().read().get(key).cloned();
    let Some(version) = found else {
        return Ok(None);
    };
    let key: Arc<str> = key.into();
    backing.clone().run(move |b| entry(b, &(key, version))).await
}

pub(super) async fn list<B: Backing>(
    backing: &Arc<B>,
    prefix: &str,
    at: Option<Revision>,
    after: Option<&str>,
    limit: usize,
) -> Result<Page, StateError> {
    let (found, more, revision) = {
        let index = backing.index().read();
        let newest = index.newest();
        let revision = at.unwrap_or(newest);
        not_ahead(prefix, revision, newest)?;
        let listed = index.list(prefix, revision, after, limit);
        let (found, more) = listed.map_err(|old| compacted(revision, old))?;
        (found, more, revision)
    };
    let fetched = backing.clone().run(move |b| {
        found
            .iter()
            .filter_map(|keyed| entry(b, keyed).transpose())
            .collect()
    });
    Ok(Page {
        entries: fetched.await?,
        revision,
        more,
    })
}

/// A watch from `from` on; `newest` tells of new revisions, and by closing that the store is gone.
pub(super) fn watch<B: Backing>(
    backing: &Arc<B>,
    newest: watch::Receiver<Revision>,
    prefix: &str,
    from: Revision,
) -> Result<BoxStream<'static, Result<Vec<Change>, StateError>>, StateError> {
    {
        let index = backing.index().read();
        not_ahead(prefix, from, index.newest())?;
        if from < index.oldest() {
            let oldest = index.oldest();
            return Err(compacted(from, TooOld { oldest }));
        }
    }
    let watcher = Watcher {
        backing: backing.clone(),
        newest,
        prefix: prefix.into(),
        seen: from,
        over: false,
    };
    let stream = futures::stream::unfold(watcher, |mut watcher| async move {
        let next = watcher.next().await?;
        watcher.over = next.is_err();
        Some((next, watcher))
    });
    Ok(Box::pin(stream))
}

struct Watcher<B> {
    backing: Arc<B>,
    newest: watch::Receiver<Revision>,
    prefix: Arc<str>,
    seen: Revision,
    over: bool,
}

impl<B: Backing> Watcher<B> {
    async fn next(&mut self) -> Option<Result<Vec<Change>, StateError>> {
        while !self.over {
            // Marked as seen before the index is read: a write in between wakes the wait below.
            let newest = *self.newest.borrow_and_update();
            if newest > self.seen {
                match self.batch().await {
                    Ok(changes) if changes.is_empty() => {}
                    done => return Some(done),
                }
            } else if self.newest.changed().await.is_err() {
                let why = "the store was closed".to_owned();
                return Some(Err(StateError::Unavailable { why }));
            }
        }
        None
    }

    /// The next whole revisions with changes under the prefix; none when there is nothing yet.
    async fn batch(&mut self) -> Result<Vec<Change>, StateError> {
        let (backing, prefix, seen) = (self.backing.clone(), self.prefix.clone(), self.seen);
        let read = backing.run(move |b| {
            // The whole index is read under one lock, so that revisions are whole; values come after it.
            let (found, upto) = {
                let index = b.index().read();
                let changes = index.changes(&prefix, seen, BATCH);
                changes.map_err(|old| compacted(seen, old))?
            };
            changes(b, &found, upto)
        });
        let (changes, upto) = read.await?;
        self.seen = upto;
        Ok(changes)
    }
}

/// Fetches what `found` tells, whole revisions, until enough bytes came together; and up to where that is.
fn changes<B: Backing>(
    backing: &B,
    found: &[Keyed<B::Value>],
    upto: Revision,
) -> Result<(Vec<Change>, Revision), StateError> {
    let mut changes = Vec::with_capacity(found.len());
    let mut bytes = 0;
    let mut last = upto;
    for keyed in found {
        let revision = keyed.1.modified;
        if bytes > BATCH_BYTES && revision != last {
            return Ok((changes, last));
        }
        last = revision;
        changes.push(match entry(backing, keyed)? {
            Some(entry) => {
                bytes += entry.value.len();
                Change::Put(entry)
            }
            None => Change::Deleted {
                key: keyed.0.to_string(),
                revision,
            },
        });
    }
    Ok((changes, upto))
}

/// The entry of a version; none when it is a deletion.
fn entry<B: Backing>(backing: &B, (key, version): &Keyed<B::Value>) -> Result<Option<Entry>, StateError> {
    let Some(value) = &version.value else {
        return Ok(None);
    };
    Ok(Some(Entry {
        key: key.to_string(),
        value: backing.fetch(value)?,
        created: version.created,
        modified: version.modified,
    }))
}

fn compacted(asked: Revision, old: TooOld) -> StateError {
    StateError::Compacted {
        asked,
        oldest: old.oldest,
    }
}

/// A revision that does not exist yet comes from another store (one that was set back, say): no answer of
/// this one could be right.
fn not_ahead(prefix: &str, asked: Revision, newest: Revision) -> Result<(), StateError> {
    if asked <= newest {
        return Ok(());
    }
    Err(StateError::Invalid {
        key: prefix.to_owned(),
        why: format!("revision {asked} does not exist yet, the newest is {newest}"),
    })
}
