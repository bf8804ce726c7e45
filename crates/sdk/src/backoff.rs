//! When to try again: one growing series for everything that fails.

use crate::time::Moment;
use std::time::Duration;

/// A growing series of delays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// The delay after the first failure.
    pub initial: Duration,
    /// By what each further one is multiplied; below 1 counts as 1.
    pub factor: f64,
    /// No delay is longer.
    pub max: Duration,
}

impl Backoff {
    /// A series from `initial`, times `factor`, up to `max`.
    #[must_use]
    pub const fn new(initial: Duration, factor: f64, max: Duration) -> Self {
        Self { initial, factor, max }
    }

    /// The delay after the first failure.
    #[must_use]
    pub fn first(&self) -> Duration {
        self.initial.min(self.max)
    }

    /// The delay that follows `delay`.
    #[must_use]
    pub fn after(&self, delay: Duration) -> Duration {
        let factor = if self.factor.is_finite() {
            self.factor.max(1.0)
        } else {
            1.0
        };
        let next = delay.as_secs_f64() * factor;
        if next >= self.max.as_secs_f64() {
            self.max
        } else {
            Duration::from_secs_f64(next)
        }
    }

    /// The delay after so many failures in a row; none after none.
    #[must_use]
    pub fn delay(&self, failures: u32) -> Duration {
        if failures == 0 {
            return Duration::ZERO;
        }
        let mut delay = self.first();
        for _ in 1..failures {
            let next = self.after(delay);
            if next == delay {
                break;
            }
            delay = next;
        }
        delay
    }
}

/// The launch delay of one version of a workload: grows with each failure, counts from the newest one, and is
/// forgotten once nothing failed for longer than its longest delay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LaunchDelay {
    series: Backoff,
    delay: Duration,
    /// The newest failure or start.
    last: Moment,
    until: Moment,
}

impl LaunchDelay {
    /// No delay yet.
    #[must_use]
    pub fn new(series: Backoff) -> Self {
        Self {
            series,
            delay: Duration::ZERO,
            last: Moment(0),
            until: Moment(0),
        }
    }

    /// A launch failed, or what ran ended.
    pub fn failed(&mut self, at: Moment) {
        self.delay = if self.delay.is_zero() || self.is_over(at) {
            self.series.first()
        } else {
            self.series.after(self.delay)
        };
        self.last = self.last.max(at);
        self.until = self.until.max(at.plus(self.delay));
    }

    /// A launch succeeded; the delay stands until it is over.
    pub fn started(&mut self, at: Moment) {
        self.last = self.last.max(at);
    }

    /// From when a launch is allowed; in the past if there is no delay.
    #[must_use]
    pub fn until(&self) -> Moment {
        self.until
    }

    /// The current delay; zero if nothing failed.
    #[must_use]
    pub fn delay(&self) -> Duration {
        self.delay
    }

    /// Whether nothing failed or started for longer than the longest delay: then it may be dropped.
    #[must_use]
    pub fn is_over(&self, now: Moment) -> bool {
        now > self.last.plus(self.series.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERIES: Backoff = Backoff::new(Duration::from_secs(1), 2.0, Duration::from_secs(5));

    #[test]
    fn the_series_grows_and_stops_at_its_longest() {
        let secs: Vec<u64> = (0..6).map(|n| SERIES.delay(n).as_secs()).collect();
        assert_eq!(secs, [0, 1, 2, 4, 5, 5]);
    }

    #[test]
    fn a_series_that_never_grows_ends_and_is_no_endless_loop() {
        let flat = Backoff::new(Duration::from_secs(1), 0.0, Duration::from_secs(9));
        assert_eq!(flat.delay(u32::MAX), Duration::from_secs(1));
        let zero = Backoff::new(Duration::ZERO, f64::NAN, Duration::from_secs(9));
        assert_eq!(zero.delay(u32::MAX), Duration::ZERO);
    }

    #[test]
    fn a_launch_delay_counts_from_the_failure_and_starts_anew_after_a_calm_time() {
        let mut d = LaunchDelay::new(SERIES);
        d.failed(Moment(10_000));
        assert_eq!(d.until(), Moment(11_000));
        d.failed(Moment(11_500));
        assert_eq!(d.until(), Moment(13_500));
        d.started(Moment(14_000));
        assert!(!d.is_over(Moment(19_000)));
        assert!(d.is_over(Moment(19_001)));
        d.failed(Moment(30_000));
        assert_eq!(d.until(), Moment(31_000));
    }
}
