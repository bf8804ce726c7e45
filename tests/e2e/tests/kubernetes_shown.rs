//! What the real kubectls, a new and an old one, show of a pool of three nodes: every form of `get`, watches,
//! descriptions, explanations, events, logs by their ends; what is waited for; who may do what; and what is not served, said so.

use crate::support::eventually;
use crate::support::image::docker;
use crate::support::kubectl::{Background, Kubectl, STAYS, container, pod, programs, ready};
use crate::support::up::Up;
use serde_json::{Value, json};
use std::io::Read as _;
use std::process::Stdio;

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_shown_as_people_know_it() {
    let programs = programs();
    if !docker() || programs.is_empty() {
        return;
    }
    let up = Up::start_with(3, &["kubernetes"]).await;
    let any = Kubectl::of(&up, programs[0].clone());
    let nodes = at_rest(&any).await;
    for (i, program) in programs.into_iter().enumerate() {
        let kubectl = Kubectl::of(&up, program).within(&format!("people-{i}"));
        serves(&kubectl);
        kubectl.apply(&things());
        kubectl.ok(&["rollout", "status", "deploy/web", "--timeout=60s"]);
        kubectl
            .until("counts", "has ended", |p| p["status"]["phase"] == "Succeeded")
            .await;
        tables(&kubectl);
        forms(&kubectl);
        watches(&kubectl).await;
        describes(&kubectl);
        explains(&kubectl);
        events(&kubectl);
        logs(&kubectl);
        waits(&kubectl);
        access(&kubectl);
        kubectl.ok(&["delete", "deploy,jobs,pods", "--all"]);
    }
    assert_eq!(
        versions(&any),
        nodes,
        "a node about which nothing is new is not written again"
    );
}

/// The versions of the nodes' objects.
fn versions(kubectl: &Kubectl) -> String {
    kubectl.ok(&[
        "get",
        "nodes",
        "-o",
        "jsonpath={.items[*].metadata.resourceVersion}",
    ])
}

/// The nodes' versions once all are ready and without a taint.
async fn at_rest(kubectl: &Kubectl) -> String {
    kubectl.nodes(3).await;
    eventually("nodes without taints, agreed on", || async {
        let list = kubectl.get(&["nodes"]);
        let items = list["items"].as_array().unwrap();
        let agreed = |n: &Value| n["metadata"]["annotations"]["plenum.dev/scheduling"] == "open";
        if items.iter().all(|n| n["spec"]["taints"].is_null() && agreed(n)) {
            Ok(versions(kubectl))
        } else {
            Err(items.iter().map(|n| n["spec"].to_string()).collect())
        }
    })
    .await
}

/// A deployment of three, a pod that ends, and what they may read.
fn things() -> Vec<Value> {
    let template =
        json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container("c", STAYS)]}});
    let counts = container("c", "for i in 1 2 3 4 5 6; do echo line $i; sleep 0.4; done");
    vec![
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": template},
        }),
        pod(
            "counts",
            json!({"restartPolicy": "Never", "containers": [counts]}),
        ),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}, "data": {"KEY": "value"}}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"pw": "hunter2"}}),
    ]
}

/// What there is, and that what is not there is said to be absent.
fn serves(kubectl: &Kubectl) {
    let resources = kubectl.ok(&["api-resources", "--no-headers", "-o", "name"]);
    let names: Vec<&str> = resources.lines().filter(|n| !n.contains("review")).collect();
    let all = [
        "configmaps",
        "events",
        "namespaces",
        "nodes",
        "pods",
        "secrets",
        "serviceaccounts",
        "deployments.apps",
        "replicasets.apps",
        "jobs.batch",
        "leases.coordination.k8s.io",
    ];
    assert_eq!(names, all);
    let short = kubectl.ok(&["api-resources", "--namespaced=false"]);
    assert!(
        short.contains("nodes") && short.contains("no ") && !short.contains("pods"),
        "{short}"
    );
    assert!(kubectl.ok(&["api-versions"]).contains("apps/v1\n"));
    let version = kubectl.ok(&["version"]);
    assert!(version.contains("Server Version: v1.33."), "{version}");
    for (command, why) in [
        (vec!["top", "pods"], "Metrics API not available"),
        (vec!["top", "nodes"], "Metrics API not available"),
        (
            vec!["cluster-info"],
            "the server doesn't have a resource type \"services\"",
        ),
        (
            vec!["get", "services"],
            "the server doesn't have a resource type \"services\"",
        ),
        (vec!["get", "pod", "nothing"], "pods \"nothing\" not found"),
    ] {
        let said = kubectl.refused(&command);
        assert!(said.contains(why), "{command:?}: {said}");
    }
}

fn heads(kubectl: &Kubectl, args: &[&str]) -> String {
    let table = kubectl.ok(args);
    let first = table.lines().next().unwrap_or_default();
    first.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The columns of every kind, in short and wide.
fn tables(kubectl: &Kubectl) {
    for (kind, head) in [
        (
            "pods",
            "NAME READY STATUS RESTARTS AGE IP NODE NOMINATED NODE READINESS GATES",
        ),
        (
            "deploy",
            "NAME READY UP-TO-DATE AVAILABLE AGE CONTAINERS IMAGES SELECTOR",
        ),
        ("rs", "NAME DESIRED CURRENT READY AGE CONTAINERS IMAGES SELECTOR"),
        (
            "nodes",
            "NAME STATUS ROLES AGE VERSION INTERNAL-IP EXTERNAL-IP OS-IMAGE KERNEL-VERSION CONTAINER-RUNTIME",
        ),
        (
            "events",
            "LAST SEEN TYPE REASON OBJECT SUBOBJECT SOURCE MESSAGE FIRST SEEN COUNT NAME",
        ),
        ("cm", "NAME DATA AGE"),
        ("secrets", "NAME TYPE DATA AGE"),
        ("sa", "NAME AGE"),
        ("ns", "NAME STATUS AGE"),
    ] {
        assert_eq!(heads(kubectl, &["get", kind, "-o", "wide"]), head, "{kind}");
    }
    assert_eq!(heads(kubectl, &["get", "pods"]), "NAME READY STATUS RESTARTS AGE");
    assert_eq!(
        heads(kubectl, &["get", "leases", "-n", "kube-node-lease"]),
        "NAME HOLDER AGE"
    );
    assert!(heads(kubectl, &["get", "pods", "-A"]).starts_with("NAMESPACE NAME READY"));
    assert!(heads(kubectl, &["get", "pods", "-L", "app", "--show-labels"]).ends_with("AGE APP LABELS"));
    let all = kubectl.ok(&["get", "all"]);
    for part in [
        "pod/web-",
        "deployment.apps/web ",
        "replicaset.apps/web-",
        "Completed",
    ] {
        assert!(all.contains(part), "{part} in\n{all}");
    }
    let row = kubectl.ok(&["get", "deploy", "web", "--no-headers"]);
    let cells: Vec<&str> = row.split_whitespace().take(4).collect();
    assert_eq!(cells, ["web", "3/3", "3", "3"]);
}

/// The same pods in every form.
fn forms(kubectl: &Kubectl) {
    let pods = |output: &str| {
        let args = [
            "get",
            "pods",
            "-l",
            "app=web",
            "--sort-by=.metadata.name",
            "-o",
            output,
        ];
        kubectl.ok(&args)
    };
    let names: Vec<String> = pods("name")
        .lines()
        .map(|l| l.trim_start_matches("pod/").to_owned())
        .collect();
    assert_eq!(names.len(), 3);
    let lines = names.join("\n");
    assert_eq!(pods("jsonpath={.items[*].metadata.name}"), names.join(" "));
    assert_eq!(
        pods("jsonpath={range .items[*]}{.metadata.name}{\"\\n\"}{end}"),
        lines
    );
    assert_eq!(
        pods("go-template={{range .items}}{{.metadata.name}}{{\"\\n\"}}{{end}}"),
        lines
    );
    assert_eq!(pods("custom-columns=WHO:.metadata.name"), format!("WHO\n{lines}"));
    assert_eq!(
        pods("custom-columns=WHO:.metadata.name,PHASE:.status.phase")
            .matches("Running")
            .count(),
        3
    );
    let json: Value = serde_json::from_str(&pods("json")).unwrap();
    assert_eq!(json["items"].as_array().unwrap().len(), 3);
    let yaml = pods("yaml");
    for name in &names {
        assert!(yaml.contains(&format!("    name: {name}\n")), "{yaml}");
    }
    // What is written out can be read in again.
    let whole = kubectl.ok(&["get", "cm", "cm", "-o", "yaml"]);
    let (code, said) = kubectl.told(&["apply", "-f", "-"], &whole);
    assert!(
        code == 0 && said.contains("configmap/cm configured"),
        "{code} {said}"
    );
    let by_field = [
        "get",
        "pods",
        "--field-selector",
        "status.phase=Succeeded",
        "-o",
        "name",
    ];
    assert_eq!(kubectl.ok(&by_field), "pod/counts");
    let unequal = ["get", "pods", "-l", "app!=web", "-o", "name"];
    assert_eq!(kubectl.ok(&unequal), "pod/counts");
    let unknown = kubectl.refused(&["get", "pods", "--field-selector", "spec.bogus=1"]);
    assert!(
        unknown.contains("field label not supported: spec.bogus"),
        "{unknown}"
    );
}

/// A watch in the background; it tells what it has printed once it is ended.
fn watching(kubectl: &Kubectl, args: &[&str]) -> (Background, std::thread::JoinHandle<String>) {
    let mut child = kubectl.command(args).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).unwrap();
        text
    });
    (Background(child), reader)
}

/// Watches in three forms see a pod come and go.
async fn watches(kubectl: &Kubectl) {
    let forms: [&[&str]; 3] = [
        &["get", "pods", "-w"],
        &[
            "get",
            "pods",
            "--watch-only",
            "--output-watch-events",
            "-o",
            "wide",
        ],
        &[
            "get",
            "pods",
            "-w",
            "-o",
            "jsonpath={.metadata.name} {.status.phase}{\"\\n\"}",
        ],
    ];
    let running: Vec<_> = forms.iter().map(|args| watching(kubectl, args)).collect();
    // A watch that has not begun yet sees nothing: pods come until the last one has been seen by all, as the
    // deployment's own pods come and go.
    for round in 0..3 {
        let name = format!("brief-{round}");
        kubectl.apply(&[pod(&name, json!({"containers": [container("c", STAYS)]}))]);
        kubectl.until(&name, "is ready", ready).await;
        kubectl.ok(&["delete", "pod", &name]);
    }
    let seen: Vec<String> = running
        .into_iter()
        .map(|(child, reader)| {
            drop(child);
            reader.join().unwrap()
        })
        .collect();
    for state in ["Pending", "ContainerCreating", "Running", "Terminating"] {
        let rows = seen[0]
            .lines()
            .filter(|l| l.starts_with("brief-2") && l.contains(state));
        assert!(rows.count() > 0, "{state} in\n{}", seen[0]);
    }
    for event in ["ADDED", "MODIFIED", "DELETED"] {
        assert!(seen[1].contains(event), "{event} in\n{}", seen[1]);
    }
    assert!(
        seen[2].contains("brief-2 Pending\n") && seen[2].contains("brief-2 Running\n"),
        "{}",
        seen[2]
    );
}

fn describes(kubectl: &Kubectl) {
    let table: [(&[&str], &[&str]); 7] = [
        (
            &["pods", "-l", "app=web"],
            &[
                "Controlled By:  ReplicaSet/web-",
                "Ready",
                "Scheduled",
                "Started container c",
            ],
        ),
        (
            &["deploy", "web"],
            &[
                "3 desired | 3 updated | 3 total | 3 available",
                "NewReplicaSet:",
                "ScalingReplicaSet",
            ],
        ),
        (
            &["rs"],
            &[
                "Controlled By:  Deployment/web",
                "3 Running / 0 Waiting",
                "SuccessfulCreate",
            ],
        ),
        (
            &["node", "node-1"],
            &[
                "Lease:",
                "KubeletReady",
                "Allocated resources:",
                "Taints:             <none>",
            ],
        ),
        (&["cm", "cm"], &["KEY:\n----\nvalue"]),
        (&["secret", "s"], &["pw:  7 bytes"]),
        (&["ns", "default"], &["Status:       Active"]),
    ];
    for (what, parts) in table {
        let mut args = vec!["describe"];
        args.extend(what);
        let said = kubectl.ok(&args);
        for part in parts {
            assert!(said.contains(part), "{part} in\n{said}");
        }
    }
}

fn explains(kubectl: &Kubectl) {
    for (what, parts) in [
        ("pods", ["Pod is a collection of containers", "spec\t<PodSpec>"]),
        (
            "deployment.spec",
            ["GROUP:      apps", "minReadySeconds\t<integer>"],
        ),
        (
            "job.spec.template.spec.containers.resources",
            ["limits\t<map[string]Quantity>", "claims"],
        ),
    ] {
        let said = kubectl.ok(&["explain", what]);
        for part in parts {
            assert!(said.contains(part), "{part} in\n{said}");
        }
    }
}

/// Events in both commands.
fn events(kubectl: &Kubectl) {
    let name = kubectl.ok(&[
        "get",
        "pods",
        "-l",
        "app=web",
        "-o",
        "jsonpath={.items[0].metadata.name}",
    ]);
    let of_it = kubectl.ok(&["events", "--for", &format!("pod/{name}")]);
    for reason in ["Scheduled", "Pulled", "Created", "Started"] {
        assert!(
            of_it.lines().any(|l| l.split_whitespace().nth(2) == Some(reason)),
            "{reason} in\n{of_it}"
        );
    }
    assert!(
        of_it.lines().skip(1).all(|l| l.contains(&format!("Pod/{name}"))),
        "{of_it}"
    );
    let warnings = kubectl.ok(&["events", "--types=Warning", "--for", &format!("pod/{name}")]);
    assert_eq!(warnings.lines().count(), 0, "{warnings}");
    let sorted = kubectl.ok(&[
        "get",
        "events",
        "--sort-by=.lastTimestamp",
        "--field-selector=reason=ScalingReplicaSet",
    ]);
    assert!(sorted.contains("deployment/web"), "{sorted}");
}

/// Logs by their end, by their age, with their times.
fn logs(kubectl: &Kubectl) {
    assert_eq!(kubectl.ok(&["logs", "counts", "--tail=2"]), "line 5\nline 6");
    assert_eq!(kubectl.ok(&["logs", "counts", "--since=1h"]).lines().count(), 6);
    assert_eq!(kubectl.ok(&["logs", "counts", "--limit-bytes=6"]), "line 1");
    let timed = kubectl.ok(&["logs", "counts", "--timestamps"]);
    let times: Vec<&str> = timed.lines().map(|l| l.split_once(' ').unwrap().0).collect();
    assert!(
        times.is_sorted() && times.iter().all(|t| t.starts_with("20") && t.ends_with('Z')),
        "{timed}"
    );
    let later = kubectl.ok(&["logs", "counts", &format!("--since-time={}", times[3])]);
    assert!(later.ends_with("line 6") && !later.contains("line 1"), "{later}");
    let none = kubectl.refused(&["logs", "counts", "--previous"]);
    assert!(
        none.contains("previous terminated container \"c\" in pod \"counts\" not found"),
        "{none}"
    );
    let wrong = kubectl.refused(&["logs", "counts", "-c", "nobody"]);
    assert!(
        wrong.contains("container nobody is not valid for pod counts"),
        "{wrong}"
    );
}

/// Every way to wait, and to wait in vain.
fn waits(kubectl: &Kubectl) {
    kubectl.ok(&["wait", "--for=condition=Available", "deploy/web", "--timeout=30s"]);
    kubectl.ok(&[
        "wait",
        "--for=condition=Ready",
        "pods",
        "-l",
        "app=web",
        "--timeout=30s",
    ]);
    kubectl.ok(&[
        "wait",
        "--for=jsonpath={.status.readyReplicas}=3",
        "deploy/web",
        "--timeout=30s",
    ]);
    let vain = kubectl.refused(&["wait", "--for=condition=Ready", "pod/counts", "--timeout=1s"]);
    assert!(
        vain.contains("timed out waiting for the condition on pods/counts"),
        "{vain}"
    );
    kubectl.ok(&["delete", "pod", "counts", "--wait=false"]);
    kubectl.ok(&["wait", "--for=delete", "pod/counts", "--timeout=60s"]);
    assert_eq!(kubectl.ok(&["get", "pod", "counts", "--ignore-not-found"]), "");
}

fn access(kubectl: &Kubectl) {
    assert_eq!(kubectl.ok(&["auth", "can-i", "create", "pods"]), "yes");
    assert!(kubectl.ok(&["auth", "can-i", "--list"]).contains("*.*"));
    let me = kubectl.ok(&["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]);
    assert_eq!(me, "plenum:admin");
    let token = kubectl.ok(&["create", "token", "default", "--duration=1h"]);
    assert_eq!(token.split('.').count(), 3, "{token}");
}
