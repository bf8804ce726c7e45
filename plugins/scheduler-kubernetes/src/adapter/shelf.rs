//! Bytes that claims refer to, in the state store: files of pods, by the hash of what they hold. A secret's hash
//! is keyed, so that nobody who sees a claim can try values out.

use super::pod::lower::{Draft, FileDraft, Lowered};
use parking_lot::Mutex;
use plenum_contract::state_store::{Compare, StateError, StateStore, Write};
use plenum_model::claim::FileRef;
use plenum_model::ids::Revision;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Under which keys they are.
const PREFIX: &str = "files/";

/// See the module's header.
pub struct Shelf {
    store: Arc<dyn StateStore>,
    salt: String,
    /// Keys that are known to be kept, with their revisions.
    kept: Mutex<BTreeMap<String, Revision>>,
    /// Keys that nobody referred to at the last sweep.
    idle: Mutex<BTreeSet<String>>,
}

impl Shelf {
    /// A shelf in this store; `salt` is secret.
    #[must_use]
    pub fn new(store: Arc<dyn StateStore>, salt: &str) -> Self {
        Self {
            store,
            salt: salt.to_owned(),
            kept: Mutex::default(),
            idle: Mutex::default(),
        }
    }

    /// Keeps the files of a draft.
    ///
    /// # Errors
    /// When the store does not take them.
    pub async fn keep(&self, draft: Draft) -> Result<Lowered, StateError> {
        let mut files = Vec::with_capacity(draft.files.len());
        for file in draft.files {
            files.push(self.keep_one(file).await?);
        }
        Ok(Lowered {
            spec_id: draft.spec.id(),
            spec: Arc::new(draft.spec),
            files,
            ports: draft.ports,
            missing: draft.missing,
        })
    }

    async fn keep_one(&self, file: FileDraft) -> Result<FileRef, StateError> {
        let key = self.key(&file);
        let known = self.kept.lock().get(&key).copied();
        let revision = match known {
            Some(revision) => revision,
            None => self.put(&key, file.bytes).await?,
        };
        self.idle.lock().remove(&key);
        self.kept.lock().insert(key.clone(), revision);
        Ok(FileRef {
            key,
            revision: revision.0,
            target: file.target,
            mode: file.mode,
            secret: file.secret,
            volume: Some(file.volume),
        })
    }

    async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<Revision, StateError> {
        let write = Write::Put(key.to_owned(), bytes.into());
        match self
            .store
            .txn(vec![Compare::Absent(key.to_owned())], vec![write])
            .await
        {
            Err(StateError::Conflict { .. }) => {
                let kept = self.store.get(key).await?;
                kept.map(|e| e.modified)
                    .ok_or(StateError::Conflict { key: key.to_owned() })
            }
            other => other,
        }
    }

    fn key(&self, file: &FileDraft) -> String {
        let mut hash = Sha256::new();
        if file.secret {
            hash.update(self.salt.as_bytes());
        }
        hash.update(&file.bytes);
        let digest = hash.finalize();
        digest.iter().fold(PREFIX.to_owned(), |mut key, byte| {
            use std::fmt::Write as _;
            let _ = write!(key, "{byte:02x}"); // writing to a string cannot fail
            key
        })
    }

    /// Lets go what nobody refers to now, nor did at the last sweep.
    ///
    /// # Errors
    /// When the store cannot be read or written; the next sweep goes on.
    pub async fn sweep(&self, used: &BTreeSet<String>) -> Result<(), StateError> {
        let page = self.store.list(PREFIX, None, None, 0).await?;
        let unused: BTreeSet<String> = page
            .entries
            .into_iter()
            .map(|e| e.key)
            .filter(|key| !used.contains(key))
            .collect();
        let before = std::mem::replace(&mut *self.idle.lock(), unused.clone());
        let gone: Vec<String> = unused.intersection(&before).cloned().collect();
        for keys in gone.chunks(256) {
            {
                let mut kept = self.kept.lock();
                for key in keys {
                    kept.remove(key);
                }
            }
            let deletes = keys.iter().cloned().map(Write::Delete).collect();
            self.store.txn(Vec::new(), deletes).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_store::MemoryState;

    fn draft(bytes: &str, secret: bool) -> Draft {
        let file = FileDraft {
            bytes: bytes.into(),
            target: "a".into(),
            volume: "v".into(),
            mode: 0o644,
            secret,
        };
        Draft {
            files: vec![file],
            ..Draft::default()
        }
    }

    #[tokio::test]
    async fn the_same_bytes_are_kept_once_and_go_when_nobody_wants_them() {
        let store = Arc::new(MemoryState::default());
        let shelf = Shelf::new(store.clone(), "salt");
        let one = shelf.keep(draft("x", false)).await.unwrap().files.remove(0);
        let again = Shelf::new(store.clone(), "salt")
            .keep(draft("x", false))
            .await
            .unwrap()
            .files
            .remove(0);
        assert_eq!((&one.key, one.revision), (&again.key, again.revision));
        let secret = shelf.keep(draft("x", true)).await.unwrap().files.remove(0);
        assert_ne!(secret.key, one.key);
        let used = BTreeSet::from([one.key.clone()]);
        shelf.sweep(&used).await.unwrap();
        assert!(
            store.get(&secret.key).await.unwrap().is_some(),
            "idle once may be on its way to a claim"
        );
        shelf.sweep(&used).await.unwrap();
        assert!(store.get(&secret.key).await.unwrap().is_none());
        assert!(store.get(&one.key).await.unwrap().is_some());
    }
}
