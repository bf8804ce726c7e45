//! `kill -9` of every part under running apps: nothing restarts, nothing is lost, nothing runs that should not.

use super::support::parts::{Part, endpoint, states};
use super::support::up::Up;
use super::support::{eventually, free_port, pids_of, plenum, request};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A pool whose parts are processes of their own.
struct Pool {
    broker: Part,
    agents: Vec<Part>,
    scheduler: Part,
    marathon: String,
    data: tempfile::TempDir,
}

impl Pool {
    async fn start(agents: u8) -> Self {
        let data = tempfile::Builder::new()
            .prefix("plenum-parts-")
            .tempdir()
            .unwrap();
        let dir = |name: &str| data.path().join(name);
        let log = |name: &str| data.path().join(format!("{name}.log"));
        let port = free_port();
        let (listen, url) = (format!("127.0.0.1:{port}"), format!("http://127.0.0.1:{port}"));
        let broker = Part::start(
            &[],
            &["broker", "--listen", &listen, "--data", &text(&dir("broker"))],
            &log("broker"),
        );
        let agents = (1..=agents)
            .map(|i| {
                let (name, address) = (format!("n{i}"), format!("127.78.0.{i}"));
                let data = text(&dir(&name));
                let args = [
                    "agent",
                    "--broker",
                    &url,
                    "--name",
                    &name,
                    "--address",
                    &address,
                    "--data",
                    &data,
                    "--set",
                    "agent.cpu_millis=1000",
                ];
                Part::start(&[], &args, &log(&name))
            })
            .collect();
        let door = format!("127.0.0.1:{}", free_port());
        let args = [
            "scheduler",
            "marathon",
            "--broker",
            &url,
            "--listen",
            &door,
            "--data",
            &text(&dir("marathon")),
        ];
        let scheduler = Part::start(&[], &args, &log("marathon"));
        let marathon = endpoint(&dir("marathon"), "marathon").await;
        Self {
            broker,
            agents,
            scheduler,
            marathon,
            data,
        }
    }

    async fn create(&self, id: &str, instances: usize, cmd: &str) {
        let app = json!({"id": id, "cmd": cmd, "cpus": 0.05, "mem": 16, "instances": instances});
        eventually(&format!("create {id}"), || async {
            let client = reqwest::Client::new();
            let answer = client
                .post(format!("{}/v2/apps", self.marathon))
                .json(&app)
                .send()
                .await;
            match answer.map(|a| a.status().as_u16()) {
                Ok(201) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }

    async fn running(&self, id: &str, count: usize) -> BTreeMap<String, String> {
        eventually(&format!("{count} running of {id}"), || async {
            let all = states(&self.marathon, id).await;
            let running = all.values().filter(|s| *s == "TASK_RUNNING").count();
            if running == count && all.len() == count {
                Ok(all)
            } else {
                Err(format!("{all:?}"))
            }
        })
        .await
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // The agents first: what `down` stops they would report and see replaced.
        self.scheduler.kill_hard();
        self.broker.kill_hard();
        self.agents.iter_mut().for_each(Part::kill_hard);
        for i in 1..=self.agents.len() {
            let dir = self.data.path().join(format!("n{i}"));
            let _ = Command::new(plenum()).arg("down").arg("--data").arg(dir).output();
        }
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// A shell loop that counts into its log, and the marker in its command line.
fn counting(name: &str) -> (String, String) {
    let marker = format!("marker-{name}-{}", std::process::id());
    (
        format!("n=0; while :; do echo {marker} $n; n=$((n+1)); sleep 0.1; done"),
        marker,
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_part_killed_in_turn_and_all_at_once_restarts_no_instance() {
    let mut pool = Pool::start(2).await;
    let (cmd, marker) = counting("stay");
    pool.create("/stay", 4, &cmd).await;
    let before = pool.running("/stay", 4).await;
    let mut pids = pids_of(&marker);
    pids.sort_unstable();
    assert_eq!(pids.len(), 4);

    let same = |what: &str| {
        let mut now = pids_of(&marker);
        now.sort_unstable();
        assert_eq!(now, pids, "{what}: the same processes run");
    };
    pool.broker.kill_hard();
    same("broker down");
    pool.broker.start_again();
    assert_eq!(pool.running("/stay", 4).await, before);

    pool.agents[0].kill_hard();
    same("agent down");
    pool.agents[0].start_again();
    assert_eq!(pool.running("/stay", 4).await, before);

    pool.scheduler.kill_hard();
    same("scheduler down");
    pool.scheduler.start_again();
    assert_eq!(pool.running("/stay", 4).await, before);

    pool.scheduler.kill_hard();
    pool.broker.kill_hard();
    pool.agents.iter_mut().for_each(Part::kill_hard);
    same("all down");
    pool.broker.start_again();
    pool.agents.iter_mut().for_each(Part::start_again);
    pool.scheduler.start_again();
    assert_eq!(pool.running("/stay", 4).await, before);
    same("all back");

    // The door still does what it is told, so nothing is stuck.
    let url = format!("{}/v2/apps/stay", pool.marathon);
    // A deployment that was open when the scheduler was killed locks the app until it is seen to be done.
    eventually("the app is taken down to one", || async {
        match request("PUT", &url, Some(&json!({"instances": 1}))).await {
            (200, _) => Ok(()),
            (status, body) => Err(format!("{status} {body}")),
        }
    })
    .await;
    pool.running("/stay", 1).await;
    eventually("one process", || async {
        let n = pids_of(&marker).len();
        if n == 1 { Ok(()) } else { Err(format!("{n}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exit_while_the_agent_is_away_is_reported_with_its_code_and_its_last_words() {
    let mut pool = Pool::start(1).await;
    let gate = pool.data.path().join("gate");
    let once = pool.data.path().join("once");
    // The first instance waits for the gate, says its last words and fails; its successor stays.
    let cmd = format!(
        "if [ -e {once} ]; then exec sleep 1000; fi; touch {once}; \
         while [ ! -e {gate} ]; do sleep 0.05; done; echo last words; exit 42",
        once = text(&once),
        gate = text(&gate)
    );
    pool.create("/gap", 1, &cmd).await;
    let first = pool.running("/gap", 1).await;
    eventually("the first instance's mark", || async {
        once.exists().then_some(()).ok_or("none".to_owned())
    })
    .await;

    let marker = text(&gate);
    pool.agents[0].kill_hard();
    std::fs::write(&gate, "").unwrap();
    eventually("the process ends", || async {
        let left = pids_of(&marker);
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    })
    .await;
    pool.agents[0].start_again();

    let url = format!("{}/v2/apps/gap?embed=app.lastTaskFailure", pool.marathon);
    let failure = eventually("the failure is reported", || async {
        let (_, body) = request("GET", &url, None).await;
        let failure = body["app"]["lastTaskFailure"].clone();
        if failure.is_null() {
            Err(body.to_string())
        } else {
            Ok(failure)
        }
    })
    .await;
    assert_eq!(failure["taskId"], *first.keys().next().unwrap());
    assert!(failure["message"].as_str().unwrap().contains("42"), "{failure}");
    let second = pool.running("/gap", 1).await;
    assert_ne!(first.keys().next(), second.keys().next(), "it was replaced");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_plenum_up_comes_back_as_it_was() {
    let mut up = Up::start(2).await;
    let marker = up.loop_app("/keep", 3).await;
    let before = up.running("/keep", 3).await;
    let mut pids = pids_of(&marker);
    pids.sort_unstable();
    up.kill_hard();
    up.start_again().await;
    let after = up.running("/keep", 3).await;
    let ids = |tasks: &[serde_json::Value]| {
        let mut ids: Vec<String> = tasks.iter().map(|t| t["id"].to_string()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&before), ids(&after));
    let mut now = pids_of(&marker);
    now.sort_unstable();
    assert_eq!(now, pids);
    let task = after[0]["id"].as_str().unwrap();
    let logs = up.cli_ok(&["task", "logs", task]);
    let numbers: Vec<u64> = logs
        .lines()
        .filter_map(|l| l.split(' ').nth(1)?.parse().ok())
        .collect();
    assert!(
        numbers.windows(2).all(|w| w[1] == w[0] + 1),
        "no line of the gap is missing: {logs}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_plenum_on_the_same_data_says_who_holds_it() {
    let up = Up::start(1).await;
    let out = up.cli(&["up", "--free-ports", "--data", &text(&PathBuf::from(up.data()))]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success());
    assert!(said.contains("in use") && said.contains("pid"), "{said}");
}
