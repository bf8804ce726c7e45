//! A node is drained: by the pool, when everybody moves; by one tool, when it is closed for everybody and only that
//! tool's tasks move.

use super::{DOORS, deployment, docker_cli, pods};
use crate::support::docker::Cli;
use crate::support::eventually;
use crate::support::image::{BUSYBOX, docker};
use crate::support::kubectl::{Kubectl, STAYS, program, ready};
use crate::support::up::{Up, items};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_moves_everybody_and_a_tools_own_only_its_tasks() {
    let (true, Some(program)) = (docker(), program()) else {
        return;
    };
    let up = Up::start_with(3, &DOORS).await;
    let kubectl = Kubectl::of(&up, program);
    let cli = docker_cli(up.url("docker"));
    kubectl.nodes(3).await;
    kubectl.apply(&[deployment("web", 3, "10m", STAYS)]);
    let image = ["--no-resolve-image", BUSYBOX, "sh", "-c", STAYS];
    cli.ok(&[
        &["service", "create", "-d", "--name", "api", "--replicas", "3"][..],
        &image,
    ]
    .concat());
    up.create(json!({"id": "/loop", "cmd": STAYS, "cpus": 0.01, "mem": 16, "instances": 3}))
        .await;
    up.running("/loop", 3).await;
    all_run(&up, &kubectl).await;

    // by the pool: everybody moves
    assert_eq!(on(&up, "node-1").await, ["kubernetes", "marathon", "swarm"]);
    let out = up.cli(&["node", "drain", "node-1", "--timeout", "60s"]);
    assert!(out.status.success(), "{out:?}");
    assert!(on(&up, "node-1").await.is_empty());
    all_run(&up, &kubectl).await;
    assert!(up.cli_ok(&["node", "list"]).contains("draining"));
    assert_eq!(availability(&cli, "node-1"), "Drain");
    let node = kubectl.get(&["node", "node-1"]);
    assert_eq!(node["spec"]["unschedulable"], true);
    up.cli_ok(&["node", "uncordon", "node-1"]);

    // by one tool: closed for everybody, and only its own tasks move
    assert_eq!(on(&up, "node-2").await, ["kubernetes", "marathon", "swarm"]);
    cli.ok(&["node", "update", "--availability", "drain", "node-2"]);
    eventually("swarm's tasks leave", || async {
        match &on(&up, "node-2").await[..] {
            [a, b] if a == "kubernetes" && b == "marathon" => Ok(()),
            left => Err(format!("{left:?}")),
        }
    })
    .await;
    assert!(up.cli_ok(&["node", "show", "node-2"]).contains("cordoned"));
    all_run(&up, &kubectl).await;
    cli.ok(&["node", "update", "--availability", "active", "node-2"]);
    eventually("the node is open in kubectl, too", || async {
        let node = kubectl.get(&["node", "node-2"]);
        match &node["spec"]["unschedulable"] {
            Value::Null => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await;
}

/// The schedulers that have tasks on a node.
async fn on(up: &Up, node: &str) -> Vec<String> {
    let tasks = items(&up.api(&format!("/v1/tasks?node={node}")).await);
    let mut all: Vec<String> = tasks
        .iter()
        .map(|t| t["scheduler"].as_str().unwrap().to_owned())
        .collect();
    all.sort();
    all.dedup();
    all
}

fn availability(cli: &Cli, node: &str) -> String {
    cli.ok(&[
        "node",
        "ls",
        "--filter",
        &format!("name={node}"),
        "--format",
        "{{.Availability}}",
    ])
}

/// Three of each run and nothing else.
async fn all_run(up: &Up, kubectl: &Kubectl) {
    eventually("three of each run", || async {
        let tasks = items(&up.api("/v1/tasks").await);
        let running = tasks.iter().filter(|t| t["state"] == "running").count();
        let pods = pods(kubectl, "web").iter().filter(|p| ready(p)).count();
        if (tasks.len(), running, pods) == (9, 9, 3) {
            Ok(())
        } else {
            Err(format!("{} tasks, {running} run, {pods} pods ready", tasks.len()))
        }
    })
    .await;
}
