//! Groups over HTTP: the tree, dependencies, versions, refusals, events.

use crate::field::Field;
use plenum_model::task::CheckStatus;
use serde_json::{Value, json};

fn app(id: &str, instances: u32, needs: &[&str]) -> Value {
    json!({"id": id, "cmd": "sleep 1000", "cpus": 0.1, "mem": 16, "instances": instances, "dependencies": needs})
}

/// `web` needs the group `back`, in which `api` needs `db`.
fn shop() -> Value {
    json!({"id": "/shop", "groups": [
        {"id": "back", "apps": [app("db", 1, &[]), app("api", 2, &["db"])]},
        {"id": "front", "dependencies": ["/shop/back"], "apps": [app("web", 1, &[])]},
    ]})
}

/// Apps with tasks that are neither over nor asked to stop.
fn staying(f: &Field) -> Vec<String> {
    let live = f.pool.live();
    let staying = live.iter().filter(|t| !t.released);
    let mut names: Vec<_> = staying.map(|t| t.terms.workload.name.clone()).collect();
    names.sort();
    names.dedup();
    names
}

async fn steps(f: &Field) -> Vec<Vec<String>> {
    let deployments = f.get("/v2/deployments").await;
    steps_of(&deployments[0]["steps"])
}

fn steps_of(steps: &Value) -> Vec<Vec<String>> {
    let action = |a: &Value| format!("{} {}", a["action"].as_str().unwrap(), a["app"].as_str().unwrap());
    let actions = |step: &Value| step["actions"].as_array().unwrap().iter().map(action).collect();
    steps.as_array().unwrap().iter().map(actions).collect()
}

const CREATION: [&[&str]; 4] = [
    &[
        "StartApplication /shop/back/api",
        "StartApplication /shop/back/db",
        "StartApplication /shop/front/web",
    ],
    &["ScaleApplication /shop/back/db"],
    &["ScaleApplication /shop/back/api"],
    &["ScaleApplication /shop/front/web"],
];

#[tokio::test]
async fn what_others_need_runs_before_them_and_stops_after_them() {
    let f = Field::with_room(10).await;
    f.pool.set_runs(false);
    let made = f.post("/v2/groups", &shop()).await;
    assert_eq!((made.status, made.header("location")), (201, "/v2/groups/shop"));
    assert_eq!(made.header("marathon-deployment-id"), made.json()["deploymentId"]);
    assert_eq!(steps(&f).await, CREATION);
    f.until("the first", async || staying(&f) == ["/shop/back/db"])
        .await;
    let deployment = f.get("/v2/deployments").await[0].clone();
    assert_eq!(
        (&deployment["currentStep"], &deployment["totalSteps"]),
        (&json!(2), &json!(4))
    );
    assert_eq!(
        deployment["affectedApps"],
        json!(["/shop/back/api", "/shop/back/db", "/shop/front/web"])
    );
    f.pool.set_runs(true);
    f.quiet().await;
    assert_eq!(f.pool.live().len(), 4);
    let order: Vec<String> = f
        .pool
        .started()
        .iter()
        .map(|id| {
            let live = f.pool.live();
            let task = live.iter().find(|t| t.id() == *id).unwrap();
            task.terms.workload.name.clone()
        })
        .collect();
    let expected = [
        "/shop/back/db",
        "/shop/back/api",
        "/shop/back/api",
        "/shop/front/web",
    ];
    assert_eq!(order, expected);

    f.pool.set_stops(false);
    f.call("DELETE", "/v2/groups/shop", None).await.good();
    f.until("the last goes first", async || {
        staying(&f) == ["/shop/back/api", "/shop/back/db"]
    })
    .await;
    assert_eq!(f.get("/v2/groups").await["groups"], json!([]));
    f.pool.set_stops(true);
    f.quiet().await;
    assert_eq!(f.pool.live().len(), 0);
}

#[tokio::test]
async fn what_needs_others_waits_until_they_are_healthy_and_not_only_running() {
    let f = Field::with_room(10).await;
    let mut db = app("db", 1, &[]);
    db["healthChecks"] = json!([{}]);
    let group = json!({"id": "/shop", "apps": [db, app("api", 1, &["db"])]});
    f.post("/v2/groups", &group).await.good();
    f.until("db runs", async || f.app("/shop/db").await["tasksRunning"] == 1)
        .await;
    let task = f.pool.live()[0].id();
    let check = |passes| CheckStatus {
        passes: Some(passes),
        ..CheckStatus::default()
    };
    f.pool.see_checks(task, vec![check(false)]);
    f.until("it is unhealthy", async || {
        f.app("/shop/db").await["tasksUnhealthy"] == 1
    })
    .await;
    assert_eq!(staying(&f), ["/shop/db"]);
    f.pool.see_checks(task, vec![check(true)]);
    f.quiet().await;
    assert_eq!(staying(&f), ["/shop/api", "/shop/db"]);
}

#[tokio::test]
async fn a_crash_in_the_middle_of_a_layered_deployment_changes_nothing_of_its_order() {
    let mut f = Field::with_room(10).await;
    f.post("/v2/groups", &shop()).await.good();
    f.quiet().await;
    let before = f.get("/v2/groups/shop").await;
    f.pool.set_stops(false);
    f.call("DELETE", "/v2/groups/shop", None).await.good();
    f.until("the last goes first", async || {
        staying(&f) == ["/shop/back/api", "/shop/back/db"]
    })
    .await;
    let deployment = f.get("/v2/deployments").await;
    f.restart().await;
    assert_eq!(f.get("/v2/deployments").await, deployment);
    assert_eq!(staying(&f), ["/shop/back/api", "/shop/back/db"]);
    let id = deployment[0]["id"].as_str().unwrap();
    f.call("DELETE", &format!("/v2/deployments/{id}"), None)
        .await
        .good();
    f.pool.set_stops(true);
    f.quiet().await;
    let mut after = f.get("/v2/groups/shop").await;
    for group in after["groups"].as_array_mut().unwrap() {
        group["version"] = before["version"].clone();
    }
    for (i, group) in before["groups"].as_array().unwrap().iter().enumerate() {
        let ids = |g: &Value| -> Vec<Value> {
            let apps = g["apps"].as_array().unwrap().iter();
            apps.map(|a| json!([a["id"], a["instances"], a["dependencies"]]))
                .collect()
        };
        assert_eq!(ids(&after["groups"][i]), ids(group));
        assert_eq!(after["groups"][i]["dependencies"], group["dependencies"]);
    }
    assert_eq!(f.pool.live().len(), 4);
}

#[tokio::test]
async fn a_group_is_shown_with_the_parts_that_are_asked_for() {
    let f = Field::with_room(10).await;
    f.post("/v2/groups", &shop()).await.good();
    f.quiet().await;
    let root = f.get("/v2/groups/").await;
    assert_eq!(
        (&root["id"], &root["apps"], &root["pods"]),
        (&json!("/"), &json!([]), &json!([]))
    );
    let front = &root["groups"][0]["groups"][1];
    assert_eq!(front["dependencies"], json!(["/shop/back"]));
    assert_eq!(front["apps"][0]["id"], "/shop/front/web");
    assert_eq!(front["version"], root["version"]);
    for absent in ["tasks", "tasksRunning", "deployments", "lastTaskFailure"] {
        assert!(front["apps"][0].get(absent).is_none(), "{absent}");
    }
    let embedded = f
        .get("/v2/groups//shop/front?embed=group.apps&embed=group.apps.tasks&embed=group.apps.counts")
        .await;
    let web = &embedded["apps"][0];
    assert_eq!(web["tasks"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&web["tasksRunning"], &web["deployments"]),
        (&json!(1), &json!([]))
    );
    assert!(embedded.get("groups").is_none() && embedded.get("pods").is_none());
    let apps = f.get("/v2/groups/shop/apps").await;
    assert_eq!(apps.as_array().unwrap().len(), 3);
    let unknown = f.call("GET", "/v2/groups/shop?embed=group.apps.x", None).await;
    assert_eq!(unknown.status, 400);
}

#[tokio::test]
async fn a_group_is_scaled_tried_rolled_back_and_its_versions_survive() {
    let mut f = Field::with_room(20).await;
    f.post(
        "/v2/groups/shop",
        &json!({"apps": [app("a", 1, &[]), app("b", 3, &["a"])]}),
    )
    .await
    .good();
    f.quiet().await;
    let first = f.get("/v2/groups/shop").await["version"].clone();
    let tried = f
        .put("/v2/groups/shop?dryRun=true", &json!({"scaleBy": 1.5}))
        .await;
    assert_eq!(
        steps_of(&tried.good()["steps"]),
        [["ScaleApplication /shop/a"], ["ScaleApplication /shop/b"]]
    );
    assert_eq!(f.get("/v2/groups/shop").await["version"], first);
    let scaled = f.put("/v2/groups/shop", &json!({"scaleBy": 1.5})).await;
    assert_eq!(scaled.status, 200);
    f.quiet().await;
    assert_eq!(
        (f.app("/shop/a").await["instances"].clone(), f.pool.live().len()),
        (json!(2), 7)
    );
    f.put("/v2/groups/shop", &json!({"apps": [app("c", 1, &[])]}))
        .await
        .good();
    f.quiet().await;
    assert_eq!(f.task_ids("/shop/c").await.len(), f.pool.live().len());

    f.restart().await;
    let versions = f.get("/v2/groups/shop/versions").await;
    assert_eq!(versions.as_array().unwrap().len(), 3);
    assert_eq!(versions[2], first);
    assert_eq!(versions, f.get("/v2/groups/versions").await);
    let at = format!("/v2/groups/shop/versions/{}", first.as_str().unwrap());
    let then = f.get(&at).await;
    assert_eq!(
        (&then["version"], &then["apps"][1]["instances"]),
        (&first, &json!(3))
    );
    f.put("/v2/groups/shop", &json!({"version": first})).await.good();
    f.quiet().await;
    assert_eq!(f.pool.live().len(), 4);
    let now = f.get("/v2/groups/shop").await;
    assert_eq!(now["apps"].as_array().unwrap().len(), 2);
    assert_eq!(now["apps"][1]["dependencies"], json!(["/shop/a"]));
    // the way in which the typed client says the same
    let scaled = versions[1].as_str().unwrap();
    let rolled = f
        .call("PUT", &format!("/v2/groups/shop/versions/{scaled}"), None)
        .await;
    rolled.good();
    f.quiet().await;
    assert_eq!(f.pool.live().len(), 7);
}

#[tokio::test]
async fn refusals_have_marathons_status_and_body() {
    let f = Field::with_room(10).await;
    f.create("/solo", 1).await;
    f.post("/v2/groups", &json!({"id": "g"})).await.good();
    let wrong = |path: &str, error: &str| {
        format!(r#"{{"message":"Object is not valid","details":[{{"path":"{path}","errors":["{error}"]}}]}}"#)
    };
    for (method, path, body, status, text) in [
        ("GET", "/v2/groups/x", None, 404, r#"{"message":"Group '/x' does not exist"}"#.to_owned()),
        ("GET", "/v2/groups/x/versions", None, 404, r#"{"message":"Group '/x' does not exist"}"#.to_owned()),
        ("DELETE", "/v2/groups/x", None, 404, r#"{"message":"Group '/x' does not exist"}"#.to_owned()),
        (
            "POST",
            "/v2/groups",
            Some(r#"{"id":"/g"}"#),
            409,
            r#"{"message":"Group /g is already created. Use PUT to change this group."}"#.to_owned(),
        ),
        (
            "POST",
            "/v2/groups",
            Some("{}"),
            409,
            r#"{"message":"Group / is already created. Use PUT to change this group."}"#.to_owned(),
        ),
        (
            "POST",
            "/v2/groups",
            Some(r#"{"id":"/solo"}"#),
            409,
            r#"{"message":"An app with the path /solo already exists."}"#.to_owned(),
        ),
        (
            "POST",
            "/v2/groups",
            Some(r#"{"id":"/test-group","groups":[{"id":"sleep","apps":[{}]}]}"#),
            422,
            r#"{"message":"Invalid JSON","details":[{"path":"/groups(0)/apps(0)/id","errors":["'id' is undefined on object: {}"]}]}"#
                .to_owned(),
        ),
        (
            "POST",
            "/v2/groups",
            Some(r#"{"id":"/n","apps":[{"id":"/m/a","cmd":"xx"}]}"#),
            422,
            wrong("/apps(0)/id", "Identifier is not child of /n. Hint: use relative paths."),
        ),
        (
            "PUT",
            "/v2/groups/g",
            Some(r#"{"dependencies":["a"],"apps":[{"id":"a","cmd":"xx"}]}"#),
            422,
            wrong("/", "Dependency graph has cyclic dependencies."),
        ),
        (
            "POST",
            "/v2/apps",
            Some(r#"{"id":"/g","cmd":"xx"}"#),
            422,
            wrong("/", "Groups and Applications may not have the same identifier."),
        ),
        ("POST", "/v2/groups", Some(""), 400, "".to_owned()),
        ("PUT", "/v2/groups/%7B", Some("{}"), 400, "".to_owned()),
        ("PUT", "/v2/groups/A_B", Some("{}"), 400, "".to_owned()),
        ("PATCH", "/v2/groups/g", Some("{}"), 405, "".to_owned()),
    ] {
        let reply = f.call(method, path, body).await;
        assert_eq!(reply.status, status, "{method} {path} {body:?}: {}", reply.text);
        if !text.is_empty() {
            assert_eq!(reply.text, text, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn the_root_is_emptied_by_force_whatever_is_under_way() {
    let f = Field::with_room(10).await;
    f.create("/solo", 1).await;
    f.create("/g/a", 1).await;
    f.pool.set_runs(false);
    f.put("/v2/apps/solo", &json!({"instances": 2})).await.good();
    let locked = f.call("DELETE", "/v2/groups", None).await;
    assert_eq!(locked.status, 409);
    assert!(
        locked
            .text
            .starts_with(r#"{"message":"App is locked by one or more deployments."#)
    );
    f.call("DELETE", "/v2/groups/?force=true", None).await.good();
    f.quiet().await;
    let root = f.get("/v2/groups").await;
    assert_eq!((&root["apps"], &root["groups"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn a_group_stays_without_its_apps_and_a_change_without_steps_is_no_deployment() {
    let mut f = Field::with_room(5).await;
    f.create("/g/h/a", 1).await;
    f.call("DELETE", "/v2/apps/g/h/a", None).await.good();
    f.quiet().await;
    f.restart().await;
    assert_eq!(f.get("/v2/groups/g").await["groups"][0]["id"], "/g/h");
    let changed = f
        .put("/v2/groups/g", &json!({"dependencies": ["/db"]}))
        .await
        .good();
    assert!(changed["deploymentId"].as_str().is_some_and(|id| !id.is_empty()));
    assert_eq!(f.get("/v2/deployments").await, json!([]));
    f.restart().await;
    let group = f.get("/v2/groups/g").await;
    assert_eq!(group["dependencies"], json!(["/db"]));
    assert_eq!(group["version"], changed["version"]);
    f.call("DELETE", "/v2/groups", None).await.good();
    f.restart().await;
    assert_eq!(f.get("/v2/groups").await["groups"], json!([]));
}

#[tokio::test]
async fn a_stopped_deployment_leaves_things_as_they_are_and_nothing_stale_is_kept() {
    let mut f = Field::configured(10, json!({"max_versions": 2})).await;
    f.create("/g/a", 1).await;
    f.pool.set_runs(false);
    let id = f
        .put("/v2/groups/g", &json!({"apps": [app("a", 3, &[])]}))
        .await
        .good()["deploymentId"]
        .clone();
    let path = format!("/v2/deployments/{}", id.as_str().unwrap());
    for n in 0..4 {
        f.post("/v2/groups", &json!({"id": format!("n{n}")})).await.good();
    }
    f.restart().await;
    let shown = f.get("/v2/deployments").await;
    assert_eq!(
        shown[0]["id"], id,
        "what it was before is kept as long as it is under way"
    );
    let stopped = f.call("DELETE", &format!("{path}?force=true"), None).await;
    assert_eq!((stopped.status, stopped.text.as_str()), (202, ""));
    assert_eq!(f.get("/v2/deployments").await, json!([]));
    assert_eq!(f.app("/g/a").await["instances"], 3);
    let again = f.call("DELETE", &path, None).await;
    assert_eq!(
        again.text,
        format!(
            r#"{{"message":"DeploymentPlan {} does not exist"}}"#,
            id.as_str().unwrap()
        )
    );
    f.pool.set_runs(true);
    f.call("DELETE", "/v2/groups?force=true", None).await.good();
    f.quiet().await;
    for n in 0..2 {
        f.post("/v2/groups", &json!({"id": format!("m{n}")})).await.good();
    }
    let keys = f.state.keys();
    let of = |prefix: &str| keys.iter().filter(|k| k.starts_with(prefix)).count();
    let kept = (
        of("was/"),
        of("version/"),
        of("app/"),
        of("deployment/"),
        of("past/"),
        of("group/"),
    );
    assert_eq!(kept, (0, 0, 0, 0, 2, 2), "{keys:?}");
}
