//! How the tasks of a service are replaced: Docker's update configuration as the rollout engine's policy, and
//! what the engine's answer makes of the state of the update.

use super::record::{ServiceRecord, Update, UpdateState};
use super::spec::UpdateConfig;
use plenum_sdk::rollout::engine::{Next, RolloutStatus};
use plenum_sdk::rollout::policy::{FailureAction, Order, Policy, SwarmUpdate};
use std::time::Duration;

/// What a swarm watches a new task for, in nanoseconds.
const MONITOR: u64 = 5_000_000_000;

/// The update configuration that applies now, with its defaults filled in.
#[must_use]
pub fn config(record: &ServiceRecord) -> SwarmUpdate {
    let back = record.update.as_ref().is_some_and(|u| is_rollback(u.state));
    let given = if back {
        &record.spec.rollback
    } else {
        &record.spec.update
    };
    let none = UpdateConfig::default();
    let c = given.as_ref().unwrap_or(&none);
    let nanos = |n: Option<i64>, default: u64| {
        Duration::from_nanos(n.map_or(default, |n| u64::try_from(n).unwrap_or(0)))
    };
    let monitor = nanos(c.monitor, MONITOR);
    SwarmUpdate {
        parallelism: c.parallelism.map_or(1, |n| u32::try_from(n).unwrap_or(u32::MAX)),
        delay: nanos(c.delay, 0),
        monitor: if monitor.is_zero() {
            Duration::from_nanos(MONITOR)
        } else {
            monitor
        },
        on_failure: match c.failure_action.as_deref() {
            Some("continue") => FailureAction::Continue,
            // a rollback that fails never rolls back again
            Some("rollback") if !back => FailureAction::Rollback,
            Some(_) | None => FailureAction::Pause,
        },
        max_failure_ratio: c.max_failure_ratio.unwrap_or(0.0),
        order: match c.order.as_deref() {
            Some("start-first") => Order::StartFirst,
            Some(_) | None => Order::StopFirst,
        },
    }
}

/// Whether tasks of another version may be replaced step by step now.
#[must_use]
pub fn is_under_way(record: &ServiceRecord) -> bool {
    record
        .update
        .as_ref()
        .is_some_and(|u| matches!(u.state, UpdateState::Updating | UpdateState::RollbackStarted))
}

/// Whether an update was stopped by a failure.
#[must_use]
pub fn is_paused(record: &ServiceRecord) -> bool {
    record
        .update
        .as_ref()
        .is_some_and(|u| matches!(u.state, UpdateState::Paused | UpdateState::RollbackPaused))
}

fn is_rollback(state: UpdateState) -> bool {
    match state {
        UpdateState::RollbackStarted | UpdateState::RollbackPaused | UpdateState::RollbackCompleted => true,
        UpdateState::Updating | UpdateState::Paused | UpdateState::Completed => false,
    }
}

/// The engine's policy for so many copies, of which `failing` do not run because they failed: a swarm goes from
/// slot to slot whatever became of those before, unless it is told to stop.
#[must_use]
pub fn policy(record: &ServiceRecord, count: u32, failing: u32) -> Policy {
    if is_under_way(record) || is_paused(record) {
        let mut policy = Policy::swarm(count, config(record));
        if policy.max_surge == 0 {
            policy.max_unavailable = policy.max_unavailable.saturating_add(failing);
        }
        if is_paused(record) {
            policy.on_failure = FailureAction::Continue;
        }
        policy
    } else {
        Policy {
            by_slot: true,
            ..Policy::at_once(count)
        }
    }
}

/// What has to be written about an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is through.
    Completed,
    /// It stops.
    Paused,
    /// The spec before becomes the wanted one.
    RollBack,
}

/// What the engine's answer means for the update.
#[must_use]
pub fn outcome(record: &ServiceRecord, count: u32, next: &Next) -> Option<Outcome> {
    if !is_under_way(record) {
        return None;
    }
    match next.status {
        RolloutStatus::Done => Some(Outcome::Completed),
        RolloutStatus::Paused => Some(Outcome::Paused),
        RolloutStatus::RollBack if record.previous.is_some() => Some(Outcome::RollBack),
        RolloutStatus::RollBack => Some(Outcome::Paused),
        RolloutStatus::Monitoring => None,
        // an update that goes on whatever fails is through when every slot has had its turn
        RolloutStatus::Rolling => {
            let p = &next.progress;
            let goes_on = config(record).on_failure == FailureAction::Continue;
            let had_turn = p.failed > 0 && p.failed + p.current_ready >= count;
            (goes_on && had_turn).then_some(Outcome::Completed)
        }
    }
}

/// The record after an outcome; `cause` is the task whose end made it so.
#[must_use]
pub fn apply(record: &ServiceRecord, outcome: Outcome, cause: &str, now: u64) -> ServiceRecord {
    let mut after = record.clone();
    let back = record.update.as_ref().is_some_and(|u| is_rollback(u.state));
    let started_at = record.update.as_ref().map_or(now, |u| u.started_at);
    let update = |state, started_at, completed_at, message: String| {
        Some(Update {
            state,
            started_at,
            completed_at,
            message,
        })
    };
    match outcome {
        Outcome::Completed if back => {
            let state = UpdateState::RollbackCompleted;
            after.update = update(state, started_at, Some(now), "rollback completed".to_owned());
        }
        Outcome::Completed => {
            after.update = update(
                UpdateState::Completed,
                started_at,
                Some(now),
                "update completed".to_owned(),
            );
        }
        Outcome::Paused => {
            let state = if back {
                UpdateState::RollbackPaused
            } else {
                UpdateState::Paused
            };
            let message = format!("update paused due to failure or early termination of task {cause}");
            after.update = update(state, started_at, None, message);
        }
        Outcome::RollBack => {
            if let Some(previous) = after.previous.take() {
                after.set_spec(previous, now);
                // the failures of the version that is left are not those of this one
                after.version_since = now;
            }
            let message = format!("update rolled back due to failure or early termination of task {cause}");
            after.update = update(UpdateState::RollbackStarted, now, None, message);
        }
    }
    after
}

#[cfg(test)]
#[path = "rollout_tests.rs"]
mod tests;
