//! Groups at the Marathon door with real processes on three nodes: what needs what is seen in the times at which
//! the processes themselves say that they started and ended.

use super::support::eventually;
use super::support::up::Up;
use serde_json::{Value, json};
use std::path::Path;

/// An app whose instances write when they start and when they are asked to end. It takes a while to end, so
/// that an order that is only luck is seen.
fn app(notes: &Path, id: &str, instances: u32, needs: &[&str]) -> Value {
    let name = id.rsplit('/').next().unwrap();
    let note = |what: &str| format!("date +%s%N > {}/{name}.$MESOS_TASK_ID.{what}", notes.display());
    let cmd = format!(
        "{}; trap 'sleep 0.3; {}; exit 0' TERM; while :; do sleep 0.05; done",
        note("start"),
        note("end")
    );
    // A process that has begun may not have come to its first command yet; one that is healthy has.
    let check = json!({"protocol": "COMMAND", "delaySeconds": 0, "intervalSeconds": 1, "gracePeriodSeconds": 60,
                       "command": {"value": format!("ls {}/{name}.$MESOS_TASK_ID.start", notes.display())}});
    json!({"id": id, "cmd": cmd, "cpus": 0.05, "mem": 16, "instances": instances, "dependencies": needs,
           "taskKillGracePeriodSeconds": 30, "healthChecks": [check]})
}

fn group(notes: &Path) -> Value {
    json!({"id": "/shop", "groups": [
        {"id": "front", "dependencies": ["/shop/back"], "apps": [app(notes, "web", 2, &[])]},
        {"id": "back", "apps": [app(notes, "api", 3, &["db"]), app(notes, "db", 2, &[])]},
    ]})
}

/// The earliest and the latest time that the instances of an app wrote, in nanoseconds.
fn times(notes: &Path, app: &str, what: &str) -> (u64, u64) {
    let names = std::fs::read_dir(notes)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap());
    let mine = names.filter(|n| n.starts_with(&format!("{app}.")) && n.ends_with(&format!(".{what}")));
    let mut times: Vec<u64> = mine
        .map(|n| {
            std::fs::read_to_string(notes.join(n))
                .unwrap()
                .trim()
                .parse()
                .unwrap()
        })
        .collect();
    times.sort_unstable();
    (times[0], times[times.len() - 1])
}

async fn at_rest(up: &Up) {
    eventually("no deployment", || async {
        let (_, deployments) = up.marathon("GET", "/v2/deployments", None).await;
        if deployments == json!([]) {
            Ok(())
        } else {
            Err(deployments.to_string())
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_need_starts_before_them_and_ends_after_them() {
    let up = Up::start(3).await;
    let notes = tempfile::tempdir().unwrap();
    let (status, made) = up
        .marathon("POST", "/v2/groups", Some(&group(notes.path())))
        .await;
    assert_eq!(status, 201, "{made}");
    at_rest(&up).await;
    let started = |app: &str| times(notes.path(), app, "start");
    assert!(started("db").1 < started("api").0, "every db runs before any api");
    assert!(
        started("api").1 < started("web").0,
        "every api runs before any web"
    );
    let (_, tasks) = up.marathon("GET", "/v2/tasks", None).await;
    assert_eq!(tasks["tasks"].as_array().unwrap().len(), 7);

    let (status, gone) = up.marathon("DELETE", "/v2/groups/shop", None).await;
    assert_eq!(status, 200, "{gone}");
    at_rest(&up).await;
    let ended = |app: &str| times(notes.path(), app, "end");
    assert!(ended("web").1 < ended("api").0, "every web ends before any api");
    assert!(ended("api").1 < ended("db").0, "every api ends before any db");
    let (_, groups) = up.marathon("GET", "/v2/groups", None).await;
    assert_eq!(groups["groups"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_keeps_its_versions_and_its_deployment_through_a_hard_end() {
    let mut up = Up::start(3).await;
    let notes = tempfile::tempdir().unwrap();
    up.marathon("POST", "/v2/groups", Some(&group(notes.path())))
        .await;
    at_rest(&up).await;
    let (_, before) = up.marathon("GET", "/v2/groups/shop", None).await;
    let stuck = json!({"groups": [{"id": "back", "apps": [
        {"id": "db", "cmd": "sleep 1000", "cpus": 1000, "mem": 16},
    ]}]});
    let (_, change) = up.marathon("PUT", "/v2/groups/shop", Some(&stuck)).await;
    up.kill_hard();
    up.start_again().await;
    let (_, deployments) = up.marathon("GET", "/v2/deployments", None).await;
    assert_eq!(deployments[0]["id"], change["deploymentId"]);
    let (_, versions) = up.marathon("GET", "/v2/groups/shop/versions", None).await;
    assert_eq!(versions.as_array().unwrap().len(), 2);
    let id = change["deploymentId"].as_str().unwrap();
    let (status, back) = up
        .marathon("DELETE", &format!("/v2/deployments/{id}"), None)
        .await;
    assert_eq!(status, 200, "{back}");
    at_rest(&up).await;
    let (_, after) = up.marathon("GET", "/v2/groups/shop", None).await;
    let shape = |group: &Value| -> Vec<Value> {
        let groups = group["groups"].as_array().unwrap().iter();
        let apps = groups.flat_map(|g| g["apps"].as_array().unwrap());
        apps.map(|a| json!([a["id"], a["instances"], a["cmd"], a["dependencies"]]))
            .collect()
    };
    assert_eq!(shape(&after), shape(&before));
    let (_, tasks) = up.marathon("GET", "/v2/tasks", None).await;
    assert_eq!(tasks["tasks"].as_array().unwrap().len(), 7);
}
