//! Launch delays: an app whose tasks keep failing is launched ever more slowly. In memory only, as in
//! Marathon: after a restart of the scheduler the series starts anew.

use crate::app;
use crate::path::AppId;
use crate::stamp::Stamp;
use plenum_sdk::backoff::{Backoff, LaunchDelay};
use plenum_sdk::time::Moment;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a delay belongs to: an app in one configuration.
pub type Key = (AppId, Stamp);

/// The delays of all apps.
#[derive(Debug, Clone, Default)]
pub struct Delays(BTreeMap<Key, LaunchDelay>);

impl Delays {
    /// A task failed (or finished): the next launch waits longer.
    pub fn failed(&mut self, key: Key, backoff: app::Backoff, now: Moment) {
        let seconds = |n| Duration::from_secs(u64::from(n));
        let series = Backoff::new(
            seconds(backoff.seconds),
            backoff.factor,
            seconds(backoff.max_seconds),
        );
        self.0
            .entry(key)
            .or_insert_with(|| LaunchDelay::new(series))
            .failed(now);
    }

    /// A task runs: the delay stays, its time of forgetting starts again.
    pub fn started(&mut self, key: &Key, now: Moment) {
        if let Some(delay) = self.0.get_mut(key) {
            delay.started(now);
        }
    }

    /// The series starts anew.
    pub fn reset(&mut self, key: &Key) {
        self.0.remove(key);
    }

    /// No series of this app is known any more.
    pub fn remove_app(&mut self, app: &AppId) {
        self.0.retain(|(id, _), _| id != app);
    }

    /// Until when launches of this app wait; none: nothing failed lately.
    #[must_use]
    pub fn until(&self, key: &Key) -> Option<Moment> {
        self.0.get(key).map(LaunchDelay::until)
    }

    /// Forgets series that are over: nothing failed or started for the longest delay.
    pub fn forget_over(&mut self, now: Moment) {
        self.0.retain(|_, delay| !delay.is_over(now));
    }
}

/// What the queue shows of a delay: seconds left, and whether launches wait for room rather than for it.
#[must_use]
pub fn shown(until: Option<Stamp>, now: Stamp) -> (i64, bool) {
    let left = until.map_or(0, |until| (until.ms() - now.ms()) / 1000);
    (left.max(0), until.is_none() || left < 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: app::Backoff = app::Backoff {
        seconds: 10,
        factor: 2.0,
        max_seconds: 60,
    };

    fn key() -> Key {
        (AppId::from_root("/a"), Stamp::from_ms(0))
    }

    #[test]
    fn each_failure_multiplies_the_delay_up_to_the_most_and_a_reset_starts_anew() {
        let mut delays = Delays::default();
        let mut now = Moment(1_000_000);
        for expected in [10, 20, 40, 60, 60] {
            delays.failed(key(), BACKOFF, now);
            now = now.plus(Duration::from_secs(expected));
            assert_eq!(delays.until(&key()), Some(now));
        }
        delays.reset(&key());
        assert_eq!(delays.until(&key()), None);
        delays.failed(key(), BACKOFF, now);
        assert_eq!(delays.until(&key()), Some(now.plus(Duration::from_secs(10))));
    }

    #[test]
    fn a_series_is_forgotten_when_nothing_failed_or_started_for_the_longest_delay() {
        let mut delays = Delays::default();
        delays.failed(key(), BACKOFF, Moment(1_000_000));
        delays.started(&key(), Moment(1_005_000));
        delays.forget_over(Moment(1_065_000));
        assert!(delays.until(&key()).is_some());
        delays.forget_over(Moment(1_065_001));
        assert!(delays.until(&key()).is_none());
    }

    #[test]
    fn overdue_means_no_delay_or_one_past_by_a_second() {
        let until = Some(Stamp::from_ms(10_000));
        for (now, shown_as) in [
            (0, (10, false)),
            (9_500, (0, false)),
            (10_900, (0, false)),
            (11_000, (0, true)),
        ] {
            assert_eq!(shown(until, Stamp::from_ms(now)), shown_as, "{now}");
        }
        assert_eq!(shown(None, Stamp::from_ms(0)), (0, true));
    }
}
