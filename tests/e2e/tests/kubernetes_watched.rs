//! Three clients watch while every part of a pool is killed with `kill -9` in turn: kubectl, `kube`'s own watcher and
//! the Python client. Nothing that happens is lost on them, resource versions go on rising, and of the pods that run
//! none is lost, made twice or restarted.

use crate::support::eventually;
use crate::support::image::docker;
use crate::support::kubectl::{Background, Kubectl, STAYS, container, program, ready};
use crate::support::kubernetes_parts::Pool;
use crate::support::root;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{Config, Event, watcher};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is watched carries this label; the last of it ends the watches.
const JOURNAL: &str = "journal=yes";
const LAST: &str = "last";
/// How often one object is changed while a part dies.
const WRITES: u32 = 20;

/// What happened to one object: its name and resource version; none: it was deleted.
type Happened = (String, Option<u64>);

fn version(object: &Value) -> u64 {
    let text = object["metadata"]["resourceVersion"].as_str().unwrap();
    text.parse().unwrap()
}

/// A user who writes a journal, asks again when there is no answer, and knows what came of it.
struct Journal {
    url: String,
    client: reqwest::Client,
    happened: Vec<Happened>,
}

impl Journal {
    fn of(pool: &Pool) -> Self {
        Self {
            url: format!("{}/api/v1/namespaces/default/configmaps", pool.url),
            client: reqwest::Client::builder()
                .timeout(Duration::from_secs(5))
                .build()
                .unwrap(),
            happened: Vec::new(),
        }
    }

    /// Asks until there is an answer that is none of trouble: what an earlier try did is taken for done.
    async fn ask(&self, method: &str, name: &str, body: Option<&Value>) -> (u16, Value) {
        let path = if method == "POST" {
            String::new()
        } else {
            format!("/{name}")
        };
        eventually(&format!("{method} {name}"), || async {
            let method = method.parse().unwrap();
            let mut request = self.client.request(method, format!("{}{path}", self.url));
            if let Some(body) = body {
                request = request
                    .header("content-type", "application/merge-patch+json")
                    .body(body.to_string());
            }
            let answer = request.send().await.map_err(|e| e.to_string())?;
            let code = answer.status().as_u16();
            let body = answer.json().await.map_err(|e| e.to_string())?;
            if code < 500 && code != 429 {
                Ok((code, body))
            } else {
                Err(format!("{code} {body}"))
            }
        })
        .await
    }

    async fn create(&mut self, name: &str) {
        let labels = json!({"journal": "yes"});
        let map = json!({"metadata": {"name": name, "labels": labels}, "data": {"k": "v"}});
        let (code, mut made) = self.create_once(name, &map).await;
        if code == 409 {
            made = self.ask("GET", name, None).await.1;
        }
        self.happened.push((name.to_owned(), Some(version(&made))));
    }

    async fn create_once(&self, name: &str, map: &Value) -> (u16, Value) {
        eventually(&format!("POST {name}"), || async {
            let request = self.client.post(&self.url).json(map);
            let answer = request.send().await.map_err(|e| e.to_string())?;
            let code = answer.status().as_u16();
            let body = answer.json().await.map_err(|e| e.to_string())?;
            if code == 201 || code == 409 {
                Ok((code, body))
            } else {
                Err(format!("{code} {body}"))
            }
        })
        .await
    }

    async fn change(&mut self, name: &str, value: &str) {
        let (code, made) = self
            .ask("PATCH", name, Some(&json!({"data": {"k": value}})))
            .await;
        assert_eq!(code, 200, "{made}");
        self.happened.push((name.to_owned(), Some(version(&made))));
    }

    async fn delete(&mut self, name: &str) {
        let (code, answer) = self.ask("DELETE", name, None).await;
        assert!(code == 200 || code == 404, "{code} {answer}");
        self.happened.push((name.to_owned(), None));
    }

    /// What there is now: resource versions by name.
    async fn list(&self) -> BTreeMap<String, u64> {
        let url = format!("{}?labelSelector=journal%3Dyes", self.url);
        let list: Value = self.client.get(url).send().await.unwrap().json().await.unwrap();
        let items = list["items"].as_array().unwrap().iter();
        items
            .map(|item| {
                (
                    item["metadata"]["name"].as_str().unwrap().to_owned(),
                    version(item),
                )
            })
            .collect()
    }
}

/// What a watcher has seen: its store, and what happened in turn.
#[derive(Debug, Default)]
struct Seen {
    store: BTreeMap<String, u64>,
    happened: Vec<Happened>,
    /// How often it began from a list.
    lists: usize,
}

/// `kube`'s own watcher, until the last object comes.
async fn kube_watcher(url: String) -> Seen {
    let client = kube::Client::try_from(kube::Config::new(url.parse().unwrap())).unwrap();
    let maps: kube::Api<ConfigMap> = kube::Api::default_namespaced(client);
    let mut events = watcher(maps, Config::default().labels(JOURNAL))
        .default_backoff()
        .boxed();
    let mut seen = Seen::default();
    let told = |map: &ConfigMap| {
        let version = map.metadata.resource_version.as_deref().unwrap().parse().unwrap();
        (map.metadata.name.clone().unwrap(), version)
    };
    loop {
        // What breaks off is an error that the watcher gets over by itself.
        let Ok(event) = events.next().await.unwrap() else {
            continue;
        };
        match event {
            Event::Init => {
                seen.lists += 1;
                seen.store.clear();
            }
            Event::InitDone => {}
            Event::InitApply(map) | Event::Apply(map) => {
                let (name, version) = told(&map);
                seen.store.insert(name.clone(), version);
                seen.happened.push((name.clone(), Some(version)));
                if name == LAST {
                    return seen;
                }
            }
            Event::Delete(map) => {
                let (name, _) = told(&map);
                seen.store.remove(&name);
                seen.happened.push((name, None));
            }
        }
    }
}

/// The Python client, once it has begun.
fn python(kubeconfig: &std::path::Path) -> Option<(Background, BufReader<std::process::ChildStdout>)> {
    let venv = PathBuf::from(std::env::var_os("E2E_VENV")?);
    let mut child = Command::new(venv.join("bin/python"))
        .arg(root().join("tests/e2e/tests/kubernetes_watch.py"))
        .arg(kubeconfig)
        .args([JOURNAL, LAST])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "begun\n");
    Some((Background(child), stdout))
}

/// What it says once the last object has come.
async fn told(mut stdout: BufReader<std::process::ChildStdout>) -> Seen {
    let line = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        stdout.read_to_string(&mut line).unwrap();
        line
    });
    let line = tokio::time::timeout(Duration::from_secs(60), line)
        .await
        .unwrap()
        .unwrap();
    let told: Value = serde_json::from_str(&line).unwrap();
    let store = told["store"].as_object().unwrap().iter();
    let seen = told["seen"].as_array().unwrap().iter();
    Seen {
        store: store
            .map(|(name, v)| (name.clone(), v.as_str().unwrap().parse().unwrap()))
            .collect(),
        happened: seen
            .map(|one| {
                let version = (one[0] != "DELETED").then(|| one[2].as_u64().unwrap());
                (one[1].as_str().unwrap().to_owned(), version)
            })
            .collect(),
        lists: 1,
    }
}

/// `kubectl get pods -w`, begun again as often as its server dies, as a person would.
struct PodWatch {
    stop: Arc<AtomicBool>,
    child: Arc<Mutex<Option<Child>>>,
    thread: std::thread::JoinHandle<Vec<Value>>,
}

impl PodWatch {
    fn start(kubectl: &Kubectl) -> Self {
        let (stop, child) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(None)));
        let args = ["get", "pods", "-w", "--output-watch-events", "-o", "json"];
        let mut command = kubectl.command(&args);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let (stopped, held) = (Arc::clone(&stop), Arc::clone(&child));
        let thread = std::thread::spawn(move || {
            let mut events = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let mut child = command.spawn().unwrap();
                let stdout = child.stdout.take().unwrap();
                *held.lock().unwrap() = Some(child);
                let read = serde_json::Deserializer::from_reader(stdout).into_iter::<Value>();
                // One that was cut off in the middle is told again.
                events.extend(read.map_while(Result::ok));
                let ended = held.lock().unwrap().take();
                drop(ended.map(Background));
                std::thread::sleep(Duration::from_millis(200));
            }
            events
        });
        Self { stop, child, thread }
    }

    fn end(self) -> Vec<Value> {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(child) = self.child.lock().unwrap().as_mut() {
            let _ = child.kill();
        }
        self.thread.join().unwrap()
    }
}

/// What must not change of a pod that runs: its container, when it was started, how often, as which process.
type Life = (String, String, u64, String);

/// The pods that run, by uid.
fn lives(kubectl: &Kubectl) -> BTreeMap<String, Life> {
    let list = kubectl.get(&["pods"]);
    let pods = list["items"].as_array().unwrap().iter();
    pods.filter(|p| ready(p))
        .map(|p| {
            let status = &p["status"]["containerStatuses"][0];
            let id = status["containerID"]
                .as_str()
                .unwrap()
                .trim_start_matches("docker://")
                .to_owned();
            let inspect = ["inspect", "-f", "{{.State.Pid}} {{.State.StartedAt}}", &id];
            let seen = Command::new("docker").args(inspect).output().unwrap();
            let process = String::from_utf8(seen.stdout).unwrap();
            let started = status["state"]["running"]["startedAt"]
                .as_str()
                .unwrap()
                .to_owned();
            let uid = p["metadata"]["uid"].as_str().unwrap().to_owned();
            (
                uid,
                (id, started, status["restartCount"].as_u64().unwrap(), process),
            )
        })
        .collect()
}

async fn four_run(kubectl: &Kubectl) -> BTreeMap<String, Life> {
    eventually("four pods that run", || async {
        let now = lives(kubectl);
        if now.len() == 4 {
            Ok(now)
        } else {
            Err(format!("{now:?}"))
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_on_those_who_watch_through_the_death_of_every_part() {
    let (true, Some(program)) = (docker(), program()) else {
        return;
    };
    let mut pool = Pool::start(&["127.80.1.1", "127.80.1.2"]).await;
    let kubectl = Kubectl::with(pool.kubeconfig.clone(), program);
    let template =
        json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container("c", STAYS)]}});
    kubectl.apply(&[json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 4, "selector": {"matchLabels": {"app": "web"}}, "template": template},
    })]);
    kubectl.ok(&["rollout", "status", "deploy/web", "--timeout=60s"]);
    let before = four_run(&kubectl).await;

    let mut journal = Journal::of(&pool);
    let pods = PodWatch::start(&kubectl);
    let rust = tokio::spawn(kube_watcher(pool.url.clone()));
    let python = python(&pool.kubeconfig);
    journal.create("kept").await;
    let names: Vec<String> = pool.parts.iter().map(|(name, _)| name.clone()).collect();
    for (name, part) in names.iter().zip(&mut pool.parts) {
        journal.create(&format!("before-{name}")).await;
        // It dies in the midst of what is asked for, which is answered at once or later, by which part it is.
        let writes = async {
            for i in 0..WRITES {
                journal.change("kept", &format!("{name} {i}")).await;
            }
            journal.create(&format!("after-{name}")).await;
            journal.delete(&format!("before-{name}")).await;
            journal.change(&format!("after-{name}"), "more").await;
        };
        let dies = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            part.1.kill_hard();
            tokio::time::sleep(Duration::from_millis(700)).await;
            part.1.start_again();
        };
        tokio::join!(writes, dies);
    }
    journal.create(LAST).await;

    let list = journal.list().await;
    let rust = tokio::time::timeout(Duration::from_secs(60), rust)
        .await
        .unwrap()
        .unwrap();
    complete("kube", &rust, &journal, &list);
    if let Some((_running, stdout)) = python {
        complete("python", &told(stdout).await, &journal, &list);
    }
    assert_eq!(
        four_run(&kubectl).await,
        before,
        "the same pods, containers and processes"
    );
    steady(&pods.end(), &before);
    kubectl.ok(&["delete", "deploy", "--all"]);
    eventually("no pods", || async {
        let left = kubectl.ok(&["get", "pods", "-o", "name"]);
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
}

/// A watcher has seen all that happened, each once, in turn, from one list on; and holds what there is.
fn complete(who: &str, seen: &Seen, journal: &Journal, list: &BTreeMap<String, u64>) {
    assert_eq!(&seen.store, list, "{who}");
    assert_eq!(seen.happened, journal.happened, "{who}");
    let versions: Vec<u64> = seen.happened.iter().filter_map(|(_, v)| *v).collect();
    assert!(versions.is_sorted_by(|a, b| a < b), "{who}: {versions:?}");
    assert_eq!(seen.lists, 1, "{who} went on where it was");
}

/// What kubectl was told of the pods: no other ones, none that goes, none that begins anew, nothing that is older than what it
/// knew.
fn steady(events: &[Value], before: &BTreeMap<String, Life>) {
    let mut versions: BTreeMap<&str, u64> = BTreeMap::new();
    for event in events {
        let object = &event["object"];
        let uid = object["metadata"]["uid"].as_str().unwrap();
        let known = &before[uid];
        assert_ne!(event["type"], "DELETED", "{object}");
        assert!(object["metadata"]["deletionTimestamp"].is_null(), "{object}");
        let status = &object["status"]["containerStatuses"][0];
        assert_eq!(status["containerID"], format!("docker://{}", known.0));
        assert_eq!(status["restartCount"], known.2);
        let now = version(object);
        let last = versions.insert(uid, now).unwrap_or(0);
        assert!(now >= last, "{uid} is at {now} after {last}");
    }
    let told: BTreeSet<&str> = versions.into_keys().collect();
    let all: BTreeSet<&str> = before.keys().map(String::as_str).collect();
    assert_eq!(told, all);
}
