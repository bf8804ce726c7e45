//! `LedgerLog`: where the broker keeps its facts. Synchronous on purpose: one thread of the broker owns
//! the log, appends whole groups and pays one sync per group; nothing else ever touches it.

use crate::error::{Class, Classified};
use plenum_model::ids::LeaderEpoch;
use std::path::PathBuf;

/// What a log holds: the newest snapshot and the records after it, oldest first.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The highest epoch that ever appended; a new leader must use a higher one.
    pub epoch: LeaderEpoch,
    /// The newest whole snapshot, if one was ever written.
    pub snapshot: Option<Vec<u8>>,
    /// Every record appended after that snapshot, in order.
    pub records: Vec<Vec<u8>>,
}

/// An append-only log of opaque records under a fencing token.
///
/// Implementations **must** make `append` durable before it returns, all or nothing as seen by a later
/// `load`, and must detect damage: a torn last append (never acknowledged) is dropped silently, damage
/// anywhere else is `LogError::Damaged` and never an acknowledged record quietly lost.
pub trait LedgerLog: Send {
    /// Reads everything back. Called once after opening, and again after a failed append.
    ///
    /// # Errors
    /// `Damaged` names the file and offset; `Io` carries what the system said.
    fn load(&mut self) -> Result<Loaded, LogError>;

    /// Appends `records` as one group, durable when it returns.
    ///
    /// # Errors
    /// `Fenced` when a higher epoch has appended; `Full` when the disk has no room: then none of the group
    /// is in the log, and the log can still be loaded and appended to once there is room.
    fn append(&mut self, epoch: LeaderEpoch, records: &[Vec<u8>]) -> Result<(), LogError>;

    /// Replaces everything appended so far by `snapshot`, durable when it returns. Records appended
    /// afterwards come after it. A crash in between leaves either the old state or the new.
    ///
    /// # Errors
    /// As for `append`; after an error the old state stands.
    fn snapshot(&mut self, epoch: LeaderEpoch, snapshot: &[u8]) -> Result<(), LogError>;
}

/// Why a log refused.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Another leader with a higher epoch owns the log.
    #[error("ledger log is owned by leader epoch {have}, refused epoch {got}")]
    Fenced {
        /// The epoch that owns the log.
        have: LeaderEpoch,
        /// The epoch that tried to write.
        got: LeaderEpoch,
    },
    /// No room on the device.
    #[error("no room left for the ledger log in `{path}`")]
    Full {
        /// The file that could not grow.
        path: PathBuf,
    },
    /// Bytes that were acknowledged do not read back.
    #[error("ledger log `{path}` is damaged at byte {offset}: {what}")]
    Damaged {
        /// The damaged file.
        path: PathBuf,
        /// Where in it, in bytes.
        offset: u64,
        /// What did not hold.
        what: String,
    },
    /// The data was written by a version this one cannot read.
    #[error("`{path}` has schema version {found}, this build reads up to {known}")]
    Schema {
        /// The file that says so.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest this build knows.
        known: u32,
    },
    /// Another process holds the data directory.
    #[error("data directory `{path}` is in use by {holder}")]
    Locked {
        /// The directory.
        path: PathBuf,
        /// Who holds it, as far as it says (`pid 4711`).
        holder: String,
    },
    /// The system refused.
    #[error("cannot {op} `{path}`")]
    Io {
        /// What was attempted (`open`, `write`, `sync`, ...).
        op: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Classified for LogError {
    fn class(&self) -> Class {
        match self {
            Self::Full { .. } | Self::Io { .. } => Class::Retry,
            Self::Fenced { .. } | Self::Locked { .. } => Class::Conflict,
            Self::Damaged { .. } | Self::Schema { .. } => Class::Fatal,
        }
    }
}
