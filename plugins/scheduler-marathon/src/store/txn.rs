//! One transaction of the state store in the making, and what was last seen of the keys it depends on.

use super::shape::VERSIONS;
use bytes::Bytes;
use plenum_contract::state_store::{Compare, StateError, StateStore, Write};
use plenum_model::ids::Revision;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Which revision each record was last written at.
#[derive(Debug, Clone, Default)]
pub struct Revisions(pub(super) BTreeMap<String, Revision>);

pub(super) struct Txn<'a> {
    known: &'a mut Revisions,
    compares: Vec<Compare>,
    puts: BTreeMap<String, Bytes>,
    deletes: BTreeSet<String>,
}

impl<'a> Txn<'a> {
    pub(super) fn new(known: &'a mut Revisions) -> Self {
        Self {
            known,
            compares: Vec::new(),
            puts: BTreeMap::new(),
            deletes: BTreeSet::new(),
        }
    }

    /// Compares with what was last seen of the key.
    fn expect(&mut self, key: &str) {
        self.compares.push(match self.known.0.get(key) {
            Some(revision) => Compare::ModifiedAt(key.to_owned(), *revision),
            None => Compare::Absent(key.to_owned()),
        });
    }

    pub(super) fn put(&mut self, key: String, value: &impl Serialize) {
        self.expect(&key);
        self.put_free(key, value);
    }

    /// Without a compare: keys that no other writer can mean, since the version in them is unique.
    pub(super) fn put_free(&mut self, key: String, value: &impl Serialize) {
        let bytes = serde_json::to_vec(value).expect("plain data with text keys always serialises");
        self.puts.insert(key, Bytes::from(bytes));
    }

    pub(super) fn delete(&mut self, key: String) {
        if self.known.0.contains_key(&key) {
            self.expect(&key);
        }
        self.delete_free(key);
    }

    pub(super) fn delete_free(&mut self, key: String) {
        self.deletes.insert(key);
    }

    pub(super) async fn commit(self, store: &dyn StateStore) -> Result<(), StateError> {
        let Self {
            known,
            compares,
            puts,
            mut deletes,
        } = self;
        deletes.retain(|key| !puts.contains_key(key));
        if puts.is_empty() && deletes.is_empty() {
            return Ok(());
        }
        let put: Vec<String> = puts.keys().cloned().collect();
        let writes = puts.into_iter().map(|(key, value)| Write::Put(key, value));
        let writes = writes.chain(deletes.iter().cloned().map(Write::Delete)).collect();
        let revision = store.txn(compares, writes).await?;
        for key in deletes {
            known.0.remove(&key);
        }
        for key in put.into_iter().filter(|key| is_compared(key)) {
            known.0.insert(key, revision);
        }
        Ok(())
    }
}

/// Versions and what was before are written once and never compared.
fn is_compared(key: &str) -> bool {
    use super::shape::{PAST, WAS};
    ![VERSIONS, PAST, WAS].iter().any(|prefix| key.starts_with(prefix))
}
