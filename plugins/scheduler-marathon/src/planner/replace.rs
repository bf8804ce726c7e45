//! Replacing what runs an older configuration, or on a node that the pool drains, within the bounds of the app's
//! upgrade strategy.

use crate::desired::AppRecord;
use crate::instance::Instance;
use plenum_model::ids::TaskId;
use plenum_model::node::Scheduling;
use plenum_model::task::Task;
use plenum_sdk::health::HealthGate;
use plenum_sdk::observed::Observed;
use plenum_sdk::plan::Plan;
use plenum_sdk::rollout::copies;
use plenum_sdk::rollout::engine::{self, Goal, RolloutStatus, Step};
use plenum_sdk::rollout::policy::Policy;
use plenum_sdk::time::Moment;
use std::collections::BTreeSet;

/// What shall move of one app.
#[derive(Debug, Default)]
pub(super) struct Moves {
    /// Slots to launch in.
    pub(super) start: Vec<u64>,
    /// Launches that are due and delayed.
    pub(super) held_back: usize,
    /// Whether the deployment's action is done.
    pub(super) done: bool,
}

/// Whether something of an app runs on a node that the pool drains.
pub(super) fn must_move(record: &AppRecord, observed: &Observed) -> bool {
    observed
        .workload(&record.uid)
        .any(|t| !t.released && !t.status.phase().is_terminal() && is_drained(t, observed))
}

fn is_drained(task: &Task, observed: &Observed) -> bool {
    let node = task.status.node.as_ref().and_then(|n| observed.node(n));
    node.is_some_and(|n| n.scheduling == Scheduling::Draining)
}

/// Replaces what runs an older configuration, or on a node that the pool drains.
pub(super) fn replace(
    now: Moment,
    record: &AppRecord,
    instances: &[Instance],
    observed: &Observed,
    launch_from: Moment,
    plan: &mut Plan,
) -> Moves {
    let app = &record.app;
    let version = app.config_version().to_string();
    let inactive: BTreeSet<TaskId> = instances.iter().filter(|i| i.inactive).map(|i| i.id).collect();
    let is_current = |t: &Task| t.terms.workload.version == version && !is_drained(t, observed);
    let mut copies = copies::of_workload(observed, &record.uid, now, HealthGate::default(), is_current);
    copies.retain(|c| !inactive.contains(&c.id));
    let upgrade = app.config.upgrade;
    let (health, over) = (upgrade.minimum_health_capacity, upgrade.maximum_over_capacity);
    let policy = Policy::marathon(app.instances, health, over, false);
    let since = Moment(u64::try_from(app.config_version().ms()).unwrap_or(0));
    let goal = Goal {
        count: app.instances,
        since,
        launch_from,
        ..Goal::default()
    };
    let next = engine::next(&goal, &policy, &copies, now);
    if let Some(at) = next.wake_at {
        plan.wake_by(at);
    }
    let mut moves = Moves {
        done: next.status == RolloutStatus::Done,
        ..Moves::default()
    };
    for step in next.steps {
        match step {
            // whose place it takes is not said: the broker does not keep the room of a predecessor yet
            Step::Start { slot, .. } => moves.start.push(slot),
            Step::Stop { id, .. } => plan.release(id),
        }
    }
    if launch_from > now {
        moves.held_back = app.instances.saturating_sub(next.progress.current) as usize;
    }
    moves
}
