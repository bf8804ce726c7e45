//! What would happen if.

use super::amounts::Amounts;
use super::why::{Blocks, Other};
use plenum_model::rules::Rules;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is only supposed; all of it together. Nothing is touched.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SimulateRequest {
    /// Nodes that are lost for good; who had tasks there claims them anew.
    #[serde(default)]
    pub lose_nodes: Vec<String>,
    /// Tenants that are created or changed.
    #[serde(default)]
    pub tenants: Vec<SupposedTenant>,
    /// More tasks.
    #[serde(default)]
    pub claims: Vec<SupposedClaim>,
}

/// A tenant; what is left out stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SupposedTenant {
    /// Its path.
    pub path: String,
    /// Its weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// What it can always have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guarantee: Option<Amounts>,
    /// What it can never exceed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Amounts>,
}

/// Tasks that ask the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SupposedClaim {
    /// What they are called.
    pub name: String,
    /// How many; 1 when left out.
    #[serde(default = "one")]
    pub count: u32,
    /// Who is charged; `default` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// What each asks; one slot when it names none.
    #[serde(default)]
    pub charge: Amounts,
    /// The runtime that each needs; `process` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// Fixed host ports of each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
    /// Their rank within the tenant.
    #[serde(default)]
    pub priority: i32,
    /// Whether others of lower priority may be stopped for them.
    #[serde(default)]
    pub may_preempt: bool,
    /// Where they may and should go.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub rules: Rules,
}

fn one() -> u32 {
    1
}

/// What would be different, once all that follows has happened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Simulation {
    /// Tasks that would be placed.
    pub placed: Vec<Placed>,
    /// Tasks that would wait.
    pub waits: Vec<Waits>,
    /// Tasks that would end.
    pub ended: Vec<Ended>,
    /// Shares that would be others.
    pub shares: Vec<ShareChange>,
    /// Tasks of the pool that would wait in all.
    pub waiting: u32,
}

/// A task that would be placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Placed {
    /// Which.
    pub task: Other,
    /// Where.
    pub node: String,
}

/// A task that would wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Waits {
    /// Which.
    pub task: Other,
    /// For what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<Blocks>,
}

/// A task that would end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ended {
    /// Which.
    pub task: Other,
    /// Where it runs.
    pub node: String,
    /// How, as in the exit of a task.
    pub reason: String,
}

/// The share of a tenant: what it uses beyond its guarantee, of the pool, over its weight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShareChange {
    /// Whose.
    pub tenant: String,
    /// As it is, in thousandths.
    pub before_per_mille: u64,
    /// As it would be, in thousandths.
    pub after_per_mille: u64,
}
