//! `LedgerLog`, on disk and in memory.

mod disk;
mod memory;
mod records;

pub use disk::DiskLog;
pub use memory::{Fault, MemoryLog};

pub(crate) use records::count as count_records;
