//! A group in its canonical form. Its members are not part of it: they are known by their paths.

use crate::path::AppId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A group, beside its members.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// What a deployment starts before any of its members; absolute.
    pub dependencies: BTreeSet<AppId>,
}
