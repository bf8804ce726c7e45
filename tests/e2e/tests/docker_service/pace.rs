//! At which pace tasks were replaced, from the times at which each was seen to start and to end.

use crate::support::up::{Up, items};
use serde_json::Value;

/// When one task ran, in milliseconds; and its version.
#[derive(Debug)]
struct Run {
    version: String,
    from: u64,
    to: u64,
}

/// All runs of the tasks of a service.
#[derive(Debug)]
pub(super) struct Runs(Vec<Run>);

impl Runs {
    pub(super) async fn of(up: &Up, service: &str) -> Self {
        let tasks = items(&up.api("/v1/tasks?ended=true").await);
        let of = tasks.iter().filter(|t| t["workload"]["name"] == service);
        let runs = of.filter_map(|t| {
            let text = |v: &Value| v.as_str().map(str::to_owned);
            Some(Run {
                version: text(&t["workload"]["version"])?,
                from: millis(t["started_at"].as_str()?),
                to: t["ended_at"].as_str().map_or(u64::MAX, millis),
            })
        });
        Self(runs.collect())
    }

    /// The fewest and the most that ran at once, from when `count` did for the first time.
    pub(super) fn bounds(&self, count: usize) -> (usize, usize) {
        let mut starts: Vec<u64> = self.0.iter().map(|r| r.from).collect();
        starts.sort_unstable();
        let begin = starts[count - 1];
        let at = |when: u64| self.0.iter().filter(|r| r.from <= when && when < r.to).count();
        let moments = self.0.iter().flat_map(|r| [r.from, r.to]);
        let levels: Vec<usize> = moments.filter(|m| *m >= begin && *m < u64::MAX).map(at).collect();
        (
            levels.iter().copied().min().unwrap(),
            levels.iter().copied().max().unwrap(),
        )
    }

    /// The shortest time from one start of the newest version to the `nth` after it.
    pub(super) fn gap(&self, nth: usize) -> u64 {
        let newest = &self.0.iter().max_by_key(|r| r.from).unwrap().version;
        let mut starts: Vec<u64> = self
            .0
            .iter()
            .filter(|r| r.version == *newest)
            .map(|r| r.from)
            .collect();
        starts.sort_unstable();
        starts.windows(nth + 1).map(|w| w[nth] - w[0]).min().unwrap()
    }
}

/// Milliseconds of a time like `2026-11-25T02:59:02.877Z`; months are as long as they may be, which keeps order.
fn millis(text: &str) -> u64 {
    let mut numbers = text
        .split(|c: char| !c.is_ascii_digit())
        .filter(|n| !n.is_empty());
    let mut next = || numbers.next().unwrap_or("0");
    let whole = [(1, 12), (1, 31), (1, 24), (1, 60), (1, 60)];
    let mut seconds = next().parse::<u64>().unwrap();
    for (_, base) in whole {
        seconds = seconds * base + next().parse::<u64>().unwrap();
    }
    let fraction = format!("{:0<3.3}", next());
    seconds * 1000 + fraction.parse::<u64>().unwrap()
}

#[test]
fn times_and_levels_are_read_right() {
    assert_eq!(
        millis("2026-11-25T02:59:02.877Z") - millis("2026-11-25T02:58:59.9Z"),
        2_977
    );
    let run = |version: &str, from, to| Run {
        version: version.to_owned(),
        from,
        to,
    };
    let runs = Runs(vec![
        run("a", 0, 10),
        run("a", 1, 20),
        run("b", 12, u64::MAX),
        run("b", 22, u64::MAX),
    ]);
    assert_eq!((runs.bounds(2), runs.gap(1)), ((1, 2), 10));
}
