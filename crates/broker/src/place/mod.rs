//! Placement: which node takes a task. `needs` says what terms ask of a node, `relation` what they ask about other
//! tasks, `levels` finds the nodes with room, `choose` decides among them, `verdict` says why one cannot. Pure functions over rows of the ledger.

pub mod bits;
pub mod choose;
mod files;
pub mod levels;
pub mod needs;
pub mod ports;
pub mod relation;
pub mod sieve;
pub mod verdict;
