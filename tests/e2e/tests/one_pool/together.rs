//! Six clients on one pool at once, each as its users have it: the docker, kubectl and dcos commands, and PyPI's clients
//! of the three. Each takes a workload of its own from its first deploy to its last delete and believes what its own
//! tool says of it; in the end nothing is left.

use super::DOORS;
use crate::support::dcos::Dcos;
use crate::support::image::{BUSYBOX, docker};
use crate::support::kubectl::{Kubectl, container, program};
use crate::support::leftovers::{containers, owners};
use crate::support::service::Docker;
use crate::support::up::{Up, items};
use crate::support::{apart, eventually, python};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;

/// Says its version once, and runs until it is asked to end.
const SCRIPT: &str = "echo serving $VERSION; trap 'exit 0' TERM; while :; do sleep 0.1; done";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn six_clients_take_their_workloads_from_deploy_to_delete_at_once() {
    let (true, Some(program)) = (docker(), program()) else {
        return;
    };
    let up = Arc::new(Up::start_with(3, &DOORS).await);
    let [first, second, third] = [&up, &up, &up].map(Arc::clone);
    let commands = [
        apart(|| by_docker(first)),
        apart(|| by_kubectl(second, program)),
        apart(|| by_dcos(third)),
    ];
    let kubeconfig = up.data().join("kubeconfig").display().to_string();
    let pools = tokio::spawn(owners_of(Arc::clone(&up)));
    let script = "one_pool/together.py";
    tokio::join!(
        python::all_of(script, ["docker", up.url("docker"), BUSYBOX]),
        python::all_of(script, ["kubernetes", &kubeconfig, BUSYBOX]),
        python::all_of(script, ["marathon", up.url("marathon")]),
    );
    for actor in commands {
        actor.await.unwrap();
    }
    nothing_is_left(&up).await;
    let pools = pools.await.unwrap();
    eventually("no container is left", || async {
        let all = containers(&["-a"]).into_iter();
        let left: Vec<String> = all.filter(|c| pools.iter().any(|o| c.starts_with(o))).collect();
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    })
    .await;
    let mut up = Arc::into_inner(up).expect("all actors are done");
    let audit = up.audit();
    assert!(audit.status.success(), "{audit:?}");
}

/// How the containers of this pool's nodes are named, once each has one.
async fn owners_of(up: Arc<Up>) -> Vec<String> {
    eventually("containers on every node", || async {
        let tasks = items(&up.api("/v1/tasks").await);
        let ids: Vec<&str> = tasks.iter().filter_map(|t| t["id"].as_str()).collect();
        let owners = owners(&ids);
        if owners.len() == 3 {
            Ok(owners.into_iter().collect())
        } else {
            Err(format!("{owners:?}"))
        }
    })
    .await
}

async fn nothing_is_left(up: &Up) {
    eventually("nothing is left", || async {
        let shown = up.cli_ok(&["ps", "-q"]);
        let tasks = items(&up.api("/v1/tasks?ended=true").await);
        if shown.is_empty() && tasks.is_empty() {
            Ok(())
        } else {
            Err(format!("{shown} {tasks:?}"))
        }
    })
    .await;
}

/// Waits until a command prints this.
async fn prints(what: &str, wanted: &str, mut command: impl FnMut() -> String) {
    eventually(what, || {
        let said = command();
        let good = said.trim_end() == wanted;
        async move { if good { Ok(()) } else { Err(said) } }
    })
    .await;
}

async fn by_docker(up: Arc<Up>) {
    const NAME: &str = "together-cli";
    let d = Docker::of(&up);
    let create = format!(
        "service create --no-resolve-image --name {NAME} --replicas 2 --update-monitor 500ms --rollback-monitor 500ms \
         --stop-grace-period 5s --env VERSION=one {BUSYBOX} sh -c"
    );
    let create: Vec<&str> = create.split_whitespace().chain([SCRIPT]).collect();
    let said = d.ok(&create);
    assert!(said.contains("2 out of 2 tasks"), "{said}");
    d.replicas(NAME, "2/2").await;
    assert_eq!(
        d.ps(NAME, "{{.Name}}"),
        [format!("{NAME}.1"), format!("{NAME}.2")]
    );
    let pretty = d.ok(&["service", "inspect", "--pretty", NAME]);
    assert!(
        pretty.contains(" Replicas:\t2") && pretty.contains(" Env:\t\tVERSION=one"),
        "{pretty}"
    );
    is_of(&d, NAME, "one").await;
    d.ok(&["service", "scale", &format!("{NAME}=3")]);
    d.replicas(NAME, "3/3").await;
    let before = d.ps(NAME, "{{.ID}}");
    let update = ["service", "update", "--no-resolve-image"];
    d.ok(&[&update[..], &["--env-add", "VERSION=two", NAME]].concat());
    d.update_is(NAME, "completed").await;
    assert!(d.ps(NAME, "{{.ID}}").iter().all(|id| !before.contains(id)));
    is_of(&d, NAME, "two").await;
    d.ok(&["service", "rollback", NAME]);
    d.update_is(NAME, "rollback_completed").await;
    is_of(&d, NAME, "one").await;
    d.ok(&["service", "rm", NAME]);
    assert!(d.no(&["service", "inspect", NAME]).contains("no such service"));
    prints("no container", "", || {
        d.ok(&["ps", "-aq", "--filter", &format!("name={NAME}")])
    })
    .await;
}

/// What runs of a service is of this version, by its logs and from inside.
async fn is_of(d: &Docker, service: &str, version: &str) {
    let count = d.ps(service, "{{.ID}}").len();
    let filter = format!("name={service}.1.");
    let one = d.ok(&["ps", "-q", "--filter", &filter]);
    assert_eq!(
        d.ok(&["exec", one.trim(), "sh", "-c", "echo $VERSION"]),
        format!("{version}\n")
    );
    prints("its log", &format!("serving {version}"), || {
        d.ok(&["logs", one.trim()])
    })
    .await;
    eventually("all logs", || async {
        let logs = d.ok(&["service", "logs", "--raw", service]);
        let said = logs
            .lines()
            .filter(|l| *l == format!("serving {version}"))
            .count();
        if said >= count { Ok(()) } else { Err(logs) }
    })
    .await;
}

async fn by_kubectl(up: Arc<Up>, program: PathBuf) {
    let kubectl = Kubectl::of(&up, program).within("together-kubectl");
    let mut says = container("c", SCRIPT);
    says["env"] = json!([{"name": "VERSION", "value": "one"}]);
    let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [says]}});
    let spec = json!({"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template});
    let web =
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec});
    kubectl.apply(&[web]);
    kubectl.rolled_out("web");
    let list = kubectl.ok(&["get", "deploy", "web", "--no-headers"]);
    assert_eq!(list.split_whitespace().nth(1), Some("2/2"), "{list}");
    let described = kubectl.ok(&["describe", "deploy", "web"]);
    assert!(
        described.contains("2 desired | 2 updated | 2 total | 2 available"),
        "{described}"
    );
    serves(&kubectl, "one").await;
    kubectl.ok(&["scale", "deploy/web", "--replicas=3"]);
    kubectl.rolled_out("web");
    assert_eq!(super::pods(&kubectl, "web").len(), 3);
    kubectl.ok(&["set", "env", "deploy/web", "VERSION=two"]);
    kubectl.rolled_out("web");
    serves(&kubectl, "two").await;
    kubectl.ok(&["rollout", "undo", "deploy/web"]);
    kubectl.rolled_out("web");
    serves(&kubectl, "one").await;
    kubectl.ok(&["delete", "deploy", "web"]);
    prints("no pod", "", || kubectl.ok(&["get", "rs,pods", "-o", "name"])).await;
    kubectl.ok(&["delete", "namespace", "together-kubectl"]);
}

/// Every pod that stays is of this version, by its logs and from inside.
async fn serves(kubectl: &Kubectl, version: &str) {
    for pod in super::pods(kubectl, "web") {
        let name = pod["metadata"]["name"].as_str().unwrap();
        assert_eq!(
            kubectl.ok(&["exec", name, "--", "sh", "-c", "echo $VERSION"]),
            version
        );
        prints("its log", &format!("serving {version}"), || {
            kubectl.ok(&["logs", name])
        })
        .await;
    }
}

async fn by_dcos(up: Arc<Up>) {
    const ID: &str = "/together/dcos";
    let d = Dcos::of(&up);
    let cmd = SCRIPT;
    let env = json!({"VERSION": "one"});
    d.add(
        &up,
        &json!({"id": ID, "cmd": cmd, "env": env, "cpus": 0.02, "mem": 16, "instances": 2}),
    )
    .await;
    let list = d.ok(&["marathon", "app", "list"]);
    let row = list.lines().find(|l| l.starts_with(ID));
    assert!(row.is_some_and(|l| l.contains("2/2")), "{list}");
    let shown = d.json(&["marathon", "app", "show", ID]);
    assert_eq!((&shown["tasksRunning"], &shown["env"]), (&json!(2), &env));
    runs(&d, "one").await;
    d.ok(&["marathon", "app", "update", ID, "instances=3"]);
    up.running(ID, 3).await;
    let update = |change: &Value| {
        let out = d.with_input(&["marathon", "app", "update", ID], change.to_string().as_bytes());
        let said = String::from_utf8_lossy(&out.stdout);
        assert!(said.starts_with("Created deployment "), "{out:?}");
    };
    update(&json!({"env": {"VERSION": "two"}}));
    up.running(ID, 3).await;
    runs(&d, "two").await;
    let versions = d.json(&["marathon", "app", "version", "list", ID]);
    update(&json!({"version": versions[1]}));
    up.running(ID, 3).await;
    runs(&d, "one").await;
    d.ok(&["marathon", "app", "remove", ID]);
    let gone = d.fails(&["marathon", "app", "show", ID]);
    assert_eq!(gone, format!("Error: App '{ID}' does not exist\n"));
    prints("no task", "", || d.tasks("together_dcos").concat()).await;
}

/// A task is of this version, by its log and from inside.
async fn runs(d: &Dcos, version: &str) {
    let task = d.tasks("together_dcos").remove(0);
    assert_eq!(
        d.ok(&["task", "exec", &task, "sh", "-c", "echo $VERSION"]),
        format!("{version}\n")
    );
    prints("its log", &format!("serving {version}"), || {
        d.ok(&["task", "log", &task])
    })
    .await;
}
