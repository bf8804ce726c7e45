//! Apps and tasks with what is known of them, as answers embed it.

use super::Door;
use crate::answer::app::AppAnswer;
use crate::answer::checks::ReadinessAnswer;
use crate::answer::task::{ServicePorts, TaskAnswer, TaskFailure};
use crate::desired::{AppRecord, Desired};
use crate::instance::{Condition, State, condition};
use crate::probes;
use plenum_model::node::Node;
use plenum_model::task::Task;
use plenum_sdk::observed::Observed;
use serde::Serialize;
use std::sync::Arc;

/// What is embedded in an app.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Embed {
    /// How many of its tasks stand how.
    pub(super) counts: bool,
    /// The deployments that change it.
    pub(super) deployments: bool,
    /// Its tasks.
    pub(super) tasks: bool,
    /// Its last failure.
    pub(super) last_task_failure: bool,
    /// How its readiness check stands.
    pub(super) readiness: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AppInfo {
    #[serde(flatten)]
    app: AppAnswer,
    #[serde(flatten)]
    counts: Option<Counts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deployments: Option<Vec<Id>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks: Option<Vec<TaskAnswer>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_task_failure: Option<TaskFailure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    readiness_check_results: Option<Vec<ReadinessAnswer>>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    tasks_staged: usize,
    tasks_running: usize,
    tasks_healthy: usize,
    tasks_unhealthy: usize,
}

/// An id alone.
#[derive(Serialize)]
pub(super) struct Id {
    pub(super) id: String,
}

impl AppInfo {
    /// An app with what is embedded.
    pub(super) fn of(
        door: &Door,
        desired: &Desired,
        observed: &Observed,
        record: &AppRecord,
        embed: Embed,
    ) -> Self {
        Self {
            app: AppAnswer::of(&record.app),
            counts: embed.counts.then(|| Counts::of(observed, record)),
            deployments: embed.deployments.then(|| deployment_ids(desired, record)),
            readiness_check_results: embed.readiness.then(|| readiness_of(observed, record)),
            tasks: embed
                .tasks
                .then(|| tasks_of(observed, record, ServicePorts::Left)),
            last_task_failure: embed
                .last_task_failure
                .then(|| last_failure(door, observed, record))
                .flatten(),
        }
    }

    /// An app that was just made: no tasks yet.
    pub(super) fn new(record: &AppRecord, deployments: Vec<Id>) -> Self {
        Self {
            app: AppAnswer::of(&record.app),
            counts: Some(Counts::default()),
            deployments: Some(deployments),
            tasks: Some(Vec::new()),
            last_task_failure: None,
            readiness_check_results: None,
        }
    }
}

impl Counts {
    fn of(observed: &Observed, record: &AppRecord) -> Self {
        let in_state = |states: &[State]| {
            let counts = |t: &&Arc<Task>| matches!(condition(t), Condition::Active(s) if states.contains(&s));
            observed.workload(&record.uid).filter(counts).count()
        };
        let (tasks_healthy, tasks_unhealthy) = health_counts(observed, record);
        Self {
            tasks_staged: in_state(&[State::TaskStaging, State::TaskStarting]),
            tasks_running: in_state(&[State::TaskRunning]),
            tasks_healthy,
            tasks_unhealthy,
        }
    }
}

/// Tasks whose health checks all pass, and those of which one is known not to.
fn health_counts(observed: &Observed, record: &AppRecord) -> (usize, usize) {
    let (mut healthy, mut unhealthy) = (0, 0);
    for task in observed.workload(&record.uid) {
        if task.status.checks.is_empty() || !matches!(condition(task), Condition::Active(_)) {
            continue;
        }
        let passes = probes::health_of(record.app_of(task), task);
        let passes: Vec<_> = passes.map(|(_, told)| told.and_then(|c| c.passes)).collect();
        healthy += usize::from(!passes.is_empty() && passes.iter().all(|p| *p == Some(true)));
        unhealthy += usize::from(passes.contains(&Some(false)));
    }
    (healthy, unhealthy)
}

/// How the readiness check of an app stands, task by task of its present configuration.
pub(super) fn readiness_of(observed: &Observed, record: &AppRecord) -> Vec<ReadinessAnswer> {
    let version = record.app.config_version().to_string();
    let shown = |t: &&Arc<Task>| {
        let runs = Condition::Active(State::TaskRunning);
        condition(t) == runs && t.terms.workload.version == version
    };
    let tasks = observed.workload(&record.uid).filter(shown);
    tasks
        .filter_map(|t| ReadinessAnswer::of(&record.app, t))
        .collect()
}

/// The deployments that change an app.
pub(super) fn deployment_ids(desired: &Desired, record: &AppRecord) -> Vec<Id> {
    desired
        .deployments_of(&record.app.id)
        .map(|d| Id {
            id: d.plan.id.clone(),
        })
        .collect()
}

/// The tasks of an app that have a node and are not over.
pub(super) fn tasks_of(observed: &Observed, record: &AppRecord, ports: ServicePorts) -> Vec<TaskAnswer> {
    let shown = |task: &Arc<Task>| task_answer(observed, record, task, ports);
    observed
        .workload(&record.uid)
        .filter(|t| !t.status.phase().is_terminal())
        .filter_map(shown)
        .collect()
}

/// One task.
pub(super) fn task_answer(
    observed: &Observed,
    record: &AppRecord,
    task: &Task,
    ports: ServicePorts,
) -> Option<TaskAnswer> {
    TaskAnswer::of(record.app_of(task), task, node_of(observed, task), ports)
}

fn node_of<'a>(observed: &'a Observed, task: &Task) -> Option<&'a Node> {
    task.status
        .node
        .as_ref()
        .and_then(|id| observed.node(id))
        .map(|node| &**node)
}

/// The newest failure of an app: of a task that ended, or of a launch that was refused.
fn last_failure(door: &Door, observed: &Observed, record: &AppRecord) -> Option<TaskFailure> {
    let failure = |t: &Arc<Task>| TaskFailure::of(record.app_of(t), t, node_of(observed, t));
    let ended = observed.workload(&record.uid).filter_map(failure);
    let refused = door.launches.with(|l| l.refused.get(&record.app.id).cloned());
    ended.chain(refused).max_by_key(TaskFailure::timestamp)
}
