//! Pods reached through the real kubectls: terminals, files, logs, attaching, forwarded ports, drained nodes. With
//! the old one of two kubectls as well, where there is one: it speaks SPDY where the new one speaks WebSocket.

use crate::support::image::docker;
use crate::support::kubectl::{Background, Kubectl, STAYS, container, pod, program, ready};
use crate::support::up::Up;
use crate::support::{eventually, root};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Pods that are logged to their end, spoken to, and reached.
fn three() -> Vec<Value> {
    let mut asks = container("c", "read x; echo got $x");
    asks["stdin"] = json!(true);
    asks["stdinOnce"] = json!(true);
    let counts = container("c", "for i in 1 2 3 4 5 6 7 8; do echo line $i; sleep 0.3; done");
    let serves = container(
        "c",
        &format!(
            "busybox head -c 1000000 /dev/urandom > /www/index.html; httpd -p 8080 -h /www; busybox ln -s busybox /bin/tar; {STAYS}"
        ),
    );
    let mut items = vec![
        pod("asks", json!({"restartPolicy": "Never", "containers": [asks]})),
        pod(
            "counts",
            json!({"restartPolicy": "Never", "containers": [counts]}),
        ),
        pod("serves", json!({"containers": [serves]})),
    ];
    for item in &mut items {
        item["metadata"]["labels"]["all"] = json!("three");
    }
    items
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_are_reached_as_people_do_it() {
    let (true, Some(program)) = (docker(), program()) else {
        return;
    };
    let up = Up::start_with(2, &["kubernetes"]).await;
    let kubectl = Kubectl::of(&up, program.clone());
    kubectl.apply(&three());
    kubectl.apply(&three());
    kubectl
        .until("counts", "has begun", |p| p["status"]["phase"] != "Pending")
        .await;
    let followed = kubectl.ok(&["logs", "-f", "counts"]);
    assert!(
        followed.starts_with("line 1\n") && followed.ends_with("\nline 8"),
        "{followed}"
    );
    kubectl.until("asks", "is ready", ready).await;
    kubectl.until("serves", "is ready", ready).await;
    let old = std::env::var_os("E2E_KUBECTL_OLD").map(PathBuf::from);
    for program in std::iter::once(program).chain(old) {
        let kubectl = Kubectl::of(&up, program);
        terminal(&kubectl);
        copies(&kubectl);
        forwards(&kubectl).await;
    }
    let attached = kubectl.with_input(&["attach", "-i", "asks"], b"this\n");
    assert!(
        String::from_utf8_lossy(&attached.stdout).contains("got this"),
        "{attached:?}"
    );
    kubectl
        .until("counts", "has ended", |p| p["status"]["phase"] == "Succeeded")
        .await;
    let all = kubectl.ok(&["logs", "-l", "all=three", "--prefix"]);
    for line in ["[pod/asks/c] got this", "[pod/counts/c] line 8"] {
        assert!(all.contains(line), "{all}");
    }
    deletes(&kubectl).await;
}

fn terminal(kubectl: &Kubectl) {
    let command = kubectl.command(&["exec", "-it", "serves", "--", "sh"]);
    let out = Command::new("python3")
        .arg(root().join("tests/e2e/tests/kubernetes_terminal.py"))
        .arg(command.get_program())
        .args(command.get_args())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && said.contains("all of it"), "{said}");
}

fn copies(kubectl: &Kubectl) {
    let dir = tempfile::tempdir().unwrap();
    let (there, back) = (dir.path().join("there"), dir.path().join("back"));
    let bytes: Vec<u8> = (0..5_000_000_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    std::fs::write(&there, &bytes).unwrap();
    kubectl.ok(&["cp", there.to_str().unwrap(), "serves:/tmp/file"]);
    kubectl.ok(&["cp", "serves:/tmp/file", back.to_str().unwrap()]);
    assert!(
        std::fs::read(&back).unwrap() == bytes,
        "the file came back changed"
    );
}

/// Starts forwarding; the port on this side.
fn forward(kubectl: &Kubectl, port: &str) -> (Background, u16) {
    let mut child = kubectl
        .command(&["port-forward", "pod/serves", port])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    // What it prints later has to go somewhere.
    std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
    let port = line.split("127.0.0.1:").nth(1).and_then(|r| r.split(' ').next());
    (Background(child), port.unwrap().parse().unwrap())
}

async fn forwards(kubectl: &Kubectl) {
    let (running, port) = forward(kubectl, ":8080");
    let page = kubectl
        .run(&["exec", "serves", "--", "cat", "/www/index.html"])
        .stdout;
    assert_eq!(page.len(), 1_000_000);
    let fetches = (0..20).map(|_| async {
        let answer = reqwest::get(format!("http://127.0.0.1:{port}/")).await.unwrap();
        answer.bytes().await.unwrap()
    });
    for bytes in futures::future::join_all(fetches).await {
        assert!(bytes == page, "{} bytes came", bytes.len());
    }
    drop(running);
    let (mut refused, port) = forward(kubectl, ":9");
    assert!(reqwest::get(format!("http://127.0.0.1:{port}/")).await.is_err());
    let code = eventually("kubectl sees that nobody listens", || {
        let ended = refused.0.try_wait().unwrap();
        async move { ended.ok_or_else(|| "it goes on".to_owned()) }
    })
    .await;
    assert_eq!(code.code(), Some(1));
}

async fn deletes(kubectl: &Kubectl) {
    let slow = container("c", "trap 'sleep 2; exit 0' TERM; while :; do sleep 0.1; done");
    let spec = json!({"terminationGracePeriodSeconds": 60, "containers": [slow]});
    kubectl.apply(&[pod("slow", spec.clone()), pod("other", spec)]);
    for name in ["slow", "other"] {
        kubectl.until(name, "is ready", ready).await;
    }
    let began = Instant::now();
    kubectl.ok(&["delete", "pod", "slow"]);
    let took = began.elapsed();
    assert!(
        (2..30).contains(&took.as_secs()),
        "the end it asked for takes {took:?}"
    );
    let began = Instant::now();
    kubectl.ok(&["delete", "pod", "other", "--force", "--grace-period=0"]);
    assert!(
        began.elapsed() < Duration::from_millis(1900),
        "{:?}",
        began.elapsed()
    );
    kubectl.ok(&["delete", "pods", "--all"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_node_is_empty_and_takes_pods_again_afterwards() {
    let (true, Some(program)) = (docker(), program()) else {
        return;
    };
    let up = Up::start_with(2, &["kubernetes"]).await;
    let kubectl = Kubectl::of(&up, program);
    kubectl.nodes(2).await;
    let template =
        json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container("c", STAYS)]}});
    kubectl.apply(&[json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 4, "selector": {"matchLabels": {"app": "web"}}, "template": template},
    })]);
    kubectl.ok(&["wait", "--for=condition=Available", "deploy/web", "--timeout=60s"]);
    kubectl.ok(&["rollout", "status", "deploy/web", "--timeout=60s"]);
    kubectl.ok(&["drain", "node-1", "--timeout=60s"]);
    kubectl.ok(&["rollout", "status", "deploy/web", "--timeout=60s"]);
    let on = |node: &str| {
        let list = kubectl.get(&["pods", "--field-selector", &format!("spec.nodeName={node}")]);
        list["items"].as_array().unwrap().len()
    };
    assert_eq!((on("node-1"), on("node-2")), (0, 4));
    assert!(kubectl.ok(&["get", "nodes"]).contains("Ready,SchedulingDisabled"));
    kubectl.ok(&["uncordon", "node-1"]);
    eventually("the pool hears of it", || async {
        let nodes = up.cli_ok(&["node", "list"]);
        if nodes.contains("cordoned") {
            Err(nodes)
        } else {
            Ok(())
        }
    })
    .await;
    kubectl.ok(&["scale", "deploy/web", "--replicas=8"]);
    kubectl.ok(&["rollout", "status", "deploy/web", "--timeout=60s"]);
    assert!(on("node-1") > 0, "it takes pods again");
    let described = kubectl.ok(&["describe", "node", "node-1"]);
    for part in [
        "Lease:",
        "Ready ",
        "Allocated resources:",
        "default                     web-",
    ] {
        assert!(described.contains(part), "{part} in\n{described}");
    }
    expels(&kubectl, &on).await;
    kubectl.ok(&["delete", "deploy", "web"]);
}

/// Pods leave a node for a taint that they do not bear; one that bears it stays.
async fn expels(kubectl: &Kubectl, on: &impl Fn(&str) -> usize) {
    let bears = json!({
        "nodeName": "node-1", "containers": [container("c", STAYS)],
        "tolerations": [{"key": "broken", "operator": "Exists"}],
    });
    kubectl.apply(&[pod("bears", bears)]);
    kubectl.until("bears", "is ready", ready).await;
    kubectl.ok(&["taint", "nodes", "node-1", "broken=yes:NoExecute"]);
    eventually("all but one leave", || async {
        let left = on("node-1");
        if left == 1 { Ok(()) } else { Err(left.to_string()) }
    })
    .await;
    kubectl.ok(&["rollout", "status", "deploy/web", "--timeout=60s"]);
    assert_eq!((on("node-1"), on("node-2")), (1, 8));
    kubectl.until("bears", "runs on", ready).await;
    kubectl.ok(&["delete", "pod", "bears"]);
}
