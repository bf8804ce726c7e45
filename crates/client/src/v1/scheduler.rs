//! Schedulers.

use super::amounts::Amounts;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An adapter of one orchestrator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Scheduler {
    /// Its name.
    pub name: String,
    /// The orchestrator it speaks.
    pub kind: String,
    /// `ready` while a session of it lives, else `away`: its tasks run on.
    #[schema(example = "ready")]
    pub state: String,
    /// Its tasks that have not ended.
    pub tasks: u32,
    /// Of these, those that wait for room.
    pub pending: u32,
    /// What it holds.
    pub held: Amounts,
    /// What its tasks ask, the waiting ones included.
    pub asked: Amounts,
    /// Its part of the pool, 0 to 1: the largest of its parts of cpu, memory, disk and slots.
    pub share: f64,
}
