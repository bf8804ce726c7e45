//! A pool whose parts are processes of their own: a broker, agents, and a door each for some orchestrators.

use super::parts::{Part, endpoint};
use super::{eventually, free_port, plenum, request};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU8, Ordering};

/// See the module; everything of it is gone when this is dropped.
pub(crate) struct Pool {
    pub(crate) broker: Part,
    pub(crate) agents: Vec<Part>,
    /// By kind.
    pub(crate) doors: BTreeMap<String, Part>,
    /// Where each door is, and `api`.
    pub(crate) urls: BTreeMap<String, String>,
    data: tempfile::TempDir,
}

/// Pools of one run publish ports on addresses of their own.
static POOLS: AtomicU8 = AtomicU8::new(1);

impl Pool {
    /// With so many agents of `cpu_millis` each, and these doors.
    pub(crate) async fn start(agents: u8, cpu_millis: u32, doors: &[&str]) -> Self {
        let data = tempfile::Builder::new().prefix("plenum-pool-").tempdir().unwrap();
        let broker = format!("127.0.0.1:{}", free_port());
        let url = format!("http://{broker}");
        let mut pool = Self {
            broker: part(data.path(), "broker", &["broker", "--listen", &broker]),
            agents: Vec::new(),
            doors: BTreeMap::new(),
            urls: BTreeMap::from([("api".to_owned(), url.clone())]),
            data,
        };
        let subnet = POOLS.fetch_add(1, Ordering::Relaxed);
        let cpu = format!("agent.cpu_millis={cpu_millis}");
        for i in 1..=agents {
            let (name, address) = (format!("n{i}"), format!("127.81.{subnet}.{i}"));
            let args = ["agent", "--broker", &url, "--name", &name, "--address", &address];
            let set = ["--set", &cpu];
            let agent = part(pool.data.path(), &name, &[&args[..], &set].concat());
            pool.agents.push(agent);
        }
        for kind in doors {
            let listen = format!("127.0.0.1:{}", free_port());
            let args = ["scheduler", kind, "--broker", &url, "--listen", &listen];
            let door = part(pool.data.path(), kind, &args);
            pool.doors.insert((*kind).to_owned(), door);
            let endpoint_name = if *kind == "swarm" { "docker" } else { kind };
            let at = endpoint(&pool.data.path().join(kind), endpoint_name).await;
            pool.urls.insert((*kind).to_owned(), at);
        }
        pool.ready(usize::from(agents)).await;
        pool
    }

    async fn ready(&self, count: usize) {
        eventually("nodes ready", || async {
            let nodes = self.listed("/v1/nodes").await;
            let ready = nodes.iter().filter(|n| n["state"] == "ready").count();
            if ready == count {
                Ok(())
            } else {
                Err(format!("{nodes:?}"))
            }
        })
        .await;
    }

    /// The kubeconfig that the door wrote.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.data.path().join("kubernetes").join("kubeconfig")
    }

    /// The items of a listing of the public API; none while it does not answer.
    pub(crate) async fn listed(&self, path: &str) -> Vec<Value> {
        let url = format!("{}{path}", self.urls["api"]);
        let Ok(answer) = reqwest::get(&url).await else {
            return Vec::new();
        };
        let listing: Value = answer.json().await.unwrap_or_default();
        super::up::items(&listing)
    }

    /// A request to the Marathon door.
    pub(crate) async fn marathon(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        request(method, &format!("{}{path}", self.urls["marathon"]), body).await
    }

    /// Part `n` of those that may be killed: every door, an agent, the broker, in turn.
    pub(crate) fn nth(&mut self, n: usize) -> (String, &mut Part) {
        let doors = self.doors.len();
        match n % (doors + 2) {
            i if i < doors => {
                let (name, part) = self.doors.iter_mut().nth(i).unwrap();
                (name.clone(), part)
            }
            i if i == doors => {
                let which = n / (doors + 2) % self.agents.len();
                (format!("agent {which}"), &mut self.agents[which])
            }
            _ => ("broker".to_owned(), &mut self.broker),
        }
    }

    /// Ends the broker, and replays what it has written: `plenum store audit`.
    pub(crate) fn audit(&mut self) -> Output {
        self.broker.kill_hard();
        Command::new(plenum())
            .args(["store", "audit", "--data"])
            .arg(self.data.path().join("broker"))
            .output()
            .unwrap()
    }

    /// Data directories of the agents: their names mark everything that belongs to this pool.
    pub(crate) fn agent_dirs(&self) -> Vec<PathBuf> {
        let names = (1..=self.agents.len()).map(|i| format!("n{i}"));
        names.map(|n| self.data.path().join(n)).collect()
    }

    /// Ends all of it, and every task it left.
    pub(crate) fn down(&mut self) {
        self.doors.clear();
        let dirs = self.agent_dirs();
        self.agents.clear();
        for dir in dirs {
            let out = Command::new(plenum()).args(["down", "--data"]).arg(&dir).output();
            assert!(
                out.is_ok_and(|o| o.status.success()),
                "plenum down {}",
                dir.display()
            );
        }
    }
}

fn part(data: &Path, name: &str, args: &[&str]) -> Part {
    let own = data.join(name).display().to_string();
    let args = [args, &["--data", &own]].concat();
    Part::start(&[], &args, &data.join(format!("{name}.log")))
}

impl Drop for Pool {
    fn drop(&mut self) {
        let dirs = self.agent_dirs();
        self.doors.clear();
        self.agents.clear();
        for dir in dirs {
            let _ = Command::new(plenum()).args(["down", "--data"]).arg(dir).output();
        }
    }
}
