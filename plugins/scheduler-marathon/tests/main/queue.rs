//! What waits, and why.

use crate::field::Field;
use serde_json::json;

#[tokio::test]
async fn what_does_not_fit_says_why_and_starts_when_there_is_room() {
    let f = Field::with_room(1).await;
    f.post(
        "/v2/apps",
        &json!({"id": "/big", "cmd": "sleep 1000", "instances": 3}),
    )
    .await
    .good();
    f.until("two wait", async || {
        f.get("/v2/queue").await["queue"][0]["count"] == 2
    })
    .await;
    let item = f.get("/v2/queue?embed=lastUnusedOffers").await["queue"][0].clone();
    let funnel = item["processedOffersSummary"]["rejectSummaryLastOffers"]
        .as_array()
        .unwrap();
    let cpus = funnel.iter().find(|s| s["reason"] == "InsufficientCpus").unwrap();
    assert_eq!(
        *cpus,
        json!({"reason": "InsufficientCpus", "declined": 1, "processed": 1})
    );
    assert_eq!(item["delay"], json!({"timeLeftSeconds": 0, "overdue": true}));
    assert_eq!(item["app"]["id"], "/big");
    assert_eq!(item["lastUnusedOffers"][0]["offer"]["agentId"], "n1");
    assert_eq!(item["lastUnusedOffers"][0]["reason"], json!(["InsufficientCpus"]));
    f.pool.set_room(3);
    f.quiet().await;
    assert_eq!(f.task_ids("/big").await.len(), 3);
    assert_eq!(f.get("/v2/queue").await, json!({"queue": []}));
}

#[tokio::test]
async fn a_failing_app_waits_in_the_queue_until_its_delay_is_reset() {
    let f = Field::with_room(5).await;
    f.post(
        "/v2/apps",
        &json!({"id": "/a", "cmd": "sleep 1000", "backoffSeconds": 600, "maxLaunchDelaySeconds": 900}),
    )
    .await
    .good();
    f.quiet().await;
    f.pool.crash("/a", 1);
    f.until("it waits", async || {
        f.get("/v2/queue").await["queue"][0]["count"] == 1
    })
    .await;
    let delay = f.get("/v2/queue").await["queue"][0]["delay"].clone();
    assert!(
        delay["timeLeftSeconds"].as_i64().unwrap() > 590 && delay["overdue"] == false,
        "{delay}"
    );
    assert_eq!(f.pool.live().len(), 0);
    let reset = f.call("DELETE", "/v2/queue/a/delay", None).await;
    assert_eq!((reset.status, reset.text.as_str()), (204, ""));
    f.until("it runs", async || f.app("/a").await["tasksRunning"] == 1)
        .await;
    let none = f.call("DELETE", "/v2/queue//a/delay", None).await;
    assert_eq!(
        (none.status, none.text.as_str()),
        (404, r#"{"message":"Application /a not found in tasks queue."}"#)
    );
}
