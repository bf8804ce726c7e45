//! Events are news: an hour after the last one of its kind, an event goes.

use super::call::Server;
use super::kinds::cells::text;
use super::storage::{Commit, Expect};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// As in a real API server by default.
const LIFETIME: SignedDuration = SignedDuration::from_hours(1);
/// How often it is looked for old ones.
const EVERY: Duration = Duration::from_secs(60);

/// Removes old events, as long as the server runs.
pub async fn keep(server: Arc<Server>) {
    loop {
        tokio::select! {
            () = server.stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        sweep(&server, Timestamp::now()).await;
    }
}

async fn sweep(server: &Server, now: Timestamp) {
    for (key, event) in server.storage.cache("events").list("").objects {
        let value = event.value();
        if last_seen(&value).is_none_or(|last| now.duration_since(last) < LIFETIME) {
            continue;
        }
        let expect = Expect::At(event.revision());
        // One that was told again in between is news; what the store refuses now goes next time.
        if let Err(error) = server
            .storage
            .commit("events", &key, expect, Commit::Delete(&value))
            .await
        {
            tracing::debug!(%error, event = key.as_str(), "an old event stays");
        }
    }
}

/// When the event was told last.
fn last_seen(event: &Value) -> Option<Timestamp> {
    let times = [
        "/metadata/creationTimestamp",
        "/firstTimestamp",
        "/lastTimestamp",
        "/eventTime",
        "/series/lastObservedTime",
    ];
    times
        .into_iter()
        .filter_map(|time| text(event, time).parse().ok())
        .max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_is_as_old_as_its_last_telling() {
        let event = json!({
            "metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"},
            "lastTimestamp": "2026-01-01T02:00:00Z",
            "eventTime": "2026-01-01T01:00:00.123456Z",
        });
        assert_eq!(last_seen(&event), "2026-01-01T02:00:00Z".parse().ok());
        assert_eq!(last_seen(&json!({})), None);
    }
}
