//! Three tools deploy, scale and delete without a pause while every part is killed in turn. Afterwards what each tool
//! wants is what runs, exactly; nothing is left over, and what was left alone was never touched.
//!
//! `E2E_CHURN_SECONDS` says for how long (60).

use super::{DOORS, deployment, docker_cli};
use crate::support::docker::Cli;
use crate::support::eventually;
use crate::support::image::{BUSYBOX, docker};
use crate::support::kubectl::{Kubectl, STAYS, program};
use crate::support::leftovers::{containers, gone, mark, owners};
use crate::support::pool::Pool;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Between two kills.
const KILL_EVERY: Duration = Duration::from_secs(10);
/// Workloads that each tool plays with.
const NAMES: [&str; 3] = ["a", "b", "c"];
/// How many of each shall run in the end; 0: it shall be gone.
const FINAL: [u32; 3] = [2, 0, 1];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_doubled_or_left_over_while_every_part_is_killed_in_turn() {
    let (true, Some(program)) = (docker(), program()) else {
        return;
    };
    let mut pool = Pool::start(3, 2_000, &DOORS).await;
    let kubectl = Arc::new(Kubectl::with(pool.kubeconfig(), program));
    let cli = docker_cli(&pool.urls["swarm"]);
    kubectl.nodes(3).await;
    let tools = Tools {
        kubectl,
        cli,
        marathon: pool.urls["marathon"].clone(),
    };
    for (name, count) in [("steady", 2)] {
        tools.set_all(name, count).await;
    }
    let steady = settled(&pool, 6).await;

    let over = Arc::new(AtomicBool::new(false));
    let load = tools.load(&over);
    let seconds = std::env::var("E2E_CHURN_SECONDS").map_or(60, |s| s.parse().unwrap());
    let kills = seconds / KILL_EVERY.as_secs();
    for n in 0..usize::try_from(kills).unwrap() {
        tokio::time::sleep(KILL_EVERY).await;
        let (name, part) = pool.nth(n);
        eprintln!("killing {name}");
        part.kill_hard();
        part.start_again();
    }
    over.store(true, Ordering::Relaxed);
    for thread in load {
        let done = tokio::task::spawn_blocking(move || thread.join().unwrap())
            .await
            .unwrap();
        eprintln!("{done} changes taken");
        assert!(done > 0, "a tool got nothing done");
    }

    for (name, count) in NAMES.into_iter().zip(FINAL) {
        tools.set_all(name, count).await;
    }
    let wanted = 6 + 3 * usize::try_from(FINAL.iter().sum::<u32>()).unwrap();
    let after = settled(&pool, wanted).await;
    for (id, task) in &steady {
        assert_eq!(after.get(id), Some(task), "what was left alone is as it was");
    }
    let owners = nothing_but(&after).await;

    for name in NAMES.into_iter().chain(["steady"]) {
        tools.set_all(name, 0).await;
    }
    settled(&pool, 0).await;
    let audit = pool.audit();
    assert!(audit.status.success(), "{audit:?}");
    pool.down();
    gone(&owners);
}

/// Has a tool want so many of something.
type Set = fn(&Tools, &str, u32) -> Result<(), String>;

/// The tools, and what each does to have so many of something.
#[derive(Clone)]
struct Tools {
    kubectl: Arc<Kubectl>,
    cli: Cli,
    marathon: String,
}

impl Tools {
    /// Has each tool try until it is taken.
    async fn set_all(&self, name: &str, count: u32) {
        for (tool, set) in Self::ALL {
            let this = self.clone();
            let name = name.to_owned();
            eventually(&format!("{tool} takes {name} = {count}"), move || {
                let (this, name) = (this.clone(), name.clone());
                async move {
                    let taken = tokio::task::spawn_blocking(move || set(&this, &name, count));
                    taken.await.unwrap()
                }
            })
            .await;
        }
    }

    const ALL: [(&'static str, Set); 3] = [
        ("kubectl", Self::kubernetes),
        ("marathon", Self::marathon),
        ("docker", Self::swarm),
    ];

    fn kubernetes(&self, name: &str, count: u32) -> Result<(), String> {
        let out = if count == 0 {
            let args = ["delete", "deployment", name, "--ignore-not-found", "--wait=false"];
            self.kubectl.run(&args)
        } else {
            let object = deployment(name, count, "10m", STAYS).to_string();
            self.kubectl.with_input(&["apply", "-f", "-"], object.as_bytes())
        };
        if out.status.success() {
            Ok(())
        } else {
            Err(format!("{out:?}"))
        }
    }

    fn swarm(&self, name: &str, count: u32) -> Result<(), String> {
        let there = self
            .cli
            .run(&["service", "ls", "-q", "--filter", &format!("name={name}")]);
        if !there.status.success() {
            return Err(format!("{there:?}"));
        }
        let (there, replicas) = (!there.stdout.is_empty(), count.to_string());
        let out = match (there, count) {
            (false, 0) => return Ok(()),
            (true, 0) => self.cli.run(&["service", "rm", name]),
            (true, _) => self
                .cli
                .run(&["service", "scale", "-d", &format!("{name}={replicas}")]),
            (false, _) => {
                let create = ["service", "create", "-d", "--name", name, "--replicas", &replicas];
                let image = ["--no-resolve-image", BUSYBOX, "sh", "-c", STAYS];
                self.cli.run(&[&create[..], &image].concat())
            }
        };
        if out.status.success() {
            Ok(())
        } else {
            Err(format!("{out:?}"))
        }
    }

    fn marathon(&self, name: &str, count: u32) -> Result<(), String> {
        let url = format!("{}/v2/apps/{name}?force=true", self.marathon);
        let body =
            json!({"id": format!("/{name}"), "cmd": STAYS, "cpus": 0.01, "mem": 16, "instances": count});
        let work = async {
            let http = reqwest::Client::new();
            let request = match count {
                0 => http.delete(&url),
                _ => http.put(&url).json(&body),
            };
            let answer = request.send().await.map_err(|e| e.to_string())?;
            let status = answer.status().as_u16();
            match status {
                200 | 201 => Ok(()),
                404 if count == 0 => Ok(()),
                _ => Err(format!("{status} {}", answer.text().await.unwrap_or_default())),
            }
        };
        tokio::runtime::Handle::current().block_on(work)
    }

    /// A thread per tool that changes something all the time; each gives how often it was taken.
    fn load(&self, over: &Arc<AtomicBool>) -> Vec<std::thread::JoinHandle<u64>> {
        let runtime = tokio::runtime::Handle::current();
        let start = |(i, (_, set)): (usize, (&'static str, Set))| {
            let (this, over, runtime) = (self.clone(), Arc::clone(over), runtime.clone());
            std::thread::spawn(move || {
                let _in_runtime = runtime.enter();
                let (taken, mut dice) = (AtomicU64::new(0), Dice(i as u64 + 1));
                while !over.load(Ordering::Relaxed) {
                    let (name, count) = (NAMES[dice.roll(3)], dice.roll(4));
                    // whoever asks a part that was just killed is refused, and asks again later
                    if set(&this, name, u32::try_from(count).unwrap()).is_ok() {
                        taken.fetch_add(1, Ordering::Relaxed);
                    }
                    std::thread::sleep(Duration::from_millis(300));
                }
                taken.into_inner()
            })
        };
        Self::ALL.into_iter().enumerate().map(start).collect()
    }
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

/// What is known of a task that must not change.
type Task = (String, u64, Value);

/// Waits until exactly so many tasks are there, and all run; by id.
async fn settled(pool: &Pool, count: usize) -> BTreeMap<String, Task> {
    eventually(&format!("exactly {count} tasks run"), || async {
        let nodes = pool.listed("/v1/nodes").await;
        let ready = nodes.iter().filter(|n| n["state"] == "ready").count();
        let tasks = pool.listed("/v1/tasks").await;
        let running = tasks.iter().filter(|t| t["state"] == "running").count();
        if ready < 3 || running != count || tasks.len() != count {
            let states: Vec<String> = tasks
                .iter()
                .map(|t| format!("{} {}", t["name"], t["state"]))
                .collect();
            return Err(format!(
                "{ready} nodes, {} tasks, {running} run: {states:?}",
                tasks.len()
            ));
        }
        let task = |t: &Value| {
            let id = t["id"].as_str().unwrap().to_owned();
            let node = t["node"].as_str().unwrap().to_owned();
            (
                id,
                (node, t["restarts"].as_u64().unwrap(), t["started_at"].clone()),
            )
        };
        Ok(tasks.iter().map(task).collect())
    })
    .await
}

/// Every running container of these agents belongs to a task that is there; gives the agents' marks.
async fn nothing_but(tasks: &BTreeMap<String, Task>) -> BTreeSet<String> {
    let ids: Vec<&String> = tasks.keys().collect();
    let owners = owners(&ids);
    assert!(!owners.is_empty(), "containers carry the ids of their tasks");
    eventually("no container without a task", || async {
        let all = containers(&[]);
        let ours = all.iter().filter(|c| owners.iter().any(|o| c.starts_with(o)));
        let stray: Vec<&String> = ours.filter(|c| mark(c, &ids).is_none()).collect();
        if stray.is_empty() {
            Ok(())
        } else {
            Err(format!("{stray:?}"))
        }
    })
    .await;
    owners
}
