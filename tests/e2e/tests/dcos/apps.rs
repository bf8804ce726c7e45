//! `dcos marathon app` and what stands beside it, on an app's way from its making to its removal.

use crate::support::dcos::Dcos;
use crate::support::eventually;
use crate::support::up::Up;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_added_shown_changed_scaled_killed_and_removed() {
    let up = Up::start(3).await;
    let d = Dcos::of(&up);
    let app = |cmd: &[&str]| d.ok(&[&["marathon", "app"], cmd].concat());
    d.add(
        &up,
        &json!({"id": "/g/web", "cmd": "sleep 1000", "cpus": 0.1, "mem": 16, "instances": 3}),
    )
    .await;
    let list = app(&["list"]);
    assert!(list.contains("/g/web") && list.contains("3/3"), "{list}");
    let shown: Value = serde_json::from_str(&app(&["show", "/g/web"])).unwrap();
    assert_eq!(
        (&shown["tasksRunning"], &shown["instances"]),
        (&json!(3), &json!(3))
    );
    let before = d.tasks("g_web");

    let said = app(&["update", "/g/web", "mem=20", "cpus=0.05"]);
    assert!(said.starts_with("Created deployment "), "{said}");
    up.running("/g/web", 3).await;
    let after = d.tasks("g_web");
    assert!(
        after.iter().all(|id| !before.contains(id)),
        "every task was replaced: {after:?}"
    );
    let versions = d.json(&["marathon", "app", "version", "list", "/g/web"]);
    assert_eq!(versions.as_array().unwrap().len(), 2);
    let older = d.json(&["marathon", "app", "show", "--app-version=-1", "/g/web"]);
    assert_eq!((&older["mem"], &older["cpus"]), (&json!(16), &json!(0.1)));

    app(&["update", "/g/web", "instances=2"]);
    let left = ids(&up.running("/g/web", 2).await);
    assert!(
        left.iter().all(|id| after.contains(id)),
        "scaling replaces nothing"
    );
    app(&["restart", "/g/web"]);
    let restarted = ids(&up.running("/g/web", 2).await);
    assert!(
        restarted.iter().all(|id| !left.contains(id)),
        "a restart replaces all"
    );
    assert!(app(&["kill", "/g/web"]).starts_with("Killed tasks: "));
    eventually("killed tasks are replaced", || async {
        let now = ids(&up.running("/g/web", 2).await);
        now.iter()
            .all(|id| !restarted.contains(id))
            .then_some(())
            .ok_or(format!("{now:?}"))
    })
    .await;
    assert!(app(&["kill", "--scale", "/g/web"]).starts_with("Started deployment: "));
    up.running("/g/web", 0).await;
    app(&["start", "/g/web", "1"]);
    up.running("/g/web", 1).await;
    app(&["stop", "/g/web"]);
    up.running("/g/web", 0).await;
    assert_eq!(d.ok(&["marathon", "task", "list"]), "");
    assert_eq!(app(&["remove", "/g/web"]), "");
    let gone = d.fails(&["marathon", "app", "show", "/g/web"]);
    assert_eq!(gone, "Error: App '/g/web' does not exist\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_deployments_and_the_queue_are_listed_and_acted_on() {
    let up = Up::start(3).await;
    let d = Dcos::of(&up);
    d.add(
        &up,
        &json!({"id": "web", "cmd": "sleep 1000", "cpus": 0.05, "mem": 16, "instances": 2}),
    )
    .await;
    let table = d.ok(&["marathon", "task", "list"]);
    assert_eq!(table.lines().count(), 3, "{table}");
    let ids = d.tasks("web");
    let one = d.json(&["marathon", "task", "show", &ids[0]]);
    assert_eq!(
        (&one["appId"], &one["state"]),
        (&json!("/web"), &json!("TASK_RUNNING"))
    );
    let killed = d.json(&["marathon", "task", "kill", "--json", &ids[0]]);
    assert_eq!(killed["tasks"][0]["id"], ids[0]);
    eventually("the killed task is replaced", || async {
        let now = d.tasks("web");
        (now.len() == 2 && !now.contains(&ids[0]))
            .then_some(())
            .ok_or(format!("{now:?}"))
    })
    .await;
    let stopped = d.json(&["marathon", "task", "stop", &ids[1]]);
    assert_eq!(stopped["id"], ids[1]);
    assert!(
        d.fails(&["marathon", "task", "show", "none"])
            .ends_with("' does not exist\n")
    );

    let large = json!({"id": "large", "cmd": "sleep 1000", "cpus": 1000, "mem": 16});
    let out = d.with_input(&["marathon", "app", "add"], large.to_string().as_bytes());
    assert!(out.status.success(), "{out:?}");
    let deployments = d.json(&["marathon", "deployment", "list", "--json", "/large"]);
    let id = deployments[0]["id"].as_str().unwrap();
    eventually("the queue says why", || async {
        let summary = d.ok(&["marathon", "debug", "summary", "/large"]);
        summary.contains("0.00%").then_some(()).ok_or(summary)
    })
    .await;
    assert!(d.ok(&["marathon", "debug", "list"]).contains("/large"));
    let details = d.ok(&["marathon", "debug", "details", "/large"]);
    assert_eq!(details.lines().count(), 4, "{details}");
    let locked = d.fails(&["marathon", "app", "update", "/large", "mem=32"]);
    assert_eq!(
        locked,
        "Changes blocked: deployment already in progress for app.\n"
    );
    assert_eq!(d.ok(&["marathon", "deployment", "stop", id]), "");
    assert_eq!(
        d.json(&["marathon", "deployment", "list", "--json", "/large"]),
        json!([])
    );
    assert_eq!(d.ok(&["marathon", "app", "remove", "--force", "/large"]), "");
    d.ok(&["marathon", "app", "remove", "--force", "/web"]);
}

fn ids(tasks: &[Value]) -> Vec<String> {
    tasks
        .iter()
        .map(|t| t["id"].as_str().unwrap().to_owned())
        .collect()
}
