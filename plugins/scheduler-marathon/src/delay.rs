//! Launch delays: an app whose tasks keep failing is launched ever more slowly. In memory only, as in
//! Marathon: after a restart of the scheduler the series starts anew.

use crate::app::Backoff;
use crate::path::AppId;
use crate::stamp::Stamp;
use std::collections::BTreeMap;

/// What a delay belongs to: an app in one configuration.
pub type Key = (AppId, Stamp);

/// One delay.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Delay {
    since: Stamp,
    ms: f64,
    forget_after_ms: i64,
}

impl Delay {
    fn deadline(&self) -> Stamp {
        self.since.plus_ms(whole(self.ms))
    }
}

/// The delays of all apps.
#[derive(Debug, Clone, Default)]
pub struct Delays(BTreeMap<Key, Delay>);

impl Delays {
    /// A task failed (or finished): the next launch waits longer.
    pub fn failed(&mut self, key: Key, backoff: Backoff, now: Stamp) {
        let most = f64::from(backoff.max_seconds) * 1000.0;
        let ms = match self.0.get(&key) {
            Some(before) => before.ms * backoff.factor,
            None => f64::from(backoff.seconds) * 1000.0,
        };
        self.0.insert(
            key,
            Delay {
                since: now,
                ms: ms.min(most),
                forget_after_ms: whole(most),
            },
        );
    }

    /// A task runs: the delay stays, its time of forgetting starts again.
    pub fn started(&mut self, key: &Key, now: Stamp) {
        if let Some(delay) = self.0.get_mut(key) {
            delay.since = now;
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

    /// Until when launches of this app wait; none: they do not, and never failed lately.
    #[must_use]
    pub fn until(&self, key: &Key) -> Option<Stamp> {
        self.0.get(key).map(Delay::deadline)
    }

    /// Forgets series that are over: nothing failed or started for the longest delay.
    pub fn forget_over(&mut self, now: Stamp) {
        self.0
            .retain(|_, delay| now <= delay.since.plus_ms(delay.forget_after_ms));
    }

    /// The next moment at which a launch may go on.
    #[must_use]
    pub fn next_deadline(&self, now: Stamp) -> Option<Stamp> {
        self.0.values().map(Delay::deadline).filter(|at| *at > now).min()
    }
}

#[allow(clippy::cast_possible_truncation)] // bounded by 2^32 seconds
fn whole(ms: f64) -> i64 {
    ms as i64
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

    const BACKOFF: Backoff = Backoff {
        seconds: 10,
        factor: 2.0,
        max_seconds: 60,
    };

    fn key() -> Key {
        (AppId::from_root("/a"), Stamp::from_ms(0))
    }

    #[test]
    fn each_failure_multiplies_the_delay_up_to_the_most() {
        let mut delays = Delays::default();
        let mut now = Stamp::from_ms(0);
        for expected in [10, 20, 40, 60, 60] {
            delays.failed(key(), BACKOFF, now);
            assert_eq!(delays.until(&key()), Some(now.plus_ms(expected * 1000)));
            now = now.plus_ms(expected * 1000);
        }
        delays.reset(&key());
        assert_eq!(delays.until(&key()), None);
        delays.failed(key(), BACKOFF, now);
        assert_eq!(delays.until(&key()), Some(now.plus_ms(10_000)));
    }

    #[test]
    fn a_series_is_forgotten_when_nothing_failed_or_started_for_the_longest_delay() {
        let mut delays = Delays::default();
        delays.failed(key(), BACKOFF, Stamp::from_ms(0));
        delays.started(&key(), Stamp::from_ms(5_000));
        delays.forget_over(Stamp::from_ms(65_000));
        assert!(delays.until(&key()).is_some());
        delays.forget_over(Stamp::from_ms(65_001));
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
