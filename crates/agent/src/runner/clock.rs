//! The only clock of the agent.

use crate::supervisor::Now;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// Counts milliseconds since it was made, whatever happens to the time of day.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    start: Instant,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    pub(super) fn now(self) -> Now {
        Now {
            tick: millis(self.start.elapsed()),
            unix: unix_ms(),
        }
    }

    /// When `tick` comes.
    pub(super) fn at(self, tick: u64) -> Instant {
        // Farther away than a year is never: the loop looks again long before.
        self.start + Duration::from_millis(tick.min(self.now().tick + 31_536_000_000))
    }
}

/// Unix milliseconds.
pub(super) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}
