//! Tenants.

use super::amounts::Amounts;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A team, its part of the pool and what it uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tenant {
    /// Its path.
    #[schema(example = "web/checkout")]
    pub path: String,
    /// Its weight against its siblings.
    pub weight: u32,
    /// What it can always have.
    pub guarantee: Amounts,
    /// What it can never exceed; a resource that is zero here has no limit.
    pub limit: Amounts,
    /// What its tasks hold.
    pub used: Amounts,
    /// What its waiting tasks ask.
    pub pending: Amounts,
    /// Its tasks that hold room.
    pub tasks: u32,
}

/// What is set of a tenant. What is left out becomes weight 1, no guarantee, no limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantSettings {
    /// Its weight against its siblings; at least 1.
    #[serde(default = "one")]
    pub weight: u32,
    /// What it can always have.
    #[serde(default)]
    pub guarantee: Amounts,
    /// What it can never exceed; a resource that is zero here has no limit.
    #[serde(default)]
    pub limit: Amounts,
}

impl Default for TenantSettings {
    fn default() -> Self {
        Self {
            weight: one(),
            guarantee: Amounts::default(),
            limit: Amounts::default(),
        }
    }
}

fn one() -> u32 {
    1
}
