//! Three services that serve HTTP, each of another tool, are changed at the same time under constant requests: first a
//! rolling update, then a version that cannot run, which each tool shows and takes back in its own way. No request
//! fails.

use super::DOORS;
use crate::support::dcos::Dcos;
use crate::support::image::docker;
use crate::support::kubectl::{Kubectl, program};
use crate::support::service::{Docker, text};
use crate::support::serving::{
    Client, app_command, of_app, of_deployment, of_service, quick, web_deployment, web_service,
};
use crate::support::up::Up;
use crate::support::{apart, eventually};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Barrier;

/// What each service has of a version.
const COPIES: usize = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_request_fails_while_three_tools_update_stall_and_roll_back() {
    let (true, Some(program)) = (docker(), program()) else {
        return;
    };
    let up = Arc::new(Up::start_with(3, &DOORS).await);
    let meet = Arc::new(Barrier::new(3));
    let both = || (Arc::clone(&up), Arc::clone(&meet));
    let [first, second, third] = [both(), both(), both()];
    let all = [
        apart(|| by_dcos(first)),
        apart(|| by_kubectl(second, program)),
        apart(|| by_docker(third)),
    ];
    for actor in all {
        actor.await.unwrap();
    }
    eventually("nothing is left", || async {
        let left = up.cli_ok(&["ps", "-q"]);
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
}

/// The pool, and where the three meet before each step.
type Stage = (Arc<Up>, Arc<Barrier>);

/// Waits for the two others.
async fn together(meet: &Barrier) {
    let met = tokio::time::timeout(Duration::from_secs(120), meet.wait()).await;
    met.expect("the others come as far");
}

async fn by_dcos((up, meet): Stage) {
    let d = Dcos::of(&up);
    let web = json!({
        "id": "/web", "cmd": app_command("one", 0), "cpus": 0.05, "mem": 32, "instances": COPIES,
        "taskKillGracePeriodSeconds": 20, "backoffSeconds": 3,
        "upgradeStrategy": {"minimumHealthCapacity": 1.0, "maximumOverCapacity": 0.5},
        "healthChecks": [quick(&json!({"path": "/version"}))],
        "readinessChecks": [{"name": "up", "portName": "default", "path": "/ready",
                             "intervalSeconds": 2, "timeoutSeconds": 1}],
    });
    d.add(&up, &web).await;
    let client = Client::start(up.url("marathon"), "/web", of_app);
    client.hears("one").await;
    together(&meet).await;
    let update = |command: &str| {
        let change = json!({ "cmd": command }).to_string();
        let out = d.with_input(&["marathon", "app", "update", "/web"], change.as_bytes());
        let said = text(&out.stdout);
        let id = said.trim().strip_prefix("Created deployment ").map(str::to_owned);
        id.unwrap_or_else(|| panic!("{out:?}"))
    };
    update(&app_command("two", 1));
    up.running("/web", COPIES).await;
    client.hears("two").await;

    together(&meet).await;
    let deployment = update("exit 1");
    stays_open(&d, &deployment).await;
    client.goes_on(50).await;
    together(&meet).await;
    d.ok(&["marathon", "deployment", "rollback", &deployment]);
    // a way back is a new version to Marathon: its instances replace those that served on
    up.running("/web", COPIES).await;
    client.hears("two").await;
    assert!(client.fewest() >= COPIES);
    client.end(300);
    d.ok(&["marathon", "app", "remove", "/web"]);
}

/// What is started fails and is waited with, and the deployment goes on.
async fn stays_open(d: &Dcos, deployment: &str) {
    let failed = eventually("it fails again and again", || async {
        let app = d.json(&["marathon", "app", "show", "/web"]);
        let queue = d.json(&["marathon", "debug", "list", "--json"]);
        let waits = queue[0]["delay"]["timeLeftSeconds"].as_u64().unwrap_or(0);
        if waits > 0 && app["lastTaskFailure"]["state"] == "TASK_FAILED" {
            Ok(app)
        } else {
            Err(format!("{queue} {}", app["lastTaskFailure"]))
        }
    })
    .await;
    assert_eq!(failed["deployments"], json!([{ "id": deployment }]));
    let listed = d.json(&["marathon", "deployment", "list", "--json", "/web"]);
    assert_eq!(listed[0]["id"], deployment);
}

/// Uids of the pods that stay.
fn pods(kubectl: &Kubectl) -> BTreeSet<String> {
    let pods = super::pods(kubectl, "web");
    pods.iter().map(|p| p["metadata"]["uid"].to_string()).collect()
}

async fn by_kubectl((up, meet): Stage, program: PathBuf) {
    let kubectl = Kubectl::of(&up, program);
    kubectl.nodes(3).await;
    let replicas = u32::try_from(COPIES).unwrap();
    kubectl.apply(&[web_deployment("web", replicas, "one")]);
    kubectl.rolled_out("web");
    let client = Client::start(up.url("kubernetes"), "web", of_deployment);
    client.hears("one").await;
    together(&meet).await;
    kubectl.ok(&["set", "env", "deploy/web", "VERSION=two"]);
    kubectl.rolled_out("web");
    client.hears("two").await;

    eventually("the pods before are gone", || async {
        let now = pods(&kubectl);
        if now.len() == COPIES {
            Ok(())
        } else {
            Err(format!("{now:?}"))
        }
    })
    .await;
    let whole = pods(&kubectl);
    together(&meet).await;
    kubectl.deadline("web", 3);
    kubectl.ok(&["set", "image", "deploy/web", "c=nowhere.invalid/broken:1"]);
    let said = kubectl.refused(&["rollout", "status", "deploy/web"]);
    assert!(said.contains("exceeded its progress deadline"), "{said}");
    client.goes_on(50).await;
    together(&meet).await;
    kubectl.deadline("web", 60);
    kubectl.ok(&["rollout", "undo", "deploy/web"]);
    kubectl.rolled_out("web");
    assert_eq!(pods(&kubectl), whole, "what served on serves still");
    client.hears("two").await;
    assert!(client.fewest() >= COPIES);
    client.end(300);
    kubectl.ok(&["delete", "deploy", "web"]);
}

async fn by_docker((up, meet): Stage) {
    let d = Docker::of(&up);
    let create = web_service("web", COPIES, "one");
    let create: Vec<&str> = create.iter().map(String::as_str).collect();
    let said = d.ok(&[&["service", "create"][..], &create].concat());
    assert!(said.contains("onverged"), "{said}");
    let client = Client::start(up.url("docker"), "web", of_service);
    client.hears("one").await;
    together(&meet).await;
    let update = ["service", "update", "--no-resolve-image"];
    d.ok(&[&update[..], &["--env-add", "VERSION=two", "web"]].concat());
    // the command does not wait for the old tasks to end, as the update does
    d.update_is("web", "completed").await;
    client.hears("two").await;

    let whole = d.ps("web", "{{.ID}}");
    assert_eq!(whole.len(), COPIES);
    together(&meet).await;
    let out = d.run(&[&update[..], &["--image", "nosuch:1", "web"]].concat());
    let paused = "service update paused: update paused due to failure or early termination of task ";
    assert!(
        out.status.code() == Some(1) && text(&out.stderr).contains(paused),
        "{out:?}"
    );
    assert_eq!(d.inspect("web", "{{.UpdateStatus.State}}"), "paused");
    let errors = d.ps_all("web", "{{.Error}}", &[]).concat();
    assert!(errors.contains("No such image: nosuch:1"), "{errors}");
    client.goes_on(50).await;
    together(&meet).await;
    let said = d.ok(&["service", "rollback", "web"]);
    assert!(said.contains("rollback: manually requested rollback"), "{said}");
    d.update_is("web", "rollback_completed").await;
    d.replicas("web", &format!("{COPIES}/{COPIES}")).await;
    assert_eq!(d.ps("web", "{{.ID}}"), whole, "what served on serves still");
    client.hears("two").await;
    assert!(client.fewest() >= COPIES);
    client.end(300);
    d.ok(&["service", "rm", "web"]);
}
