//! The state of the Mesos master: the whole pool.

use super::front::{CLUSTER, Front};
use super::mesos::{Empty, Seconds, VERSION, is_over};
use super::refused::by_pool;
use super::shown_agent::AgentShape;
use super::shown_framework::FrameworkShape;
use super::shown_task::TaskShape;
use super::view::View;
use crate::door::reply::{Answer, raw_json};
use axum::extract::State;
use bytes::Bytes;
use plenum_contract::pool::SchedulerView;
use plenum_model::node::Liveness;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Serialize)]
struct Master<'a> {
    id: String,
    cluster: &'static str,
    hostname: &'a str,
    version: &'static str,
    pid: &'a str,
    leader: &'a str,
    leader_info: LeaderInfo<'a>,
    start_time: Seconds,
    elected_time: Seconds,
    activated_slaves: usize,
    deactivated_slaves: usize,
    unreachable_slaves: usize,
    flags: Empty,
    capabilities: [(); 0],
    slaves: Vec<AgentShape<'a>>,
    recovered_slaves: [(); 0],
    frameworks: Vec<Framework<'a>>,
    completed_frameworks: [(); 0],
    orphan_tasks: [(); 0],
    unregistered_frameworks: [(); 0],
}

#[derive(Serialize)]
struct LeaderInfo<'a> {
    id: String,
    pid: &'a str,
    hostname: &'a str,
    port: u16,
}

#[derive(Serialize)]
struct Framework<'a> {
    #[serde(flatten)]
    framework: FrameworkShape<'a>,
    tasks: Vec<TaskShape<'a>>,
    completed_tasks: Vec<TaskShape<'a>>,
    unreachable_tasks: [(); 0],
    offers: [(); 0],
    executors: [(); 0],
}

/// `GET /mesos/master/state.json`
pub(super) async fn state(State(front): State<Arc<Front>>) -> Answer {
    let view = View::of(&*front.pool).await.map_err(by_pool)?;
    Ok(raw_json(front.state.of(view, |view| write(&front, view))))
}

fn write(front: &Front, view: &View) -> Bytes {
    let (ip, url) = (front.ip(), front.url());
    let pid = format!("master@{}", front.address);
    let since = u64::try_from(front.started.ms()).unwrap_or(0);
    let ready = view
        .nodes
        .iter()
        .filter(|n| n.liveness == Liveness::Ready)
        .count();
    let master = Master {
        id: front.cluster.to_string(),
        cluster: CLUSTER,
        hostname: &ip,
        version: VERSION,
        pid: &pid,
        leader: &pid,
        leader_info: LeaderInfo {
            id: front.cluster.to_string(),
            pid: &pid,
            hostname: &ip,
            port: front.address.port(),
        },
        start_time: Seconds::of_ms(since),
        elected_time: Seconds::of_ms(since),
        activated_slaves: ready,
        deactivated_slaves: 0,
        unreachable_slaves: view.nodes.len() - ready,
        flags: Empty {},
        capabilities: [],
        slaves: view.nodes.iter().map(|n| AgentShape::of(n)).collect(),
        recovered_slaves: [],
        frameworks: frameworks(view, front, (&ip, &url), since),
        completed_frameworks: [],
        orphan_tasks: [],
        unregistered_frameworks: [],
    };
    Bytes::from(serde_json::to_vec(&master).expect("plain data with text keys always serialises"))
}

fn frameworks<'a>(view: &'a View, front: &Front, own: (&'a str, &'a str), since: u64) -> Vec<Framework<'a>> {
    let mut tasks = by_scheduler(view);
    let one = |scheduler: &'a SchedulerView| {
        let own = (scheduler.id == front.scheduler).then_some(own);
        let (completed_tasks, active) = tasks.remove(scheduler.id.as_str()).unwrap_or_default();
        Framework {
            framework: FrameworkShape::of(scheduler, view, own, since),
            tasks: active,
            completed_tasks,
            unreachable_tasks: [],
            offers: [],
            executors: [],
        }
    };
    view.schedulers.iter().map(one).collect()
}

/// Completed and other tasks of each scheduler.
type Parted<'a> = BTreeMap<&'a str, (Vec<TaskShape<'a>>, Vec<TaskShape<'a>>)>;

fn by_scheduler(view: &View) -> Parted<'_> {
    let kinds: BTreeMap<&str, &str> = view
        .schedulers
        .iter()
        .map(|s| (s.id.as_str(), s.kind.as_str()))
        .collect();
    let mut parted = Parted::new();
    for task in &view.tasks {
        let scheduler = task.scheduler.as_str();
        let kind = kinds.get(scheduler).copied().unwrap_or_default();
        let node = task.status.node.as_ref().and_then(|id| view.node(id));
        let Some(shape) = TaskShape::of(kind, task, node) else {
            continue;
        };
        let (completed, active) = parted.entry(scheduler).or_default();
        if is_over(task) {
            completed.push(shape);
        } else {
            active.push(shape);
        }
    }
    parted
}
