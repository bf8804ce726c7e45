//! The cluster as `docker swarm` sees it: one record, made at the first start.

use crate::store::{Desired, Record, Table};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The id of the one record.
pub const KEY: &str = "self";

/// See the module's header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterRecord {
    /// 25 characters.
    pub id: String,
    /// How many tasks a slot keeps, the live one included; negative: all.
    pub task_history: i64,
    /// The user's labels.
    pub labels: BTreeMap<String, String>,
    /// Unix milliseconds.
    pub created_at: u64,
    /// Unix milliseconds.
    pub updated_at: u64,
}

impl Record for ClusterRecord {
    const KIND: &'static str = "cluster";

    fn id(&self) -> &str {
        KEY
    }

    fn table(desired: &mut Desired) -> &mut Table<Self> {
        &mut desired.cluster
    }
}
