//! The pods that are made, and what must have become of them.

use crate::eventually::eventually;
use crate::house::House;
use crate::http::Api;
use crate::report::Failed;
use crate::times::Times;
use futures::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// The pods of a run.
pub(super) const PODS: &str = "/api/v1/namespaces/bench/pods";

/// Makes pods in a namespace of their own.
pub(super) struct Maker<'a> {
    api: &'a Api,
    /// When the request for each was sent, by name.
    sent: Mutex<BTreeMap<String, Instant>>,
}

impl<'a> Maker<'a> {
    /// Makes the namespace, and waits until it takes pods.
    pub(super) async fn new(api: &'a Api) -> Result<Self, Failed> {
        let namespace = json!({"metadata": {"name": "bench"}});
        api.post("/api/v1/namespaces", &namespace).await?;
        eventually("the namespace has its account", || async {
            let accounts = api.get("/api/v1/namespaces/bench/serviceaccounts").await?;
            Ok(accounts["items"].as_array().is_some_and(|all| !all.is_empty()))
        })
        .await?;
        Ok(Self {
            api,
            sent: Mutex::default(),
        })
    }

    /// Makes so many pods named after `set`, some requests at once; how long each took to be answered.
    pub(super) async fn create(&self, set: &str, count: u32, at_once: u32) -> Result<Times, Failed> {
        let all = (0..count).map(|number| async move {
            let name = format!("{set}-{number}");
            let begun = Instant::now();
            self.sent.lock().insert(name.clone(), begun);
            self.api.call(Method::POST, PODS, Some(&pod(set, &name))).await?;
            Ok::<_, Failed>(begun.elapsed())
        });
        let times = stream::iter(all).buffer_unordered(at_once as usize).try_collect();
        Ok(Times::new(times.await?))
    }

    /// When the request for a pod was sent.
    pub(super) fn sent(&self, name: &str) -> Option<Instant> {
        self.sent.lock().get(name).copied()
    }

    /// Lists all pods so often, one list after the other.
    pub(super) async fn lists(&self, accept: &str, count: u32) -> Result<Times, Failed> {
        let mut times = Vec::new();
        for _ in 0..count {
            let begun = Instant::now();
            self.api.get_as(PODS, accept).await?;
            times.push(begun.elapsed());
        }
        Ok(Times::new(times))
    }

    /// Whether there are so many pods, each running once on one of the nodes under an address of its own, and a task
    /// for each and no more.
    pub(super) async fn check(&self, house: &House, count: u32, nodes: u32) -> Result<(), Failed> {
        let list = self.api.get(PODS).await?;
        let pods = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let wrong = |why: String| Failed::in_("what became of the pods")(why);
        if pods.len() != count as usize {
            return Err(wrong(format!("{} are there and not {count}", pods.len())));
        }
        if let Some(pod) = pods.iter().find(|pod| !runs(pod)) {
            return Err(wrong(format!("one does not run as it should: {pod}")));
        }
        let addresses: BTreeSet<_> = pods.iter().map(|pod| pod["status"]["podIP"].as_str()).collect();
        if addresses.len() != pods.len() {
            return Err(wrong(format!("they share {} addresses", addresses.len())));
        }
        let used: BTreeSet<_> = pods.iter().map(|pod| pod["spec"]["nodeName"].as_str()).collect();
        // The emptiest node is chosen by steps of a quarter octave, so that some nodes may have got none yet.
        if used.len() < (nodes.min(count) / 4) as usize {
            return Err(wrong(format!("they are on {} nodes", used.len())));
        }
        let tasks = house.handle.stats();
        if (tasks.claims, tasks.tasks) != (u64::from(count), u64::from(count)) {
            let (claims, tasks) = (tasks.claims, tasks.tasks);
            return Err(wrong(format!("{tasks} tasks were made by {claims} claims")));
        }
        Ok(())
    }
}

fn runs(pod: &Value) -> bool {
    let status = &pod["status"];
    let container = &status["containerStatuses"][0];
    let is_ready = |c: &Value| c["type"] == "Ready" && c["status"] == "True";
    let ready = status["conditions"]
        .as_array()
        .is_some_and(|all| all.iter().any(is_ready));
    let address = status["podIP"].as_str().is_some_and(|ip| !ip.is_empty());
    ready && address && status["phase"] == "Running" && container["restartCount"] == 0
}

/// A pod as a small service has it.
fn pod(set: &str, name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": set, "tier": "backend"}},
        "spec": {"containers": [{
            "name": "main",
            "image": "registry.example.com/team/service:1.4.2",
            "args": ["serve", "--port=8080"],
            "ports": [{"containerPort": 8080}],
            "env": [
                {"name": "LOG_LEVEL", "value": "info"},
                {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            ],
            "resources": {
                "requests": {"cpu": "100m", "memory": "64Mi"},
                "limits": {"memory": "128Mi"},
            },
        }]},
    })
}
