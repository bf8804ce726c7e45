//! What is to be sent on the present attachment, in the order of its numbers. What is not the end of an
//! incarnation is replaced by what comes after it, so a slow broker gets fewer, newer observations.

use super::memory::Memory;
use plenum_model::ids::Seq;
use plenum_model::task::Observation;
use std::collections::BTreeMap;

/// Observations that wait to be sent. Empty while no broker is there: the memory keeps them.
#[derive(Debug, Clone, Default)]
pub(super) struct Outbox {
    attached: bool,
    queue: BTreeMap<Seq, Observation>,
}

impl Outbox {
    /// A broker is there: all it may lack goes out.
    pub(super) fn attach(&mut self, memory: &Memory) {
        self.attached = true;
        let newest = memory.tasks.values().filter_map(|t| t.newest.as_ref());
        let all = memory.unacked.values().chain(newest);
        self.queue = all.map(|o| (o.seq, o.clone())).collect();
    }

    /// The broker is gone.
    pub(super) fn detach(&mut self) {
        self.attached = false;
        self.queue.clear();
    }

    /// Takes in what was seen; `old` is the task's former observation if that need not be sent any more.
    pub(super) fn put(&mut self, old: Option<Seq>, seen: &Observation) {
        if let Some(old) = old {
            self.queue.remove(&old);
        }
        if self.attached {
            self.queue.insert(seen.seq, seen.clone());
        }
    }

    /// The broker has everything up to `seq`.
    pub(super) fn acked(&mut self, seq: Seq) {
        self.queue.retain(|s, _| *s > seq);
    }

    /// Takes out the next ones, at most `limit`.
    pub(super) fn take(&mut self, limit: usize) -> Vec<Observation> {
        std::iter::from_fn(|| self.queue.pop_first().map(|(_, o)| o))
            .take(limit)
            .collect()
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}
