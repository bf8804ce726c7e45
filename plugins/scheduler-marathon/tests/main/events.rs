//! The stream of events during a deployment.

use crate::field::Field;
use serde_json::{Value, json};

/// Reads events until one of type `last` came.
pub(crate) async fn read_until(response: &mut reqwest::Response, last: &str) -> Vec<Value> {
    let mut text = String::new();
    let read = async {
        while !text.contains(&format!("event: {last}\r\n")) || !text.ends_with("\r\n\r\n") {
            let chunk = response.chunk().await.unwrap().expect("the stream goes on");
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), read)
        .await
        .expect("events in time");
    let data = text.lines().filter_map(|l| l.strip_prefix("data: "));
    data.map(|d| serde_json::from_str(d).unwrap()).collect()
}

#[tokio::test]
async fn a_deployment_is_told_step_by_step() {
    let f = Field::with_room(5).await;
    let events = f
        .http
        .get(format!("{}/v2/events", f.url))
        .header("Accept", "text/event-stream");
    let mut events = events.send().await.unwrap();
    assert_eq!(events.status(), 200);
    f.create("/g/a", 1).await;
    let told = read_until(&mut events, "deployment_success").await;
    let of = |kind: &str| told.iter().filter(|e| e["eventType"] == kind).collect::<Vec<_>>();
    assert_eq!(told[0]["eventType"], "event_stream_attached");
    assert_eq!(of("deployment_info").len(), 2);
    assert_eq!(of("deployment_step_success").len(), 2);
    assert_eq!(of("group_change_success")[0]["groupId"], "/g");
    assert_eq!(of("api_post_event")[0]["appDefinition"]["id"], "/g/a");
    assert_eq!(of("api_post_event")[0]["uri"], "/v2/apps");
    let running = of("status_update_event")
        .into_iter()
        .find(|e| e["taskStatus"] == "TASK_RUNNING")
        .unwrap();
    assert_eq!(
        (&running["appId"], &running["host"]),
        (&json!("/g/a"), &json!("127.77.0.1"))
    );
    let plan = &of("deployment_success")[0]["plan"];
    assert_eq!(plan["target"]["groups"][0]["apps"][0]["id"], "/g/a");
    assert_eq!(plan["original"]["groups"], json!([]));
}

#[tokio::test]
async fn a_group_that_goes_is_told_app_by_app_and_one_without_apps_is_told_too() {
    let f = Field::with_room(5).await;
    f.create("/g/a", 1).await;
    let events = f
        .http
        .get(format!("{}/v2/events", f.url))
        .header("Accept", "text/event-stream");
    let mut events = events.send().await.unwrap();
    let made = f.post("/v2/groups", &json!({"id": "/empty"})).await.good();
    let told = read_until(&mut events, "deployment_success").await;
    let of = |told: &[Value], kind: &str| -> Vec<Value> {
        told.iter().filter(|e| e["eventType"] == kind).cloned().collect()
    };
    assert_eq!(of(&told, "deployment_success")[0]["id"], made["deploymentId"]);
    assert_eq!(of(&told, "group_change_success")[0]["version"], made["version"]);
    f.call("DELETE", "/v2/groups/g", None).await.good();
    let told = read_until(&mut events, "deployment_success").await;
    assert_eq!(of(&told, "group_change_success")[0]["groupId"], "/");
    assert_eq!(of(&told, "app_terminated_event")[0]["appId"], "/g/a");
    let ends = of(&told, "status_update_event");
    assert_eq!(
        ends.last().unwrap()["taskStatus"],
        "TASK_KILLED",
        "of an app that is gone already"
    );
    let plan = &of(&told, "deployment_info")[0]["plan"];
    assert_eq!(plan["original"]["groups"][1]["apps"][0]["id"], "/g/a");
    assert_eq!(plan["target"]["groups"][0]["id"], "/empty");
    assert_eq!(plan["target"]["groups"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn events_are_filtered_by_type_and_refused_to_who_cannot_read_them() {
    let f = Field::with_room(5).await;
    assert_eq!(f.call("GET", "/v2/events", None).await.status, 405);
    let url = format!("{}/v2/events?event_type=app_terminated_event", f.url);
    let mut events = f
        .http
        .get(url)
        .header("Accept", "text/event-stream")
        .send()
        .await
        .unwrap();
    f.create("/a", 1).await;
    f.call("DELETE", "/v2/apps/a", None).await.good();
    let told = read_until(&mut events, "app_terminated_event").await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["appId"], "/a");
}

#[tokio::test]
async fn a_refused_change_and_a_cancelled_deployment_are_told_as_failed() {
    let f = Field::with_room(5).await;
    f.create("/a", 1).await;
    f.pool.set_runs(false);
    let url = format!(
        "{}/v2/events?event_type=deployment_failed&event_type=group_change_failed",
        f.url
    );
    let mut events = f
        .http
        .get(url)
        .header("Accept", "text/event-stream")
        .send()
        .await
        .unwrap();
    let id = f.put("/v2/apps/a", &json!({"instances": 3})).await.good()["deploymentId"].clone();
    assert_eq!(f.put("/v2/apps/a", &json!({"instances": 4})).await.status, 409);
    let refused = read_until(&mut events, "deployment_failed").await;
    assert_eq!(refused[0]["eventType"], "group_change_failed");
    assert_ne!(refused[1]["id"], id, "the refused plan has an id of its own");
    f.put("/v2/apps/a?force=true", &json!({"instances": 2}))
        .await
        .good();
    let cancelled = read_until(&mut events, "deployment_failed").await;
    assert_eq!(cancelled[0]["id"], id);
    assert_eq!(cancelled[0]["reason"], "The upgrade has been cancelled");
}
