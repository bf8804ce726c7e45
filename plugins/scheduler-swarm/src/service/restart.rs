//! When an ended task of a slot is replaced: a swarm's restart policy. A replacement is a new task in the same
//! slot.

use super::spec::{RestartPolicy, TaskTemplate};
use plenum_model::phase::Phase;
use plenum_model::task::Task;
use plenum_sdk::time::Moment;
use std::sync::Arc;
use std::time::Duration;

/// A restart policy with its defaults filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restarts {
    condition: Condition,
    delay: Duration,
    max_attempts: u64,
    window: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    None,
    OnFailure,
    Any,
}

/// What a slot in which nothing runs may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A task may start, not before this moment.
    From(Moment),
    /// Nothing more starts in this version.
    Over,
}

impl Restarts {
    /// The policy of a task template. Condition any, 5 s, without bound unless it says otherwise.
    #[must_use]
    pub fn of(task: Option<&TaskTemplate>) -> Self {
        let none = RestartPolicy::default();
        let policy = task.and_then(|t| t.restart.as_ref()).unwrap_or(&none);
        let nanos = |n: Option<i64>, default: u64| {
            Duration::from_nanos(n.map_or(default, |n| u64::try_from(n).unwrap_or(0)))
        };
        Self {
            condition: match policy.condition.as_deref() {
                Some("none") => Condition::None,
                Some("on-failure") => Condition::OnFailure,
                Some(_) | None => Condition::Any,
            },
            delay: nanos(policy.delay, 5_000_000_000),
            max_attempts: policy.max_attempts.unwrap_or(0),
            window: nanos(policy.window, 0),
        }
    }

    /// How many ended tasks a slot must keep for the attempts to be counted.
    #[must_use]
    pub fn remembers(&self) -> usize {
        usize::try_from(self.max_attempts).map_or(usize::MAX, |n| n.saturating_add(1))
    }

    /// What may happen in a slot, given its tasks of the wanted version, oldest first.
    #[must_use]
    pub fn verdict(&self, now: Moment, tasks: &[&Arc<Task>]) -> Verdict {
        let ended: Vec<&Task> = tasks
            .iter()
            .map(|t| &***t)
            .filter(|t| ended_by_itself(t))
            .collect();
        let Some(newest) = tasks.last().filter(|t| ended_by_itself(t)) else {
            return Verdict::From(Moment(0));
        };
        let allowed = match self.condition {
            Condition::None => false,
            Condition::OnFailure => newest.status.phase() != Phase::Finished,
            Condition::Any => true,
        };
        let counts = |t: &&&Task| self.window.is_zero() || ended_at(t).plus(self.window) >= now;
        let attempts = ended.iter().filter(counts).count() as u64;
        if !allowed || (self.max_attempts > 0 && attempts > self.max_attempts) {
            return Verdict::Over;
        }
        Verdict::From(ended_at(newest).plus(self.delay))
    }
}

/// When a task ended.
#[must_use]
pub fn ended_at(task: &Task) -> Moment {
    Moment(task.status.ended_at.unwrap_or(task.status.claimed_at))
}

/// The label of a task that had to go because its node no longer meets the constraints: why it was released is
/// known for as long as the task is.
pub const EVICTED: &str = "plenum.swarm.evicted";

/// Whether a task had to go because its node no longer meets the constraints.
#[must_use]
pub fn was_evicted(task: &Task) -> bool {
    task.terms.labels.contains_key(EVICTED)
}

/// Whether a task ended without its user having asked for it.
#[must_use]
pub fn ended_by_itself(task: &Task) -> bool {
    match task.status.phase() {
        Phase::Finished | Phase::Failed | Phase::Lost | Phase::Rejected => {
            !task.released || was_evicted(task)
        }
        Phase::Stopped => was_evicted(task),
        Phase::Pending
        | Phase::Placed
        | Phase::Preparing
        | Phase::Prepared
        | Phase::Starting
        | Phase::Running
        | Phase::Stopping => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::world::{service, task};
    use serde_json::{Value, json};

    #[test]
    fn an_ended_task_is_replaced_as_its_policy_says() {
        use Phase::{Failed, Finished, Lost, Rejected, Running, Stopped};
        let policy = |p: Value| json!({"RestartPolicy": p});
        let second = 1_000_000_000_u64;
        type Row<'a> = (Value, &'a [(Phase, u64)], u64, Verdict);
        let table: [Row<'_>; 14] = [
            (json!({}), &[], 0, Verdict::From(Moment(0))),
            (json!({}), &[(Running, 0)], 0, Verdict::From(Moment(0))),
            (json!({}), &[(Failed, 10)], 20, Verdict::From(Moment(5_010))),
            (json!({}), &[(Finished, 10)], 20, Verdict::From(Moment(5_010))),
            (json!({}), &[(Lost, 10)], 20, Verdict::From(Moment(5_010))),
            (json!({}), &[(Stopped, 10)], 20, Verdict::From(Moment(0))),
            (
                policy(json!({"Delay": 0})),
                &[(Rejected, 10)],
                20,
                Verdict::From(Moment(10)),
            ),
            (
                policy(json!({"Condition": "none"})),
                &[(Failed, 10)],
                20,
                Verdict::Over,
            ),
            (
                policy(json!({"Condition": "none"})),
                &[(Stopped, 10)],
                20,
                Verdict::From(Moment(0)),
            ),
            (
                policy(json!({"Condition": "on-failure"})),
                &[(Finished, 10)],
                20,
                Verdict::Over,
            ),
            (
                policy(json!({"Condition": "on-failure"})),
                &[(Failed, 10)],
                20,
                Verdict::From(Moment(5_010)),
            ),
            (
                policy(json!({"MaxAttempts": 1})),
                &[(Failed, 10)],
                20,
                Verdict::From(Moment(5_010)),
            ),
            (
                policy(json!({"MaxAttempts": 1})),
                &[(Failed, 5), (Failed, 10)],
                20,
                Verdict::Over,
            ),
            (
                policy(json!({"MaxAttempts": 1, "Window": 3 * second})),
                &[(Failed, 5), (Failed, 4_000)],
                4_001,
                Verdict::From(Moment(9_000)),
            ),
        ];
        for (more, ended, now, wanted) in table {
            let record = service(&json!({}), &more);
            let tasks: Vec<Arc<Task>> = (0..)
                .zip(ended)
                .map(|(n, (phase, at))| Arc::new(task(&record, 1, n, *phase, *at)))
                .collect();
            let restarts = Restarts::of(record.spec.task.as_ref());
            let verdict = restarts.verdict(Moment(now), &tasks.iter().collect::<Vec<_>>());
            assert_eq!(verdict, wanted, "{more} {ended:?}");
        }
    }

    #[test]
    fn what_was_asked_to_end_did_not_end_by_itself_unless_it_was_evicted() {
        let record = service(&json!({}), &json!({}));
        let mut ended = task(&record, 1, 0, Phase::Failed, 1);
        assert!(ended_by_itself(&ended));
        ended.released = true;
        assert!(!ended_by_itself(&ended));
        Arc::make_mut(&mut ended.terms)
            .labels
            .insert(EVICTED.to_owned(), String::new());
        assert!(ended_by_itself(&ended));
    }
}
