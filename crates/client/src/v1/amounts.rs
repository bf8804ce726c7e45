//! How much of what.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Counts of resources. One that is left out is zero.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Amounts {
    /// Thousandths of a core.
    #[serde(default)]
    pub cpu_millis: u64,
    /// Bytes.
    #[serde(default)]
    pub memory_bytes: u64,
    /// Bytes.
    #[serde(default)]
    pub disk_bytes: u64,
    /// Places for tasks; every task holds one.
    #[serde(default)]
    pub slots: u64,
    /// Anything else, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extended: BTreeMap<String, u64>,
}

impl From<&plenum_model::amounts::Amounts> for Amounts {
    fn from(a: &plenum_model::amounts::Amounts) -> Self {
        Self {
            cpu_millis: a.cpu_millis,
            memory_bytes: a.memory_bytes,
            disk_bytes: a.disk_bytes,
            slots: a.slots,
            extended: a.extended.clone(),
        }
    }
}

impl From<Amounts> for plenum_model::amounts::Amounts {
    fn from(a: Amounts) -> Self {
        Self {
            cpu_millis: a.cpu_millis,
            memory_bytes: a.memory_bytes,
            disk_bytes: a.disk_bytes,
            slots: a.slots,
            extended: a.extended.into_iter().filter(|(_, v)| *v > 0).collect(),
        }
    }
}
