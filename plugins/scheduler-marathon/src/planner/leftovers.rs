//! What goes: tasks that nobody wants, kills that users asked for, old ends; and whether an action is done.

use super::launches::Launches;
use crate::desired::{AppRecord, Desired};
use crate::instance::failed_at;
use crate::path::AppId;
use crate::plan::{Action, Deployment, Kind};
use plenum_model::task::Task;
use plenum_sdk::observed::Observed;
use plenum_sdk::plan::Plan;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Ended tasks of an app that are kept, so that their logs and exits can be looked at.
const KEEP_ENDED: usize = 10;

/// Tasks of workloads that nobody wants any more: stopped, then forgotten. Those of an app that a deployment
/// removes stay until it is their turn.
pub(super) fn orphans(desired: &Desired, observed: &Observed, plan: &mut Plan) {
    let wanted: BTreeSet<&str> = desired.apps.values().map(|r| r.uid.as_str()).collect();
    let later: BTreeSet<&str> = desired
        .deployments
        .iter()
        .flat_map(|d| d.stopped_later())
        .collect();
    for uid in observed.workloads().filter(|uid| !wanted.contains(uid)) {
        for task in observed.workload(uid) {
            if task.status.phase().is_terminal() {
                plan.forgets.push(task.id());
            } else if !task.released && !later.contains(uid) {
                plan.release(task.id());
            }
        }
    }
}

/// Kills that users asked for, until the tasks are going.
pub(super) fn kills(launches: &Launches, observed: &Observed, plan: &mut Plan) {
    launches.with(|l| {
        l.kills.retain(|id| {
            let alive = |t: &&Arc<Task>| !t.released && !t.status.phase().is_terminal();
            let there = observed.task(*id).filter(alive).is_some();
            if there {
                plan.release(*id);
            }
            there
        });
    });
}

/// Whether a deployment's action is done; `done` says it of the apps that are planned.
pub(super) fn action_done(
    action: &Action,
    deployment: &Deployment,
    done: &BTreeMap<&AppId, bool>,
    observed: &Observed,
) -> bool {
    match action.kind {
        Kind::Start => true,
        // an app that a later deployment has removed leaves nothing to wait for
        Kind::Scale | Kind::Restart => done.get(&action.app).copied().unwrap_or(true),
        Kind::Stop => {
            let uid = deployment
                .plan
                .apps
                .get(&action.app)
                .and_then(|d| d.stopped_uid.as_deref());
            uid.is_none_or(|uid| observed.workload(uid).all(|t| t.status.phase().is_terminal()))
        }
    }
}

/// Lets the oldest ended tasks of an app go, but never its newest failure.
pub(super) fn forget_old(record: &AppRecord, observed: &Observed, plan: &mut Plan) {
    let ended_at = |t: &Task| t.status.ended_at.unwrap_or(t.status.claimed_at);
    let mut ended: Vec<_> = observed
        .workload(&record.uid)
        .filter(|t| t.status.phase().is_terminal())
        .collect();
    if ended.len() <= KEEP_ENDED {
        return;
    }
    ended.sort_by_key(|t| (std::cmp::Reverse(ended_at(t)), t.id()));
    let failed = |t: &&&Arc<Task>| failed_at(record.app_of(t), t).is_some();
    let newest_failure = ended.iter().find(failed).map(|t| t.id());
    let old = ended[KEEP_ENDED..]
        .iter()
        .map(|t| t.id())
        .filter(|id| Some(*id) != newest_failure);
    plan.forgets.extend(old);
}
