//! A scheduler's own part of the state store, as a decorator: the same in process and behind the wire.

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt};
use plenum_contract::state_store::{
    Change, Compare, Entry, MAX_KEY, Page, StateError, StateStore, Write, validate,
};
use plenum_model::ids::{Revision, SchedulerId};
use std::sync::Arc;

/// Maps every key `K` to `schedulers/NAME/K`. Revisions are those of the whole store. Nothing outside the prefix can
/// be named, so nothing outside it can be read or written. Keys may have `MAX_KEY` bytes less the prefix.
#[derive(Clone)]
pub struct Prefixed {
    store: Arc<dyn StateStore>,
    prefix: Arc<str>,
}

impl Prefixed {
    /// The part of `scheduler` in `store`.
    #[must_use]
    pub fn new(store: Arc<dyn StateStore>, scheduler: SchedulerId) -> Self {
        Self {
            store,
            prefix: format!("schedulers/{scheduler}/").into(),
        }
    }

    /// What stands in front of every key.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    fn outer(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn outer_compare(&self, compare: Compare) -> Compare {
        match compare {
            Compare::Absent(key) => Compare::Absent(self.outer(&key)),
            Compare::ModifiedAt(key, revision) => Compare::ModifiedAt(self.outer(&key), revision),
        }
    }

    fn outer_write(&self, write: Write) -> Write {
        match write {
            Write::Put(key, value) => Write::Put(self.outer(&key), value),
            Write::Delete(key) => Write::Delete(self.outer(&key)),
        }
    }

    /// Checks what the store would check, on the keys as the scheduler names them.
    fn validate(&self, compares: &[Compare], writes: &[Write]) -> Result<(), StateError> {
        validate(compares, writes)?;
        let compared = compares.iter().map(|compare| match compare {
            Compare::Absent(key) | Compare::ModifiedAt(key, _) => key,
        });
        let written = writes.iter().map(|write| match write {
            Write::Put(key, _) | Write::Delete(key) => key,
        });
        let most = MAX_KEY - self.prefix.len();
        match compared.chain(written).find(|key| key.len() > most) {
            None => Ok(()),
            Some(key) => Err(StateError::Invalid {
                key: key.chars().take(80).collect(),
                why: format!("the key has {} bytes, at most {most} are kept", key.len()),
            }),
        }
    }
}

/// Takes the prefix off keys. A store that gives a key outside the prefix is broken.
fn inner(prefix: &str, key: String) -> Result<String, StateError> {
    match key.strip_prefix(prefix) {
        Some(key) => Ok(key.to_owned()),
        None => Err(StateError::Damaged {
            what: format!("`{key}` was listed under `{prefix}`"),
        }),
    }
}

fn inner_entry(prefix: &str, entry: Entry) -> Result<Entry, StateError> {
    Ok(Entry {
        key: inner(prefix, entry.key)?,
        ..entry
    })
}

fn inner_change(prefix: &str, change: Change) -> Result<Change, StateError> {
    Ok(match change {
        Change::Put(entry) => Change::Put(inner_entry(prefix, entry)?),
        Change::Deleted { key, revision } => Change::Deleted {
            key: inner(prefix, key)?,
            revision,
        },
    })
}

/// The key in an error, as the scheduler named it.
fn inner_error(prefix: &str, error: StateError) -> StateError {
    let own = |key: String| key.strip_prefix(prefix).map_or(key.clone(), str::to_owned);
    match error {
        StateError::Conflict { key } => StateError::Conflict { key: own(key) },
        StateError::Invalid { key, why } => StateError::Invalid { key: own(key), why },
        StateError::Forbidden { key } => StateError::Forbidden { key: own(key) },
        StateError::Compacted { .. }
        | StateError::Full { .. }
        | StateError::Unavailable { .. }
        | StateError::Damaged { .. } => error,
    }
}

#[async_trait]
impl StateStore for Prefixed {
    async fn get(&self, key: &str) -> Result<Option<Entry>, StateError> {
        let found = self.store.get(&self.outer(key)).await;
        let found = found.map_err(|error| inner_error(&self.prefix, error))?;
        found.map(|entry| inner_entry(&self.prefix, entry)).transpose()
    }

    async fn list(
        &self,
        prefix: &str,
        at: Option<Revision>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page, StateError> {
        let after = after.map(|key| self.outer(key));
        let page = self
            .store
            .list(&self.outer(prefix), at, after.as_deref(), limit)
            .await;
        let page = page.map_err(|error| inner_error(&self.prefix, error))?;
        let entries = page
            .entries
            .into_iter()
            .map(|entry| inner_entry(&self.prefix, entry));
        Ok(Page {
            entries: entries.collect::<Result<_, _>>()?,
            ..page
        })
    }

    async fn txn(&self, compares: Vec<Compare>, writes: Vec<Write>) -> Result<Revision, StateError> {
        self.validate(&compares, &writes)?;
        let compares = compares
            .into_iter()
            .map(|compare| self.outer_compare(compare))
            .collect();
        let writes = writes.into_iter().map(|write| self.outer_write(write)).collect();
        let written = self.store.txn(compares, writes).await;
        written.map_err(|error| inner_error(&self.prefix, error))
    }

    async fn watch(
        &self,
        prefix: &str,
        from: Revision,
    ) -> Result<BoxStream<'static, Result<Vec<Change>, StateError>>, StateError> {
        let changes = self.store.watch(&self.outer(prefix), from).await;
        let changes = changes.map_err(|error| inner_error(&self.prefix, error))?;
        let prefix = Arc::clone(&self.prefix);
        let own = move |batch: Result<Vec<Change>, StateError>| {
            let batch = batch.map_err(|error| inner_error(&prefix, error))?;
            batch
                .into_iter()
                .map(|change| inner_change(&prefix, change))
                .collect()
        };
        Ok(changes.map(own).boxed())
    }
}
