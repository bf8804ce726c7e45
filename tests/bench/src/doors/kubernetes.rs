//! What `kubectl` asks of its API server.

use super::Tool;
use crate::fleet::RUNTIME;
use crate::house::House;
use crate::http::Api;
use crate::report::Failed;
use plenum_contract::scheduler::RunningScheduler;
use scheduler_kubernetes::KubernetesScheduler;
use serde_json::json;

/// What `kubectl get` asks for.
pub(crate) const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

pub(super) struct Kubectl(Api);

/// The door, and a client of its API server.
pub(crate) async fn open_door(house: &House) -> Result<(Box<dyn RunningScheduler>, Api), Failed> {
    // Simulated nodes have no addresses on which their port could listen.
    let config = json!({"listen": "127.0.0.1:0", "node_listen": "127.0.0.1:0", "runtime": RUNTIME});
    let (door, url) = house.door(&KubernetesScheduler, config, "kubernetes").await?;
    Ok((door, Api::at(&url)?))
}

/// The door, and its tool.
pub(super) async fn open(house: &House) -> Result<(Kubectl, Box<dyn RunningScheduler>), Failed> {
    let (door, api) = open_door(house).await?;
    Ok((Kubectl(api), door))
}

impl Tool for Kubectl {
    fn name(&self) -> &'static str {
        "kubectl"
    }

    async fn make(&self, workload: &str, tasks: u32) -> Result<(), Failed> {
        let container = json!({
            "name": "c", "image": "busybox", "command": ["sleep", "1000"],
            "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
        });
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": workload},
            "spec": {
                "replicas": tasks, "selector": {"matchLabels": {"app": workload}},
                "template": {"metadata": {"labels": {"app": workload}}, "spec": {"containers": [container]}},
            },
        });
        self.0.post(DEPLOYMENTS, &deployment).await.map(drop)
    }

    async fn running(&self, workload: &str) -> Result<u64, Failed> {
        let found = self.0.get(&format!("{DEPLOYMENTS}/{workload}")).await?;
        Ok(found["status"]["readyReplicas"].as_u64().unwrap_or(0))
    }

    fn lists(&self) -> Vec<(&'static str, Vec<(String, &'static str)>)> {
        let table = |path: &str| vec![(format!("{path}?limit=500"), TABLE)];
        vec![
            (
                "kubectl get pods, its first 500",
                table("/api/v1/namespaces/default/pods"),
            ),
            (
                "kubectl get pods -w, its list",
                vec![("/api/v1/namespaces/default/pods".to_owned(), TABLE)],
            ),
            (
                "kubectl get pods -o json",
                vec![("/api/v1/namespaces/default/pods".to_owned(), "application/json")],
            ),
            ("kubectl get deployments", table(DEPLOYMENTS)),
            ("kubectl get nodes", table("/api/v1/nodes")),
        ]
    }

    fn api(&self) -> &Api {
        &self.0
    }
}
