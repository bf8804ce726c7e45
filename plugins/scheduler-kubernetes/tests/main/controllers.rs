//! The controllers on the embedded API server. A node is played by the test: it says that every pod is ready, or has
//! ended, as each case needs.

use crate::apiserver::{Api as Server, PATIENCE};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use scheduler_kubernetes::controllers;
use serde_json::{Value, json};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const SETS: &str = "/apis/apps/v1/namespaces/default/replicasets";
const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";

struct Cluster {
    server: Server,
    pods: Api<Pod>,
    _controllers: controllers::Running,
}

impl Cluster {
    async fn new() -> Self {
        let server = Server::new().await;
        let uri = server.running.url().parse().unwrap();
        let client = Client::try_from(kube::Config::new(uri)).unwrap();
        Self {
            _controllers: controllers::start(client.clone(), &CancellationToken::new()),
            pods: Api::default_namespaced(client),
            server,
        }
    }

    async fn get(&self, path: &str) -> Value {
        self.server.get(path).await.body
    }

    /// What the node says of each pod that has not been told of; `says` gives its phase.
    async fn play(&self, says: impl Fn(&Pod) -> &'static str) {
        for pod in self.pods.list(&ListParams::default()).await.unwrap().items {
            let phase = says(&pod);
            let going = pod.metadata.deletion_timestamp.is_some();
            let now = pod.status.as_ref().and_then(|s| s.phase.as_deref());
            if phase.is_empty() || now == Some(phase) || going {
                continue;
            }
            let ready = if phase == "Running" { "True" } else { "False" };
            let status = json!({ "status": {
                "phase": phase,
                "conditions": [{ "type": "Ready", "status": ready, "lastTransitionTime": "2026-01-01T00:00:00Z" }],
            } });
            // one that is deleted meanwhile is told of no more
            let _ = self
                .pods
                .patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(&status))
                .await;
        }
    }

    /// Plays the node until `holds`.
    async fn until(
        &self,
        says: impl Fn(&Pod) -> &'static str,
        mut holds: impl AsyncFnMut() -> Option<Value>,
    ) -> Value {
        let wait = async {
            loop {
                self.play(&says).await;
                if let Some(found) = holds().await {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .expect("it comes about")
    }

    async fn count(&self, path: &str) -> usize {
        self.get(path).await["items"].as_array().map_or(0, Vec::len)
    }
}

fn all_run(_: &Pod) -> &'static str {
    "Running"
}

fn web(replicas: u32, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": image}]},
            },
        },
    })
}

fn is_done(deployment: &Value) -> bool {
    let status = &deployment["status"];
    let wanted = &deployment["spec"]["replicas"];
    let progress = status["conditions"].as_array().into_iter().flatten();
    status["observedGeneration"] == deployment["metadata"]["generation"]
        && status["updatedReplicas"] == *wanted
        && status["availableReplicas"] == *wanted
        && status["replicas"] == *wanted
        && progress
            .into_iter()
            .any(|c| c["reason"] == "NewReplicaSetAvailable")
}

#[tokio::test]
async fn a_deployment_comes_up_rolls_goes_back_and_takes_everything_with_it() {
    let cluster = Cluster::new().await;
    let one = format!("{DEPLOYMENTS}/web");
    cluster.server.post(DEPLOYMENTS, &web(3, "a:1")).await.ok();
    let done = async || Some(cluster.get(&one).await).filter(is_done);
    let first = cluster.until(all_run, done).await;
    assert_eq!(
        first["metadata"]["annotations"]["deployment.kubernetes.io/revision"],
        "1"
    );
    assert_eq!(cluster.count("/api/v1/namespaces/default/pods").await, 3);

    let mut next = first.clone();
    next["spec"]["template"]["spec"]["containers"][0]["image"] = json!("a:2");
    next["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("resourceVersion");
    cluster.server.put(&one, &next).await.ok();
    let second = cluster.until(all_run, done).await;
    assert_eq!(
        second["metadata"]["annotations"]["deployment.kubernetes.io/revision"],
        "2"
    );
    let sets = cluster.get(SETS).await;
    let sizes: Vec<&Value> = sets["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| &s["spec"]["replicas"])
        .collect();
    assert!(
        sizes.len() == 2 && sizes.contains(&&json!(0)) && sizes.contains(&&json!(3)),
        "{sizes:?}"
    );

    let mut back = second.clone();
    back["spec"]["template"]["spec"]["containers"][0]["image"] = json!("a:1");
    back["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("resourceVersion");
    cluster.server.put(&one, &back).await.ok();
    let third = cluster.until(all_run, done).await;
    assert_eq!(
        third["metadata"]["annotations"]["deployment.kubernetes.io/revision"],
        "3"
    );
    assert_eq!(cluster.count(SETS).await, 2, "the first set is used again");

    cluster.server.delete(&one, &json!({})).await.ok();
    let gone = async || {
        let left = cluster.count(SETS).await + cluster.count("/api/v1/namespaces/default/pods").await;
        (left == 0).then_some(Value::Null)
    };
    cluster.until(all_run, gone).await;
}

#[tokio::test]
async fn a_pod_that_is_deleted_or_fails_is_replaced_and_an_orphan_is_adopted() {
    let cluster = Cluster::new().await;
    let orphan = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "orphan", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": "a:1"}]},
    });
    cluster
        .server
        .post("/api/v1/namespaces/default/pods", &orphan)
        .await
        .ok();
    let set = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "s"},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": "a:1"}]},
            },
        },
    });
    cluster.server.post(SETS, &set).await.ok();
    let ready = async || {
        let set = cluster.get(&format!("{SETS}/s")).await;
        (set["status"]["readyReplicas"] == 2).then_some(set)
    };
    cluster.until(all_run, ready).await;
    assert_eq!(cluster.count("/api/v1/namespaces/default/pods").await, 2);
    let adopted = cluster.get("/api/v1/namespaces/default/pods/orphan").await;
    assert_eq!(adopted["metadata"]["ownerReferences"][0]["name"], "s");

    cluster
        .server
        .delete("/api/v1/namespaces/default/pods/orphan", &json!({}))
        .await
        .ok();
    let other = async || {
        let all = cluster.pods.list(&ListParams::default()).await.unwrap().items;
        let running = |pod: &&Pod| pod.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Running");
        (all.iter().filter(running).count() == 2 && !all.iter().any(|p| p.name_any() == "orphan"))
            .then_some(Value::Null)
    };
    cluster.until(all_run, other).await;
}

#[tokio::test]
async fn a_job_runs_to_its_end_and_another_to_its_limit() {
    let cluster = Cluster::new().await;
    let job = |name: &str, more: Value| {
        let mut job = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
            "spec": {"template": {"spec": {
                "restartPolicy": "Never", "containers": [{"name": "c", "image": "a:1"}],
            }}},
        });
        job["spec"]
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        job
    };
    cluster
        .server
        .post(JOBS, &job("good", json!({"completions": 3, "parallelism": 2})))
        .await
        .ok();
    cluster
        .server
        .post(JOBS, &job("bad", json!({"backoffLimit": 0})))
        .await
        .ok();
    let says = |pod: &Pod| {
        if pod.name_any().starts_with("good") {
            "Succeeded"
        } else {
            "Failed"
        }
    };
    let has = |job: &Value, kind: &str| {
        let conditions = job["status"]["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        conditions
            .iter()
            .any(|c| c["type"] == kind && c["status"] == "True")
    };
    let good = async || Some(cluster.get(&format!("{JOBS}/good")).await).filter(|job| has(job, "Complete"));
    assert_eq!(cluster.until(says, good).await["status"]["succeeded"], 3);
    let bad = async || Some(cluster.get(&format!("{JOBS}/bad")).await).filter(|job| has(job, "Failed"));
    assert_eq!(cluster.until(says, bad).await["status"]["failed"], 1);
}

#[tokio::test]
async fn a_namespace_goes_with_all_that_is_in_it() {
    let cluster = Cluster::new().await;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}});
    cluster.server.post("/api/v1/namespaces", &namespace).await.ok();
    let mut web = web(2, "a:1");
    web["metadata"]["namespace"] = json!("team");
    cluster
        .server
        .post("/apis/apps/v1/namespaces/team/deployments", &web)
        .await
        .ok();
    let there = async || (cluster.count("/api/v1/namespaces/team/pods").await == 2).then_some(Value::Null);
    cluster.until(all_run, there).await;
    cluster
        .server
        .delete("/api/v1/namespaces/team", &json!({}))
        .await
        .ok();
    let gone =
        async || (cluster.server.get("/api/v1/namespaces/team").await.code == 404).then_some(Value::Null);
    cluster.until(all_run, gone).await;
}
