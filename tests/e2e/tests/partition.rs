//! Agents in network namespaces of their own: one is cut off, its tasks become unreachable, are replaced after
//! their deadline, and the copies are stopped when it comes back.

use super::support::parts::{Part, endpoint};
use super::support::{eventually, pids_of, plenum};
use serde_json::json;
use std::path::Path;
use std::process::Command;

/// Three namespaces on one bridge in a fourth; removed when dropped.
struct Net {
    tag: String,
}

impl Net {
    fn new() -> Self {
        let net = Self {
            tag: format!("pl{}", std::process::id() % 100_000),
        };
        let hub = net.name(0);
        ip(&["netns", "add", &hub]);
        ip(&["-n", &hub, "link", "add", "br0", "type", "bridge"]);
        ip(&["-n", &hub, "link", "set", "br0", "up"]);
        for i in 1..=3 {
            let ns = net.name(i);
            let (near, far) = (format!("{}v{i}", net.tag), format!("{}w{i}", net.tag));
            ip(&["netns", "add", &ns]);
            ip(&["link", "add", &near, "type", "veth", "peer", "name", &far]);
            ip(&["link", "set", &near, "netns", &ns]);
            ip(&["link", "set", &far, "netns", &hub]);
            ip(&["-n", &hub, "link", "set", &far, "master", "br0", "up"]);
            ip(&["-n", &ns, "addr", "add", &format!("10.77.9.{i}/24"), "dev", &near]);
            ip(&["-n", &ns, "link", "set", &near, "up"]);
            ip(&["-n", &ns, "link", "set", "lo", "up"]);
        }
        net
    }

    fn name(&self, i: u8) -> String {
        format!("{}n{i}", self.tag)
    }

    /// Cuts the cable of the i-th namespace, or mends it.
    fn cable(&self, i: u8, state: &str) {
        ip(&[
            "-n",
            &self.name(0),
            "link",
            "set",
            &format!("{}w{i}", self.tag),
            state,
        ]);
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for i in 0..=3 {
            let _ = Command::new("ip").args(["netns", "del", &self.name(i)]).output();
        }
    }
}

fn ip(args: &[&str]) {
    let out = Command::new("ip").args(args).output().unwrap();
    assert!(
        out.status.success(),
        "ip {args:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
}

struct Agents(Vec<Part>, Vec<std::path::PathBuf>);

impl Drop for Agents {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(Part::kill_hard);
        for dir in &self.1 {
            let _ = Command::new(plenum()).arg("down").arg("--data").arg(dir).output();
        }
    }
}

/// Broker and scheduler in the first namespace, an agent in each of the other two.
struct Rig {
    door: Door,
    _scheduler: Part,
    _agents: Agents,
    _broker: Part,
    net: Net,
    _data: tempfile::TempDir,
}

impl Rig {
    async fn start() -> Self {
        let net = Net::new();
        let data = tempfile::Builder::new()
            .prefix("plenum-netns-")
            .tempdir()
            .unwrap();
        let dir = |name: &str| data.path().join(name);
        let text = |path: &Path| path.display().to_string();
        let start = |i: u8, name: &str, args: &[&str]| {
            let mut args = args.to_vec();
            let own = text(&dir(name));
            args.extend(["--data", &own]);
            let log = data.path().join(format!("{name}.log"));
            Part::start(&["ip", "netns", "exec", &net.name(i)], &args, &log)
        };
        let (listen, url) = ("10.77.9.1:7717", "http://10.77.9.1:7717");
        let broker = [
            "broker",
            "--insecure-listen",
            listen,
            "--set",
            "broker.lease_ms=2000",
        ];
        let broker = start(1, "broker", &broker);
        let agent = |i: u8| {
            let (name, address) = (format!("n{i}"), format!("10.77.9.{i}"));
            let args = ["agent", "--broker", url, "--name", &name, "--address", &address];
            let set = [
                "--set",
                "agent.runtimes=process",
                "--set",
                "agent.cpu_millis=1000",
            ];
            start(i, &name, &[&args[..], &set].concat())
        };
        let agents = Agents(vec![agent(2), agent(3)], vec![dir("n2"), dir("n3")]);
        let scheduler = [
            "scheduler",
            "marathon",
            "--broker",
            url,
            "--listen",
            "127.0.0.1:18080",
            "--set",
            "marathon.node_timeout_seconds=2",
        ];
        let scheduler = start(1, "marathon", &scheduler);
        endpoint(&dir("marathon"), "marathon").await;
        let door = Door { ns: net.name(1) };
        Self {
            door,
            _scheduler: scheduler,
            _agents: agents,
            _broker: broker,
            net,
            _data: data,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_cut_off_is_replaced_and_its_copies_are_stopped_when_it_returns() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("not root: network namespaces are not tested");
        return;
    }
    let rig = Rig::start().await;
    let door = &rig.door;
    let app = json!({
        "id": "/cut", "cmd": "exec sleep 1000", "cpus": 0.1, "mem": 16, "instances": 4,
        "unreachableStrategy": {"inactiveAfterSeconds": 3, "expungeAfterSeconds": 3},
    });
    eventually("create", || async {
        let (status, body) = door.call("POST", "/v2/apps", Some(&app.to_string()));
        if status == 201 {
            Ok(())
        } else {
            Err(format!("{status} {body}"))
        }
    })
    .await;
    let first = door.running(4).await;
    let on = |host: &str| first.values().filter(|t| t.0 == host).count();
    assert_eq!(
        (on("10.77.9.2"), on("10.77.9.3")),
        (2, 2),
        "two on each node: {first:?}"
    );

    rig.net.cable(3, "down");
    eventually("unreachable", || async {
        let all = door.tasks();
        let n = all.values().filter(|t| t.1 == "TASK_UNREACHABLE").count();
        if n == 2 { Ok(()) } else { Err(format!("{all:?}")) }
    })
    .await;
    let second = door.running(4).await;
    assert!(
        second.values().all(|t| t.0 == "10.77.9.2"),
        "replaced on the node that is left: {second:?}"
    );
    let kept = second.keys().filter(|id| first.contains_key(*id)).count();
    assert_eq!(kept, 2, "the others run on");
    assert_eq!(copies(), 6, "the copies beyond the cut still run");

    rig.net.cable(3, "up");
    eventually("copies stopped", || async {
        let n = copies();
        if n == 4 {
            Ok(())
        } else {
            Err(format!("{n} processes"))
        }
    })
    .await;
    assert_eq!(door.running(4).await, second, "nothing else moved");
}

/// Processes of the app on all nodes; each is one `sleep` with the app's name in its environment.
fn copies() -> usize {
    let owned = |pid: i32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains("MARATHON_APP_ID=/cut")
    };
    pids_of("sleep 1000")
        .into_iter()
        .filter(|pid| owned(*pid))
        .count()
}

/// The Marathon door of another network namespace.
struct Door {
    ns: String,
}

impl Door {
    fn call(&self, method: &str, path: &str, body: Option<&str>) -> (u16, serde_json::Value) {
        let mut curl = Command::new("ip");
        curl.args([
            "netns",
            "exec",
            &self.ns,
            "curl",
            "-s",
            "-m",
            "10",
            "-X",
            method,
            "-w",
            "\n%{http_code}",
        ]);
        curl.args(["-H", "Content-Type: application/json"]);
        if let Some(body) = body {
            curl.args(["-d", body]);
        }
        let out = curl
            .arg(format!("http://127.0.0.1:18080{path}"))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let (body, status) = text.rsplit_once('\n').unwrap_or(("", "0"));
        (
            status.parse().unwrap_or(0),
            serde_json::from_str(body).unwrap_or_default(),
        )
    }

    /// Host and state of each task, by id.
    fn tasks(&self) -> std::collections::BTreeMap<String, (String, String)> {
        let (_, body) = self.call("GET", "/v2/apps/cut/tasks", None);
        let text = |v: &serde_json::Value| v.as_str().unwrap_or_default().to_owned();
        let tasks = body["tasks"].as_array().cloned().unwrap_or_default();
        tasks
            .iter()
            .map(|t| (text(&t["id"]), (text(&t["host"]), text(&t["state"]))))
            .collect()
    }

    async fn running(&self, count: usize) -> std::collections::BTreeMap<String, (String, String)> {
        eventually(&format!("{count} running"), || async {
            let all = self.tasks();
            let n = all.values().filter(|t| t.1 == "TASK_RUNNING").count();
            if n == count && all.len() == count {
                Ok(all)
            } else {
                Err(format!("{all:?}"))
            }
        })
        .await
    }
}
