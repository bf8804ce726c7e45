//! `LedgerLog` and `StateStore` in memory and on local disk.
#![deny(missing_docs)]

mod check;
mod dir;
mod fs;
mod journal;
mod ledger;
mod state;

pub use check::{CheckReport, Damage, PartReport, Spot, check};
pub use dir::{DataDir, Options, SCHEMA};
pub use ledger::{DiskLog, Fault, MemoryLog};
pub use state::{DiskState, MemoryState};
