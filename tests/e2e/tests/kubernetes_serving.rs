//! A deployment that serves HTTP is changed in every way while a careful client asks it all the time, and no
//! request fails.

use crate::support::eventually;
use crate::support::image::{BUSYBOX_TOO, docker};
use crate::support::kubectl::{Kubectl, program};
use crate::support::serving::{Client, of_deployment, web_deployment};
use crate::support::up::Up;
use std::collections::BTreeSet;

/// Uids of the pods that stay.
fn pods(kubectl: &Kubectl) -> BTreeSet<String> {
    let list = kubectl.get(&["pods", "-l", "app=web"]);
    let staying = list["items"].as_array().unwrap().iter();
    staying
        .filter(|p| p["metadata"]["deletionTimestamp"].is_null())
        .map(|p| p["metadata"]["uid"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_whatever_is_done_to_the_deployment() {
    let (true, Some(program)) = (docker(), program()) else {
        return;
    };
    let up = Up::start_with(3, &["kubernetes"]).await;
    let kubectl = Kubectl::of(&up, program);
    kubectl.nodes(3).await;
    kubectl.apply(&[web_deployment("web", 4, "ok")]);
    kubectl.rolled_out("web");
    let client = Client::start(up.url("kubernetes"), "web", of_deployment);
    client.goes_on(50).await;

    let first = pods(&kubectl);
    kubectl.ok(&["set", "env", "deploy/web", "A=b"]);
    kubectl.rolled_out("web");
    assert!(first.is_disjoint(&pods(&kubectl)), "every pod is a new one");
    kubectl.ok(&["set", "image", "deploy/web", &format!("c={BUSYBOX_TOO}")]);
    kubectl.rolled_out("web");
    kubectl.ok(&["rollout", "restart", "deploy/web"]);
    kubectl.rolled_out("web");
    // With the smallest steps that there are.
    let strategy = r#"{"spec":{"strategy":{"rollingUpdate":{"maxSurge":0,"maxUnavailable":1}}}}"#;
    kubectl.ok(&["patch", "deploy", "web", "-p", strategy]);
    kubectl.ok(&["rollout", "undo", "deploy/web"]);
    kubectl.rolled_out("web");
    kubectl.ok(&["scale", "deploy/web", "--replicas=6"]);
    kubectl.rolled_out("web");
    kubectl.ok(&["scale", "deploy/web", "--replicas=4"]);
    kubectl.rolled_out("web");
    stalls(&kubectl, &client).await;
    let fewest = client.fewest();
    assert!(fewest >= 3, "one of four may be missing, but {fewest} were left");
    kubectl.ok(&["drain", "node-1", "--timeout=60s"]);
    kubectl.rolled_out("web");
    client.goes_on(50).await;
    client.end(1000);
    kubectl.ok(&["delete", "deploy", "web"]);
}

/// An image that is nowhere: the rollout passes its deadline while the old pods serve on, and is taken back.
async fn stalls(kubectl: &Kubectl, client: &Client) {
    eventually("four pods", || async {
        let now = pods(kubectl);
        if now.len() == 4 {
            Ok(())
        } else {
            Err(format!("{now:?}"))
        }
    })
    .await;
    let before = pods(kubectl);
    kubectl.deadline("web", 5);
    kubectl.ok(&["set", "image", "deploy/web", "c=nowhere.invalid/broken:1"]);
    let said = kubectl.refused(&["rollout", "status", "deploy/web"]);
    assert!(said.contains("exceeded its progress deadline"), "{said}");
    let kept = before.intersection(&pods(kubectl)).count();
    assert!(
        kept >= 3,
        "the old pods serve on, but for the one that may be missing: {kept}"
    );
    client.goes_on(50).await;
    kubectl.deadline("web", 60);
    kubectl.ok(&["rollout", "undo", "deploy/web"]);
    kubectl.rolled_out("web");
    let after = pods(kubectl);
    assert_eq!(after.len(), 4);
    assert_eq!(
        before.intersection(&after).count(),
        kept,
        "what served on serves still"
    );
}
