//! Where a value stands on disk. Values stay there; the index holds 32 bytes for each.

use crate::fs::DataFile;
use bytes::Bytes;
use plenum_contract::ledger_log::LogError;
use plenum_contract::state_store::StateError;
use std::sync::Arc;

/// A value in a file. Holding it keeps the file readable even when its name is gone.
#[derive(Debug, Clone)]
pub(super) struct Place {
    file: Arc<DataFile>,
    offset: u64,
    len: u32,
    crc: u32,
}

impl Place {
    /// The place of `value`, which stands at `offset` of `file`.
    pub(super) fn of(file: &Arc<DataFile>, offset: u64, value: &[u8]) -> Self {
        Self {
            file: file.clone(),
            offset,
            len: u32::try_from(value.len()).expect("values are at most MAX_VALUE bytes"),
            crc: crc32fast::hash(value),
        }
    }

    /// The place of the same value, copied to `offset` of another file.
    pub(super) fn moved(&self, file: &Arc<DataFile>, offset: u64) -> Self {
        Self {
            file: file.clone(),
            offset,
            ..*self
        }
    }

    /// Bytes of the value.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// Reads the value and checks it.
    pub(super) fn read(&self) -> Result<Vec<u8>, LogError> {
        let value = self.file.read_at(self.offset, self.len as usize)?;
        if crc32fast::hash(&value) == self.crc {
            return Ok(value);
        }
        let what = "the checksum of a value does not hold";
        Err(crate::fs::damaged(&self.file.path, self.offset, what))
    }

    pub(super) fn fetch(&self) -> Result<Bytes, StateError> {
        self.read().map(Bytes::from).map_err(|e| state_error(&e))
    }
}

/// What an error of the disk is for the user of the state store.
pub(super) fn state_error(error: &LogError) -> StateError {
    match error {
        LogError::Full { path } => StateError::Full {
            path: path.display().to_string(),
        },
        LogError::Damaged { .. } => StateError::Damaged {
            what: error.to_string(),
        },
        LogError::Io { source, .. } => StateError::Unavailable {
            why: format!("{error}: {source}"),
        },
        LogError::Fenced { .. } | LogError::Schema { .. } | LogError::Locked { .. } => {
            StateError::Unavailable {
                why: error.to_string(),
            }
        }
    }
}
