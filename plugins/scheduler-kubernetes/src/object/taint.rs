//! Taints of nodes and who bears them.

use k8s_openapi::api::core::v1::{Node, PodSpec, Taint, Toleration};
use plenum_model::taint;

/// Taints that say what the pool itself knows.
const POOLS_OWN: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

/// The taints of a node for which pods must leave it.
pub fn expelling(node: &Node) -> impl Iterator<Item = &Taint> {
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    taints.filter(|t| t.effect == "NoExecute" && !POOLS_OWN.contains(&t.key.as_str()))
}

/// Whether a toleration bears a taint.
pub fn bears(t: &Toleration, key: &str, value: &str, effect: &str) -> bool {
    let any = |said: &Option<String>, is: &str| said.as_deref().is_none_or(|s| s.is_empty() || s == is);
    let exists = t.operator.as_deref() == Some("Exists");
    let keys = match t.key.as_deref() {
        None | Some("") => exists,
        Some(k) => k == key,
    };
    keys && any(&t.effect, effect) && (exists || t.value.as_deref().unwrap_or_default() == value)
}

/// What a pod bears, as the broker understands it. Of taints that only repeat what the pool knows by itself the
/// broker hears nothing.
pub fn borne(spec: &PodSpec) -> Vec<taint::Toleration> {
    let said = spec.tolerations.as_deref().unwrap_or_default();
    let named = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let lowered = said.iter().filter_map(|t| {
        let key = named(&t.key);
        let exists = t.operator.as_deref() == Some("Exists");
        let own = key.as_deref().is_some_and(|key| POOLS_OWN.contains(&key));
        // Without a key it bears every one, and only `Exists` can say so.
        if own || (key.is_none() && !exists) {
            return None;
        }
        let effect = match named(&t.effect) {
            None => None,
            Some(effect) => Some(effect.parse().ok()?),
        };
        let value = (!exists).then(|| t.value.clone().unwrap_or_default());
        Some(taint::Toleration { key, value, effect })
    });
    lowered.collect()
}

/// What a pod bears on the node that somebody has bound it to: nobody asks there what only keeps off new pods.
pub fn borne_when_bound(spec: &PodSpec) -> Vec<taint::Toleration> {
    let mut all = borne(spec);
    all.push(taint::Toleration {
        key: None,
        value: None,
        effect: Some(taint::Effect::NoSchedule),
    });
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_taints_that_expel_count_and_not_those_of_the_pool() {
        let node = json!({"metadata": {"name": "n"}, "spec": {"taints": [
            {"key": "a", "effect": "NoSchedule"}, {"key": "b", "effect": "NoExecute"},
            {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"},
        ]}});
        let node: Node = serde_json::from_value(node).unwrap();
        let keys: Vec<&str> = expelling(&node).map(|t| t.key.as_str()).collect();
        assert_eq!(keys, ["b"]);
    }

    #[test]
    fn what_is_borne_here_the_broker_bears_too() {
        let tolerations = json!([
            {"operator": "Exists"},
            {"key": "gpu", "operator": "Exists", "effect": "NoSchedule"},
            {"key": "gpu", "value": "a100"},
            {"key": "team", "operator": "Equal", "value": "a", "effect": "NoExecute", "tolerationSeconds": 30},
            {"operator": "Equal", "value": "x"},
            {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"},
        ]);
        let taints = [
            "gpu=a100:NoSchedule",
            "gpu=h100:NoSchedule",
            "team=a:NoExecute",
            "team=b:NoExecute",
            "x:NoExecute",
        ];
        for toleration in tolerations.as_array().unwrap() {
            let spec = json!({"containers": [], "tolerations": [toleration]});
            let spec: PodSpec = serde_json::from_value(spec).unwrap();
            for text in taints {
                let taint: taint::Taint = text.parse().unwrap();
                let here = spec.tolerations.iter().flatten();
                let here = here
                    .into_iter()
                    .any(|t| bears(t, &taint.key, &taint.value, taint.effect.as_str()));
                let there = borne(&spec).iter().any(|t| t.bears(&taint));
                assert_eq!(here, there, "{toleration} and {text}");
            }
        }
        let pools_own: PodSpec =
            serde_json::from_value(json!({"containers": [], "tolerations": [tolerations[5]]})).unwrap();
        assert_eq!(borne(&pools_own), []);
    }
}
