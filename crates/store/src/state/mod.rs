//! `StateStore`, on disk and in memory. `index` is the map with its revisions and knows nothing of where
//! values are; `reader` answers reads and watches from it; `memory` and `disk` differ in how they write.

mod codec;
mod compactor;
mod disk;
mod index;
mod memory;
mod place;
mod reader;
mod values;
mod writer;

pub use disk::DiskState;
pub use memory::MemoryState;

pub(crate) use codec::{count_entries, count_writes};
