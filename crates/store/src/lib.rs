//! `LedgerLog` and `StateStore` in memory and on local disk.
//!
//! ```no_run
//! # fn main() -> Result<(), plenum_contract::ledger_log::LogError> {
//! use plenum_contract::ledger_log::LedgerLog;
//!
//! let data = plenum_store::DataDir::open("/var/lib/plenum")?;
//! let mut log = data.ledger_log()?;
//! let loaded = log.load()?;
//! let state = data.state_store()?;
//! # let _ = (loaded, state);
//! # Ok(())
//! # }
//! ```
//!
//! # What is on disk
//!
//! ```text
//! DIR/lock                 locked while the directory is open, with the holder's process id
//! DIR/schema               the version of this layout
//! DIR/ledger/  DIR/state/  a journal each:
//!    *.segment             groups of records; fixed size, filled with zeros before use
//!    *.snapshot            everything up to a group; older segments are zeroed and used again
//!    *.spare  *.part       a segment being made ready, a snapshot being written; removed at start
//! ```
//!
//! Every byte that was acknowledged is under a CRC-32. What a cut write leaves behind is told apart from
//! damage by the rule in `journal/segment.rs`; damage is refused with file and offset, at start and at each
//! read of a value. Appending within a segment cannot run out of room; where a new one cannot be made the
//! answer is `Full`, and the next append tries again.
//!
//! # Why these engines
//!
//! `cargo run --release -p plenum-bench -- store` writes durable 300-byte records from 1 and from 64 writers,
//! every engine behind the same group commit (the state store behind its own). Medians of 15 interleaved
//! rounds on 2 virtual cores and ext4, with other work on the machine:
//!
//! | | 1 writer, records/s | p99, us | 64 writers, records/s | p99, us |
//! | --- | --- | --- | --- | --- |
//! | bare `fdatasync` of a pre-zeroed file | 7,127 | 248 | 104,841 | 1,026 |
//! | ledger log (own) | 7,288 | 251 | 106,932 | 1,154 |
//! | state store (own log, index in memory, values on disk) | 7,315 | 240 | 153,710 | 982 |
//! | fjall 3.1 (`SyncData`) | 6,851 | 286 | 66,868 | 1,631 |
//! | redb 4.6 (`Durability::Immediate`) | 3,494 | 555 | 54,958 | 2,071 |
//!
//! The log costs what its one sync costs: with one writer as much as the bare sync, 1.1 times fjall and 2.1
//! times redb; with 64 writers 1.6 and 1.9 times (the state store 2.3 and 2.8 times). A get from the state
//! store takes 15 to 50 us, a read of the file on a blocking thread included. What decided as much as speed:
//! neither redb nor fjall says in which file and where a flipped bit is, and both give their files a size
//! without reserving the room, so that a full disk meets them in the middle of a commit. One format for both
//! stores also means one check and one set of tests of what a disk can do. The price: keys (not values) are
//! in memory, with some 150 bytes of index each, and starting reads every file once.
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
