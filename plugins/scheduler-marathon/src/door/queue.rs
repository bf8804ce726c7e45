//! `/v2/queue`.

use super::Door;
use super::reply::{Answer, empty, ok};
use super::request::{Query, checked};
use crate::answer::queue::{Offer, OfferAttribute, OfferResource, QueueItem, Reason, UnusedOffer, Waiting};
use crate::desired::AppRecord;
use crate::instance::stamp;
use crate::path::AppId;
use crate::refusal::Refusal;
use crate::stamp::Stamp;
use axum::extract::{Path, State};
use http::StatusCode;
use plenum_model::ids::TaskId;
use plenum_model::node::Node;
use plenum_model::phase::Phase;
use plenum_model::task::Task;
use plenum_model::why::{NodeVerdict, Why};
use plenum_sdk::observed::Observed;
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
struct Queue {
    queue: Vec<QueueItem>,
}

/// What waits of one app.
struct Queued {
    record: Arc<AppRecord>,
    count: usize,
    /// When an instance got its node last.
    placed: Option<u64>,
    /// The oldest task that waits for room.
    first: Option<(TaskId, Option<Why>)>,
}

/// `GET /v2/queue`
pub(super) async fn list(State(door): State<Arc<Door>>, query: Query) -> Answer {
    let offers = query.0.all("embed").any(|e| e == "lastUnusedOffers");
    let now = door.now();
    let mut queue = Vec::new();
    for queued in waiting(&door) {
        let unused = match (&queued.first, offers) {
            (Some((task, _)), true) => Some(unused_offers(&door, *task, now).await?),
            (None, true) => Some(Vec::new()),
            (_, false) => None,
        };
        let app = &queued.record.app;
        let (until, since) = door.launches.with(|l| {
            let key = (app.id.clone(), app.config_version());
            (l.delays.until(&key), l.waiting.get(&app.id).map(|w| w.since))
        });
        let why = queued.first.as_ref().and_then(|(_, why)| why.as_ref());
        let waiting = Waiting {
            app,
            count: queued.count,
            until: until.map(|m| stamp(m.0)),
            since: since.unwrap_or(now),
            placed: queued.placed.map(stamp),
            why,
            unused,
        };
        queue.push(QueueItem::of(waiting, now));
    }
    ok(&Queue { queue })
}

fn waiting(door: &Door) -> Vec<Queued> {
    let desired = door.desk.desired();
    let held_back = door.launches.with(|l| l.waiting.clone());
    door.mirror.read(|observed| {
        let one = |record: &Arc<AppRecord>| {
            let held_back = held_back.get(&record.app.id).map_or(0, |w| w.held_back);
            queued(observed, record, held_back)
        };
        desired.apps.values().filter_map(one).collect()
    })
}

/// Instances that wait for room, and those that are due but held back.
fn queued(observed: &Observed, record: &Arc<AppRecord>, held_back: usize) -> Option<Queued> {
    let waits = |t: &&Arc<Task>| t.status.phase() == Phase::Pending && !t.released;
    let tasks: Vec<_> = observed.workload(&record.uid).filter(waits).collect();
    let count = tasks.len() + held_back;
    let oldest = tasks.into_iter().min_by_key(|t| t.status.claimed_at);
    let first = oldest.map(|t| (t.id(), t.status.why.clone()));
    let placed = observed.workload(&record.uid).filter_map(|t| t.status.placed_at);
    (count > 0).then(|| Queued {
        record: Arc::clone(record),
        count,
        placed: placed.max(),
        first,
    })
}

async fn unused_offers(door: &Door, task: TaskId, now: Stamp) -> Result<Vec<UnusedOffer>, Refusal> {
    let explained = door
        .pool
        .why(task)
        .await
        .map_err(|e| Refusal::Unavailable(e.to_string()))?;
    Ok(door.mirror.read(|observed| {
        let offer = |verdict: &NodeVerdict| {
            let node = observed.node(&verdict.node)?;
            let cause = verdict.cause.as_ref()?;
            Some(UnusedOffer {
                offer: offer_of(node),
                reason: vec![Reason::of(cause)],
                timestamp: now,
            })
        };
        explained.nodes.iter().filter_map(offer).collect()
    }))
}

fn offer_of(node: &Node) -> Offer {
    const MIB: f64 = 1_048_576.0;
    let free = node.free();
    #[allow(clippy::cast_precision_loss)] // shown to people
    let amount = |name, value: u64, unit: f64| OfferResource {
        name,
        role: "*",
        scalar: value as f64 / unit,
    };
    let attribute = |(name, text): (&String, &String)| OfferAttribute {
        name: name.clone(),
        text: text.clone(),
    };
    Offer {
        id: node.facts.id.to_string(),
        hostname: node.facts.address.clone(),
        agent_id: node.facts.id.to_string(),
        resources: vec![
            amount("cpus", free.cpu_millis, 1000.0),
            amount("mem", free.memory_bytes, MIB),
            amount("disk", free.disk_bytes, MIB),
        ],
        attributes: node.facts.attributes.iter().map(attribute).collect(),
    }
}

/// `DELETE /v2/queue/ID/delay`
pub(super) async fn reset_delay(State(door): State<Arc<Door>>, Path(path): Path<String>) -> Answer {
    checked(&path)?;
    let Some(path) = path.strip_suffix("/delay") else {
        return Err(Refusal::NoRoute.into());
    };
    let id = AppId::from_root(path);
    let Some(queued) = waiting(&door).into_iter().find(|q| q.record.app.id == id) else {
        return Err(Refusal::NotQueued(id).into());
    };
    let key = (id, queued.record.app.config_version());
    door.launches.with(|l| l.delays.reset(&key));
    door.waker.wake();
    Ok(empty(StatusCode::NO_CONTENT))
}
