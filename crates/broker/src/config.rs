//! What the broker can be told. Plain data; the composition root fills it in and checks it.

use plenum_model::ids::SchedulerId;

/// What the decisions of the core depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreConfig {
    /// Milliseconds of silence after which a node counts as unreachable.
    pub lease_ms: u64,
    /// Whether a container's caps (memory, cpu, processes) must be enforceable on its node. If not, nodes that
    /// can enforce them come first, and one that cannot shows the capability as missing.
    pub strict_caps: bool,
    /// Up to so many nodes every one is looked at for each task; beyond, the index chooses.
    pub exact_nodes: usize,
    /// Milliseconds from the announcement that a task will be stopped for another until it is.
    pub notice_ms: u64,
    /// The scheduler of the control plane's own tasks, which go before everybody else's, guarantees included. Only
    /// the composition root can name one, so nobody comes to it through a door; none by default.
    pub system: Option<SchedulerId>,
}

impl Default for CoreConfig {
    fn default() -> Self {
        Self {
            // Agents send a heartbeat three times as often; 15 s lets two get lost.
            lease_ms: 15_000,
            strict_caps: false,
            exact_nodes: 64,
            // Long enough for a scheduler to hear of it and let go of something else; whoever waits has waited.
            notice_ms: 10_000,
            system: None,
        }
    }
}

/// What the runner round the core depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerConfig {
    /// The core's part.
    pub core: CoreConfig,
    /// Calls that may wait for the core. Callers wait for an answer anyway, so a deeper queue would only hide
    /// overload from them; it must hold what one group commit keeps waiting.
    pub queue_depth: usize,
    /// Bytes of records after which the log is replaced by a snapshot.
    pub snapshot_bytes: u64,
    /// Milliseconds between two looks at the clock.
    pub tick_ms: u64,
    /// Milliseconds an agent has to carry a stream that was asked for.
    pub stream_timeout_ms: u64,
    /// Events of the timeline that are kept.
    pub events_kept: usize,
    /// Forgotten tasks that a watch can still tell of; a watch that is further behind gets the snapshot again.
    pub forgotten_kept: usize,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            core: CoreConfig::default(),
            queue_depth: 1024,
            snapshot_bytes: 64 << 20,
            tick_ms: 100,
            stream_timeout_ms: 10_000,
            events_kept: 20_000,
            forgotten_kept: 50_000,
        }
    }
}
