//! `LedgerLog` and `StateStore` in memory and on local disk.
#![deny(missing_docs)]

mod check;
mod dir;
mod fs;
mod hold;
mod journal;
mod ledger;
mod options;
mod state;

pub use check::{CheckReport, Damage, PartReport, Spot, check};
pub use dir::{DataDir, SCHEMA};
pub use ledger::{DiskLog, Fault, MemoryLog};
pub use options::Options;
pub use state::{DiskState, MemoryState};
