//! The ledger log on local disk: the journal, with records in its groups.

use super::records;
use crate::fs::failed;
use crate::hold::Hold;
use crate::journal::{Item, Journal};
use crate::options::Options;
use plenum_contract::ledger_log::{LedgerLog, Loaded, LogError};
use plenum_model::ids::LeaderEpoch;
use std::path::PathBuf;

/// Bytes of a snapshot under one checksum, so that damage is told to within a megabyte.
const CHUNK: usize = 1 << 20;

/// The ledger log in a data directory. There is one at a time, see [`crate::DataDir::ledger_log`].
///
/// `load` must be called before anything else; it is what reads and checks the files.
pub struct DiskLog {
    dir: PathBuf,
    segment_bytes: u64,
    journal: Option<Journal>,
    /// Keeps the data directory locked and this the only handle; released last.
    _hold: Hold,
}

impl DiskLog {
    pub(crate) fn new(dir: PathBuf, options: &Options, hold: Hold) -> Self {
        Self {
            dir,
            segment_bytes: options.segment_size(),
            journal: None,
            _hold: hold,
        }
    }

    /// The journal, if `epoch` may write to it.
    fn owned_by(&mut self, epoch: LeaderEpoch) -> Result<&mut Journal, LogError> {
        let Some(journal) = &mut self.journal else {
            let source = std::io::Error::other("the log was not loaded first");
            return Err(failed("append to", &self.dir, source));
        };
        let have = LeaderEpoch(journal.epoch());
        if have > epoch {
            return Err(LogError::Fenced { have, got: epoch });
        }
        Ok(journal)
    }
}

impl LedgerLog for DiskLog {
    fn load(&mut self) -> Result<Loaded, LogError> {
        if let Some(journal) = &mut self.journal {
            // What a failed append left is known to be unacknowledged only here.
            journal.mend()?;
        }
        self.journal = None;
        let mut loaded = Loaded::default();
        let journal = Journal::open(&self.dir, self.segment_bytes, &mut |item| {
            match item {
                Item::Chunk(chunk) => loaded
                    .snapshot
                    .get_or_insert_default()
                    .extend_from_slice(chunk.payload),
                Item::Group(group) => {
                    records::decode(&group.file.path, group.at, group.payload, |record| {
                        loaded.records.push(record.to_vec());
                    })?;
                }
            }
            Ok(())
        })?;
        loaded.epoch = LeaderEpoch(journal.epoch());
        self.journal = Some(journal);
        Ok(loaded)
    }

    fn append(&mut self, epoch: LeaderEpoch, records: &[Vec<u8>]) -> Result<(), LogError> {
        let journal = self.owned_by(epoch)?;
        journal.append(epoch.0, |buffer| records::encode(records, buffer))?;
        Ok(())
    }

    fn snapshot(&mut self, epoch: LeaderEpoch, snapshot: &[u8]) -> Result<(), LogError> {
        let journal = self.owned_by(epoch)?;
        // An empty snapshot is a snapshot too: one empty chunk tells it from none.
        let empty = snapshot.is_empty().then_some(snapshot);
        journal.write_snapshot(epoch.0, snapshot.chunks(CHUNK).chain(empty))
    }
}
