//! Three orchestrators on the same machines: one ledger, one drain, and each tool's own words for what the others do.

mod apply;
mod churn;
mod drain;
mod full;
mod serving;
mod table;
mod together;

use crate::support::docker::{Cli, clis};
use crate::support::kubectl::{Kubectl, container};
use serde_json::{Value, json};

/// All doors.
const DOORS: [&str; 3] = ["kubernetes", "marathon", "swarm"];

/// The newest docker CLI there is.
fn docker_cli(host: &str) -> Cli {
    clis(host).into_iter().next().expect("a docker CLI is installed")
}

/// A Deployment whose pods request so much cpu.
fn deployment(name: &str, replicas: u32, cpu: &str, script: &str) -> Value {
    let mut c = container("c", script);
    c["resources"] = json!({"requests": {"cpu": cpu}});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [c], "terminationGracePeriodSeconds": 2},
            },
        },
    })
}

/// The pods of an app that are not going.
fn pods(kubectl: &Kubectl, app: &str) -> Vec<Value> {
    let list = kubectl.get(&["pods", "-l", &format!("app={app}")]);
    let items = list["items"].as_array().cloned().unwrap_or_default();
    let stays = |p: &Value| p["metadata"]["deletionTimestamp"].is_null();
    items.into_iter().filter(stays).collect()
}
