//! A state store in memory: one map, one revision.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use plenum_contract::state_store::*;
use plenum_model::ids::Revision;
use std::collections::BTreeMap;
use std::sync::Mutex;

#[derive(Default)]
pub(crate) struct MemoryState(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    map: BTreeMap<String, Entry>,
    revision: u64,
    failing: bool,
}

impl MemoryState {
    /// Whether writes fail from now on.
    pub(crate) fn fail(&self, failing: bool) {
        self.0.lock().unwrap().failing = failing;
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.0.lock().unwrap().map.keys().cloned().collect()
    }
}

#[async_trait]
impl StateStore for MemoryState {
    async fn get(&self, key: &str) -> Result<Option<Entry>, StateError> {
        Ok(self.0.lock().unwrap().map.get(key).cloned())
    }

    async fn list(
        &self,
        prefix: &str,
        _: Option<Revision>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page, StateError> {
        let inner = self.0.lock().unwrap();
        let found = inner.map.values().filter(|e| e.key.starts_with(prefix));
        let mut entries: Vec<_> = found
            .filter(|e| after.is_none_or(|a| e.key.as_str() > a))
            .cloned()
            .collect();
        let more = limit > 0 && entries.len() > limit;
        if more {
            entries.truncate(limit);
        }
        Ok(Page {
            entries,
            revision: Revision(inner.revision),
            more,
        })
    }

    async fn txn(&self, compares: Vec<Compare>, writes: Vec<Write>) -> Result<Revision, StateError> {
        let mut inner = self.0.lock().unwrap();
        if inner.failing {
            return Err(StateError::Full { path: "/full".into() });
        }
        for compare in compares {
            let (key, holds) = match compare {
                Compare::Absent(key) => (key.clone(), !inner.map.contains_key(&key)),
                Compare::ModifiedAt(key, at) => {
                    (key.clone(), inner.map.get(&key).is_some_and(|e| e.modified == at))
                }
            };
            if !holds {
                return Err(StateError::Conflict { key });
            }
        }
        inner.revision += 1;
        let modified = Revision(inner.revision);
        for write in writes {
            match write {
                Write::Put(key, value) => {
                    let created = inner.map.get(&key).map_or(modified, |e| e.created);
                    let value: Bytes = value;
                    inner.map.insert(
                        key.clone(),
                        Entry {
                            key,
                            value,
                            created,
                            modified,
                        },
                    );
                }
                Write::Delete(key) => {
                    inner.map.remove(&key);
                }
            }
        }
        Ok(modified)
    }

    async fn watch(
        &self,
        _: &str,
        _: Revision,
    ) -> Result<BoxStream<'static, Result<Vec<Change>, StateError>>, StateError> {
        Ok(Box::pin(futures::stream::pending()))
    }
}
