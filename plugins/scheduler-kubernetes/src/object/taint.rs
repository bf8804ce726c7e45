//! Taints of nodes and who bears them.

use k8s_openapi::api::core::v1::{Node, Taint, Toleration};

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
}
