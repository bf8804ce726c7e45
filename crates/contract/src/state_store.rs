//! `StateStore`: where schedulers keep what their users want. A small ordered map with revisions, in the
//! manner of etcd: every write raises one revision for the whole store, reads may ask for the past as far
//! as it is kept, and a watch resumes from any revision not yet compacted.

use crate::error::{Class, Classified};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use plenum_model::ids::Revision;

/// One key with its value, as of some revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The whole key.
    pub key: String,
    /// The value, opaque here.
    pub value: Bytes,
    /// The revision that created the key (again, after a delete).
    pub created: Revision,
    /// The revision of the last write to it.
    pub modified: Revision,
}

/// A page of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Entries in the order of their keys.
    pub entries: Vec<Entry>,
    /// The revision the listing is of; pass it as `at` for the next page.
    pub revision: Revision,
    /// Whether keys follow; ask again with `after` = the last key.
    pub more: bool,
}

/// What must hold for a transaction to be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compare {
    /// The key does not exist.
    Absent(String),
    /// The key exists and was last written at this revision.
    ModifiedAt(String, Revision),
}

/// One write of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Create or replace.
    Put(String, Bytes),
    /// Remove; a key that is not there is no error.
    Delete(String),
}

/// One change, as a watch tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The key was created or replaced.
    Put(Entry),
    /// The key was removed at this revision.
    Deleted {
        /// Which key.
        key: String,
        /// When.
        revision: Revision,
    },
}

/// An ordered, revisioned map. Keys are UTF-8, at most `MAX_KEY` bytes; values at most `MAX_VALUE` bytes.
#[async_trait]
pub trait StateStore: Send + Sync {
    /// Reads one key at the newest revision.
    ///
    /// # Errors
    /// See [`StateError`].
    async fn get(&self, key: &str) -> Result<Option<Entry>, StateError>;

    /// Lists keys that start with `prefix`, in order, at most `limit` (0: no limit), those after the key
    /// `after` only, as they were at revision `at` (none: now).
    ///
    /// # Errors
    /// `Compacted` when `at` is no longer kept; `Invalid` when it does not exist yet.
    async fn list(
        &self,
        prefix: &str,
        at: Option<Revision>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page, StateError>;

    /// Applies all writes at one new revision if every compare holds; durable when it returns. Writes that
    /// change nothing (none at all, or deletes of keys that are not there) make no revision: the newest is
    /// returned.
    ///
    /// # Errors
    /// `Conflict` names the first compare that did not hold; nothing was written then. `Invalid` for what
    /// [`validate`] refuses.
    async fn txn(&self, compares: Vec<Compare>, writes: Vec<Write>) -> Result<Revision, StateError>;

    /// Changes to keys under `prefix` with a revision above `from`, in order, each batch whole revisions.
    /// The stream lives until it is dropped; a reader too slow is told `Compacted` and must list again.
    ///
    /// # Errors
    /// `Compacted` when `from` is no longer kept; `Invalid` when it does not exist yet.
    async fn watch(
        &self,
        prefix: &str,
        from: Revision,
    ) -> Result<BoxStream<'static, Result<Vec<Change>, StateError>>, StateError>;
}

/// Longest key, in bytes.
pub const MAX_KEY: usize = 1024;
/// Longest value, in bytes: as in etcd, whose default limit of a request is 1.5 MiB.
pub const MAX_VALUE: usize = 1024 * 1024;

/// Most bytes of keys and values in one transaction.
pub const MAX_TXN: usize = 8 * 1024 * 1024;

/// Checks what every implementation must refuse before it looks at its data: an empty or too long key, a
/// value too long, a key written twice, a transaction too large.
///
/// # Errors
/// `Invalid` with the first key that breaks a rule.
pub fn validate(compares: &[Compare], writes: &[Write]) -> Result<(), StateError> {
    let invalid = |key: &str, why: String| {
        // A key that is refused for its length must not make the message that long.
        let key = key.chars().take(80).collect();
        Err(StateError::Invalid { key, why })
    };
    let mut bytes = 0;
    let mut written = std::collections::BTreeSet::new();
    let compared = compares.iter().map(|compare| match compare {
        Compare::Absent(key) | Compare::ModifiedAt(key, _) => (key, None, false),
    });
    let writes = writes.iter().map(|write| match write {
        Write::Put(key, value) => (key, Some(value.len()), true),
        Write::Delete(key) => (key, None, true),
    });
    for (key, value, is_write) in compared.chain(writes) {
        if key.is_empty() {
            return invalid(key, "a key must not be empty".to_owned());
        }
        if key.len() > MAX_KEY {
            return invalid(
                key,
                format!("the key has {} bytes, at most {MAX_KEY} are kept", key.len()),
            );
        }
        let value = value.unwrap_or(0);
        if value > MAX_VALUE {
            return invalid(
                key,
                format!("the value has {value} bytes, at most {MAX_VALUE} are kept"),
            );
        }
        if is_write && !written.insert(key) {
            return invalid(key, "one transaction writes it twice".to_owned());
        }
        bytes += key.len() + value;
        if bytes > MAX_TXN {
            return invalid(key, format!("the transaction has more than {MAX_TXN} bytes"));
        }
    }
    Ok(())
}

/// Why a state store refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StateError {
    /// A compare did not hold.
    #[error("state `{key}` is not as expected")]
    Conflict {
        /// The key of the first compare that failed.
        key: String,
    },
    /// The revision asked for is no longer kept.
    #[error("revision {asked} is compacted, the oldest kept is {oldest}")]
    Compacted {
        /// What was asked for.
        asked: Revision,
        /// The oldest that can be had.
        oldest: Revision,
    },
    /// The key or value is not acceptable.
    #[error("state `{key}` refused: {why}")]
    Invalid {
        /// Which key.
        key: String,
        /// What is wrong.
        why: String,
    },
    /// The caller may not touch this key.
    #[error("state `{key}` is outside the prefix of this scheduler")]
    Forbidden {
        /// Which key.
        key: String,
    },
    /// No room on the device; nothing was written.
    #[error("no room left for the state store in `{path}`")]
    Full {
        /// Where.
        path: String,
    },
    /// The store cannot be reached or failed; nothing is known of the write.
    #[error("state store unavailable: {why}")]
    Unavailable {
        /// What was observed.
        why: String,
    },
    /// Stored bytes do not read back.
    #[error("state store is damaged: {what}")]
    Damaged {
        /// Which file, where, what.
        what: String,
    },
}

impl Classified for StateError {
    fn class(&self) -> Class {
        match self {
            Self::Full { .. } | Self::Unavailable { .. } => Class::Retry,
            Self::Conflict { .. } | Self::Compacted { .. } => Class::Conflict,
            Self::Invalid { .. } | Self::Forbidden { .. } | Self::Damaged { .. } => Class::Fatal,
        }
    }
}
