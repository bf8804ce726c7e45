//! Marathon's checks against real processes: who fails is killed, a broken version stalls, and an update under
//! constant requests loses none of them.

use super::support::eventually;
use super::support::serving::{Client, app_command, of_app, quick};
use super::support::up::Up;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Mutex;

async fn app(up: &Up, id: &str) -> Value {
    up.marathon("GET", &format!("/v2/apps{id}"), None).await.1["app"].take()
}

fn ids(app: &Value) -> BTreeSet<String> {
    let tasks = app["tasks"].as_array().into_iter().flatten();
    tasks.map(|t| t["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_endpoint_is_killed_again_and_again_until_it_is_mended() {
    let up = Up::start(2).await;
    let bad = quick(&json!({"path": "/missing", "gracePeriodSeconds": 1}));
    up.create(
        json!({"id": "/web", "cmd": app_command("1", 0), "cpus": 0.1, "mem": 32, "healthChecks": [bad]}),
    )
    .await;
    let seen = Mutex::new(BTreeSet::new());
    let failure = eventually("a third instance", || async {
        let app = app(&up, "/web").await;
        let mut seen = seen.lock().unwrap();
        seen.extend(ids(&app));
        if seen.len() >= 3 {
            Ok(app["lastTaskFailure"].clone())
        } else {
            Err(app.to_string())
        }
    })
    .await;
    assert_eq!(failure["state"], "TASK_KILLED", "{failure}");
    let message = failure["message"].as_str().unwrap();
    assert!(
        message.starts_with("Task was killed since health check failed. Reason: GET http://")
            && message.ends_with("/missing: status 404"),
        "{message}"
    );
    let stalled = app(&up, "/web").await;
    assert_eq!(
        (
            &stalled["tasksHealthy"],
            stalled["deployments"].as_array().unwrap().len()
        ),
        (&json!(0), 1)
    );

    let mended = json!([
        quick(&json!({"path": "/version"})),
        quick(&json!({"protocol": "TCP"})),
        quick(&json!({"protocol": "COMMAND", "command": {"value": "test -f www/version"}})),
    ]);
    let change = json!({"healthChecks": mended});
    let (status, body) = up.marathon("PUT", "/v2/apps/web?force=true", Some(&change)).await;
    assert_eq!(status, 200, "{body}");
    let tasks = up.running("/web", 1).await;
    let results = tasks[0]["healthCheckResults"].as_array().unwrap();
    assert!(
        results.len() == 3 && results.iter().all(|r| r["alive"] == true),
        "{results:?}"
    );
    let healthy = app(&up, "/web").await;
    assert_eq!(
        (&healthy["tasksHealthy"], &healthy["tasksUnhealthy"]),
        (&json!(1), &json!(0))
    );
    up.delete("/web").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_gated_by_readiness_loses_no_request() {
    let up = Up::start(2).await;
    let web = json!({
        "id": "/web", "cmd": app_command("one", 0), "cpus": 0.1, "mem": 32, "instances": 2,
        "taskKillGracePeriodSeconds": 10,
        "upgradeStrategy": {"minimumHealthCapacity": 1.0, "maximumOverCapacity": 0.5},
        "healthChecks": [quick(&json!({"path": "/version"}))],
        "readinessChecks": [{"name": "up", "portName": "default", "path": "/ready",
                             "intervalSeconds": 2, "timeoutSeconds": 1}],
    });
    up.create(web).await;
    up.running("/web", 2).await;
    let client = Client::start(up.url("marathon"), "/web", of_app);

    let old = ids(&app(&up, "/web").await);
    let change = json!({"cmd": app_command("two", 3)});
    let (status, body) = up.marathon("PUT", "/v2/apps/web", Some(&change)).await;
    assert_eq!(status, 200, "{body}");
    // The new one is healthy at once and ready three seconds later; nobody is replaced before.
    eventually("one that is not ready yet", || async {
        let (_, deployments) = up.marathon("GET", "/v2/deployments", None).await;
        let results = deployments[0]["currentActions"][0]["readinessCheckResults"].clone();
        let waits = results
            .as_array()
            .is_some_and(|all| all.iter().any(|r| r["ready"] == false));
        let both = old.is_subset(&ids(&app(&up, "/web").await));
        if waits && both {
            Ok(())
        } else {
            Err(results.to_string())
        }
    })
    .await;
    let new = up.running("/web", 2).await;
    assert!(
        new.iter().all(|t| !old.contains(t["id"].as_str().unwrap())),
        "all are replaced"
    );

    client.hears("two").await;
    assert!(client.fewest() >= 2, "{} alive at least", client.fewest());
    client.end(100);
    up.delete("/web").await;
}
