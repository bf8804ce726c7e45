//! Moments and the clock of a scheduler. Planners get a [`Moment`] handed in and never look at a clock.

use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// A point in time, in Unix milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(pub u64);

impl Moment {
    /// So much later; saturates at the end of time.
    #[must_use]
    pub fn plus(self, d: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
        )
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// The system's time when it was made, and from then on the monotonic clock: what it says never goes back,
/// whatever is done to the system's time.
#[derive(Debug, Clone)]
pub struct Clock {
    base: Moment,
    start: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        let base = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(Moment(0), |d| Moment(0).plus(d));
        Self {
            base,
            start: Instant::now(),
        }
    }
}

impl Clock {
    /// One that starts at this moment, whatever the system's time is: for simulations.
    #[must_use]
    pub fn starting_at(base: Moment) -> Self {
        Self {
            base,
            start: Instant::now(),
        }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.base.plus(self.start.elapsed())
    }
}
