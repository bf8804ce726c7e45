//! `plenum up` as a child process, and the calls a user makes against it.

use super::{eventually, plenum, request};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A running `plenum up` with data of its own; everything of it is gone when this is dropped.
pub(crate) struct Up {
    child: Child,
    nodes: u32,
    schedulers: String,
    data: tempfile::TempDir,
    endpoints: BTreeMap<String, String>,
}

impl Up {
    /// Brings up a pool of `nodes` agents on free ports.
    pub(crate) async fn start(nodes: u32) -> Self {
        Self::start_with(nodes, &["marathon"]).await
    }

    /// The same with these schedulers.
    pub(crate) async fn start_with(nodes: u32, schedulers: &[&str]) -> Self {
        let data = tempfile::Builder::new().prefix("plenum-e2e-").tempdir().unwrap();
        let schedulers = schedulers.join(",");
        let child = spawn(data.path(), nodes, &schedulers);
        let mut up = Self {
            child,
            nodes,
            schedulers,
            data,
            endpoints: BTreeMap::new(),
        };
        up.wait_ready().await;
        up
    }

    async fn wait_ready(&mut self) {
        let path = self.data.path().join("endpoints.json");
        let pid = self.child.id();
        let (nodes, log) = (self.nodes as usize, self.data.path().join("up.log"));
        self.endpoints = eventually("plenum up", || async {
            let log = || std::fs::read_to_string(&log).unwrap_or_default();
            if !super::alive(i32::try_from(pid).unwrap()) {
                panic!("plenum up ended: {}", log());
            }
            let text = std::fs::read_to_string(&path).map_err(|e| format!("{e}: {}", log()))?;
            let endpoints: BTreeMap<String, String> =
                serde_json::from_str(&text).map_err(|e| e.to_string())?;
            let url = format!("{}/v1/nodes", endpoints["api"]);
            let answer = reqwest::get(&url).await.map_err(|e| e.to_string())?;
            let listed: Value = answer.json().await.map_err(|e| e.to_string())?;
            let ready = items(&listed).iter().filter(|n| n["state"] == "ready").count();
            if ready == nodes {
                Ok(endpoints)
            } else {
                Err(format!("{ready} of {nodes} nodes ready"))
            }
        })
        .await;
    }

    /// `kill -9` of the whole of it; the tasks run on.
    pub(crate) fn kill_hard(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same data.
    pub(crate) async fn start_again(&mut self) {
        std::fs::remove_file(self.data.path().join("endpoints.json")).unwrap();
        self.child = spawn(self.data.path(), self.nodes, &self.schedulers);
        self.wait_ready().await;
    }

    /// Ends it the hard way, and replays what its broker has written: `plenum store audit`.
    pub(crate) fn audit(&mut self) -> Output {
        self.kill_hard();
        self.cli(&["store", "audit"])
    }

    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    /// A request to the Marathon door.
    pub(crate) async fn marathon(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        request(method, &format!("{}{path}", self.endpoints["marathon"]), body).await
    }

    /// The URL of a door.
    pub(crate) fn url(&self, door: &str) -> &str {
        &self.endpoints[door]
    }

    /// A GET of the public API.
    pub(crate) async fn api(&self, path: &str) -> Value {
        let (status, body) = request("GET", &format!("{}{path}", self.endpoints["api"]), None).await;
        assert_eq!(status, 200, "GET {path}: {body}");
        body
    }

    /// The CLI, as a user has it.
    pub(crate) fn cli(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(plenum());
        command
            .args(args)
            .env("PLENUM_DATA", self.data.path())
            .env_remove("PLENUM_CONTEXT")
            .env("COLUMNS", "200");
        command
    }

    /// The CLI, which must succeed; what it printed.
    pub(crate) fn cli_ok(&self, args: &[&str]) -> String {
        let out = self.cli(args);
        let (stdout, stderr) = (
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr),
        );
        assert!(
            out.status.success(),
            "plenum {args:?}: {:?}\n{stdout}\n{stderr}",
            out.status
        );
        stdout.into_owned()
    }

    /// Creates an app, which must be accepted.
    pub(crate) async fn create(&self, app: Value) {
        let (status, body) = self.marathon("POST", "/v2/apps", Some(&app)).await;
        assert_eq!(status, 201, "{body}");
    }

    /// Waits until an app has exactly `count` running tasks and no deployment; gives them.
    pub(crate) async fn running(&self, id: &str, count: usize) -> Vec<Value> {
        eventually(&format!("{count} running of {id}"), || async {
            let (status, body) = self.marathon("GET", &format!("/v2/apps{id}"), None).await;
            if status != 200 {
                return Err(format!("{status} {body}"));
            }
            let tasks = body["app"]["tasks"].as_array().cloned().unwrap_or_default();
            let running = tasks.iter().filter(|t| t["state"] == "TASK_RUNNING").count();
            let deploying = body["app"]["deployments"].as_array().map_or(0, Vec::len);
            if running == count && tasks.len() == count && deploying == 0 {
                Ok(tasks)
            } else {
                Err(format!(
                    "{running} running of {}, {deploying} deployments: {}",
                    tasks.len(),
                    body["app"]
                ))
            }
        })
        .await
    }

    /// Deletes an app and waits until nothing of it is left.
    pub(crate) async fn delete(&self, id: &str) {
        let (status, body) = self.marathon("DELETE", &format!("/v2/apps{id}"), None).await;
        assert_eq!(status, 200, "{body}");
        eventually(&format!("{id} gone"), || async {
            let (status, _) = self.marathon("GET", &format!("/v2/apps{id}"), None).await;
            let left = items(&self.api("/v1/tasks?ended=true").await)
                .iter()
                .filter(|t| t["workload"]["name"] == id)
                .count();
            if status == 404 && left == 0 {
                Ok(())
            } else {
                Err(format!("{status}, {left} tasks"))
            }
        })
        .await;
    }

    /// Runs a shell loop in `count` instances; the marker stands in every command line.
    pub(crate) async fn loop_app(&self, id: &str, count: usize) -> String {
        let marker = format!("marker-{}-{}", id.trim_matches('/'), std::process::id());
        let cmd = format!("n=0; while :; do echo {marker} $n; n=$((n+1)); sleep 0.2; done");
        self.create(json!({"id": id, "cmd": cmd, "cpus": 0.05, "mem": 16, "instances": count}))
            .await;
        self.running(id, count).await;
        marker
    }
}

/// The items of a listing.
pub(crate) fn items(listing: &Value) -> Vec<Value> {
    listing["items"]
        .as_array()
        .or_else(|| listing.as_array())
        .cloned()
        .unwrap_or_default()
}

fn spawn(data: &Path, nodes: u32, schedulers: &str) -> Child {
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(data.join("up.log"))
        .unwrap();
    let mut command = Command::new(plenum());
    if schedulers.split(',').any(|s| s == "swarm") {
        let socket = data.join("docker.sock");
        command.env("PLENUM_SWARM_SOCKET", socket);
    }
    command
        .args(["up", "--free-ports", "--nodes", &nodes.to_string(), "--data"])
        .arg(data)
        .env("PLENUM_LOG", "info")
        .env("PLENUM_UP_SCHEDULERS", schedulers)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

impl Drop for Up {
    fn drop(&mut self) {
        let down = Command::new(plenum())
            .arg("down")
            .arg("--data")
            .arg(self.data.path())
            .output();
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.data.path().join("up.log")).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(60).collect();
            eprintln!(
                "--- last lines of plenum up\n{}",
                tail.into_iter().rev().collect::<Vec<_>>().join("\n")
            );
        } else {
            assert!(down.is_ok_and(|d| d.status.success()), "plenum down failed");
        }
    }
}

/// Where a test may look for leftovers of a pool: its cgroups carry the name of the data directory.
pub(crate) fn cgroups_of(marker: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut stack = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(dir) = stack.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                let path = entry.path();
                if path.to_string_lossy().contains(marker) {
                    found.push(path.clone());
                }
                stack.push(path);
            }
        }
    }
    found
}
