//! The id of the cluster: made once, kept with what users want, so that a client that was set up for it finds
//! the same one after every restart.

use bytes::Bytes;
use plenum_contract::state_store::{Compare, StateError, StateStore, Write};
use std::fmt;
use uuid::Uuid;

const KEY: &str = "dcos/cluster";

/// A random UUID, in lower case: clients look for files of that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClusterId(Uuid);

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// Why there is no id.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoClusterId {
    /// The store failed.
    #[error("cannot read or keep the id of the cluster")]
    Store(#[from] StateError),
    /// What is stored is none.
    #[error("state `{KEY}` does not read back")]
    Value,
}

/// The id of this cluster; made and stored the first time.
///
/// # Errors
/// See [`NoClusterId`].
pub(crate) async fn id(store: &dyn StateStore) -> Result<ClusterId, NoClusterId> {
    if let Some(found) = stored(store).await? {
        return Ok(found);
    }
    let made = Uuid::new_v4();
    let text = Bytes::from(made.hyphenated().to_string());
    let absent = vec![Compare::Absent(KEY.to_owned())];
    match store.txn(absent, vec![Write::Put(KEY.to_owned(), text)]).await {
        Ok(_) => Ok(ClusterId(made)),
        // another session of this scheduler was quicker
        Err(StateError::Conflict { .. }) => stored(store).await?.ok_or(NoClusterId::Value),
        Err(error) => Err(error.into()),
    }
}

async fn stored(store: &dyn StateStore) -> Result<Option<ClusterId>, NoClusterId> {
    let Some(entry) = store.get(KEY).await? else {
        return Ok(None);
    };
    let id = Uuid::try_parse_ascii(&entry.value).map_err(|_| NoClusterId::Value)?;
    Ok(Some(ClusterId(id)))
}
