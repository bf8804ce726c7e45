//! Tells events to the API server. What is told again is counted in the event that told it first, as Kubernetes'
//! own parts do. Events are the least of all: those for which there is no room are dropped.

use super::api::{ApiFailure, PodApi};
use super::planner::Told;
use super::pod::{name, uid};
use super::status::events::Note;
use super::status::time;
use futures::StreamExt;
use parking_lot::Mutex;
use plenum_sdk::time::Clock;
use std::collections::BTreeMap;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

/// Events that may wait.
pub const QUEUE: usize = 4096;
/// Requests at once.
const AT_ONCE: usize = 32;
/// Events that are remembered, to be counted up; then all are told anew.
const REMEMBERED: usize = 8192;

/// Tells what comes until cancelled.
pub async fn tell(api: PodApi, told: mpsc::Receiver<Told>, clock: Clock, cancelled: CancellationToken) {
    let counts: Mutex<BTreeMap<(String, Note), (String, u32)>> = Mutex::default();
    let all = ReceiverStream::new(told).for_each_concurrent(AT_ONCE, |(pod, note)| {
        let (api, counts) = (&api, &counts);
        let at = time(clock.now().0).0.to_string();
        async move {
            let key = (uid(&pod).to_owned(), note.clone());
            let (event, count) = {
                let mut counts = counts.lock();
                if counts.len() >= REMEMBERED {
                    counts.clear();
                }
                let entry = counts
                    .entry(key.clone())
                    .or_insert_with(|| (fresh(name(&pod)), 0));
                entry.1 += 1;
                entry.clone()
            };
            match api.event(&pod, &note, &at, &event, count).await {
                Ok(()) => {}
                Err(ApiFailure::Missing) => drop(counts.lock().remove(&key)),
                Err(error) => tracing::debug!(%error, reason = note.reason, "an event is not told"),
            }
        }
    });
    tokio::select! {
        () = cancelled.cancelled() => {}
        () = all => {}
    }
}

fn fresh(pod: &str) -> String {
    let random = uuid::Uuid::new_v4().simple().to_string();
    format!("{pod}.{}", random.get(..16).unwrap_or(&random))
}
