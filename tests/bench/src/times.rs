//! Many durations, and what stands out of them.

use std::time::Duration;

/// Times, sorted.
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// A percentile in microseconds.
    pub(crate) fn micros(&self, percent: usize) -> f64 {
        self.millis(percent) * 1000.0
    }

    /// A percentile in milliseconds.
    pub(crate) fn millis(&self, percent: usize) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0
            .get(last * percent / 100)
            .map_or(0.0, |d| d.as_secs_f64() * 1000.0)
    }
}
