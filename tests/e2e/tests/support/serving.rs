//! Services that serve HTTP while they are changed, and a careful client that asks them all the time.
//!
//! There is no balancer in between: the client takes the addresses of what is ready from the tool's own API, twice a
//! second, as a balancer's own controller would. Such news takes a while to get around, with any API: so what is told
//! to end serves on for a while, which is what a careful user writes for a real cluster, too.

use super::eventually;
use super::image::BUSYBOX;
use super::kubectl::{STAYS, container};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;

const LOOK: Duration = Duration::from_millis(500);
/// How long what is told to end serves on: longer than several looks.
pub(crate) const LINGERS_SECONDS: u32 = 3;
const ASKERS: usize = 4;
/// Between two requests of one asker.
const PAUSE: Duration = Duration::from_millis(15);

/// What a client has seen so far.
#[derive(Debug, Default)]
struct Seen {
    /// Where the last look found something ready.
    urls: Vec<String>,
    answered: usize,
    /// What was answered.
    said: BTreeSet<String>,
    failed: Vec<String>,
    /// How few were ready at least, from the first one on.
    fewest: usize,
}

impl Seen {
    fn found(&mut self, urls: Vec<String>) {
        if self.fewest != usize::MAX || !urls.is_empty() {
            self.fewest = self.fewest.min(urls.len());
        }
        self.urls = urls;
    }

    fn heard(&mut self, url: &str, answer: Result<String, reqwest::Error>) {
        match answer {
            Ok(text) => {
                self.answered += 1;
                self.said.insert(text.trim().to_owned());
            }
            Err(e) => self.failed.push(format!("{url}: {e:?}")),
        }
    }
}

/// A client that asks until it is dropped.
pub(crate) struct Client {
    seen: Arc<Mutex<Seen>>,
    _tasks: JoinSet<()>,
}

impl Client {
    /// Asks the URLs that `look` finds for what a door's tool calls `name`.
    pub(crate) fn start<Fut>(
        door: &str,
        name: &'static str,
        look: impl Fn(String, &'static str) -> Fut + Send + 'static,
    ) -> Self
    where
        Fut: Future<Output = Vec<String>> + Send,
    {
        let door = door.to_owned();
        let seen = Arc::new(Mutex::new(Seen {
            fewest: usize::MAX,
            ..Seen::default()
        }));
        let mut tasks = JoinSet::new();
        let looked = Arc::clone(&seen);
        tasks.spawn(async move {
            loop {
                let found = look(door.clone(), name).await;
                looked.lock().unwrap().found(found);
                tokio::time::sleep(LOOK).await;
            }
        });
        for number in 0..ASKERS {
            tasks.spawn(ask(number, Arc::clone(&seen)));
        }
        Self { seen, _tasks: tasks }
    }

    /// Goes on until it has had this many further answers; what all of them said.
    pub(crate) async fn goes_on(&self, more: usize) -> BTreeSet<String> {
        let until = {
            let mut seen = self.seen.lock().unwrap();
            seen.said.clear();
            seen.answered + more
        };
        eventually("further answers", || async {
            let seen = self.seen.lock().unwrap();
            if seen.answered >= until {
                Ok(seen.said.clone())
            } else {
                Err(format!("{} of {until}, of {:?}", seen.answered, seen.urls))
            }
        })
        .await
    }

    /// Goes on until this is all that is said.
    pub(crate) async fn hears(&self, only: &str) {
        eventually(&format!("only {only} is said"), || async {
            let said = self.goes_on(30).await;
            if said.len() == 1 && said.contains(only) {
                Ok(())
            } else {
                Err(format!("{said:?}"))
            }
        })
        .await;
    }

    /// How few were ready at least.
    pub(crate) fn fewest(&self) -> usize {
        self.seen.lock().unwrap().fewest
    }

    /// Ends it: every request must have been answered well, and there were so many.
    pub(crate) fn end(self, least: usize) {
        let seen = self.seen.lock().unwrap();
        let (failed, answered) = (&seen.failed, seen.answered);
        assert!(failed.is_empty(), "{} of {answered}: {failed:#?}", failed.len());
        assert!(answered >= least, "only {answered} were asked");
        eprintln!("{answered} requests answered, none failed");
    }
}

/// Asks one after the other, with a connection for each request.
async fn ask(number: usize, seen: Arc<Mutex<Seen>>) {
    let client = reqwest::Client::builder()
        .pool_max_idle_per_host(0)
        .timeout(Duration::from_secs(5))
        .build()
        .unwrap();
    let mut turn = number;
    loop {
        turn += 1;
        let url = {
            let seen = seen.lock().unwrap();
            seen.urls.get(turn % seen.urls.len().max(1)).cloned()
        };
        if let Some(url) = url {
            let answer = async { client.get(&url).send().await?.error_for_status()?.text().await }.await;
            seen.lock().unwrap().heard(&url, answer);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// A command of a Marathon app that serves its version, and that it is ready, until asked to stop and a while longer.
pub(crate) fn app_command(version: &str, ready_after: u32) -> String {
    format!(
        "mkdir www; echo {version} > www/version; busybox httpd -f -p $HOST:$PORT0 -h www & server=$!; \
         trap 'sleep {LINGERS_SECONDS}; kill $server; exit 0' TERM; sleep {ready_after}; touch www/ready; \
         while :; do sleep 0.1; done"
    )
}

/// A health check of a Marathon app that looks every second and makes up its mind at once.
pub(crate) fn quick(check: &Value) -> Value {
    let mut quick = json!({"gracePeriodSeconds": 60, "intervalSeconds": 1, "timeoutSeconds": 1,
                           "maxConsecutiveFailures": 1, "delaySeconds": 1});
    for (key, value) in check.as_object().unwrap() {
        quick[key] = value.clone();
    }
    quick
}

/// Where the instances of an app are that a client may ask: they run and all their checks pass.
pub(crate) async fn of_app(marathon: String, app: &'static str) -> Vec<String> {
    let body = get(&format!("{marathon}/v2/apps{app}/tasks")).await;
    let alive = |t: &&Value| {
        let results = t["healthCheckResults"].as_array().unwrap();
        t["state"] == "TASK_RUNNING" && !results.is_empty() && results.iter().all(|r| r["alive"] == true)
    };
    let tasks = body["tasks"].as_array().unwrap().iter().filter(alive);
    tasks
        .map(|t| format!("http://{}:{}/version", t["host"].as_str().unwrap(), t["ports"][0]))
        .collect()
}

/// A Deployment whose pods serve a version.
pub(crate) fn web_deployment(name: &str, replicas: u32, version: &str) -> Value {
    let mut serves = container(
        "c",
        &format!("echo $VERSION > /www/index.html; httpd -p 8080 -h /www; {STAYS}"),
    );
    serves["env"] = json!([{"name": "VERSION", "value": version}]);
    serves["ports"] = json!([{"containerPort": 8080, "name": "http"}]);
    serves["readinessProbe"] = json!({"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1});
    serves["lifecycle"] = json!({"preStop": {"sleep": {"seconds": LINGERS_SECONDS}}});
    let template = json!({"metadata": {"labels": {"app": name}}, "spec": {"containers": [serves]}});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": name}},
            "template": template,
        },
    })
}

/// Where the ready pods of an app are that are not about to go.
pub(crate) async fn of_deployment(kubernetes: String, app: &'static str) -> Vec<String> {
    let path = format!("/api/v1/namespaces/default/pods?labelSelector=app%3D{app}");
    let list = get(&format!("{kubernetes}{path}")).await;
    let pods = list["items"].as_array().unwrap().iter();
    let good = pods.filter(|p| super::kubectl::ready(p) && p["metadata"]["deletionTimestamp"].is_null());
    good.map(|p| format!("http://{}:8080/", p["status"]["podIP"].as_str().unwrap()))
        .collect()
}

/// What `docker service create` is told for a service that serves a version on a port of its node, and says itself
/// whether it does.
pub(crate) fn web_service(name: &str, replicas: usize, version: &str) -> Vec<String> {
    let check = "wget -q -O /dev/null http://127.0.0.1:8080/";
    let script = format!(
        "echo $VERSION > /www/index.html; httpd -p 8080 -h /www; \
         trap 'sleep {LINGERS_SECONDS}; exit 0' TERM; while :; do sleep 0.1; done"
    );
    let flags = "--no-resolve-image --publish mode=host,target=8080 --update-order start-first --update-monitor 1s \
                 --rollback-order start-first --rollback-monitor 1s --restart-delay 1s --stop-grace-period 20s \
                 --health-interval 1s --health-timeout 5s --health-retries 3";
    let flags = flags.split_whitespace().map(str::to_owned);
    let own = [
        format!("--name={name}"),
        format!("--replicas={replicas}"),
        format!("--env=VERSION={version}"),
        format!("--health-cmd={check}"),
    ];
    let run = [BUSYBOX, "sh", "-c", &script].map(str::to_owned);
    flags.chain(own).chain(run).collect()
}

/// Where the tasks of a service are that run, which is: their check has passed, and shall go on.
pub(crate) async fn of_service(docker: String, service: &'static str) -> Vec<String> {
    let base = docker.replace("tcp://", "http://");
    let filters = format!("{{\"service\":[\"{service}\"],\"desired-state\":[\"running\"]}}");
    let url = reqwest::Url::parse_with_params(&format!("{base}/tasks"), [("filters", &filters)]).unwrap();
    let (tasks, nodes) = (get(url.as_str()).await, get(&format!("{base}/nodes")).await);
    let address = |id: &Value| {
        let node = nodes.as_array().unwrap().iter().find(|n| n["ID"] == *id);
        node.and_then(|n| n["Status"]["Addr"].as_str().map(str::to_owned))
    };
    let running = tasks.as_array().unwrap().iter();
    running
        .filter(|t| t["Status"]["State"] == "running")
        .filter_map(|t| {
            let port = t["Status"]["PortStatus"]["Ports"][0]["PublishedPort"].as_u64()?;
            Some(format!("http://{}:{port}/", address(&t["NodeID"])?))
        })
        .collect()
}

async fn get(url: &str) -> Value {
    let (status, body) = super::request("GET", url, None).await;
    assert_eq!(status, 200, "{url}: {body}");
    body
}
