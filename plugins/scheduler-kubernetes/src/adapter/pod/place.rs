//! Which nodes a pod may go to, by the labels, names and taints that their objects carry. The pool knows nothing
//! of these, so the answer is told to the broker as names of nodes. Room and ports are the broker's.

use super::Refused;
use crate::object::taint::bears;
use k8s_openapi::api::core::v1::{Node, NodeSelectorRequirement, NodeSelectorTerm, PodSpec, Taint};
use std::collections::BTreeMap;

/// Taints that say what the pool knows of its nodes: whether they are heard of, and open.
pub const POOLS_OWN: [&str; 3] = [
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/unschedulable",
];

/// Why a node may not take a pod, whatever room it has; in the order in which they are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bar {
    /// The node is cordoned: its object says so before the pool has heard of it.
    Cordoned,
    /// A taint is not borne.
    Taint,
    /// Node selector or required affinity.
    Selector,
}

/// What of a node placement looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// Whether it takes no new pods.
    pub cordoned: bool,
    /// Its name in the API.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its taints that keep pods away.
    pub taints: Vec<(String, String, String)>,
}

impl Place {
    /// From a node's object.
    #[must_use]
    pub fn of(node: &Node) -> Self {
        let taints = node.spec.as_ref().and_then(|s| s.taints.as_deref());
        let hard = |t: &&Taint| t.effect == "NoSchedule" || t.effect == "NoExecute";
        // what the pool knows better than its nodes' objects, and says by itself
        let own = |t: &&Taint| !POOLS_OWN.contains(&t.key.as_str());
        let part = |t: &Taint| {
            (
                t.key.clone(),
                t.value.clone().unwrap_or_default(),
                t.effect.clone(),
            )
        };
        Self {
            cordoned: node.spec.as_ref().and_then(|s| s.unschedulable) == Some(true),
            name: node.metadata.name.clone().unwrap_or_default(),
            labels: node.metadata.labels.clone().unwrap_or_default(),
            taints: taints
                .unwrap_or_default()
                .iter()
                .filter(hard)
                .filter(own)
                .map(part)
                .collect(),
        }
    }

    /// What bars this pod from this node.
    #[must_use]
    pub fn bar(&self, spec: &PodSpec) -> Option<Bar> {
        if self.cordoned {
            return Some(Bar::Cordoned);
        }
        if !self.is_borne(spec) {
            return Some(Bar::Taint);
        }
        (!self.is_selected(spec)).then_some(Bar::Selector)
    }

    /// Whether the pod bears the node's taints.
    #[must_use]
    pub fn is_borne(&self, spec: &PodSpec) -> bool {
        let tolerations = spec.tolerations.as_deref().unwrap_or_default();
        let borne = |(key, value, effect): &(String, String, String)| {
            tolerations.iter().any(|t| bears(t, key, value, effect))
        };
        self.taints.iter().all(borne)
    }

    /// Whether the node passes the pod's selector and required affinity.
    #[must_use]
    pub fn is_selected(&self, spec: &PodSpec) -> bool {
        let selector = spec.node_selector.iter().flatten();
        let selected = selector.into_iter().all(|(k, v)| self.labels.get(k) == Some(v));
        let node_affinity = spec.affinity.as_ref().and_then(|a| a.node_affinity.as_ref());
        let required =
            node_affinity.and_then(|n| n.required_during_scheduling_ignored_during_execution.as_ref());
        selected && required.is_none_or(|r| r.node_selector_terms.iter().any(|term| self.passes(term)))
    }

    /// How much this pod wishes for this node.
    #[must_use]
    pub fn wish(&self, spec: &PodSpec) -> i32 {
        let node_affinity = spec.affinity.as_ref().and_then(|a| a.node_affinity.as_ref());
        let wishes =
            node_affinity.and_then(|n| n.preferred_during_scheduling_ignored_during_execution.as_ref());
        let earned = wishes
            .into_iter()
            .flatten()
            .filter(|w| self.passes(&w.preference));
        earned.map(|w| w.weight).fold(0, i32::saturating_add)
    }

    /// An empty term selects nothing.
    fn passes(&self, term: &NodeSelectorTerm) -> bool {
        let expressions = term.match_expressions.as_deref().unwrap_or_default();
        let fields = term.match_fields.as_deref().unwrap_or_default();
        let label = |r: &NodeSelectorRequirement| passes(r, self.labels.get(&r.key).map(String::as_str));
        let field =
            |r: &NodeSelectorRequirement| passes(r, (r.key == "metadata.name").then_some(self.name.as_str()));
        !(expressions.is_empty() && fields.is_empty())
            && expressions.iter().all(label)
            && fields.iter().all(field)
    }
}

fn passes(requirement: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let listed = || value.is_some_and(|v| values.iter().any(|w| w == v));
    let number = |text: Option<&str>| text.and_then(|t| t.parse::<i64>().ok());
    let bound = || number(values.first().map(String::as_str));
    match requirement.operator.as_str() {
        "In" => listed(),
        "NotIn" => !listed(),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => number(value).zip(bound()).is_some_and(|(v, b)| v > b),
        "Lt" => number(value).zip(bound()).is_some_and(|(v, b)| v < b),
        // refused before, see `check`
        _ => false,
    }
}

/// How long a pod stays on a node that is not heard of, in milliseconds; none: for ever.
#[must_use]
pub fn unreachable_ms(spec: &PodSpec) -> Option<u64> {
    let tolerations = spec.tolerations.as_deref().unwrap_or_default();
    let borne = tolerations
        .iter()
        .filter(|t| bears(t, "node.kubernetes.io/unreachable", "", "NoExecute"));
    let mut longest = Some(0);
    for toleration in borne {
        let seconds = toleration
            .toleration_seconds
            .map(|s| u64::try_from(s).unwrap_or(0));
        longest = longest
            .zip(seconds)
            .map(|(have, s)| have.max(s.saturating_mul(1000)));
    }
    longest
}

/// What nothing here keeps of the rules for a place, by name.
///
/// # Errors
/// The first of it.
pub fn check(spec: &PodSpec) -> Result<(), Refused> {
    if spec.priority.is_some_and(|p| p != 0) {
        return Err(Refused::unserved("spec.priority"));
    }
    super::relations::check(spec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn node(labels: serde_json::Value, taints: serde_json::Value) -> Place {
        let node = json!({"metadata": {"name": "n1", "labels": labels}, "spec": {"taints": taints}});
        Place::of(&serde_json::from_value(node).unwrap())
    }

    fn bar(place: &Place, spec: serde_json::Value) -> Option<Bar> {
        let mut spec = spec;
        spec["containers"] = json!([]);
        place.bar(&serde_json::from_value(spec).unwrap())
    }

    fn affinity(term: serde_json::Value) -> serde_json::Value {
        json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
            {"nodeSelectorTerms": [term]}}}})
    }

    #[test]
    fn selectors_and_affinity_choose_by_label_and_name() {
        let place = node(json!({"disk": "ssd", "gen": "7"}), json!([]));
        let one = |key: &str, op: &str, values: &[&str]| {
            affinity(json!({"matchExpressions": [{"key": key, "operator": op, "values": values}]}))
        };
        let named = |name: &str| {
            affinity(json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]}))
        };
        let table = [
            (json!({"nodeSelector": {"disk": "ssd"}}), true),
            (json!({"nodeSelector": {"disk": "hdd"}}), false),
            (one("disk", "In", &["ssd", "nvme"]), true),
            (one("disk", "NotIn", &["ssd"]), false),
            (one("rack", "NotIn", &["a"]), true),
            (one("rack", "Exists", &[]), false),
            (one("rack", "DoesNotExist", &[]), true),
            (one("gen", "Gt", &["6"]), true),
            (one("gen", "Lt", &["6"]), false),
            (one("disk", "Gt", &["6"]), false),
            (named("n1"), true),
            (named("n2"), false),
            (affinity(json!({})), false),
        ];
        for (spec, fits) in table {
            let expected = (!fits).then_some(Bar::Selector);
            assert_eq!(bar(&place, spec.clone()), expected, "{spec}");
        }
    }

    #[test]
    fn taints_keep_away_whom_they_are_not_borne_by() {
        let place = node(
            json!({}),
            json!([{"key": "team", "value": "a", "effect": "NoSchedule"}]),
        );
        let table = [
            (json!([]), false),
            (json!([{"operator": "Exists"}]), true),
            (json!([{"key": "team", "operator": "Exists"}]), true),
            (json!([{"key": "team", "operator": "Equal", "value": "a"}]), true),
            (
                json!([{"key": "team", "value": "a", "effect": "NoExecute"}]),
                false,
            ),
            (json!([{"key": "team", "value": "b"}]), false),
        ];
        for (tolerations, borne) in table {
            let expected = (!borne).then_some(Bar::Taint);
            assert_eq!(
                bar(&place, json!({"tolerations": tolerations})),
                expected,
                "{tolerations}"
            );
        }
        let soft = node(json!({}), json!([{"key": "x", "effect": "PreferNoSchedule"}]));
        assert_eq!(bar(&soft, json!({})), None);
    }

    #[test]
    fn a_pod_stays_on_a_silent_node_as_long_as_it_says() {
        let stays = |tolerations: serde_json::Value| {
            let spec = json!({"containers": [], "tolerations": tolerations});
            unreachable_ms(&serde_json::from_value(spec).unwrap())
        };
        let one = |seconds: serde_json::Value| {
            json!([{"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute",
                "tolerationSeconds": seconds}])
        };
        assert_eq!(stays(json!([])), Some(0));
        assert_eq!(stays(one(json!(300))), Some(300_000));
        assert_eq!(stays(one(serde_json::Value::Null)), None);
    }
}
