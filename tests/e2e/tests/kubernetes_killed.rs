//! `kill -9` of every part in turn while a deployment rolls out: `rollout status` sees it to its end, and nothing
//! is lost, made twice or restarted.

use crate::support::eventually;
use crate::support::image::docker;
use crate::support::kubectl::{Kubectl, STAYS, container, program, ready};
use crate::support::kubernetes_parts::Pool;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

fn deployment(name: &str, replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": replicas, "minReadySeconds": 1, "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container("c", STAYS)]}},
        },
    })
}

/// Uid of every pod of an app that runs, with its container's id and restarts.
fn running(kubectl: &Kubectl, app: &str) -> BTreeMap<String, (String, u64)> {
    let list = kubectl.get(&["pods", "-l", &format!("app={app}")]);
    let pods = list["items"].as_array().unwrap().iter();
    pods.filter(|p| p["metadata"]["deletionTimestamp"].is_null() && ready(p))
        .map(|p| {
            let status = &p["status"]["containerStatuses"][0];
            let id = status["containerID"].as_str().unwrap().to_owned();
            let uid = p["metadata"]["uid"].as_str().unwrap().to_owned();
            (uid, (id, status["restartCount"].as_u64().unwrap()))
        })
        .collect()
}

fn revision(kubectl: &Kubectl) -> u64 {
    let raw = kubectl.ok(&["get", "--raw", "/api/v1/pods?limit=1"]);
    let list: Value = serde_json::from_str(&raw).unwrap();
    list["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_goes_on_through_the_death_of_every_part() {
    let (true, Some(program)) = (docker(), program()) else {
        return;
    };
    let mut pool = Pool::start(&["127.80.0.1"]).await;
    let kubectl = Kubectl::with(pool.kubeconfig.clone(), program);
    kubectl.apply(&[deployment("steady", 2), deployment("web", 6)]);
    for name in ["deploy/steady", "deploy/web"] {
        kubectl.ok(&["rollout", "status", name, "--timeout=60s"]);
    }
    let (steady, mut last) = (running(&kubectl, "steady"), revision(&kubectl));
    assert_eq!(steady.len(), 2);
    kubectl.ok(&["set", "env", "deploy/web", "A=b"]);
    let status = kubectl
        .command(&["rollout", "status", "deploy/web", "--timeout=120s"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    for (_, part) in &mut pool.parts {
        tokio::time::sleep(Duration::from_millis(700)).await;
        part.kill_hard();
        part.start_again();
        let now = eventually("the API answers", || async {
            let out = kubectl.run(&["get", "pods"]);
            if out.status.success() {
                Ok(revision(&kubectl))
            } else {
                Err(format!("{out:?}"))
            }
        })
        .await;
        assert!(now >= last, "resource versions go on rising: {now} after {last}");
        last = now;
    }
    let waited = tokio::task::spawn_blocking(|| status.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    assert!(waited.status.success(), "{waited:?}");
    let web = eventually("six new pods", || async {
        let web = running(&kubectl, "web");
        let all = kubectl.get(&["pods", "-l", "app=web"]);
        if web.len() == 6 && all["items"].as_array().unwrap().len() == 6 {
            Ok(web)
        } else {
            Err(format!("{web:?}"))
        }
    })
    .await;
    assert!(web.values().all(|(_, restarts)| *restarts == 0), "{web:?}");
    eventually("what did not change runs on", || async {
        let now = running(&kubectl, "steady");
        if now == steady {
            Ok(())
        } else {
            Err(format!("{now:?}, not {steady:?}"))
        }
    })
    .await;
    kubectl.ok(&["delete", "deploy", "--all"]);
    eventually("no pods", || async {
        let left = kubectl.ok(&["get", "pods", "-o", "name"]);
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
}
