//! The journal: what the supervisor remembers, on disk. One append-only file of framed records; a batch is
//! durable when `append` returns. Compacted into a new file when most of it is history.
//!
//! A frame is the payload's length, that length's CRC-32 and the payload's (4 bytes each, little endian), then
//! the payload, a record as JSON. A length has a checksum of its own, so that a flipped bit in it is not taken
//! for the end.
//! The last frame may be torn by a crash: it was never acted on, so it is cut off and said so. Anything
//! unreadable before it is damage and refused by name: going on would forget running containers.

mod file;
mod frame;

pub use file::Journal;

use std::io;
use std::path::PathBuf;

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk refused.
    #[error("cannot {op} journal {path}")]
    Io {
        /// What was attempted.
        op: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What was written does not read back.
    #[error("journal {path} is damaged at byte {offset}: {why}")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where the unreadable frame begins.
        offset: u64,
        /// What is wrong with it.
        why: String,
    },
}
