//! Marathon's checks against real processes: who fails is killed, a broken version stalls, and an update under
//! constant requests loses none of them.

use super::support::eventually;
use super::support::up::Up;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Serves what is in `www` of its sandbox until asked to stop, and two seconds longer: as a server behind clients
/// that still have its address does.
fn server(version: &str, ready_after: u32) -> String {
    format!(
        "mkdir www; echo {version} > www/version; busybox httpd -f -p $HOST:$PORT0 -h www & server=$!; \
         trap 'sleep 2; kill $server; exit 0' TERM; sleep {ready_after}; touch www/ready; \
         while :; do sleep 0.1; done"
    )
}

fn quick(check: &Value) -> Value {
    let mut quick = json!({"gracePeriodSeconds": 60, "intervalSeconds": 1, "timeoutSeconds": 1,
                           "maxConsecutiveFailures": 1, "delaySeconds": 1});
    for (key, value) in check.as_object().unwrap() {
        quick[key] = value.clone();
    }
    quick
}

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
    up.create(json!({"id": "/web", "cmd": server("1", 0), "cpus": 0.1, "mem": 32, "healthChecks": [bad]}))
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

/// Where the instances are that a client may ask: they run and all their checks pass.
async fn endpoints(up: &Up) -> Vec<String> {
    let (_, body) = up.marathon("GET", "/v2/apps/web/tasks", None).await;
    let alive = |t: &&Value| {
        let results = t["healthCheckResults"].as_array().unwrap();
        t["state"] == "TASK_RUNNING" && !results.is_empty() && results.iter().all(|r| r["alive"] == true)
    };
    let tasks = body["tasks"].as_array().unwrap().iter().filter(alive);
    tasks
        .map(|t| format!("http://{}:{}/version", t["host"].as_str().unwrap(), t["ports"][0]))
        .collect()
}

/// What a client saw that asked all the time.
#[derive(Default)]
struct Asked {
    good: usize,
    versions: BTreeSet<String>,
    failed: Vec<String>,
    fewest: usize,
}

/// Asks one instance after another, fifty times a second, and looks twice a second who they are.
async fn ask(up: Arc<Up>, stop: Arc<AtomicBool>) -> Asked {
    let client = reqwest::Client::builder()
        .pool_max_idle_per_host(0)
        .timeout(Duration::from_secs(5))
        .build()
        .unwrap();
    let mut asked = Asked {
        fewest: usize::MAX,
        ..Asked::default()
    };
    while !stop.load(Ordering::Relaxed) {
        let all = endpoints(&up).await;
        asked.fewest = asked.fewest.min(all.len());
        for (n, url) in all.iter().cycle().take(25).enumerate() {
            let answer = async { client.get(url).send().await?.error_for_status()?.text().await };
            match answer.await {
                Ok(version) => {
                    asked.good += 1;
                    asked.versions.insert(version.trim().to_owned());
                }
                Err(e) => asked.failed.push(format!("request {n} to {url}: {e:?}")),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    asked
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_gated_by_readiness_loses_no_request() {
    let up = Arc::new(Up::start(2).await);
    let web = json!({
        "id": "/web", "cmd": server("one", 0), "cpus": 0.1, "mem": 32, "instances": 2,
        "taskKillGracePeriodSeconds": 10,
        "upgradeStrategy": {"minimumHealthCapacity": 1.0, "maximumOverCapacity": 0.5},
        "healthChecks": [quick(&json!({"path": "/version"}))],
        "readinessChecks": [{"name": "up", "portName": "default", "path": "/ready",
                             "intervalSeconds": 2, "timeoutSeconds": 1}],
    });
    up.create(web).await;
    up.running("/web", 2).await;
    let stop = Arc::new(AtomicBool::new(false));
    let client = tokio::spawn(ask(Arc::clone(&up), Arc::clone(&stop)));

    let old = ids(&app(&up, "/web").await);
    let change = json!({"cmd": server("two", 3)});
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

    stop.store(true, Ordering::Relaxed);
    let asked = client.await.unwrap();
    assert_eq!(asked.failed, Vec::<String>::new(), "of {} requests", asked.good);
    let (one, two) = ("one".to_owned(), "two".to_owned());
    assert_eq!(asked.versions, [one, two].into());
    assert!(
        asked.good > 100 && asked.fewest >= 2,
        "{} good, {} alive at least",
        asked.good,
        asked.fewest
    );
    up.delete("/web").await;
}
