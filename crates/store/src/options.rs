//! The settings of the stores on disk.

/// Settings of the stores on disk; the defaults are meant for production, tests take smaller ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Bytes of a segment of a log, rounded up to a multiple of 4096. Each store keeps one in use and one ready.
    pub segment_bytes: u64,
    /// How many revisions of the state store are kept for `list(at)` and `watch(from)`.
    pub history_revisions: usize,
    /// How many bytes of values the kept revisions may hold together.
    pub history_bytes: u64,
    /// The state store writes a snapshot when its log has grown by this many bytes, and by twice the size of
    /// the last snapshot.
    pub compact_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            // Seconds of the heaviest load; zeroing one takes tens of milliseconds, beside the writer.
            segment_bytes: 16 << 20,
            // A watcher that was away for minutes at hundreds of writes a second need not list again.
            history_revisions: 10_000,
            history_bytes: 64 << 20,
            compact_bytes: 64 << 20,
        }
    }
}

impl Options {
    /// Bytes of a segment, as files have them.
    pub(crate) fn segment_size(&self) -> u64 {
        self.segment_bytes.max(1).next_multiple_of(4096)
    }
}
