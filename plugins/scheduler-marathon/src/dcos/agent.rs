//! The state of one Mesos agent: each task there has an executor of its own, whose directory is its sandbox.

use super::files::directory;
use super::front::Front;
use super::mesos::{container_id, is_over};
use super::refused::by_pool;
use super::shown_agent::AgentShape;
use super::shown_framework::FrameworkShape;
use super::shown_task::TaskShape;
use super::view::View;
use crate::door::reply::{Answer, ok};
use axum::extract::{Path, State};
use plenum_model::node::Node;
use plenum_model::task::Task;
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
struct Agent<'a> {
    #[serde(flatten)]
    agent: AgentShape<'a>,
    frameworks: Vec<Framework<'a>>,
    completed_frameworks: [(); 0],
}

#[derive(Serialize)]
struct Framework<'a> {
    #[serde(flatten)]
    framework: FrameworkShape<'a>,
    executors: Vec<Executor<'a>>,
    completed_executors: Vec<Executor<'a>>,
}

#[derive(Serialize)]
struct Executor<'a> {
    id: &'a str,
    source: &'a str,
    name: &'static str,
    container: String,
    directory: String,
    tasks: Vec<TaskShape<'a>>,
    queued_tasks: [(); 0],
    completed_tasks: Vec<TaskShape<'a>>,
}

/// `GET /slave/ID/state.json`
pub(super) async fn state(State(front): State<Arc<Front>>, Path(id): Path<String>) -> Answer {
    let (node, tasks) = View::of_node(&*front.pool, &id).await.map_err(by_pool)?;
    // what its schedulers hold is shown of this node alone
    let view = View {
        nodes: vec![Arc::clone(&node)],
        tasks,
        schedulers: front.pool.schedulers().await.map_err(by_pool)?,
    };
    let since = u64::try_from(front.started.ms()).unwrap_or(0);
    let frameworks = view.schedulers.iter().filter_map(|scheduler| {
        let own = view.tasks.iter().filter(|t| t.scheduler == scheduler.id);
        let (over, live): (Vec<_>, Vec<_>) = own.partition(|t| is_over(t));
        if over.is_empty() && live.is_empty() {
            return None;
        }
        Some(Framework {
            framework: FrameworkShape::of(scheduler, &view, None, since),
            executors: executors(&scheduler.kind, live, &node),
            completed_executors: executors(&scheduler.kind, over, &node),
        })
    });
    ok(&Agent {
        agent: AgentShape::of(&node),
        frameworks: frameworks.collect(),
        completed_frameworks: [],
    })
}

fn executors<'a>(kind: &str, tasks: Vec<&'a Arc<Task>>, node: &'a Node) -> Vec<Executor<'a>> {
    tasks
        .into_iter()
        .filter_map(|task| executor(kind, task, node))
        .collect()
}

fn executor<'a>(kind: &str, task: &'a Task, node: &'a Node) -> Option<Executor<'a>> {
    let shape = TaskShape::of(kind, task, Some(node))?;
    let (tasks, completed_tasks) = if is_over(task) {
        (Vec::new(), vec![shape])
    } else {
        (vec![shape], Vec::new())
    };
    Some(Executor {
        id: &task.seat.name,
        source: &task.seat.name,
        name: "",
        container: container_id(task.id()),
        directory: directory(task, node),
        tasks,
        queued_tasks: [],
        completed_tasks,
    })
}
