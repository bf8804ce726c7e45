//! The controller of nodes that are tainted `NoExecute`: pods that do not bear it are deleted, at once or when the
//! time for which they bear it is over. Taints of nodes that are not heard of are not its own: the pool knows how
//! long each pod waits for its node.

use super::keeper::is_code;
use super::tell::Kind;
use super::watched::Queue;
use super::{Context, pods};
use crate::object::taint::{bears, expelling};
use k8s_openapi::api::core::v1::{Node, Pod, Taint, Toleration};
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, Preconditions};
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const NAME: &str = "taint-eviction-controller";
/// When a pod must go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leave {
    Never,
    After(Duration),
}

/// The context, and since when each taint of each node is known: a taint does not always say.
struct Watchman {
    context: Arc<Context>,
    since: Mutex<BTreeMap<(String, String), Timestamp>>,
}

/// Works until `stop`.
pub(super) async fn run(context: Arc<Context>, queue: Queue<Node>, stop: CancellationToken) {
    let since = Mutex::default();
    queue
        .work(Arc::new(Watchman { context, since }), stop, look)
        .await;
}

async fn look(node: Arc<Node>, watchman: Arc<Watchman>) -> Result<Action, kube::Error> {
    let now = Timestamp::now();
    let taints = watchman.dated(&node, now);
    if taints.is_empty() {
        return Ok(Action::await_change());
    }
    let name = node.name_any();
    let mut next: Option<Duration> = None;
    for pod in watchman.context.shelf.pods.state() {
        let Some(spec) = pod
            .spec
            .as_ref()
            .filter(|s| s.node_name.as_deref() == Some(name.as_str()))
        else {
            continue;
        };
        if !pods::is_active(&pod) {
            continue;
        }
        match leave(&taints, spec.tolerations.as_deref().unwrap_or_default(), now) {
            Leave::Never => {}
            Leave::After(Duration::ZERO) => watchman.expel(&pod).await?,
            Leave::After(left) => next = Some(next.map_or(left, |n| n.min(left))),
        }
    }
    Ok(next.map_or_else(Action::await_change, Action::requeue))
}

impl Watchman {
    /// The taints that count, each with the time since when it does.
    fn dated<'a>(&self, node: &'a Node, now: Timestamp) -> Vec<(&'a Taint, Timestamp)> {
        let name = node.name_any();
        let mut since = self.since.lock();
        since.retain(|(of, key), _| *of != name || expelling(node).any(|t| t.key == *key));
        let dated = expelling(node).map(|taint| {
            let known = *since.entry((name.clone(), taint.key.clone())).or_insert(now);
            (taint, taint.time_added.as_ref().map_or(known, |time| time.0))
        });
        dated.collect()
    }

    async fn expel(&self, pod: &Pod) -> Result<(), kube::Error> {
        let (namespace, name) = (pod.namespace().unwrap_or_default(), pod.name_any());
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: pod.metadata.uid.clone(),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        let api: Api<Pod> = Api::namespaced(self.context.client.clone(), &namespace);
        match api.delete(&name, &params).await {
            Ok(_) => {}
            Err(error) if is_code(&error, 404) || is_code(&error, 409) => return Ok(()),
            Err(error) => return Err(error),
        }
        let message = format!("Marking for deletion Pod {namespace}/{name}");
        let teller = &self.context.teller;
        teller.tell(pod, NAME, Kind::Normal, "TaintManagerEviction", message);
        Ok(())
    }
}

/// When a pod with these tolerations leaves a node with these taints: at once for one that it does not bear, else
/// when the shortest time is over for which it bears one.
fn leave(taints: &[(&Taint, Timestamp)], tolerations: &[Toleration], now: Timestamp) -> Leave {
    let mut soonest = Leave::Never;
    for (taint, since) in taints {
        let value = taint.value.as_deref().unwrap_or_default();
        let mut bearing = tolerations
            .iter()
            .filter(|t| bears(t, &taint.key, value, &taint.effect))
            .peekable();
        if bearing.peek().is_none() {
            return Leave::After(Duration::ZERO);
        }
        let Some(seconds) = bearing.filter_map(|t| t.toleration_seconds).min() else {
            continue;
        };
        let bears_for = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        let been = Duration::try_from(now.duration_since(*since)).unwrap_or_default();
        let left = bears_for.saturating_sub(been);
        soonest = match soonest {
            Leave::Never => Leave::After(left),
            Leave::After(other) => Leave::After(other.min(left)),
        };
    }
    soonest
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn node(taints: Value) -> Node {
        serde_json::from_value(json!({"metadata": {"name": "n"}, "spec": {"taints": taints}})).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_pod_leaves_at_once_later_or_never() {
        let node = node(json!([{"key": "b", "value": "x", "effect": "NoExecute"}]));
        let dated: Vec<_> = expelling(&node).map(|t| (t, at(100))).collect();
        let after = |seconds| Leave::After(Duration::from_secs(seconds));
        let table = [
            (json!([]), after(0)),
            (json!([{"key": "b", "value": "y"}]), after(0)),
            (
                json!([{"key": "b", "value": "x", "effect": "NoSchedule"}]),
                after(0),
            ),
            (json!([{"key": "b", "value": "x"}]), Leave::Never),
            (json!([{"operator": "Exists"}]), Leave::Never),
            (
                json!([{"key": "b", "operator": "Exists", "tolerationSeconds": 30}]),
                after(20),
            ),
            (
                json!([{"operator": "Exists", "tolerationSeconds": 30}, {"key": "b", "value": "x", "tolerationSeconds": 15}]),
                after(5),
            ),
            (json!([{"operator": "Exists", "tolerationSeconds": 3}]), after(0)),
            (json!([{"operator": "Exists", "tolerationSeconds": -1}]), after(0)),
        ];
        for (tolerations, wanted) in table {
            let read: Vec<Toleration> = serde_json::from_value(tolerations.clone()).unwrap();
            assert_eq!(leave(&dated, &read, at(110)), wanted, "{tolerations}");
        }
    }
}
