//! `stats` and `top`, and what the checks of a container's health found: what only its node knows.

use super::Containers;
use super::attach::Attached;
use super::pump::body;
use super::record::Container;
use super::shelf::Kept;
use super::view::State;
use crate::error::{ApiError, ApiResult};
use crate::time::nanos;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt;
use plenum_contract::streams::{Health, Output, Stats, StreamRequest};
use plenum_model::ids::TaskId;
use plenum_model::node::Node;
use plenum_model::task::Task;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Docker's own pace.
const EVERY: Duration = Duration::from_secs(1);

/// `GET /containers/{id}/stats`: one, or one a second until the container has ended.
pub(super) async fn stats(
    containers: &Arc<Containers>,
    container: &Kept,
    stream: bool,
) -> ApiResult<Response> {
    let Some((task, node)) = running(containers, container) else {
        // What does not run uses nothing, which is what Docker says, too.
        let nothing = show(container, None, &Stats::default(), None);
        return Ok(axum::Json(nothing).into_response());
    };
    let first = read(containers, task).await?;
    if !stream {
        tokio::time::sleep(EVERY).await;
        let second = read(containers, task).await?;
        return Ok(axum::Json(show(container, Some(&first), &second, node.as_deref())).into_response());
    }
    let session = Attached::begin(containers, &container.own.id);
    let all = Arc::clone(containers);
    let state = (all, Arc::clone(container), None::<Stats>, Some(first), session);
    let lines = futures::stream::unfold(state, |(all, it, before, next, session)| async move {
        let now = match next {
            Some(first) => first,
            None => {
                tokio::time::sleep(EVERY).await;
                let (task, _) = running(&all, &it)?;
                read(&all, task).await.ok()?
            }
        };
        let node = running(&all, &it).and_then(|(_, node)| node);
        let mut line = show(&it, before.as_ref(), &now, node.as_deref()).to_string();
        line.push('\n');
        Some((Bytes::from(line), (all, it, Some(now), None, session)))
    });
    let lines = lines.take_until(containers.parts.stopping.clone().cancelled_owned());
    Ok(body("application/json", lines))
}

fn running(containers: &Containers, container: &Container) -> Option<(TaskId, Option<Arc<Node>>)> {
    let task = containers.task(container)?;
    if State::of(container, Some(&task)) != State::Running {
        return None;
    }
    let node = containers.node(&task);
    Some((task.id(), node))
}

async fn read(containers: &Containers, task: TaskId) -> ApiResult<Stats> {
    let request = StreamRequest::Stats { container: None };
    let mut ends = containers.parts.streams.open(task, request).await?;
    match ends.output.next().await {
        Some(Ok(Output::Stats(stats))) => Ok(stats),
        Some(Err(error)) => Err(error.into()),
        Some(Ok(_)) | None => Err(ApiError::unavailable("the node gave no stats")),
    }
}

/// Clients divide what the container used by what all cores could have given meanwhile: that is the time
/// itself, times the cores.
fn cpu(stats: Option<&Stats>, cores: u64) -> Value {
    let (used, at) = stats.map_or((0, 0), |s| (s.cpu_nanos, s.at_nanos));
    json!({
        "cpu_usage": { "total_usage": used, "percpu_usage": null, "usage_in_kernelmode": 0, "usage_in_usermode": used },
        "system_cpu_usage": at.saturating_mul(cores),
        "online_cpus": cores,
        "throttling_data": { "periods": 0, "throttled_periods": 0, "throttled_time": 0 },
    })
}

fn show(container: &Container, before: Option<&Stats>, now: &Stats, node: Option<&Node>) -> Value {
    let cores = node.map_or(1, |n| n.facts.capacity.cpu_millis.div_ceil(1000).max(1));
    let machine = node.map_or(0, |n| n.facts.capacity.memory_bytes);
    let moved = |op: &str, value: u64| json!({ "major": 0, "minor": 0, "op": op, "value": value });
    let disks = [moved("read", now.read_bytes), moved("write", now.written_bytes)];
    json!({
        "id": container.own.id,
        "name": format!("/{}", container.own.name),
        "read": nanos(now.at_nanos.into()),
        "preread": nanos(before.map_or(0, |b| b.at_nanos).into()),
        "num_procs": 0,
        "pids_stats": { "current": now.pids },
        "blkio_stats": { "io_service_bytes_recursive": disks, "io_serviced_recursive": null },
        "networks": { "eth0": {
            "rx_bytes": now.received_bytes, "rx_packets": 0, "rx_errors": 0, "rx_dropped": 0,
            "tx_bytes": now.sent_bytes, "tx_packets": 0, "tx_errors": 0, "tx_dropped": 0,
        } },
        "cpu_stats": cpu(Some(now), cores),
        "precpu_stats": cpu(before, cores),
        "memory_stats": {
            "usage": now.memory_bytes,
            "limit": now.memory_limit_bytes.unwrap_or(machine),
            "stats": {},
        },
    })
}

/// `GET /containers/{id}/top`.
pub(super) async fn top(
    containers: &Containers,
    container: &Container,
    arguments: Option<&str>,
) -> ApiResult<Value> {
    let Some((task, _)) = running(containers, container) else {
        return Err(ApiError::conflict(format!(
            "Container {} is not running",
            container.own.id
        )));
    };
    let request = StreamRequest::Top {
        container: None,
        arguments: arguments.unwrap_or_default().to_owned(),
    };
    let mut ends = containers.parts.streams.open(task, request).await?;
    match ends.output.next().await {
        Some(Ok(Output::Processes(table))) => {
            Ok(json!({ "Titles": table.titles, "Processes": table.processes }))
        }
        Some(Err(error)) => Err(error.into()),
        Some(Ok(_)) | None => Err(ApiError::unavailable("the node gave no list of processes")),
    }
}

/// How the checks of a container went lately, for who inspects it: the node is asked, and one that does not
/// answer at once is not waited for.
pub(super) async fn checks(containers: &Containers, container: &Container) -> Health {
    let has = |task: &Task| super::view::health(container, Some(task)).is_some();
    let task = containers.task(container).filter(|t| has(t));
    let Some((task, _)) = task.and_then(|_| running(containers, container)) else {
        return Health::default();
    };
    let ask = async {
        let request = StreamRequest::Health { container: None };
        let mut ends = containers.parts.streams.open(task, request).await.ok()?;
        match ends.output.next().await {
            Some(Ok(Output::Health(health))) => Some(health),
            Some(_) | None => None,
        }
    };
    let told = tokio::time::timeout(EVERY, ask).await;
    told.ok().flatten().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_a_core_comes_out_in_the_clients_arithmetic() {
        let at = |cpu_nanos, at_nanos| Stats {
            cpu_nanos,
            at_nanos,
            ..Stats::default()
        };
        let (before, now) = (cpu(Some(&at(0, 1_000)), 4), cpu(Some(&at(500, 2_000)), 4));
        let number = |v: &Value| v.as_u64().unwrap();
        let used = number(&now["cpu_usage"]["total_usage"]) - number(&before["cpu_usage"]["total_usage"]);
        let system = number(&now["system_cpu_usage"]) - number(&before["system_cpu_usage"]);
        assert_eq!(
            used * number(&now["online_cpus"]) * 100 / system,
            50,
            "half a core"
        );
    }
}
