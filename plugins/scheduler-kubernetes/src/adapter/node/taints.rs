//! The pool's taints on a node's object, beside those that its users put there. Pure. The annotation holds which of
//! them are the pool's, so that one that is taken away here goes there too, and nobody else's does.

use crate::adapter::names::TAINTS_ANNOTATION;
use k8s_openapi::api::core::v1::{Node as KubeNode, Taint as KubeTaint};
use plenum_model::node::Node;
use plenum_model::taint::Taint;
use serde_json::{Value, json};

/// The patch that makes the object show them; none: it does.
#[must_use]
pub(super) fn stale(node: &Node, have: &KubeNode) -> Option<Value> {
    let mut wanted: Vec<&Taint> = node.all_taints().collect();
    wanted.sort_unstable();
    wanted.dedup_by_key(|taint| (&taint.key, taint.effect));
    let note = wanted
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(",");
    let annotations = have.metadata.annotations.as_ref();
    let noted = annotations.and_then(|a| a.get(TAINTS_ANNOTATION));
    let noted = noted.map_or("", String::as_str);
    let there = have.spec.as_ref().and_then(|spec| spec.taints.as_deref());
    let there = there.unwrap_or_default();
    let shown = |taint: &&Taint| {
        let mut all = there.iter();
        all.any(|t| same(t, taint) && t.value.as_deref().unwrap_or_default() == taint.value)
    };
    if noted == note && wanted.iter().all(shown) {
        return None;
    }
    let before: Vec<Taint> = noted.split(',').filter_map(|text| text.parse().ok()).collect();
    let foreign = |t: &&KubeTaint| {
        !before
            .iter()
            .chain(wanted.iter().copied())
            .any(|taint| same(t, taint))
    };
    let kept = there.iter().filter(foreign).map(|t| json!(t));
    let ours = wanted
        .iter()
        .map(|t| json!({"key": t.key, "value": t.value, "effect": t.effect.as_str()}));
    let taints: Vec<Value> = kept.chain(ours).collect();
    // The list is written as a whole: not over what somebody else has written meanwhile.
    let version = &have.metadata.resource_version;
    Some(json!({
        "metadata": {"resourceVersion": version, "annotations": {TAINTS_ANNOTATION: note}},
        "spec": {"taints": taints},
    }))
}

/// A node has at most one taint of a key and an effect.
fn same(there: &KubeTaint, taint: &Taint) -> bool {
    there.key == taint.key && there.effect == taint.effect.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::testing::node;

    fn object(taints: Value, note: &str) -> KubeNode {
        let object = json!({
            "metadata": {"name": "n1", "resourceVersion": "7", "annotations": {TAINTS_ANNOTATION: note}},
            "spec": {"taints": taints},
        });
        serde_json::from_value(object).unwrap()
    }

    fn tainted(taints: &[&str]) -> Node {
        let mut node = node(1);
        node.taints = taints.iter().map(|text| text.parse().unwrap()).collect();
        node
    }

    #[test]
    fn the_pools_taints_come_and_go_and_those_of_users_stay() {
        let theirs = json!({"key": "mine", "effect": "NoSchedule"});
        let ours = json!({"key": "gpu", "value": "a100", "effect": "NoSchedule"});
        let gpu = "gpu=a100:NoSchedule";
        let patch = stale(&tainted(&[gpu]), &object(json!([theirs]), "")).unwrap();
        assert_eq!(patch["spec"]["taints"], json!([theirs, ours]));
        assert_eq!(patch["metadata"]["annotations"][TAINTS_ANNOTATION], gpu);
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        assert_eq!(stale(&tainted(&[gpu]), &object(json!([theirs, ours]), gpu)), None);
        let again = stale(&tainted(&[gpu]), &object(json!([theirs]), gpu)).unwrap();
        assert_eq!(
            again["spec"]["taints"],
            json!([theirs, ours]),
            "taken away by hand, and still so"
        );
        let gone = stale(&tainted(&[]), &object(json!([theirs, ours]), gpu)).unwrap();
        assert_eq!(gone["spec"]["taints"], json!([theirs]));
        assert_eq!(stale(&tainted(&[]), &object(json!([theirs]), "")), None);
    }
}
