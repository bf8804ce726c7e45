//! Nodes as Docker's users see them: labels, constraints, preferences, availability, and what does not fit.

use crate::support::eventually;
use crate::support::image::docker;
use crate::support::service::Docker;
use crate::support::up::{Up, items};
use serde_json::{Value, json};

const SLEEP: [&str; 2] = ["sleep", "1000"];

fn label(d: &Docker, node: &str, label: &str) {
    d.ok(&["node", "update", "--label-add", label, node]);
}

fn availability(d: &Docker, node: &str, to: &str) {
    let said = d.ok(&["node", "update", "--availability", to, node]);
    assert_eq!(said.trim(), node);
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_go_where_labels_send_them_and_leave_when_those_change() {
    if !docker() {
        return;
    }
    let up = Up::start_with(3, &["swarm"]).await;
    let d = Docker::of(&up);
    for (node, zone) in [("node-1", "zone=a"), ("node-2", "zone=a"), ("node-3", "zone=b")] {
        label(&d, node, zone);
    }
    let spread = ["--replicas", "4", "--placement-pref", "spread=node.labels.zone"];
    d.create("even", &spread, &SLEEP);
    let only_b = [
        "--replicas",
        "2",
        "--restart-delay",
        "1s",
        "--constraint",
        "node.labels.zone==B",
    ];
    d.create("only", &only_b, &SLEEP);
    d.replicas("even", "4/4").await;
    d.replicas("only", "2/2").await;
    assert_eq!(
        d.ps("even", "{{.Node}}"),
        ["node-1", "node-2", "node-3", "node-3"]
    );
    assert_eq!(d.ps("only", "{{.Node}}"), ["node-3", "node-3"]);

    d.ok(&["node", "update", "--label-rm", "zone", "node-3"]);
    let evicted = "Shutdown Rejected \"assigned node no longer meets constraints\"";
    eventually("both are rejected and wait", || async {
        let format = "{{.DesiredState}} {{slice .CurrentState 0 8}} {{.Error}}";
        let all = d.ps_all("only", format, &[]);
        let waits = "Running Pending  \"no suitable node (scheduling constraints not satisfied on 3 nodes)\"";
        if all == [waits, waits, evicted, evicted] {
            Ok(())
        } else {
            Err(format!("{all:?}"))
        }
    })
    .await;
    let tasks = d.get("/tasks?filters={%22service%22:[%22only%22]}").await;
    let rejected = tasks
        .as_array()
        .unwrap()
        .iter()
        .find(|t| t["Status"]["State"] == "rejected");
    let status = &rejected.unwrap()["Status"];
    assert_eq!(status["Message"], "task rejected by constraint enforcer");
    assert_eq!(status["Err"], "assigned node no longer meets constraints");

    label(&d, "node-2", "zone=b");
    d.replicas("only", "2/2").await;
    assert_eq!(d.ps("only", "{{.Node}}"), ["node-2", "node-2"]);
    assert!(
        d.no(&["node", "update", "--label-rm", "none", "node-1"])
            .contains("key none doesn't exist")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_drained_paused_and_opened_and_tell_of_it() {
    if !docker() {
        return;
    }
    let up = Up::start_with(3, &["swarm"]).await;
    let d = Docker::of(&up);
    d.create("web", &["--replicas", "3"], &SLEEP);
    d.create("all", &["--mode", "global"], &SLEEP);
    d.replicas("web", "3/3").await;
    d.replicas("all", "3/3").await;
    let on_two = d.ps("all", "{{.Node}} {{.ID}}");

    availability(&d, "node-1", "drain");
    let list = d.ok(&[
        "node",
        "ls",
        "--format",
        "{{.Hostname}} {{.Status}} {{.Availability}} {{.ManagerStatus}}",
    ]);
    assert!(list.contains("node-1 Ready Drain"), "{list}");
    d.replicas("all", "2/2").await;
    d.replicas("web", "3/3").await;
    assert!(!d.ps("web", "{{.Node}}").contains(&"node-1".to_owned()));
    assert!(
        on_two
            .iter()
            .filter(|l| !l.starts_with("node-1"))
            .all(|l| d.ps("all", "{{.Node}} {{.ID}}").contains(l))
    );

    availability(&d, "node-2", "pause");
    d.ok(&["service", "scale", "-d", "web=5"]);
    d.replicas("web", "5/5").await;
    let nodes = d.ps("web", "{{.Node}}");
    assert!(
        nodes.iter().filter(|n| *n == "node-2").count() < 3,
        "a paused node keeps what it has: {nodes:?}"
    );
    availability(&d, "node-1", "active");
    availability(&d, "node-2", "active");
    d.replicas("all", "3/3").await;
    assert_eq!(
        d.no(&["node", "update", "--availability", "bogus", "node-1"])
            .trim(),
        "Error response from daemon: invalid Availability: \"bogus\""
    );

    // what somebody else closes is paused here, and may be opened here
    up.cli_ok(&["node", "cordon", "node-3"]);
    eventually("node-3 is paused", || async {
        let now = d.ok(&["node", "inspect", "node-3", "--format", "{{.Spec.Availability}}"]);
        if now.trim() == "pause" { Ok(()) } else { Err(now) }
    })
    .await;
    availability(&d, "node-3", "active");
    let open = up.api("/v1/nodes").await;
    assert!(items(&open).iter().all(|n| n["scheduling"] == "open"), "{open}");

    let told = d.told(&["type=node"]);
    for (name, old, new) in [
        ("node-1", "active", "drain"),
        ("node-2", "active", "pause"),
        ("node-3", "pause", "active"),
    ] {
        let wanted = json!({"name": name, "availability.old": old, "availability.new": new});
        let found = told
            .iter()
            .any(|(action, more)| action == "update" && *more == wanted);
        assert!(found, "{wanted} in {told:?}");
    }
}

/// All of these words are in it.
fn shows(text: &str, words: &[&str]) {
    assert!(words.iter().all(|w| text.contains(w)), "{words:?} in {text}");
}

/// Waits until the one task of a service that waits says so, in a swarm's words; who holds what is short follows.
async fn reasons(d: &Docker, service: &str, wanted: &str) {
    let wanted = format!("\"no suitable node ({wanted}");
    let ends = [")\"", "; of "];
    eventually(&format!("{service}: {wanted}"), || async {
        let mut errors = d.ps(service, "{{.Error}}");
        errors.retain(|e| !e.is_empty());
        let rest = match &errors[..] {
            [only] => only.strip_prefix(wanted.as_str()),
            _ => None,
        };
        if rest.is_some_and(|rest| ends.iter().any(|end| rest.starts_with(end))) {
            Ok(())
        } else {
            Err(format!("{errors:?}"))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_has_is_what_the_others_leave_and_what_fits_nowhere_says_why() {
    if !docker() {
        return;
    }
    let up = Up::start_with(3, &["marathon", "swarm"]).await;
    let d = Docker::of(&up);
    let other = json!({"id": "/other", "cmd": "sleep 1000", "cpus": 0.1, "mem": 64, "instances": 4});
    up.create(other).await;
    up.running("/other", 4).await;
    let own = "--replicas 2 --reserve-memory 32M --reserve-cpu 0.05";
    d.create("own", &own.split(' ').collect::<Vec<_>>(), &SLEEP);
    d.replicas("own", "2/2").await;
    for node in items(&up.api("/v1/nodes").await) {
        leaves_what_others_hold(&d, &node).await;
    }

    d.create("none", &["--constraint", "node.labels.zone==q"], &SLEEP);
    d.create("big", &["--reserve-cpu", "500"], &SLEEP);
    let port = "--replicas 4 --publish mode=host,published=38471,target=80";
    d.create("port", &port.split(' ').collect::<Vec<_>>(), &SLEEP);
    reasons(&d, "none", "scheduling constraints not satisfied on 3 nodes").await;
    reasons(&d, "big", "insufficient resources on 3 nodes").await;
    reasons(&d, "port", "host-mode port already in use on 3 nodes").await;
    let why = up.cli(&["why", "big"]);
    let why = String::from_utf8_lossy(&why.stdout).into_owned();
    shows(
        &why,
        &[
            "short of cpu",
            "node-1",
            "node-2",
            "node-3",
            "held by    marathon",
        ],
    );
    availability(&d, "node-3", "pause");
    let two = "insufficient resources on 2 nodes; 1 node not available for new tasks";
    reasons(&d, "big", two).await;

    let mut ps = vec!["node", "ps", "--format", "{{.Name}}"];
    ps.extend(["node-1", "node-2", "node-3"]);
    shows(&d.ok(&ps), &["own.1", "own.2", "port.1", "port.2", "port.3"]);
    how_to_join(&d, up.url("api"));
}

/// What Docker shows of a node is all that is not the system's or another scheduler's; less its own, that is what
/// the ledger has free.
async fn leaves_what_others_hold(d: &Docker, node: &Value) {
    let path = format!("/nodes/{}", node["name"].as_str().unwrap());
    let shown = d.get(&path).await["Description"]["Resources"].clone();
    let n = |v: &Value| v.as_u64().unwrap_or(0);
    let left = |what: &str| {
        n(&node["capacity"][what]) - n(&node["system"][what]) - n(&node["held"]["marathon"][what])
    };
    let (cpu, memory) = (left("cpu_millis"), left("memory_bytes"));
    let wanted = json!({"NanoCPUs": cpu * 1_000_000, "MemoryBytes": memory});
    assert_eq!(shown, wanted, "{node}");
    assert!(n(&node["held"]["marathon"]["cpu_millis"]) > 0, "{node}");
    let free = |what: &str| left(what) - n(&node["held"]["swarm"][what]);
    for what in ["cpu_millis", "memory_bytes"] {
        assert_eq!(free(what), n(&node["free"][what]), "{node}");
    }
}

/// The one node that plays the manager, and the command that makes a machine join.
fn how_to_join(d: &Docker, api: &str) {
    let pretty = d.ok(&["node", "inspect", "self", "--pretty"]);
    shows(
        &pretty,
        &["node-1", "Ready", "Leader:\t\tYes", "Raft Status:\t\tReachable"],
    );
    let command = format!("plenum agent --broker {}", api.replace("http://", ""));
    for role in ["worker", "manager"] {
        let said = d.ok(&["swarm", "join-token", role]);
        let line = said.lines().rev().find(|l| !l.trim().is_empty());
        assert_eq!(line.unwrap().trim(), command, "{said}");
    }
    let refused = d.no(&["swarm", "join", "--token", "x", "127.0.0.1:1"]);
    assert!(refused.contains(&format!("`{command}`")), "{refused}");
}
