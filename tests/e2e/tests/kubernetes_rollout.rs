//! Deployments and jobs through the real kubectl: made, scaled, changed, undone, stalled, run to their end.

use crate::support::eventually;
use crate::support::image::{BUSYBOX, docker};
use crate::support::kubectl::{Background, Kubectl, STAYS, container, program};
use crate::support::up::Up;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Read as _;
use std::process::Stdio;

fn deployment(name: &str, replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container("c", STAYS)]}},
        },
    })
}

fn job(name: &str, script: &str, more: &Value) -> Value {
    let template = json!({"spec": {"restartPolicy": "Never", "containers": [container("c", script)]}});
    let mut job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": template},
    });
    for (key, value) in more.as_object().unwrap() {
        job["spec"][key] = value.clone();
    }
    job
}

/// Names of the pods that stay.
fn pods(kubectl: &Kubectl, name: &str) -> BTreeSet<String> {
    let list = kubectl.get(&["pods", "-l", &format!("app={name}")]);
    let staying = list["items"].as_array().unwrap().iter();
    staying
        .filter(|p| p["metadata"]["deletionTimestamp"].is_null())
        .map(|p| p["metadata"]["name"].as_str().unwrap().to_owned())
        .collect()
}

fn revisions(kubectl: &Kubectl, name: &str) -> Vec<String> {
    let history = kubectl.ok(&["rollout", "history", &format!("deploy/{name}")]);
    let numbers = history
        .lines()
        .skip(2)
        .filter_map(|l| l.split_whitespace().next());
    numbers.map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_rolled_out_scaled_changed_and_undone() {
    let (true, Some(program)) = (docker(), program()) else {
        return;
    };
    let up = Up::start_with(3, &["kubernetes"]).await;
    let kubectl = Kubectl::of(&up, program);
    kubectl.nodes(3).await;
    let image = format!("--image={BUSYBOX}");
    kubectl.ok(&[
        "create",
        "deployment",
        "web",
        &image,
        "--replicas=3",
        "--",
        "sh",
        "-c",
        STAYS,
    ]);
    kubectl.rolled_out("web");
    let wide = kubectl.ok(&["get", "pods", "-o", "wide", "-A"]);
    let nodes: BTreeSet<&str> = wide
        .lines()
        .filter_map(|l| l.split_whitespace().find(|w| w.starts_with("node-")))
        .collect();
    assert_eq!(nodes.len(), 3, "one on each node:\n{wide}");
    let seen = scale_watched(&kubectl).await;
    for state in ["Pending", "Running", "Terminating"] {
        assert!(seen.contains(state), "{state} in\n{seen}");
    }
    let first = pods(&kubectl, "web");
    kubectl.ok(&["set", "env", "deploy/web", "A=b"]);
    kubectl.rolled_out("web");
    assert!(
        first.is_disjoint(&pods(&kubectl, "web")),
        "every pod is a new one"
    );
    assert_eq!(revisions(&kubectl, "web"), ["1", "2"]);
    kubectl.ok(&["rollout", "undo", "deploy/web"]);
    kubectl.rolled_out("web");
    assert_eq!(revisions(&kubectl, "web"), ["2", "3"]);
    paused(&kubectl);
    let before = pods(&kubectl, "web");
    kubectl.ok(&["rollout", "restart", "deploy/web"]);
    kubectl.rolled_out("web");
    assert!(before.is_disjoint(&pods(&kubectl, "web")));
    let described = kubectl.ok(&["describe", "deploy", "web"]);
    for part in [
        "NewReplicaSet:",
        "ScalingReplicaSet",
        "2 desired | 2 updated | 2 total | 2 available",
    ] {
        assert!(described.contains(part), "{part} in\n{described}");
    }
    kubectl.ok(&["delete", "deploy", "web"]);
    eventually("its replica sets and pods go with it", || async {
        let left = kubectl.ok(&["get", "rs,pods", "-o", "name"]);
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
}

/// Scales up and down; what `get -w` said of it.
async fn scale_watched(kubectl: &Kubectl) -> String {
    let mut child = kubectl
        .command(&["get", "pods", "-l", "app=web", "-w"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let watching = Background(child);
    kubectl.ok(&["scale", "deploy/web", "--replicas=5"]);
    kubectl.rolled_out("web");
    kubectl.ok(&["scale", "deploy/web", "--replicas=2"]);
    eventually("two pods", || async {
        let pods = kubectl.get(&["pods", "-l", "app=web"]);
        let count = pods["items"].as_array().map_or(0, Vec::len);
        if count == 2 {
            Ok(())
        } else {
            Err(count.to_string())
        }
    })
    .await;
    drop(watching);
    let mut seen = String::new();
    stdout.read_to_string(&mut seen).unwrap();
    seen
}

/// While it is paused a change starts nothing.
fn paused(kubectl: &Kubectl) {
    let before = pods(kubectl, "web");
    kubectl.ok(&["rollout", "pause", "deploy/web"]);
    kubectl.ok(&["set", "env", "deploy/web", "A=c"]);
    let waits = kubectl.run(&["rollout", "status", "deploy/web", "--timeout=1s"]);
    assert_eq!(waits.status.code(), Some(1), "{waits:?}");
    assert_eq!(pods(kubectl, "web"), before);
    kubectl.ok(&["rollout", "resume", "deploy/web"]);
    kubectl.rolled_out("web");
    assert!(before.is_disjoint(&pods(kubectl, "web")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_image_stalls_and_jobs_come_to_their_end() {
    let (true, Some(program)) = (docker(), program()) else {
        return;
    };
    let up = Up::start_with(2, &["kubernetes"]).await;
    let kubectl = Kubectl::of(&up, program);
    kubectl.apply(&[
        deployment("web", 3),
        job("good", "echo done", &json!({"completions": 3, "parallelism": 2})),
        job("bad", "exit 3", &json!({"backoffLimit": 0})),
    ]);
    kubectl.rolled_out("web");
    let before = pods(&kubectl, "web");
    kubectl.deadline("web", 3);
    kubectl.ok(&["set", "image", "deploy/web", "c=nowhere.invalid/broken:1"]);
    let waits = kubectl.run(&["rollout", "status", "deploy/web", "--timeout=1s"]);
    assert_eq!(waits.status.code(), Some(1), "{waits:?}");
    let stalls = kubectl.run(&["rollout", "status", "deploy/web"]);
    assert_eq!(stalls.status.code(), Some(1), "{stalls:?}");
    let why = String::from_utf8_lossy(&stalls.stderr);
    assert!(why.contains("exceeded its progress deadline"), "{why}");
    let during = pods(&kubectl, "web");
    assert!(before.is_subset(&during), "the old pods serve on: {during:?}");
    kubectl.deadline("web", 60);
    kubectl.ok(&["rollout", "undo", "deploy/web"]);
    kubectl.rolled_out("web");
    assert_eq!(pods(&kubectl, "web"), before);

    kubectl.ok(&["wait", "--for=condition=Complete", "job/good", "--timeout=60s"]);
    kubectl.ok(&["wait", "--for=condition=Failed", "job/bad", "--timeout=60s"]);
    let (good, bad) = (kubectl.get(&["job", "good"]), kubectl.get(&["job", "bad"]));
    assert_eq!(good["status"]["succeeded"], 3, "{}", good["status"]);
    assert_eq!(bad["status"]["failed"], 1, "{}", bad["status"]);
    let reasons = bad["status"]["conditions"].to_string();
    assert!(reasons.contains("BackoffLimitExceeded"), "{reasons}");
    kubectl.ok(&["delete", "deploy,jobs", "--all"]);
}
