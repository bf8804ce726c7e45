//! Workloads: what users run, grouped from the tasks.

use super::amounts::Amounts;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// All tasks of one app, service or deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Workload {
    /// `scheduler/name`.
    pub id: String,
    /// The name users gave it.
    pub name: String,
    /// Whose it is.
    pub scheduler: String,
    /// The kind of thing it is (`app`, `service`, `Deployment`).
    pub kind: String,
    /// Unique for ever within the scheduler.
    pub uid: String,
    /// The newest version that tasks run.
    pub version: String,
    /// Who is charged.
    pub tenant: String,
    /// Tasks that run and pass their checks.
    pub ready: u32,
    /// Tasks that shall run.
    pub wanted: u32,
    /// Of these, those that run another version than the newest.
    pub outdated: u32,
    /// What they hold.
    pub held: Amounts,
    /// When the oldest of them was claimed.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// What is wrong, if something is: the first cause, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}
