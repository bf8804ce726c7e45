//! A deployment that serves HTTP is changed in every way while a careful client asks it all the time, and no
//! request fails.
//!
//! There is no balancer in between: the client takes the addresses of ready pods that are not about to go from the
//! API, twice a second, as a balancer's own controller would. Such news takes a while to get around, with any API
//! server: so a pod that is told to end first serves on for a while (`preStop`), which is what a careful user writes
//! for a real cluster, too.

use crate::support::eventually;
use crate::support::image::{BUSYBOX_TOO, docker};
use crate::support::kubectl::{Kubectl, STAYS, container, program, ready};
use crate::support::up::Up;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;

const LOOK: Duration = Duration::from_millis(500);
/// Longer than two looks.
const PRE_STOP_SECONDS: u32 = 2;
const ASKERS: usize = 4;
/// Between two requests of one asker.
const PAUSE: Duration = Duration::from_millis(15);

fn web(replicas: u32) -> Value {
    let mut serves = container(
        "c",
        &format!("echo ok > /www/index.html; httpd -p 8080 -h /www; {STAYS}"),
    );
    serves["ports"] = json!([{"containerPort": 8080, "name": "http"}]);
    serves["readinessProbe"] = json!({"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1});
    serves["lifecycle"] = json!({"preStop": {"sleep": {"seconds": PRE_STOP_SECONDS}}});
    let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [serves]}});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "template": template,
        },
    })
}

/// What the client has seen so far.
#[derive(Default)]
struct Seen {
    /// Where the last look found ready pods.
    addresses: Mutex<Vec<String>>,
    answered: AtomicU64,
    failed: Mutex<Vec<String>>,
    fewest: Mutex<Option<usize>>,
}

/// A client that asks until it is dropped.
struct Client {
    seen: Arc<Seen>,
    tasks: JoinSet<()>,
}

impl Client {
    fn start(api: &str) -> Self {
        let seen = Arc::new(Seen::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(look(
            format!("{api}/api/v1/namespaces/default/pods?labelSelector=app%3Dweb"),
            Arc::clone(&seen),
        ));
        for number in 0..ASKERS {
            tasks.spawn(ask(number, Arc::clone(&seen)));
        }
        Self { seen, tasks }
    }

    fn answered(&self) -> u64 {
        self.seen.answered.load(Ordering::Relaxed)
    }

    /// Goes on until it has had this many further answers.
    async fn goes_on(&self, more: u64) {
        let until = self.answered() + more;
        eventually("further answers", || async {
            let now = self.answered();
            if now >= until {
                Ok(())
            } else {
                Err(now.to_string())
            }
        })
        .await;
    }

    async fn end(mut self) -> Arc<Seen> {
        self.tasks.shutdown().await;
        self.seen
    }
}

/// Keeps the addresses of pods that are ready and not about to go.
async fn look(url: String, seen: Arc<Seen>) {
    let client = reqwest::Client::new();
    loop {
        let answer = client.get(&url).send().await.unwrap();
        let list: Value = answer.json().await.unwrap();
        let pods = list["items"].as_array().unwrap().iter();
        let good = pods.filter(|p| ready(p) && p["metadata"]["deletionTimestamp"].is_null());
        let found: Vec<String> = good
            .map(|p| p["status"]["podIP"].as_str().unwrap().to_owned())
            .collect();
        if !found.is_empty() {
            let mut fewest = seen.fewest.lock().unwrap();
            *fewest = Some(fewest.map_or(found.len(), |n| n.min(found.len())));
        }
        *seen.addresses.lock().unwrap() = found;
        tokio::time::sleep(LOOK).await;
    }
}

/// Asks one pod after the other, with a connection for each request.
async fn ask(number: usize, seen: Arc<Seen>) {
    let client = reqwest::Client::builder()
        .pool_max_idle_per_host(0)
        .timeout(Duration::from_secs(5))
        .build()
        .unwrap();
    let mut turn = number;
    loop {
        turn += 1;
        let address = {
            let addresses = seen.addresses.lock().unwrap();
            addresses.get(turn % addresses.len().max(1)).cloned()
        };
        let Some(address) = address else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let answer = match client.get(format!("http://{address}:8080/")).send().await {
            Ok(answer) if answer.status().is_success() => answer.text().await.map_err(|e| format!("{e:?}")),
            Ok(answer) => Err(answer.status().to_string()),
            Err(e) => Err(format!("{e:?}")),
        };
        match answer {
            Ok(text) if text == "ok\n" => drop(seen.answered.fetch_add(1, Ordering::Relaxed)),
            other => seen.failed.lock().unwrap().push(format!("{address}: {other:?}")),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn rolled_out(kubectl: &Kubectl) {
    let said = kubectl.ok(&["rollout", "status", "deploy/web", "--timeout=90s"]);
    assert!(said.ends_with("successfully rolled out"), "{said}");
}

/// Uids of the pods that stay.
fn pods(kubectl: &Kubectl) -> BTreeSet<String> {
    let list = kubectl.get(&["pods", "-l", "app=web"]);
    let staying = list["items"].as_array().unwrap().iter();
    staying
        .filter(|p| p["metadata"]["deletionTimestamp"].is_null())
        .map(|p| p["metadata"]["uid"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_whatever_is_done_to_the_deployment() {
    let (true, Some(program)) = (docker(), program()) else {
        return;
    };
    let up = Up::start_with(3, &["kubernetes"]).await;
    let kubectl = Kubectl::of(&up, program);
    kubectl.nodes(3).await;
    kubectl.apply(&[web(4)]);
    rolled_out(&kubectl);
    let client = Client::start(up.url("kubernetes"));
    client.goes_on(50).await;

    let first = pods(&kubectl);
    kubectl.ok(&["set", "env", "deploy/web", "A=b"]);
    rolled_out(&kubectl);
    assert!(first.is_disjoint(&pods(&kubectl)), "every pod is a new one");
    kubectl.ok(&["set", "image", "deploy/web", &format!("c={BUSYBOX_TOO}")]);
    rolled_out(&kubectl);
    kubectl.ok(&["rollout", "restart", "deploy/web"]);
    rolled_out(&kubectl);
    // With the smallest steps that there are.
    let strategy = r#"{"spec":{"strategy":{"rollingUpdate":{"maxSurge":0,"maxUnavailable":1}}}}"#;
    kubectl.ok(&["patch", "deploy", "web", "-p", strategy]);
    kubectl.ok(&["rollout", "undo", "deploy/web"]);
    rolled_out(&kubectl);
    kubectl.ok(&["scale", "deploy/web", "--replicas=6"]);
    rolled_out(&kubectl);
    kubectl.ok(&["scale", "deploy/web", "--replicas=4"]);
    rolled_out(&kubectl);
    stalls(&kubectl, &client).await;
    let fewest = client.seen.fewest.lock().unwrap().unwrap();
    assert!(fewest >= 3, "one of four may be missing, but {fewest} were left");
    kubectl.ok(&["drain", "node-1", "--timeout=60s"]);
    rolled_out(&kubectl);
    client.goes_on(50).await;

    let seen = client.end().await;
    let failed = seen.failed.lock().unwrap().clone();
    let answered = seen.answered.load(Ordering::Relaxed);
    assert!(failed.is_empty(), "{} of {answered}: {failed:#?}", failed.len());
    assert!(answered > 1000, "only {answered} were asked");
    eprintln!("{answered} requests answered, none failed");
    kubectl.ok(&["delete", "deploy", "web"]);
}

/// An image that is nowhere: the rollout passes its deadline while the old pods serve on, and is taken back.
async fn stalls(kubectl: &Kubectl, client: &Client) {
    eventually("four pods", || async {
        let now = pods(kubectl);
        if now.len() == 4 {
            Ok(())
        } else {
            Err(format!("{now:?}"))
        }
    })
    .await;
    let before = pods(kubectl);
    kubectl.deadline("web", 5);
    kubectl.ok(&["set", "image", "deploy/web", "c=nowhere.invalid/broken:1"]);
    let said = kubectl.refused(&["rollout", "status", "deploy/web"]);
    assert!(said.contains("exceeded its progress deadline"), "{said}");
    let kept = before.intersection(&pods(kubectl)).count();
    assert!(
        kept >= 3,
        "the old pods serve on, but for the one that may be missing: {kept}"
    );
    client.goes_on(50).await;
    kubectl.deadline("web", 60);
    kubectl.ok(&["rollout", "undo", "deploy/web"]);
    rolled_out(kubectl);
    let after = pods(kubectl);
    assert_eq!(after.len(), 4);
    assert_eq!(
        before.intersection(&after).count(),
        kept,
        "what served on serves still"
    );
}
