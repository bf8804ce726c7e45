//! Workloads, grouped from the tasks.

use super::problem;
use super::time::millis;
use plenum_client::v1::amounts::Amounts as ShownAmounts;
use plenum_client::v1::workload::Workload as Shown;
use plenum_model::amounts::Amounts;
use plenum_model::phase::Phase;
use plenum_model::task::Task;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The workloads of these tasks, ended ones included, by scheduler and name: what users see as one may be several in its
/// scheduler, as the pods of a deployment are. One whose tasks have all ended and were
/// released is gone; one whose last task ended by itself is still there, with what ended it.
pub(crate) fn workloads(tasks: &[Arc<Task>]) -> Vec<Shown> {
    let mut groups: BTreeMap<(&str, &str, &str), Vec<&Task>> = BTreeMap::new();
    for task in tasks {
        let workload = &task.terms.workload;
        let key = (
            task.scheduler.as_str(),
            workload.name.as_str(),
            workload.kind.as_str(),
        );
        groups.entry(key).or_default().push(task);
    }
    groups
        .into_values()
        .filter_map(|tasks| workload(&tasks))
        .collect()
}

fn workload(tasks: &[&Task]) -> Option<Shown> {
    let live: Vec<&Task> = tasks
        .iter()
        .copied()
        .filter(|t| !t.status.phase().is_terminal())
        .collect();
    let last_end = tasks
        .iter()
        .copied()
        .filter(|t| t.status.phase().is_terminal() && !t.released)
        .max_by_key(|t| (t.status.ended_at, t.status.claimed_at));
    let newest = live
        .iter()
        .copied()
        .max_by_key(|t| (t.status.claimed_at, t.id()))
        .or(last_end)?;
    let of = &newest.terms.workload;
    let wanted: Vec<&Task> = live.iter().copied().filter(|t| !t.released).collect();
    let ready = wanted.iter().filter(|t| is_ready(t)).count();
    let problem = first_problem(&wanted).or_else(|| {
        // What ended by itself matters while something is missing.
        let end = last_end.filter(|_| ready < wanted.len() || wanted.is_empty())?;
        problem::of(end)
    });
    let held = live.iter().filter(|t| t.status.node.is_some());
    let held = held.fold(Amounts::default(), |sum, t| {
        sum.checked_add(&t.terms.charge).unwrap_or(sum)
    });
    let since = live
        .iter()
        .map(|t| t.status.claimed_at)
        .min()
        .unwrap_or(newest.status.claimed_at);
    Some(Shown {
        id: format!("{}/{}", newest.scheduler, of.name.trim_start_matches('/')),
        name: of.name.clone(),
        scheduler: newest.scheduler.to_string(),
        kind: of.kind.clone(),
        uid: of.uid.clone(),
        version: of.version.clone(),
        tenant: newest.terms.tenant.to_string(),
        ready: count(ready),
        wanted: count(if live.is_empty() {
            failed_slots(tasks, newest)
        } else {
            wanted.len()
        }),
        outdated: count(
            live.iter()
                .filter(|t| t.terms.workload.version != of.version)
                .count(),
        ),
        held: ShownAmounts::from(&held),
        since: millis(since),
        problem,
    })
}

/// Where nothing lives, what failed last is what somebody still wants to run: between two attempts, for instance.
fn failed_slots(tasks: &[&Task], newest: &Task) -> usize {
    let failed = tasks.iter().filter(|t| {
        let failed = matches!(t.status.phase(), Phase::Failed | Phase::Lost);
        failed && !t.released && t.terms.workload.version == newest.terms.workload.version
    });
    let slot = |t: &&Task| (t.terms.workload.uid.clone(), t.seat.slot);
    failed.map(slot).collect::<BTreeSet<_>>().len()
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn is_ready(t: &Task) -> bool {
    t.status.phase() == Phase::Running && t.status.ready != Some(false) && !t.status.unreachable
}

/// The problem that most tasks share; of several equally frequent ones that of the first task.
fn first_problem(tasks: &[&Task]) -> Option<String> {
    let mut seen: Vec<(String, usize)> = Vec::new();
    for problem in tasks.iter().filter_map(|t| problem::of(t)) {
        match seen.iter_mut().find(|(p, _)| *p == problem) {
            Some((_, n)) => *n += 1,
            None => seen.push((problem, 1)),
        }
    }
    let most = seen.iter().map(|(_, n)| *n).max()?;
    seen.into_iter().find(|(_, n)| *n == most).map(|(p, _)| p)
}
