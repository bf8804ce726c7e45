//! The pool is full: what one orchestrator holds the others cannot have, each says so in its own words and names the
//! holder, and what waits starts by itself once there is room. All tools count the same free room.

use super::{DOORS, deployment, docker_cli, pods};
use crate::support::docker::Cli;
use crate::support::eventually;
use crate::support::image::{BUSYBOX, docker};
use crate::support::kubectl::{Kubectl, STAYS, program, ready};
use crate::support::pool::Pool;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Cores of each node, in thousandths.
const NODE: u32 = 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn what_one_holds_the_others_wait_for_and_everybody_says_who() {
    let (true, Some(program)) = (docker(), program()) else {
        return;
    };
    let mut pool = Pool::start(3, NODE, &DOORS).await;
    let kubectl = Kubectl::with(pool.kubeconfig(), program);
    let cli = docker_cli(&pool.urls["swarm"]);
    kubectl.nodes(3).await;
    same_room(&pool, &kubectl, &cli).await;

    fill(&pool, 30).await;
    kubectl.apply(&[deployment("late", 1, "100m", STAYS)]);
    let image = ["--no-resolve-image", BUSYBOX, "sleep", "1000"];
    let create = [
        "service",
        "create",
        "-d",
        "--name",
        "later",
        "--reserve-cpu",
        "0.1",
    ];
    cli.ok(&[&create[..], &image].concat());
    let said = eventually("a FailedScheduling event", || async {
        let pod = pods(&kubectl, "late");
        let name = pod.first().and_then(|p| p["metadata"]["name"].as_str());
        let events = kubectl.events(name.ok_or("no pod")?);
        let failed = events.iter().find(|(reason, _)| reason == "FailedScheduling");
        failed.map(|(_, why)| why.clone()).ok_or(format!("{events:?}"))
    })
    .await;
    assert!(
        said.starts_with("0/3 nodes are available: 3 Insufficient cpu. "),
        "{said}"
    );
    assert!(said.contains("of 3.0 cpu marathon holds 3.0 cpu"), "{said}");
    eventually("the reason in service ps", || async {
        let ps = [
            "service",
            "ps",
            "--no-trunc",
            "--format",
            "{{.CurrentState}}|{{.Error}}",
            "later",
        ];
        let rows = cli.ok(&ps);
        let wanted =
            "no suitable node (insufficient resources on 3 nodes; of 3.0 cpu marathon holds 3.0 cpu)";
        if rows.starts_with("Pending") && rows.contains(wanted) {
            Ok(())
        } else {
            Err(rows)
        }
    })
    .await;
    same_room(&pool, &kubectl, &cli).await;

    fill(&pool, 28).await;
    eventually("both start by themselves", || async {
        let pod = pods(&kubectl, "late").iter().any(ready);
        let running = cli.ok(&["service", "ps", "--format", "{{.CurrentState}}", "later"]);
        if pod && running.starts_with("Running") {
            Ok(())
        } else {
            Err(format!("pod {pod}, {running}"))
        }
    })
    .await;
    same_room(&pool, &kubectl, &cli).await;

    let audit = pool.audit();
    assert!(audit.status.success(), "{audit:?}");
}

/// So many instances of a tenth of a core run.
async fn fill(pool: &Pool, instances: usize) {
    let app = json!({
        "id": "/filler", "cmd": "exec sleep 1000", "cpus": 0.1, "mem": 16, "instances": instances,
    });
    let (status, body) = pool.marathon("PUT", "/v2/apps/filler", Some(&app)).await;
    assert!(status == 200 || status == 201, "{status} {body}");
    eventually("the filler runs", || async {
        let (_, body) = pool.marathon("GET", "/v2/apps/filler", None).await;
        let (running, deploying) = (&body["app"]["tasksRunning"], &body["app"]["deployments"]);
        if *running == json!(instances) && *deploying == json!([]) {
            Ok(())
        } else {
            Err(format!("{running} of {instances} run, {deploying}"))
        }
    })
    .await;
}

/// Free cpu of every node, as each tool's own arithmetic has it, is the same.
async fn same_room(pool: &Pool, kubectl: &Kubectl, cli: &Cli) {
    eventually("the same room everywhere", || async {
        let ledger = of_ledger(pool).await;
        let (kube, swarm) = (of_kubernetes(kubectl), of_swarm(cli));
        if !ledger.is_empty() && ledger == kube && ledger == swarm {
            Ok(())
        } else {
            Err(format!("ledger {ledger:?}, kubernetes {kube:?}, swarm {swarm:?}"))
        }
    })
    .await;
}

type Room = BTreeMap<String, i64>;

async fn of_ledger(pool: &Pool) -> Room {
    let nodes = pool.listed("/v1/nodes").await;
    let room = |n: &Value| (text(&n["name"]), n["free"]["cpu_millis"].as_i64().unwrap());
    nodes.iter().map(room).collect()
}

/// Allocatable minus what the pods there request.
fn of_kubernetes(kubectl: &Kubectl) -> Room {
    let nodes = kubectl.get(&["nodes"]);
    let pods = kubectl.get(&["pods", "-A"]);
    let nodes = nodes["items"].as_array().unwrap().iter();
    let mut room: Room = nodes
        .map(|n| {
            (
                text(&n["metadata"]["name"]),
                millis(&n["status"]["allocatable"]["cpu"]),
            )
        })
        .collect();
    for pod in pods["items"].as_array().unwrap() {
        let over = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
        let Some(free) = pod["spec"]["nodeName"].as_str().and_then(|n| room.get_mut(n)) else {
            continue;
        };
        if !over {
            *free -= millis(&pod["spec"]["containers"][0]["resources"]["requests"]["cpu"]);
        }
    }
    room
}

/// The node's resources minus what the tasks there reserve.
fn of_swarm(cli: &Cli) -> Room {
    let mut room = Room::new();
    for node in cli.ok(&["node", "ls", "-q"]).lines() {
        let inspected = cli.ok(&["node", "inspect", node]);
        let inspected: Value = serde_json::from_str(&inspected).unwrap();
        let node = &inspected[0]["Description"];
        let nano = node["Resources"]["NanoCPUs"].as_i64().unwrap_or(0);
        room.insert(text(&node["Hostname"]), nano / 1_000_000);
    }
    let services = cli.ok(&["service", "ls", "-q"]);
    for service in services.lines() {
        let inspected: Value = serde_json::from_str(&cli.ok(&["service", "inspect", service])).unwrap();
        let template = &inspected[0]["Spec"]["TaskTemplate"];
        let reserved = template["Resources"]["Reservations"]["NanoCPUs"]
            .as_i64()
            .unwrap_or(0)
            / 1_000_000;
        let ps = [
            "service",
            "ps",
            "--format",
            "{{.Node}}|{{.DesiredState}}",
            service,
        ];
        for row in cli.ok(&ps).lines() {
            let (node, desired) = row.split_once('|').unwrap();
            if desired == "Running"
                && let Some(free) = room.get_mut(node)
            {
                *free -= reserved;
            }
        }
    }
    room
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// `100m`, `1`, `1.5`: thousandths.
fn millis(quantity: &Value) -> i64 {
    let text = quantity.as_str().unwrap_or("0");
    match text.strip_suffix('m') {
        Some(millis) => millis.parse().unwrap(),
        None => {
            let cores: f64 = text.parse().unwrap();
            #[allow(clippy::cast_possible_truncation, reason = "a few cores")]
            let millis = (cores * 1000.0).round() as i64;
            millis
        }
    }
}
