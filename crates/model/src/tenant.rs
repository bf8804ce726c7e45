//! Tenants: who is charged.

use crate::amounts::Amounts;
use crate::ids::TenantPath;
use serde::{Deserialize, Serialize};

/// A team and its part of the pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// Its path.
    pub path: TenantPath,
    /// Its weight against its siblings; at least 1.
    pub weight: u32,
    /// What it can always have.
    pub guarantee: Amounts,
    /// What it can never exceed, resource by resource; a resource that is zero here has no limit.
    pub limit: Amounts,
}

impl Tenant {
    /// The tenant of whoever names none.
    pub const DEFAULT: &'static str = "default";

    /// A tenant of weight 1 with neither guarantee nor limit.
    #[must_use]
    pub fn new(path: TenantPath) -> Self {
        Self {
            path,
            weight: 1,
            guarantee: Amounts::default(),
            limit: Amounts::default(),
        }
    }
}

/// A tenant with what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantUsage {
    /// The tenant.
    pub tenant: Tenant,
    /// What its tasks hold.
    pub used: Amounts,
    /// What its waiting tasks ask.
    pub pending: Amounts,
    /// Its tasks that hold room.
    pub tasks: u32,
}
