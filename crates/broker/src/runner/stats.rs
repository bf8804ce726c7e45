//! Counters of the broker, raised by its threads and read by whoever shows them.

use crate::decide::Counts;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a broker has done since it started, and what it holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BrokerStats {
    /// Inputs the core has taken in.
    pub steps: u64,
    /// Tasks claimed.
    pub claims: u64,
    /// Tasks placed.
    pub placements: u64,
    /// Observations of agents that were news.
    pub observations: u64,
    /// Groups made durable.
    pub commits: u64,
    /// Records made durable: one per step that changed something.
    pub records: u64,
    /// Bytes of records made durable.
    pub record_bytes: u64,
    /// Records of the largest group.
    pub largest_group: u64,
    /// Groups that could not be made durable.
    pub failed_commits: u64,
    /// Snapshots written.
    pub snapshots: u64,
    /// Microseconds spent deciding.
    pub core_micros: u64,
    /// Microseconds spent making durable.
    pub log_micros: u64,
    /// Microseconds spent publishing.
    pub publish_micros: u64,
    /// Calls that wait for the core.
    pub queue_depth: usize,
    /// Tasks that are not forgotten.
    pub tasks: u64,
    /// Those that wait.
    pub pending: u64,
    /// Nodes.
    pub nodes: u64,
}

/// The counters themselves.
#[derive(Debug, Default)]
pub(super) struct Stats {
    pub(super) steps: AtomicU64,
    pub(super) claims: AtomicU64,
    pub(super) placements: AtomicU64,
    pub(super) observations: AtomicU64,
    pub(super) commits: AtomicU64,
    pub(super) records: AtomicU64,
    pub(super) record_bytes: AtomicU64,
    pub(super) largest_group: AtomicU64,
    pub(super) failed_commits: AtomicU64,
    pub(super) snapshots: AtomicU64,
    pub(super) core_micros: AtomicU64,
    pub(super) log_micros: AtomicU64,
    pub(super) publish_micros: AtomicU64,
    tasks: AtomicU64,
    pending: AtomicU64,
    nodes: AtomicU64,
}

impl Stats {
    pub(super) fn snapshot(&self, queue_depth: usize) -> BrokerStats {
        BrokerStats {
            steps: self.steps.load(Relaxed),
            claims: self.claims.load(Relaxed),
            placements: self.placements.load(Relaxed),
            observations: self.observations.load(Relaxed),
            commits: self.commits.load(Relaxed),
            records: self.records.load(Relaxed),
            record_bytes: self.record_bytes.load(Relaxed),
            largest_group: self.largest_group.load(Relaxed),
            failed_commits: self.failed_commits.load(Relaxed),
            snapshots: self.snapshots.load(Relaxed),
            core_micros: self.core_micros.load(Relaxed),
            log_micros: self.log_micros.load(Relaxed),
            publish_micros: self.publish_micros.load(Relaxed),
            queue_depth,
            tasks: self.tasks.load(Relaxed),
            pending: self.pending.load(Relaxed),
            nodes: self.nodes.load(Relaxed),
        }
    }

    pub(super) fn holds(&self, counts: Counts) {
        self.tasks.store(count(counts.tasks), Relaxed);
        self.pending.store(count(counts.pending), Relaxed);
        self.nodes.store(count(counts.nodes), Relaxed);
    }
}

/// A count as it is stored.
pub(super) fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// Raises a counter.
pub(super) fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Relaxed);
}

/// Raises a counter by the microseconds since then.
pub(super) fn add_since(counter: &AtomicU64, then: std::time::Instant) {
    add(
        counter,
        u64::try_from(then.elapsed().as_micros()).unwrap_or(u64::MAX),
    );
}
