//! Pods that must be away from each other, near to each other, or evenly spread, by the real kubectl.

use crate::support::image::docker;
use crate::support::kubectl::{Kubectl, STAYS, container, program, ready};
use crate::support::up::Up;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A pod of a set, with the rules of it.
fn one_of(set: &str, name: &str, rules: &Value) -> Value {
    let mut spec = json!({"terminationGracePeriodSeconds": 1, "containers": [container("main", STAYS)]});
    for (key, value) in rules.as_object().unwrap() {
        spec[key] = value.clone();
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"set": set}}, "spec": spec})
}

fn pods_of(set: &str, count: u32, rules: &Value) -> Vec<Value> {
    (0..count)
        .map(|n| one_of(set, &format!("{set}-{n}"), rules))
        .collect()
}

fn required(key: &str, set: &str) -> Value {
    json!({"requiredDuringSchedulingIgnoredDuringExecution":
        [{"topologyKey": key, "labelSelector": {"matchLabels": {"set": set}}}]})
}

fn waits(pod: &Value, why: &str) -> bool {
    let conditions = pod["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let of =
        |c: &Value| c["type"] == "PodScheduled" && c["message"].as_str().is_some_and(|m| m.contains(why));
    conditions.iter().any(of)
}

impl Kubectl {
    /// How many pods of a set each node has; those without a node under an empty name.
    fn placed(&self, set: &str) -> BTreeMap<String, u32> {
        let pods = self.get(&["pods", "-l", &format!("set={set}")]);
        let mut counts = BTreeMap::new();
        for pod in pods["items"].as_array().unwrap() {
            let node = pod["spec"]["nodeName"].as_str().unwrap_or_default();
            *counts.entry(node.to_owned()).or_insert(0) += 1;
        }
        counts
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_between_pods_are_kept_and_a_pod_that_waits_for_one_says_so() {
    let (true, Some(program)) = (docker(), program()) else {
        return;
    };
    let up = Up::start_with(3, &["kubernetes"]).await;
    let kubectl = Kubectl::of(&up, program);
    let nodes = kubectl.nodes(3).await;
    for (node, zone) in nodes.iter().zip(["a", "a", "b"]) {
        kubectl.ok(&["label", "node", node, &format!("zone={zone}")]);
    }

    let host = "kubernetes.io/hostname";
    let apart = json!({"affinity": {"podAntiAffinity": required(host, "apart")}});
    kubectl.apply(&pods_of("apart", 4, &apart));
    let mut waiting = None;
    for n in 0..4 {
        let name = format!("apart-{n}");
        let settled = |p: &Value| ready(p) || waits(p, "3 node(s) didn't match pod anti-affinity rules");
        let pod = kubectl.until(&name, "runs or waits for a host", settled).await;
        if !ready(&pod) {
            assert_eq!(waiting.replace(name), None, "one waits");
        }
    }
    let waiting = waiting.unwrap();
    let counts = kubectl.placed("apart");
    assert!(
        counts.len() == 4 && counts.values().all(|n| *n == 1),
        "{counts:?}"
    );
    let gone = ["apart-0", "apart-1"]
        .into_iter()
        .find(|name| *name != waiting)
        .unwrap();
    kubectl.ok(&["delete", "pod", gone]);
    kubectl
        .until(&waiting, "takes the host that is free", ready)
        .await;

    let spread = json!({"topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 1,
        "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"set": "even"}}}]});
    kubectl.apply(&pods_of("even", 6, &spread));
    for n in 0..6 {
        kubectl.until(&format!("even-{n}"), "runs", ready).await;
    }
    assert_eq!(kubectl.placed("even")[&nodes[2]], 3);

    let near = json!({"affinity": {"podAffinity": required("zone", "cache")}});
    kubectl.apply(&pods_of("near", 2, &near));
    let no_cache = |p: &Value| waits(p, "3 node(s) didn't match pod affinity rules");
    kubectl.until("near-0", "waits for a cache", no_cache).await;
    kubectl.apply(&pods_of("cache", 1, &json!({"nodeSelector": {"zone": "b"}})));
    kubectl.until("near-0", "runs", ready).await;
    kubectl.until("near-1", "runs", ready).await;
    assert_eq!(kubectl.placed("near"), BTreeMap::from([(nodes[2].clone(), 2)]));
    kubectl.ok(&["delete", "pods", "--all", "--force", "--grace-period=0"]);
}
