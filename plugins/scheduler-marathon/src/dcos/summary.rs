//! The state of the Mesos master in short: how many tasks are in which state, by agent and by framework.

use super::front::{CLUSTER, Front};
use super::mesos::Counts;
use super::refused::by_pool;
use super::shown_agent::AgentShape;
use super::shown_framework::FrameworkShape;
use super::view::View;
use crate::door::reply::{Answer, raw_json};
use axum::extract::State;
use bytes::Bytes;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Serialize)]
struct Summary<'a> {
    hostname: &'a str,
    cluster: &'static str,
    slaves: Vec<Agent<'a>>,
    frameworks: Vec<Framework<'a>>,
}

#[derive(Serialize)]
struct Agent<'a> {
    #[serde(flatten)]
    agent: AgentShape<'a>,
    #[serde(flatten)]
    counts: Counts,
    framework_ids: BTreeSet<&'a str>,
}

#[derive(Serialize)]
struct Framework<'a> {
    #[serde(flatten)]
    framework: FrameworkShape<'a>,
    #[serde(flatten)]
    counts: Counts,
    slave_ids: BTreeSet<&'a str>,
}

/// What there is of one agent or framework.
#[derive(Default)]
struct Tally<'a> {
    counts: Counts,
    with: BTreeSet<&'a str>,
}

/// `GET /mesos/master/state-summary`
pub(super) async fn summary(State(front): State<Arc<Front>>) -> Answer {
    let view = View::of(&*front.pool).await.map_err(by_pool)?;
    Ok(raw_json(front.summary.of(view, |view| write(&front, view))))
}

fn write(front: &Front, view: &View) -> Bytes {
    let mut nodes: BTreeMap<&str, Tally<'_>> = BTreeMap::new();
    let mut schedulers: BTreeMap<&str, Tally<'_>> = BTreeMap::new();
    for task in &view.tasks {
        let Some(node) = &task.status.node else { continue };
        for (tallies, of, with) in [
            (&mut nodes, node.as_str(), task.scheduler.as_str()),
            (&mut schedulers, task.scheduler.as_str(), node.as_str()),
        ] {
            let tally = tallies.entry(of).or_default();
            tally.counts.add(task);
            tally.with.insert(with);
        }
    }
    let (ip, url) = (front.ip(), front.url());
    let since = u64::try_from(front.started.ms()).unwrap_or(0);
    let mut slaves = Vec::with_capacity(view.nodes.len());
    for node in &view.nodes {
        let Tally { counts, with } = nodes.remove(node.facts.id.as_str()).unwrap_or_default();
        slaves.push(Agent {
            agent: AgentShape::of(node),
            counts,
            framework_ids: with,
        });
    }
    let mut frameworks = Vec::with_capacity(view.schedulers.len());
    for scheduler in &view.schedulers {
        let own = (scheduler.id == front.scheduler).then_some((ip.as_str(), url.as_str()));
        let Tally { counts, with } = schedulers.remove(scheduler.id.as_str()).unwrap_or_default();
        frameworks.push(Framework {
            framework: FrameworkShape::of(scheduler, view, own, since),
            counts,
            slave_ids: with,
        });
    }
    let summary = Summary {
        hostname: &ip,
        cluster: CLUSTER,
        slaves,
        frameworks,
    };
    Bytes::from(serde_json::to_vec(&summary).expect("plain data with text keys always serialises"))
}
