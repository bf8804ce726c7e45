//! What users want, as it is kept: typed tables over the scheduler's own prefix of the state store. A record's
//! version index is the store's revision of its last write, so it is one rising counter for all of them.
//!
//! A change compares every record it writes with the version it was decided on: a scheduler that was deposed
//! without knowing it cannot write over what its successor wrote.

mod table;

pub use table::{Edits, Record, Stored, Table};

use crate::container::stored::ContainerRecord;
use crate::service::blob::{ConfigRecord, SecretRecord};
use crate::service::cluster::ClusterRecord;
use crate::service::node::NodeRecord;
use crate::service::record::ServiceRecord;
use plenum_contract::state_store::{Entry, StateError, StateStore};
use plenum_model::ids::SessionEpoch;

/// Entries read at once: bounds the memory of a page at a few MiB.
const PAGE: usize = 500;

/// Everything that is wanted.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    /// The session in which it was read; none: not yet.
    pub read_in: Option<SessionEpoch>,
    /// The cluster: one record.
    pub cluster: Table<ClusterRecord>,
    /// Services by id.
    pub services: Table<ServiceRecord>,
    /// What users said of nodes, by the pool's name of the node.
    pub nodes: Table<NodeRecord>,
    /// Secrets by id.
    pub secrets: Table<SecretRecord>,
    /// Configs by id.
    pub configs: Table<ConfigRecord>,
    /// Single containers by id.
    pub containers: Table<ContainerRecord>,
}

/// What is stored cannot be read, or the store cannot.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The store failed.
    #[error("cannot read what is wanted: {0}")]
    Store(#[from] StateError),
    /// A value is not what this version writes.
    #[error("state `{key}` does not read back: {source}")]
    Value {
        /// Its key.
        key: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// Reads everything that is wanted.
///
/// # Errors
/// See [`LoadError`].
pub async fn load(store: &dyn StateStore) -> Result<Desired, LoadError> {
    Ok(Desired {
        read_in: None,
        cluster: table(store).await?,
        services: table(store).await?,
        nodes: table(store).await?,
        secrets: table(store).await?,
        configs: table(store).await?,
        containers: table(store).await?,
    })
}

async fn table<R: Record>(store: &dyn StateStore) -> Result<Table<R>, LoadError> {
    let mut out = Table::default();
    let prefix = format!("{}/", R::KIND);
    let mut at = None;
    let mut after: Option<String> = None;
    loop {
        let page = store.list(&prefix, at, after.as_deref(), PAGE).await?;
        at = Some(page.revision);
        after = page.entries.last().map(|e| e.key.clone());
        for Entry {
            key, value, modified, ..
        } in page.entries
        {
            let record: R =
                serde_json::from_slice(&value).map_err(|source| LoadError::Value { key, source })?;
            out.insert(record, modified.0);
        }
        if !page.more {
            return Ok(out);
        }
    }
}
