//! Apps: made, shown, changed, restarted, rolled back, deleted.

use crate::field::Field;
use serde_json::json;

#[tokio::test]
async fn a_new_app_answers_201_and_runs() {
    let f = Field::with_room(10).await;
    let app = json!({"id": "/shop/web", "cmd": "sleep 1000", "cpus": 0.1, "mem": 16, "instances": 2,
                     "env": {"A": "b"}, "labels": {"team": "x"}});
    let made = f.post("/v2/apps?force=False", &app).await;
    let body = made.good();
    assert_eq!(made.status, 201);
    assert_eq!(made.header("location"), "/v2/apps/shop/web");
    assert_eq!(
        body["deployments"][0]["id"],
        made.header("marathon-deployment-id")
    );
    assert_eq!((&body["tasksRunning"], &body["tasks"]), (&json!(0), &json!([])));
    f.quiet().await;
    let shown = f.app("/shop/web").await;
    assert_eq!(
        (&shown["tasksRunning"], &shown["deployments"]),
        (&json!(2), &json!([]))
    );
    assert_eq!(shown["portDefinitions"][0]["port"], 10_000);
    assert_eq!(shown["tasks"][0]["host"], "127.77.0.1");
    assert_eq!(shown["tasks"][0]["state"], "TASK_RUNNING");
    let task = &f.pool.live()[0];
    assert_eq!(task.terms.tenant.as_str(), "shop");
    let spec = f.pool.spec_of(task);
    assert!(
        spec.containers[0]
            .env
            .iter()
            .any(|(k, v)| k == "A" && v.to_string() == "b")
    );
    let again = f.post("/v2/apps", &app).await;
    assert_eq!(
        (again.status, again.text.as_str()),
        (409, r#"{"message":"An app with id [/shop/web] already exists."}"#)
    );
    assert_eq!(
        f.get("/v2/apps?label=team==x").await["apps"][0]["id"],
        "/shop/web"
    );
    assert_eq!(f.get("/v2/apps?cmd=nope").await["apps"], json!([]));
    assert_eq!(f.get("/v2/apps/shop/*").await["*"][0]["tasksRunning"], 2);
}

#[tokio::test]
async fn scaling_keeps_the_tasks_that_stay() {
    let f = Field::with_room(20).await;
    f.create("/a", 1).await;
    let one = f.task_ids("/a").await;
    f.put("/v2/apps//a", &json!({"instances": 10})).await.good();
    f.quiet().await;
    let ten = f.task_ids("/a").await;
    assert_eq!(ten.len(), 10);
    assert!(ten.contains(&one[0]));
    f.put("/v2/apps/a", &json!({"instances": 2})).await.good();
    f.quiet().await;
    let two = f.task_ids("/a").await;
    assert!(two.len() == 2 && two.iter().all(|id| ten.contains(id)) && two.contains(&one[0]));
    f.put("/v2/apps/a", &json!({"instances": 0})).await.good();
    f.quiet().await;
    assert_eq!(f.task_ids("/a").await, Vec::<String>::new());
    assert_eq!(
        f.get("/v2/apps/a/versions").await["versions"]
            .as_array()
            .unwrap()
            .len(),
        4
    );
}

#[tokio::test]
async fn a_change_replaces_every_task_within_the_bounds_of_the_upgrade_strategy() {
    let f = Field::with_room(20).await;
    let app = json!({"id": "/a", "cmd": "sleep 1000", "instances": 4,
                     "upgradeStrategy": {"minimumHealthCapacity": 0.5, "maximumOverCapacity": 0.25}});
    f.post("/v2/apps", &app).await.good();
    f.quiet().await;
    let old = f.task_ids("/a").await;
    f.pool.take_most_live();
    let changed = f.put("/v2/apps/a", &json!({"env": {"X": "1"}})).await;
    assert_eq!(
        changed.good()["deploymentId"],
        changed.header("marathon-deployment-id")
    );
    f.quiet().await;
    let new = f.task_ids("/a").await;
    assert!(new.len() == 4 && new.iter().all(|id| !old.contains(id)));
    assert!(f.pool.take_most_live() <= 5);
    let versions = f.get("/v2/apps/a/versions").await;
    let versions = versions["versions"].as_array().unwrap();
    assert!(
        versions.len() == 2 && versions[0].as_str() > versions[1].as_str(),
        "newest first"
    );
    f.call("POST", "/v2/apps/a/restart", None).await.good();
    f.quiet().await;
    assert!(f.task_ids("/a").await.iter().all(|id| !new.contains(id)));
}

#[tokio::test]
async fn a_change_that_changes_nothing_restarts_nothing() {
    let f = Field::with_room(5).await;
    f.create("/a", 1).await;
    let before = f.task_ids("/a").await;
    let shown = f.app("/a").await;
    let mut back = shown.clone();
    back.as_object_mut().unwrap().remove("version");
    f.put("/v2/apps/a", &back).await.good();
    f.quiet().await;
    assert_eq!(f.task_ids("/a").await, before);
    assert_eq!(f.app("/a").await["version"], shown["version"]);
}

#[tokio::test]
async fn a_version_and_a_deployment_can_be_taken_back() {
    let f = Field::with_room(10).await;
    f.create("/a", 2).await;
    let first = f.app("/a").await["version"].as_str().unwrap().to_owned();
    f.put("/v2/apps/a", &json!({"cmd": "sleep 2000"})).await.good();
    f.quiet().await;
    assert_eq!(
        f.get(&format!("/v2/apps/a/versions/{first}")).await["cmd"],
        "sleep 1000"
    );
    f.put("/v2/apps/a", &json!({"version": first})).await.good();
    f.quiet().await;
    assert_eq!(f.app("/a").await["cmd"], "sleep 1000");

    f.pool.set_runs(false);
    let id = f
        .put("/v2/apps/a", &json!({"cmd": "sleep 3000", "instances": 3}))
        .await
        .good();
    let id = id["deploymentId"].as_str().unwrap().to_owned();
    let locked = f.put("/v2/apps/a", &json!({"instances": 5})).await;
    assert_eq!(
        (locked.status, &locked.json()["deployments"][0]["id"]),
        (409, &json!(id))
    );
    let running = f.get("/v2/deployments").await;
    assert_eq!(running[0]["currentActions"][0]["action"], "RestartApplication");
    f.call("DELETE", &format!("/v2/deployments/{id}"), None)
        .await
        .good();
    f.pool.set_runs(true);
    f.quiet().await;
    let app = f.app("/a").await;
    assert_eq!(
        (&app["cmd"], &app["instances"]),
        (&json!("sleep 1000"), &json!(2))
    );

    f.pool.set_runs(false);
    let id = f.put("/v2/apps/a", &json!({"instances": 3})).await.good()["deploymentId"].clone();
    let stopped = f
        .call(
            "DELETE",
            &format!("/v2/deployments/{}?force=true", id.as_str().unwrap()),
            None,
        )
        .await;
    assert_eq!((stopped.status, stopped.text.as_str()), (202, ""));
    assert_eq!(f.get("/v2/deployments").await, json!([]));
    let gone = f.call("DELETE", "/v2/deployments/x", None).await;
    assert_eq!(
        (gone.status, gone.text.as_str()),
        (404, r#"{"message":"DeploymentPlan x does not exist"}"#)
    );
}

#[tokio::test]
async fn deleting_leaves_nothing_behind() {
    let f = Field::with_room(10).await;
    f.create("/a", 3).await;
    f.pool.set_stops(false);
    let deleted = f.call("DELETE", "/v2/apps/a", None).await.good();
    assert!(deleted["deploymentId"].is_string());
    assert_eq!(f.call("GET", "/v2/apps/a", None).await.status, 404);
    let running = f.get("/v2/deployments").await;
    assert_eq!(running[0]["currentActions"][0]["action"], "StopApplication");
    f.pool.set_stops(true);
    f.quiet().await;
    f.until("all records gone", async || f.pool.records() == 0).await;
    let history = |key: &String| {
        ["tree", "past/", "was/", "dcos/"]
            .iter()
            .any(|p| key.starts_with(p))
    };
    assert!(
        f.state.keys().iter().all(history),
        "only versions of the tree are kept, and who the cluster is"
    );
    assert_eq!(
        f.call("DELETE", "/v2/apps/a", None).await.text,
        r#"{"message":"App '/a' does not exist"}"#
    );
    f.create("/a", 1).await;
    assert_eq!(f.task_ids("/a").await.len(), 1);
}

#[tokio::test]
async fn many_apps_are_changed_at_once() {
    let f = Field::with_room(10).await;
    f.create("/a", 1).await;
    let both = json!([{"id": "/a", "instances": 2}, {"id": "/b", "cmd": "sleep 9", "instances": 1}]);
    f.call("PUT", "/v2/apps/", Some(&both.to_string())).await.good();
    f.quiet().await;
    assert_eq!(
        (f.task_ids("/a").await.len(), f.task_ids("/b").await.len()),
        (2, 1)
    );
    let unknown = f.call("PATCH", "/v2/apps/c", Some("{\"instances\":1}")).await;
    assert_eq!(unknown.status, 404);
    assert_eq!(f.put("/v2/apps/c", &json!({"cmd": "sleep 9"})).await.status, 201);
}

#[tokio::test]
async fn a_store_that_is_full_refuses_the_change_and_nothing_happens() {
    let f = Field::with_room(10).await;
    f.create("/a", 1).await;
    f.state.fail(true);
    let refused = f.put("/v2/apps/a", &json!({"instances": 5})).await;
    assert_eq!(refused.status, 503);
    assert!(
        refused.json()["message"].as_str().unwrap().contains("no room"),
        "{}",
        refused.text
    );
    assert_eq!(f.app("/a").await["instances"], 1);
    f.state.fail(false);
    f.put("/v2/apps/a", &json!({"instances": 2})).await.good();
    f.quiet().await;
    assert_eq!(f.task_ids("/a").await.len(), 2);
}
