//! A single container as it stands in the desk's tables.

use crate::store::{Desired, Record, Table};
use serde::{Deserialize, Serialize};

/// See the module's header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerRecord {
    /// 64 hexadecimal digits.
    pub id: String,
}

impl Record for ContainerRecord {
    const KIND: &'static str = "container";

    fn id(&self) -> &str {
        &self.id
    }

    fn table(desired: &mut Desired) -> &mut Table<Self> {
        &mut desired.containers
    }
}
