//! Pods leave a node that the pool drains: evicted, as `kubectl drain` does it, so that a disruption budget has its
//! say. What nobody would make again elsewhere stays, and so does what belongs to the node.

use crate::adapter::book::{Book, Pages};
use crate::adapter::pod::{name, namespace, uid};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, EvictParams, Preconditions};
use kube::{Api, Client};
use std::sync::Arc;

/// Asks for the eviction of every pod that can leave the node. To be called again until none is left.
pub(super) async fn evict(client: &Client, book: &Book, node: &str) {
    for pod in book.read(|pages| leaving(pages, node)) {
        let pods: Api<Pod> = Api::namespaced(client.clone(), namespace(&pod));
        let this_one = Preconditions {
            uid: Some(uid(&pod).to_owned()),
            resource_version: None,
        };
        let params = EvictParams {
            delete_options: Some(DeleteParams {
                preconditions: Some(this_one),
                ..DeleteParams::default()
            }),
            ..EvictParams::default()
        };
        if let Err(error) = pods.evict(name(&pod), &params).await {
            tracing::debug!(pod = name(&pod), node, %error, "not evicted yet");
        }
    }
}

fn leaving(pages: &Pages, node: &str) -> Vec<Arc<Pod>> {
    let pods = pages.pods.values().map(|entry| &entry.pod);
    pods.filter(|pod| leaves(pod, node)).cloned().collect()
}

fn leaves(pod: &Pod, node: &str) -> bool {
    let there = pod.spec.as_ref().and_then(|s| s.node_name.as_deref()) == Some(node);
    let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref());
    let going = pod.metadata.deletion_timestamp.is_some() || matches!(phase, Some("Succeeded" | "Failed"));
    let mut owners = pod.metadata.owner_references.iter().flatten();
    let made_again = owners.any(|o| o.controller == Some(true) && o.kind != "DaemonSet" && o.kind != "Node");
    there && !going && made_again
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn leaves_n1(more: &Value, phase: &str, deleted: bool) -> bool {
        let mut pod = json!({
            "metadata": {"name": "p", "ownerReferences": more},
            "spec": {"nodeName": "n1", "containers": []},
            "status": {"phase": phase},
        });
        if deleted {
            pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        let pod: Pod = serde_json::from_value(pod).unwrap();
        assert!(!leaves(&pod, "n2"));
        leaves(&pod, "n1")
    }

    #[test]
    fn what_is_made_again_elsewhere_leaves_and_nothing_else() {
        let owner = |kind: &str, controller: bool| json!([{"apiVersion": "v1", "kind": kind, "name": "o", "uid": "u", "controller": controller}]);
        assert!(leaves_n1(&owner("ReplicaSet", true), "Running", false));
        assert!(leaves_n1(&owner("Job", true), "Pending", false));
        for (owners, phase, deleted) in [
            (json!([]), "Running", false),
            (owner("ReplicaSet", false), "Running", false),
            (owner("DaemonSet", true), "Running", false),
            (owner("ReplicaSet", true), "Running", true),
            (owner("Job", true), "Succeeded", false),
        ] {
            assert!(!leaves_n1(&owners, phase, deleted), "{owners} {phase} {deleted}");
        }
    }
}
