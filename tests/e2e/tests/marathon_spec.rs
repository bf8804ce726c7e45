//! What a Marathon app may say and what comes of it: its environment, its ports, and where it may go on three nodes
//! with attributes.

use super::support::parts::{Part, endpoint};
use super::support::up::Up;
use super::support::{eventually, plenum, request};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Command;

/// A broker, three agents in two racks, and a Marathon door, each a process of its own.
struct Racks {
    parts: Vec<(String, Part)>,
    door: String,
    data: tempfile::TempDir,
}

/// Addresses of the agents, which no other test has, and their racks and disks.
const AGENTS: [(&str, &str); 3] = [
    ("127.79.11.1", "rack=a,disk=2"),
    ("127.79.11.2", "rack=a"),
    ("127.79.11.3", "rack=b,disk=ssd"),
];

impl Racks {
    async fn start() -> Self {
        let data = tempfile::Builder::new()
            .prefix("plenum-racks-")
            .tempdir()
            .unwrap();
        let mut racks = Self {
            parts: Vec::new(),
            door: String::new(),
            data,
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let broker = listener.local_addr().unwrap().to_string();
        drop(listener);
        let of = format!("http://{broker}");
        racks.add("broker", &["broker", "--listen", &broker]);
        for (i, (address, attributes)) in AGENTS.iter().enumerate() {
            let name = format!("agent-{}", i + 1);
            let line = [
                "agent",
                "--broker",
                &of,
                "--name",
                &name,
                "--address",
                address,
                "--attribute",
                attributes,
            ];
            racks.add(&name, &[&line[..], &["--set", "agent.runtimes=process"]].concat());
        }
        racks.add(
            "marathon",
            &[
                "scheduler",
                "marathon",
                "--broker",
                &of,
                "--listen",
                "127.0.0.1:0",
            ],
        );
        racks.door = endpoint(&racks.data.path().join("marathon"), "marathon").await;
        // An instance on each: all three are there.
        racks.create("/probe", 3, json!([["hostname", "UNIQUE"]])).await;
        racks.placed("/probe", 3, 0).await;
        racks.delete("/probe").await;
        racks
    }

    fn add(&mut self, name: &str, line: &[&str]) {
        let own = self.data.path().join(name).display().to_string();
        let log = self.data.path().join(format!("{name}.log"));
        let line = [line, &["--data", &own]].concat();
        self.parts.push((name.to_owned(), Part::start(&[], &line, &log)));
    }

    async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        request(method, &format!("{}{path}", self.door), body).await
    }

    /// Makes an app with these constraints.
    async fn create(&self, id: &str, instances: u32, constraints: Value) {
        let app = json!({"id": id, "cmd": "exec sleep 1000", "cpus": 0.01, "mem": 32, "instances": instances,
                         "constraints": constraints});
        let (status, body) = self.call("POST", "/v2/apps", Some(&app)).await;
        assert_eq!(status, 201, "{body}");
    }

    /// Waits until so many instances run and so many wait; gives the count on each node.
    async fn placed(&self, id: &str, running: usize, waiting: u64) -> BTreeMap<String, usize> {
        eventually(&format!("{running} of {id}"), || async {
            let (_, tasks) = self.call("GET", &format!("/v2/apps{id}/tasks"), None).await;
            let tasks = tasks["tasks"].as_array().cloned().unwrap_or_default();
            let mut hosts = BTreeMap::new();
            for task in tasks.iter().filter(|t| t["state"] == "TASK_RUNNING") {
                *hosts
                    .entry(task["host"].as_str().unwrap().to_owned())
                    .or_default() += 1;
            }
            let waits = self.queued(id).await.map_or(0, |q| q["count"].as_u64().unwrap());
            let runs: usize = hosts.values().sum();
            if (runs, waits, tasks.len()) == (running, waiting, running) {
                Ok(hosts)
            } else {
                Err(format!("{runs} run, {waits} wait: {tasks:?}"))
            }
        })
        .await
    }

    async fn queued(&self, id: &str) -> Option<Value> {
        let (_, queue) = self.call("GET", "/v2/queue", None).await;
        let mut items = queue["queue"].as_array()?.iter();
        items.find(|q| q["app"]["id"] == id).cloned()
    }

    async fn delete(&self, id: &str) {
        let (status, body) = self.call("DELETE", &format!("/v2/apps{id}"), None).await;
        assert_eq!(status, 200, "{body}");
        eventually("no deployment", || async {
            match self.call("GET", "/v2/deployments", None).await.1 {
                Value::Array(all) if all.is_empty() => Ok(()),
                other => Err(other.to_string()),
            }
        })
        .await;
    }
}

impl Drop for Racks {
    fn drop(&mut self) {
        let names: Vec<String> = self.parts.drain(..).map(|(name, _)| name).collect();
        for name in names {
            let dir = self.data.path().join(name);
            let _ = Command::new(plenum()).args(["down", "--data"]).arg(dir).output();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn constraints_choose_among_nodes_and_what_fits_nowhere_waits_for_that_reason() {
    let racks = Racks::start().await;
    racks.create("/unique", 4, json!([["hostname", "UNIQUE"]])).await;
    let hosts = racks.placed("/unique", 3, 1).await;
    assert!(hosts.len() == 3, "one on each: {hosts:?}");
    let summary = eventually("the reason", || async {
        let queued = racks.queued("/unique").await.ok_or("nothing waits")?;
        let funnel = queued["processedOffersSummary"]["rejectSummaryLastOffers"].clone();
        let steps = funnel.as_array().cloned().unwrap_or_default();
        let step = steps.into_iter().find(|s| s["reason"] == "UnfulfilledConstraint");
        step.filter(|s| s["declined"] == 3).ok_or(queued.to_string())
    })
    .await;
    assert_eq!(summary["processed"], 3);
    racks.delete("/unique").await;
    tests_of_values(&racks).await;
    rules_about_others(&racks).await;
}

async fn tests_of_values(racks: &Racks) {
    let [first, second, third] = AGENTS.map(|(address, _)| address);
    let two_hosts = json!([
        ["rack", "LIKE", "[a-z]"],
        ["hostname", "LIKE", r"127\.79\.11\.[23]"]
    ]);
    let both = json!([["rack", "MAX_PER", "1"], ["rack", "IS", "a"], ["disk", "IS", "2"]]);
    for (constraints, running, waiting, nodes) in [
        (two_hosts, 2, 0, vec![second, third]),
        (json!([["rack", "UNLIKE", "a"]]), 2, 0, vec![third]),
        (
            json!([["disk", "UNLIKE", "ssd"], ["hostname", "MAX_PER", "1"]]),
            2,
            0,
            vec![first, second],
        ),
        (json!([["rack", "CLUSTER", "b"]]), 2, 0, vec![third]),
        (json!([["disk", "IS", "2.0"]]), 2, 0, vec![first]),
        (
            json!([["rack", "MAX_PER", "1"], ["disk", "LIKE", ".*"]]),
            2,
            0,
            vec![first, third],
        ),
        (both, 1, 1, vec![first]),
    ] {
        racks.create("/app", 2, constraints.clone()).await;
        let hosts = racks.placed("/app", running, waiting).await;
        assert_eq!(hosts.keys().collect::<Vec<_>>(), nodes, "{constraints}");
        racks.delete("/app").await;
    }
}

async fn rules_about_others(racks: &Racks) {
    racks
        .create("/together", 3, json!([["hostname", "CLUSTER"]]))
        .await;
    let hosts = racks.placed("/together", 3, 0).await;
    assert_eq!(hosts.len(), 1, "all where the first is: {hosts:?}");
    racks.delete("/together").await;

    racks.create("/even", 6, json!([["rack", "GROUP_BY", "2"]])).await;
    let in_rack_b = |hosts: &BTreeMap<String, usize>| hosts.get(AGENTS[2].0).copied().unwrap_or(0);
    let hosts = racks.placed("/even", 6, 0).await;
    assert_eq!(in_rack_b(&hosts), 3, "half in each rack: {hosts:?}");
    racks
        .call("PUT", "/v2/apps/even", Some(&json!({"instances": 2})))
        .await;
    let hosts = racks.placed("/even", 2, 0).await;
    assert_eq!(in_rack_b(&hosts), 1, "and still when there are fewer: {hosts:?}");
    racks.delete("/even").await;
}

/// The lines that the task printed before `end`, as names and values.
fn printed(log: &str) -> Option<BTreeMap<String, String>> {
    let (env, _) = log.split_once("end of environment")?;
    let pairs = env.lines().filter_map(|l| l.split_once('='));
    Some(pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_prints_the_environment_that_marathon_gives_it() {
    let up = Up::start(1).await;
    up.create(json!({
        "id": "/shop/web", "cmd": "env; echo end of environment; exec sleep 1000", "cpus": 0.1, "mem": 32, "disk": 1,
        "portDefinitions": [{"port": 0, "name": "http"}, {"port": 17_345, "protocol": "udp", "name": "dns"}],
        "labels": {"tier": "front", "com.example--id": "7"},
        "env": {"OWN": "x y", "MARATHON_APP_RESOURCE_GPUS": "mine"},
    }))
    .await;
    let task = up.running("/shop/web", 1).await.remove(0);
    let id = task["id"].as_str().unwrap();
    let env = eventually("its environment", || async {
        let log = up.cli_ok(&["task", "logs", id]);
        printed(&log).ok_or(log)
    })
    .await;
    let (first, second) = (task["ports"][0].to_string(), task["ports"][1].to_string());
    let (ports, sandbox) = (format!("{first},{second}"), &env["MESOS_SANDBOX"]);
    let expected: BTreeMap<&str, &str> = [
        ("HOST", task["host"].as_str().unwrap()),
        ("PORT", first.as_str()),
        ("PORT0", &first),
        ("PORT1", &second),
        ("PORTS", &ports),
        ("PORT_10000", &first),
        ("PORT_17345", &second),
        ("PORT_HTTP", &first),
        ("PORT_DNS", &second),
        ("MESOS_TASK_ID", id),
        ("MESOS_SANDBOX", sandbox),
        ("MARATHON_APP_ID", "/shop/web"),
        ("MARATHON_APP_VERSION", task["version"].as_str().unwrap()),
        ("MARATHON_APP_RESOURCE_CPUS", "0.1"),
        ("MARATHON_APP_RESOURCE_MEM", "32.0"),
        ("MARATHON_APP_RESOURCE_DISK", "1.0"),
        ("MARATHON_APP_RESOURCE_GPUS", "mine"),
        ("MARATHON_APP_LABELS", "COM_EXAMPLE_ID TIER"),
        ("MARATHON_APP_LABEL_COM_EXAMPLE_ID", "7"),
        ("MARATHON_APP_LABEL_TIER", "front"),
        ("OWN", "x y"),
    ]
    .into();
    let given = |name: &str| {
        ["HOST", "PORT", "MESOS_", "MARATHON_", "OWN"]
            .iter()
            .any(|p| name.starts_with(p))
    };
    let env: BTreeMap<&str, &str> = env
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .filter(|(k, _)| given(k) && *k != "HOSTNAME")
        .collect();
    assert_eq!(env, expected);
    up.delete("/shop/web").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn required_ports_are_exact_and_a_second_instance_waits_for_them() {
    let up = Up::start(1).await;
    up.create(json!({
        "id": "/fixed", "cmd": "exec sleep 1000", "cpus": 0.1, "mem": 32, "requirePorts": true,
        "portDefinitions": [{"port": 17_346, "name": "http"}],
    }))
    .await;
    assert_eq!(up.running("/fixed", 1).await[0]["ports"], json!([17_346]));
    up.marathon("PUT", "/v2/apps/fixed", Some(&json!({"instances": 2})))
        .await;
    eventually("the second waits for the port", || async {
        let (_, queue) = up.marathon("GET", "/v2/queue", None).await;
        let funnel = queue["queue"][0]["processedOffersSummary"]["rejectSummaryLastOffers"].clone();
        let steps = funnel.as_array().cloned().unwrap_or_default();
        let ports = steps.iter().find(|s| s["reason"] == "InsufficientPorts");
        if ports.is_some_and(|s| s["declined"] == 1) {
            Ok(())
        } else {
            Err(queue.to_string())
        }
    })
    .await;
    up.delete("/fixed").await;
}
