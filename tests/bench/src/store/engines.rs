//! The engines, each as an append-only keyed log: one durable commit per group.

use super::RECORD;
use crate::report::Failed;
use fjall::{KeyspaceCreateOptions, PersistMode};
use plenum_contract::ledger_log::LedgerLog;
use plenum_model::ids::LeaderEpoch;
use plenum_store::{DataDir, DiskLog};
use redb::{Durability, TableDefinition};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Something that keeps records.
pub(super) trait Engine: Sized {
    const NAME: &str;

    /// An empty one in an empty directory.
    fn open(dir: &Path) -> Result<Self, Failed>;

    /// Keeps a group; it is durable when this returns.
    fn commit(&mut self, records: &[Vec<u8>]) -> Result<(), Failed>;
}

/// No engine at all: the bytes, into a file that was filled with zeros before, and a sync. What the device
/// allows.
pub(super) struct Syncs {
    file: File,
    at: u64,
}

const FILE: usize = 64 << 20;

impl Engine for Syncs {
    const NAME: &str = "fdatasync";

    fn open(dir: &Path) -> Result<Self, Failed> {
        let path = dir.join("file");
        std::fs::write(&path, vec![0; FILE]).map_err(Failed::in_(Self::NAME))?;
        let file = File::options()
            .write(true)
            .open(path)
            .map_err(Failed::in_(Self::NAME))?;
        file.sync_all().map_err(Failed::in_(Self::NAME))?;
        Ok(Self { file, at: 0 })
    }

    fn commit(&mut self, records: &[Vec<u8>]) -> Result<(), Failed> {
        let bytes = records.concat();
        if self.at + bytes.len() as u64 > FILE as u64 {
            self.at = 0;
        }
        self.file
            .write_all_at(&bytes, self.at)
            .and_then(|()| self.file.sync_data())
            .map_err(Failed::in_(Self::NAME))?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}

/// Plenum's ledger log.
pub(super) struct OwnLog(DiskLog);

impl Engine for OwnLog {
    const NAME: &str = "ledger-log";

    fn open(dir: &Path) -> Result<Self, Failed> {
        let data = DataDir::open(dir).map_err(Failed::in_(Self::NAME))?;
        let mut log = data.ledger_log().map_err(Failed::in_(Self::NAME))?;
        log.load().map_err(Failed::in_(Self::NAME))?;
        Ok(Self(log))
    }

    fn commit(&mut self, records: &[Vec<u8>]) -> Result<(), Failed> {
        self.0
            .append(LeaderEpoch(1), records)
            .map_err(Failed::in_(Self::NAME))
    }
}

/// redb: a copy-on-write B-tree.
pub(super) struct Redb {
    database: redb::Database,
    next: u64,
}

const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");

impl Redb {
    fn insert(&mut self, records: &[Vec<u8>]) -> Result<(), redb::Error> {
        let mut txn = self.database.begin_write()?;
        txn.set_durability(Durability::Immediate)?;
        {
            let mut table = txn.open_table(TABLE)?;
            for record in records {
                table.insert(self.next, record.as_slice())?;
                self.next += 1;
            }
        }
        txn.commit()?;
        Ok(())
    }
}

impl Engine for Redb {
    const NAME: &str = "redb";

    fn open(dir: &Path) -> Result<Self, Failed> {
        let database = redb::Database::create(dir.join("log.redb")).map_err(Failed::in_(Self::NAME))?;
        Ok(Self { database, next: 0 })
    }

    fn commit(&mut self, records: &[Vec<u8>]) -> Result<(), Failed> {
        self.insert(records).map_err(Failed::in_(Self::NAME))
    }
}

/// fjall: a log-structured merge tree with a journal.
pub(super) struct Fjall {
    database: fjall::Database,
    keyspace: fjall::Keyspace,
    next: u64,
}

impl Fjall {
    fn insert(&mut self, records: &[Vec<u8>]) -> Result<(), fjall::Error> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for record in records {
            debug_assert_eq!(record.len(), RECORD);
            batch.insert(&self.keyspace, self.next.to_be_bytes(), record.as_slice());
            self.next += 1;
        }
        batch.commit()
    }
}

impl Engine for Fjall {
    const NAME: &str = "fjall";

    fn open(dir: &Path) -> Result<Self, Failed> {
        let open = || {
            let database = fjall::Database::builder(dir.join("fjall")).open()?;
            let keyspace = database.keyspace("log", KeyspaceCreateOptions::default)?;
            Ok::<_, fjall::Error>(Self {
                database,
                keyspace,
                next: 0,
            })
        };
        open().map_err(Failed::in_(Self::NAME))
    }

    fn commit(&mut self, records: &[Vec<u8>]) -> Result<(), Failed> {
        self.insert(records).map_err(Failed::in_(Self::NAME))
    }
}
