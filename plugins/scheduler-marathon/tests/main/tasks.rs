//! Tasks: listed, killed, replaced.

use crate::field::Field;
use serde_json::json;

#[tokio::test]
async fn a_killed_task_is_replaced_and_with_scale_it_is_not() {
    let f = Field::with_room(10).await;
    f.create("/a", 3).await;
    let before = f.task_ids("/a").await;
    let killed = f
        .call("DELETE", &format!("/v2/apps/a/tasks/{}", before[0]), None)
        .await
        .good();
    assert_eq!(killed["task"]["id"], json!(before[0]));
    f.until("a new task", async || {
        let now = f.task_ids("/a").await;
        now.len() == 3 && !now.contains(&before[0])
    })
    .await;

    let ids = json!({"ids": [before[1], "a.instance-77._app.1"]});
    let scaled = f.post("/v2/tasks/delete?scale=True", &ids).await.good();
    assert!(scaled["deploymentId"].is_string() && scaled["version"].is_string());
    f.quiet().await;
    assert_eq!(f.app("/a").await["instances"], 2);
    assert!(!f.task_ids("/a").await.contains(&before[1]));

    let all = f
        .call("DELETE", "/v2/apps/a/tasks?host=127.77.0.1", None)
        .await
        .good();
    assert_eq!(all["tasks"].as_array().unwrap().len(), 2);
    assert_eq!(
        f.call("DELETE", "/v2/apps/a/tasks?host=elsewhere", None)
            .await
            .good(),
        json!({"tasks": []})
    );
    f.until("two again", async || f.task_ids("/a").await.len() == 2)
        .await;
    f.call("DELETE", "/v2/apps/a/tasks?scale=true", None).await.good();
    f.quiet().await;
    assert_eq!(
        (f.app("/a").await["instances"].clone(), f.pool.live().len()),
        (json!(0), 0)
    );
}

#[tokio::test]
async fn what_cannot_be_killed_is_said() {
    let f = Field::with_room(10).await;
    f.create("/a", 1).await;
    for (method, path, body, status, says) in [
        (
            "DELETE",
            "/v2/apps/a/tasks/a.instance-1._app.1",
            None,
            404,
            "Task 'a.instance-1._app.1' does not exist",
        ),
        ("DELETE", "/v2/apps/b/tasks", None, 404, "App '/b' does not exist"),
        (
            "DELETE",
            "/v2/apps/a/tasks?scale=true&wipe=true",
            None,
            400,
            "You cannot use scale and wipe",
        ),
        (
            "POST",
            "/v2/tasks/delete",
            Some(r#"{"ids":["nope"]}"#),
            400,
            "Invalid task id 'nope'",
        ),
        (
            "POST",
            "/v2/tasks/delete",
            Some(r#"{"ids":"x"}"#),
            422,
            "error.expected.jsarray",
        ),
    ] {
        let reply = f.call(method, path, body).await;
        assert_eq!(reply.status, status, "{path}");
        assert!(reply.text.contains(says), "{path}: {}", reply.text);
    }
    let none = f
        .post("/v2/tasks/delete", &json!({"ids": ["a.instance-1._app.1"]}))
        .await
        .good();
    assert_eq!(none, json!({"tasks": []}));
}

#[tokio::test]
async fn tasks_are_listed_with_their_service_ports_and_filtered_by_state() {
    let f = Field::with_room(10).await;
    f.create("/a", 1).await;
    let tasks = f.get("/v2/tasks?status=running").await;
    assert_eq!(tasks["tasks"][0]["servicePorts"], json!([10_000]));
    assert_eq!(
        tasks["tasks"][0]["ipAddresses"],
        json!([{"ipAddress": "127.77.0.1", "protocol": "IPv4"}])
    );
    assert_eq!(f.get("/v2/tasks?status[]=staging").await["tasks"], json!([]));
    f.pool.set_runs(false);
    f.put("/v2/apps/a", &json!({"instances": 2})).await.good();
    f.until("one is staged", async || f.app("/a").await["tasksStaged"] == 1)
        .await;
    assert_eq!(
        f.get("/v2/tasks?status=staging").await["tasks"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_task_that_ends_is_replaced_and_a_failure_is_remembered() {
    let f = Field::with_room(10).await;
    let app = json!({"id": "/a", "cmd": "sleep 1000", "backoffSeconds": 0});
    f.post("/v2/apps", &app).await.good();
    f.quiet().await;
    let first = f.task_ids("/a").await;
    f.pool.crash("/a", 7);
    f.until("another", async || {
        let now = f.task_ids("/a").await;
        now.len() == 1 && now != first
    })
    .await;
    let failure = f.app("/a").await["lastTaskFailure"].clone();
    assert_eq!(
        (&failure["taskId"], &failure["state"]),
        (&json!(first[0]), &json!("TASK_FAILED"))
    );
    assert_eq!(
        (&failure["message"], &failure["host"]),
        (&json!("exited with 7"), &json!("127.77.0.1"))
    );
    let second = f.task_ids("/a").await;
    f.pool.crash("/a", 0);
    f.until("a third", async || {
        let now = f.task_ids("/a").await;
        now.len() == 1 && now != second
    })
    .await;
    assert_eq!(
        f.app("/a").await["lastTaskFailure"]["taskId"],
        json!(first[0]),
        "finishing is no failure"
    );
}

#[tokio::test]
async fn ended_tasks_do_not_pile_up() {
    let f = Field::with_room(10).await;
    f.post(
        "/v2/apps",
        &json!({"id": "/a", "cmd": "sleep 1000", "backoffSeconds": 0}),
    )
    .await
    .good();
    f.quiet().await;
    for n in 0..20 {
        f.pool.crash("/a", 1);
        f.until("the next", async || {
            f.pool.started().len() == n + 2 && f.pool.live().len() == 1
        })
        .await;
    }
    f.until("old records go", async || f.pool.records() <= 11).await;
}

#[tokio::test]
async fn an_instance_on_a_silent_node_is_replaced_and_the_surplus_goes_when_it_is_heard_again() {
    let f = Field::configured(10, json!({"node_timeout_seconds": 0})).await;
    let patient = json!({"id": "/patient", "cmd": "sleep 1000", "unreachableStrategy": "disabled"});
    let quick = json!({"id": "/quick", "cmd": "sleep 1000",
                       "unreachableStrategy": {"inactiveAfterSeconds": 0, "expungeAfterSeconds": 600}});
    for app in [patient, quick] {
        f.post("/v2/apps", &app).await.good();
    }
    f.quiet().await;
    let before = f.task_ids("/quick").await;
    f.pool.set_silent(true);
    f.until("a replacement", async || f.task_ids("/quick").await.len() == 2)
        .await;
    let states = f.get("/v2/apps/quick/tasks").await.to_string();
    assert!(
        states.contains("TASK_UNREACHABLE") && states.contains("TASK_RUNNING"),
        "{states}"
    );
    assert_eq!(f.task_ids("/patient").await.len(), 1);
    f.pool.set_silent(false);
    f.until("one again", async || f.task_ids("/quick").await.len() == 1)
        .await;
    assert_eq!(f.task_ids("/patient").await.len(), 1);
    assert_ne!(before, Vec::<String>::new());
}
