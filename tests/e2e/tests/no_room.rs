//! An app that does not fit says why, everywhere a user may look, and starts by itself once there is room.

use super::support::eventually;
use super::support::up::{Up, items};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_says_why_and_starts_after_room_is_made() {
    let up = Up::start(2).await;
    let nodes = items(&up.api("/v1/nodes").await);
    let all: u64 = nodes
        .iter()
        .map(|n| n["capacity"]["cpu_millis"].as_u64().unwrap())
        .min()
        .unwrap();
    #[expect(clippy::cast_precision_loss, reason = "millis of a core count far below 2^53")]
    let whole = all as f64 / 1000.0;
    up.create(json!({"id": "/big", "cmd": "sleep 1000", "cpus": whole, "mem": 16, "instances": 2}))
        .await;
    up.running("/big", 2).await;
    up.create(json!({"id": "/late", "cmd": "sleep 1000", "cpus": 0.1, "mem": 16}))
        .await;

    let why = eventually("a reason", || async {
        let out = up.cli(&["why", "late"]);
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        if text.contains("short of cpu") {
            Ok(text)
        } else {
            Err(text)
        }
    })
    .await;
    assert!(
        why.contains("node-1") && why.contains("node-2"),
        "per node: {why}"
    );

    let (_, queue) = up.marathon("GET", "/v2/queue", None).await;
    let item = queue["queue"]
        .as_array()
        .unwrap()
        .iter()
        .find(|q| q["app"]["id"] == "/late")
        .unwrap();
    let summary = item["processedOffersSummary"]["rejectSummaryLastOffers"]
        .as_array()
        .unwrap();
    let cpu = summary
        .iter()
        .find(|r| r["reason"] == "InsufficientCpus")
        .unwrap();
    assert_eq!(cpu["declined"], 2, "{queue}");

    let waiting = items(&up.api("/v1/tasks").await);
    let late = waiting.iter().find(|t| t["workload"]["name"] == "/late").unwrap();
    assert_eq!(late["why"]["by"][0]["nodes"], 2, "{late}");

    up.marathon("PUT", "/v2/apps/big", Some(&json!({"instances": 1})))
        .await;
    up.running("/late", 1).await;
}
