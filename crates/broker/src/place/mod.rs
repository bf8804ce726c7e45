//! Placement: which node takes a task. `needs` says what terms ask of a node, `relation` what they ask about other
//! tasks, `eligible` and
//! `levels` find the nodes that pass and have room, `choose` decides among them, `verdict` says why one cannot. Pure
//! functions over rows of the ledger.

pub mod bits;
pub mod choose;
pub mod eligible;
mod files;
pub mod levels;
pub mod needs;
pub mod ports;
pub mod relation;
pub mod sieve;
pub mod verdict;
