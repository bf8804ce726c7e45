//! The one thread that writes a state store: takes the transactions that came together, decides them in
//! order, pays one sync for all of them, and only then shows and answers them.

use super::compactor::{Compacted, Moment, compact};
use super::index::{Put, first_broken};
use super::place::{Place, state_error};
use super::values::Values;
use super::{codec, reader::Backing};
use crate::journal::Journal;
use plenum_contract::ledger_log::LogError;
use plenum_contract::state_store::{Compare, StateError, Write};
use plenum_model::ids::Revision;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot, watch};

/// Bytes of transactions after which a group is closed: a sync of more takes longer than waiting for the next.
const GROUP_BYTES: usize = 4 << 20;
/// Values that move into a snapshot per hold of the index: readers wait microseconds.
const MOVED_AT_ONCE: usize = 512;

/// A transaction and whoever waits for it.
pub(super) struct Txn {
    pub(super) compares: Vec<Compare>,
    pub(super) writes: Vec<Write>,
    pub(super) answer: oneshot::Sender<Outcome>,
}

type Outcome = Result<Revision, StateError>;
type Finished = Result<Option<Compacted>, LogError>;

/// What the thread owns.
pub(super) struct Writer {
    pub(super) journal: Journal,
    pub(super) dir: PathBuf,
    pub(super) values: Arc<Values>,
    pub(super) txns: mpsc::Receiver<Txn>,
    pub(super) newest: watch::Sender<Revision>,
    pub(super) compaction: Compaction,
}

/// When a snapshot is due, and the one being written.
pub(super) struct Compaction {
    pub(super) every_bytes: u64,
    /// How far the journal had grown at the last snapshot, and when the next is due.
    pub(super) due_at: u64,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) running: Option<JoinHandle<Finished>>,
}

/// A write that its group will store.
struct Effect {
    key: Arc<str>,
    value: Option<bytes::Bytes>,
}

/// A transaction whose compares hold.
struct Decided {
    revision: Revision,
    effects: Vec<Effect>,
}

/// The group being put together: what it will change, on top of the index.
#[derive(Default)]
struct Group {
    decided: Vec<Decided>,
    /// When the keys it writes will have been modified; none: deleted.
    heads: BTreeMap<Arc<str>, Option<Revision>>,
    answers: Vec<(oneshot::Sender<Outcome>, Outcome)>,
    bytes: usize,
}

impl Writer {
    /// Runs until every sender is gone.
    pub(super) fn run(mut self) {
        while let Some(first) = self.txns.blocking_recv() {
            let mut group = Group::default();
            let mut newest = self.values.index().read().newest();
            self.decide(first, &mut group, &mut newest);
            while group.bytes < GROUP_BYTES
                && let Ok(next) = self.txns.try_recv()
            {
                self.decide(next, &mut group, &mut newest);
            }
            self.commit(group);
            self.finish_compaction();
            self.start_compaction();
        }
        self.compaction.stop.store(true, Ordering::Relaxed);
        if let Some(running) = self.compaction.running.take() {
            // It stops at its next chunk and leaves nothing; what it wrote in time is used at the next start.
            let _ = running.join();
        }
    }

    fn decide(&self, txn: Txn, group: &mut Group, newest: &mut Revision) {
        let index = self.values.index().read();
        let heads = &group.heads;
        let modified = |key: &str| match heads.get(key) {
            Some(head) => *head,
            None => index.modified(key),
        };
        if let Some(key) = first_broken(&txn.compares, modified) {
            let key = key.to_owned();
            group
                .answers
                .push((txn.answer, Err(StateError::Conflict { key })));
            return;
        }
        let effects: Vec<Effect> = txn
            .writes
            .into_iter()
            .filter_map(|write| match write {
                Write::Put(key, value) => Some(Effect {
                    key: key.into(),
                    value: Some(value),
                }),
                Write::Delete(key) => modified(&key).map(|_| Effect {
                    key: key.into(),
                    value: None,
                }),
            })
            .collect();
        if effects.is_empty() {
            group.answers.push((txn.answer, Ok(*newest)));
            return;
        }
        *newest = newest.next();
        for Effect { key, value } in &effects {
            group.bytes += key.len() + value.as_ref().map_or(0, |v| v.len());
            group.heads.insert(key.clone(), value.as_ref().map(|_| *newest));
        }
        group.answers.push((txn.answer, Ok(*newest)));
        group.decided.push(Decided {
            revision: *newest,
            effects,
        });
    }

    /// Makes the group durable, then shows and answers it. What was decided on top of a group that failed
    /// failed with it: conflicts too, since they may be conflicts with what never came to be.
    fn commit(&mut self, group: Group) {
        let stored = match group.decided.is_empty() {
            true => Ok(()),
            false => self.store(group.decided),
        };
        for (answer, decided) in group.answers {
            let result = match &stored {
                Ok(()) => decided,
                Err(error) => Err(state_error(error)),
            };
            // Whoever asked may be gone; the transaction stands all the same.
            let _ = answer.send(result);
        }
    }

    fn store(&mut self, decided: Vec<Decided>) -> Result<(), LogError> {
        // Where each value starts in the payload, in order of the effects.
        let mut starts = Vec::new();
        let (file, at) = self.journal.append(0, |buffer| {
            let payload = buffer.len();
            for Decided { revision, effects } in &decided {
                codec::begin(*revision, effects.len(), buffer);
                for Effect { key, value } in effects {
                    starts.push(codec::write(key, value.as_deref(), buffer) - payload);
                }
            }
        })?;
        let mut starts = starts.into_iter();
        let mut index = self.values.index().write();
        for Decided { revision, effects } in decided {
            let put = |effect: Effect| Put {
                bytes: effect.value.as_ref().map_or(0, |v| v.len()) as u64,
                value: starts
                    .next()
                    .zip(effect.value)
                    .map(|(start, value)| Place::of(&file, at + start as u64, &value)),
                key: effect.key,
            };
            index.apply(revision, effects.into_iter().map(put).collect());
        }
        self.newest.send_replace(index.newest());
        Ok(())
    }

    /// Starts a snapshot when one is due. Nothing is being decided, so the index is what the journal holds.
    fn start_compaction(&mut self) {
        if self.compaction.running.is_some() || self.journal.grown() < self.compaction.due_at {
            return;
        }
        let moment = {
            let index = self.values.index().read();
            Moment {
                cut: self.journal.cut(),
                oldest: index.oldest(),
                newest: index.newest(),
                versions: index.versions(),
            }
        };
        self.compaction.due_at = self.journal.grown() + self.compaction.every_bytes;
        let (dir, stop) = (self.dir.clone(), self.compaction.stop.clone());
        let spawned = std::thread::Builder::new()
            .name("store-compactor".to_owned())
            .spawn(move || compact(&dir, &moment, &stop));
        match spawned {
            Ok(running) => self.compaction.running = Some(running),
            Err(error) => tracing::warn!(%error, "the state store could not start a snapshot"),
        }
    }

    /// Takes over a snapshot that is done; one that failed is tried again when the next is due.
    fn finish_compaction(&mut self) {
        let Some(running) = self.compaction.running.take_if(|running| running.is_finished()) else {
            return;
        };
        match running.join() {
            Ok(Ok(Some(Compacted { snapshot, moved }))) => {
                let mut moved = moved.into_iter().peekable();
                while moved.peek().is_some() {
                    let mut index = self.values.index().write();
                    for value in moved.by_ref().take(MOVED_AT_ONCE) {
                        index.replace_value(&value.key, value.modified, value.place);
                    }
                }
                let least = self.journal.grown() + 2 * snapshot.bytes;
                self.compaction.due_at = self.compaction.due_at.max(least);
                self.journal.adopt(snapshot);
            }
            Ok(Ok(None)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the state store could not write a snapshot"),
            Err(_) => tracing::error!("the writer of a snapshot of the state store panicked"),
        }
    }
}
