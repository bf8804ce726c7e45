//! Tables of records in memory, and edits of them that are one transaction of the store.

use super::Desired;
use bytes::Bytes;
use plenum_contract::state_store::{Compare, Write};
use plenum_model::ids::Revision;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

/// Something that is kept: one key of the store.
pub trait Record: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// The first part of its key.
    const KIND: &'static str;
    /// The rest of its key: unique among its kind, without slashes.
    fn id(&self) -> &str;
    /// Where it is in memory.
    fn table(desired: &mut Desired) -> &mut Table<Self>;
}

/// A record as of some version of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored<R> {
    /// The record.
    pub record: R,
    /// Docker's `Version.Index`: the store's revision of its last write.
    pub index: u64,
}

impl<R> Deref for Stored<R> {
    type Target = R;
    fn deref(&self) -> &R {
        &self.record
    }
}

/// All records of a kind, by id.
#[derive(Debug, Clone)]
pub struct Table<R>(BTreeMap<String, Arc<Stored<R>>>);

impl<R> Default for Table<R> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<R> Table<R> {
    /// One record.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Arc<Stored<R>>> {
        self.0.get(id)
    }

    /// All of them, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Stored<R>>> {
        self.0.values()
    }

    /// Differs whenever a record came, went or was changed: how many there are, and the newest index.
    #[must_use]
    pub fn version(&self) -> (usize, u64) {
        (
            self.0.len(),
            self.iter().map(|stored| stored.index).max().unwrap_or(0),
        )
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<R: Record> Table<R> {
    /// A record as if it had been read.
    #[cfg(test)]
    pub(crate) fn insert_for_test(&mut self, record: R) {
        self.insert(record, 1);
    }

    pub(super) fn insert(&mut self, record: R, index: u64) {
        let id = record.id().to_owned();
        self.0.insert(id, Arc::new(Stored { record, index }));
    }
}

type Apply = Box<dyn FnOnce(&mut Desired, u64) + Send>;

/// Writes that are one transaction: all of them or none.
#[derive(Default)]
pub struct Edits {
    compares: Vec<Compare>,
    writes: Vec<Write>,
    apply: Vec<Apply>,
}

impl Edits {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a record; a conflict if there is one of its id.
    pub fn create<R: Record>(&mut self, record: R) {
        self.compares.push(Compare::Absent(key::<R>(record.id())));
        self.put(record);
    }

    /// Replaces a record that was read as `before`.
    pub fn replace<R: Record>(&mut self, before: &Stored<R>, record: R) {
        self.compares
            .push(Compare::ModifiedAt(key::<R>(record.id()), Revision(before.index)));
        self.put(record);
    }

    /// Removes a record that was read as `before`.
    pub fn remove<R: Record>(&mut self, before: &Stored<R>) {
        let id = before.id().to_owned();
        let key = key::<R>(&id);
        self.compares
            .push(Compare::ModifiedAt(key.clone(), Revision(before.index)));
        self.writes.push(Write::Delete(key));
        self.apply.push(Box::new(move |desired, _| {
            R::table(desired).0.remove(&id);
        }));
    }

    /// Bytes under a key of their own, which is in no table.
    pub fn put_bytes(&mut self, key: String, bytes: Bytes) {
        self.writes.push(Write::Put(key, bytes));
    }

    /// Removes such bytes.
    pub fn remove_bytes(&mut self, key: String) {
        self.writes.push(Write::Delete(key));
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    fn put<R: Record>(&mut self, record: R) {
        let bytes = serde_json::to_vec(&record).expect("plain data with text keys always serialises");
        self.writes
            .push(Write::Put(key::<R>(record.id()), Bytes::from(bytes)));
        self.apply.push(Box::new(move |desired, index| {
            R::table(desired).insert(record, index)
        }));
    }

    pub(crate) fn into_parts(self) -> (Vec<Compare>, Vec<Write>, Vec<Apply>) {
        (self.compares, self.writes, self.apply)
    }
}

fn key<R: Record>(id: &str) -> String {
    format!("{}/{id}", R::KIND)
}
