//! Health and readiness checks: what deployments wait for, who is killed, and what is told.

use crate::events::read_until;
use crate::field::Field;
use plenum_model::ids::TaskId;
use plenum_model::task::CheckStatus;
use serde_json::{Value, json};

fn passing() -> CheckStatus {
    CheckStatus {
        passes: Some(true),
        first_success: Some(1_000),
        last_success: Some(1_000),
        ..CheckStatus::default()
    }
}

fn failing(failures: u32) -> CheckStatus {
    CheckStatus {
        passes: Some(false),
        failures,
        last_failure: Some(2_000 + u64::from(failures)),
        cause: "status 503".into(),
        ..CheckStatus::default()
    }
}

/// The ids of the tasks that are not over, oldest first.
fn live(f: &Field) -> Vec<TaskId> {
    let started = f.pool.started();
    let live: Vec<_> = f.pool.live().iter().map(|t| t.id()).collect();
    started.into_iter().filter(|id| live.contains(id)).collect()
}

async fn listen(f: &Field, types: &[&str]) -> reqwest::Response {
    let query: Vec<_> = types.iter().map(|t| format!("event_type={t}")).collect();
    let url = format!("{}/v2/events?{}", f.url, query.join("&"));
    let request = f.http.get(url).header("Accept", "text/event-stream");
    request.send().await.unwrap()
}

fn checked(checks: &Value) -> Value {
    json!({"id": "/a", "cmd": "sleep 1000", "instances": 2, "healthChecks": checks})
}

#[tokio::test]
async fn a_deployment_waits_until_every_check_of_every_instance_passes() {
    let f = Field::with_room(10).await;
    f.post("/v2/apps", &checked(&json!([{}, {"protocol": "TCP"}])))
        .await
        .good();
    f.until("both run", async || f.app("/a").await["tasksRunning"] == 2)
        .await;
    let tasks = live(&f);
    f.pool.see_checks(tasks[0], vec![passing(), passing()]);
    f.pool
        .see_checks(tasks[1], vec![passing(), CheckStatus::default()]);
    f.until("one is healthy", async || f.app("/a").await["tasksHealthy"] == 1)
        .await;
    let app = f.app("/a").await;
    assert_eq!(
        (&app["tasksUnhealthy"], &app["tasksRunning"]),
        (&json!(0), &json!(2))
    );
    assert_ne!(f.get("/v2/deployments").await, json!([]));
    f.pool.see_checks(tasks[1], vec![passing(), passing()]);
    f.quiet().await;
    assert_eq!(f.app("/a").await["tasksHealthy"], 2);
    let results = f.get("/v2/apps/a/tasks").await["tasks"][0]["healthCheckResults"].clone();
    let instance = results[0]["instanceId"].as_str().unwrap();
    assert!(instance.starts_with("a.instance-"), "{results}");
    assert_eq!(
        results[1],
        json!({"alive": true, "consecutiveFailures": 0, "firstSuccess": "1970-01-01T00:00:01.000Z",
               "lastSuccess": "1970-01-01T00:00:01.000Z", "instanceId": instance})
    );
}

#[tokio::test]
async fn an_instance_that_fails_too_often_is_killed_replaced_at_once_and_remembered() {
    let f = Field::with_room(10).await;
    let types = [
        "failed_health_check_event",
        "unhealthy_instance_kill_event",
        "health_status_changed_event",
    ];
    let mut events = listen(&f, &types).await;
    let mut app = checked(&json!([{"maxConsecutiveFailures": 1}]));
    app["instances"] = json!(1);
    app["backoffSeconds"] = json!(600);
    f.post("/v2/apps", &app).await.good();
    f.until("it runs", async || live(&f).len() == 1).await;
    let first = live(&f)[0];
    let name = f.task_ids("/a").await.remove(0);
    f.pool.see_checks(first, vec![passing()]);
    f.pool.see_checks(first, vec![failing(1)]);
    f.until("it is unhealthy", async || {
        f.app("/a").await["tasksUnhealthy"] == 1
    })
    .await;
    assert_eq!(live(&f), [first]);
    f.pool.see_checks(first, vec![failing(2)]);
    f.until("another", async || live(&f).len() == 1 && live(&f)[0] != first)
        .await;
    let failure = f.app("/a").await["lastTaskFailure"].clone();
    assert_eq!(
        (&failure["state"], &failure["message"], &failure["taskId"]),
        (
            &json!("TASK_KILLED"),
            &json!("Task was killed since health check failed. Reason: status 503"),
            &json!(name)
        )
    );
    let told = read_until(&mut events, "unhealthy_instance_kill_event").await;
    let kinds: Vec<_> = told.iter().map(|e| e["eventType"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "health_status_changed_event",
            "failed_health_check_event",
            "health_status_changed_event",
            "failed_health_check_event",
            "unhealthy_instance_kill_event"
        ]
    );
    assert_eq!(
        (&told[0]["alive"], &told[2]["alive"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(told[1]["healthCheck"]["maxConsecutiveFailures"], 1);
    assert_eq!(
        (
            &told[4]["taskId"],
            &told[4]["reason"],
            &told[4]["host"],
            &told[4]["slaveId"]
        ),
        (
            &json!(name),
            &json!("status 503"),
            &json!("127.77.0.1"),
            &json!("n1")
        )
    );
}

#[tokio::test]
async fn nobody_is_killed_where_no_failure_is_too_many_or_the_node_is_silent() {
    let f = Field::with_room(10).await;
    let mut never = checked(&json!([{"maxConsecutiveFailures": 0}]));
    never["instances"] = json!(1);
    f.post("/v2/apps", &never).await.good();
    let mut silent = checked(&json!([{"protocol": "MESOS_HTTP", "maxConsecutiveFailures": 1}]));
    (silent["id"], silent["instances"]) = (json!("/b"), json!(1));
    silent["unreachableStrategy"] = json!("disabled");
    f.post("/v2/apps", &silent).await.good();
    f.until("both run", async || live(&f).len() == 2).await;
    let both = live(&f);
    f.pool.set_silent(true);
    for id in &both {
        f.pool.see_checks(*id, vec![failing(50)]);
    }
    f.until("they are unhealthy", async || {
        f.app("/a").await["tasksUnhealthy"] == 1 && f.app("/b").await["tasksUnhealthy"] == 1
    })
    .await;
    assert_eq!(live(&f), both);
    f.pool.set_silent(false);
    f.until("the other is replaced", async || {
        live(&f).iter().any(|id| !both.contains(id))
    })
    .await;
    assert!(live(&f).contains(&both[0]) || live(&f).contains(&both[1]));
}

#[tokio::test]
async fn a_broken_version_stalls_and_takes_none_away_that_must_stay() {
    let f = Field::with_room(10).await;
    let mut app = checked(&json!([{"maxConsecutiveFailures": 1}]));
    app["upgradeStrategy"] = json!({"minimumHealthCapacity": 1.0, "maximumOverCapacity": 0.5});
    f.post("/v2/apps", &app).await.good();
    f.until("both run", async || live(&f).len() == 2).await;
    let old = live(&f);
    old.iter().for_each(|id| f.pool.see_checks(*id, vec![passing()]));
    f.quiet().await;
    f.put("/v2/apps/a", &json!({"cmd": "broken 1000"})).await.good();
    for n in 0..3 {
        f.until("one of the new version", async || live(&f).len() == 3)
            .await;
        let new = *live(&f).last().unwrap();
        f.pool.see_checks(new, vec![failing(2)]);
        f.until("it is replaced", async || !live(&f).contains(&new)).await;
        assert!(old.iter().all(|id| live(&f).contains(id)), "round {n}");
    }
    assert_ne!(f.get("/v2/deployments").await, json!([]));
    assert_eq!(f.app("/a").await["lastTaskFailure"]["state"], "TASK_KILLED");
}

#[tokio::test]
async fn a_rolling_restart_goes_on_when_the_new_instance_is_ready() {
    let f = Field::with_room(10).await;
    let app = json!({"id": "/a", "cmd": "sleep 1000", "instances": 1,
        "readinessChecks": [{"name": "up", "portName": "default", "intervalSeconds": 1, "timeoutSeconds": 0.5}]});
    let refused = f.post("/v2/apps", &app).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    let mut app = app;
    app["readinessChecks"][0]["timeoutSeconds"] = json!(1);
    app["readinessChecks"][0]["intervalSeconds"] = json!(2);
    f.post("/v2/apps", &app).await.good();
    f.until("it runs", async || f.app("/a").await["tasksRunning"] == 1)
        .await;
    let old = live(&f)[0];
    f.pool.see_checks(old, vec![passing()]);
    f.quiet().await;
    f.put("/v2/apps/a", &json!({"cmd": "sleep 2000"})).await.good();
    f.until("the new one", async || live(&f).len() == 2).await;
    let new = live(&f)[1];
    let name = f
        .pool
        .live()
        .iter()
        .find(|t| t.id() == new)
        .unwrap()
        .seat
        .name
        .clone();
    f.until("it is asked whether it is ready", async || {
        let deployments = f.get("/v2/deployments").await;
        deployments[0]["currentActions"][0]["readinessCheckResults"]
            == json!([{"name": "up", "taskId": name, "ready": false}])
    })
    .await;
    assert!(live(&f).contains(&old));
    f.pool.see_checks(new, vec![passing()]);
    f.quiet().await;
    assert_eq!(live(&f), [new]);
    assert_eq!(
        f.app("/a").await["readinessCheckResults"],
        json!([{"name": "up", "taskId": name, "ready": true}])
    );
    assert_eq!(f.app("/a").await["tasksHealthy"], 0, "it has no health check");
}

#[tokio::test]
async fn checks_that_come_and_go_are_told() {
    let f = Field::with_room(10).await;
    let mut events = listen(&f, &["add_health_check_event", "remove_health_check_event"]).await;
    let mut app = checked(&json!([{"path": "/up"}]));
    app["instances"] = json!(0);
    f.post("/v2/apps", &app).await.good();
    let added = read_until(&mut events, "add_health_check_event").await;
    assert_eq!(
        (&added[0]["appId"], &added[0]["healthCheck"]["path"]),
        (&json!("/a"), &json!("/up"))
    );
    f.quiet().await;
    f.call("DELETE", "/v2/apps/a", None).await.good();
    let removed = read_until(&mut events, "remove_health_check_event").await;
    assert_eq!(removed[0]["appId"], "/a");
}
