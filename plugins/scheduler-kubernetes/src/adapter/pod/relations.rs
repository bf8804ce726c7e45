//! Rules between pods: affinity, anti-affinity and topology spread, lowered to the pool's rules about other tasks.
//! The labels of nodes are the API's: where they say something else than the pool's own attributes, the domains are
//! told to the broker node by node.

use super::place::Place;
use super::{Refused, namespace};
use k8s_openapi::api::core::v1::{Pod, PodAffinityTerm, PodSpec, TopologySpreadConstraint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use plenum_model::ids::NodeId;
use plenum_model::node::NodeFacts;
use plenum_model::rules::{Affinity, Domains, Expr, Op, Rules, Spread, keys};
use plenum_model::tally::{Among, Tally};
use std::collections::BTreeMap;

/// The label of a task that says which namespace its pod is in.
pub const NAMESPACE: &str = "kubernetes.io/namespace";
/// The key of domains that are one node each.
const HOSTNAME: &str = "kubernetes.io/hostname";

/// The nodes, as their objects describe them and as the pool does.
pub type Places<'a> = Vec<(&'a Place, &'a NodeFacts)>;

/// Whether rules are kept or only wished for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Force {
    Hard,
    Soft,
}

/// Terms of affinity with how they are meant, those with the most weight first.
fn terms(spec: &PodSpec) -> Vec<(&PodAffinityTerm, bool, Force)> {
    let affinity = spec.affinity.as_ref();
    let near = affinity.and_then(|a| a.pod_affinity.as_ref());
    let away = affinity.and_then(|a| a.pod_anti_affinity.as_ref());
    let hard = |away: bool| move |term| (term, away, Force::Hard);
    let mut all: Vec<_> = Vec::new();
    let required = near.and_then(|p| p.required_during_scheduling_ignored_during_execution.as_ref());
    all.extend(required.into_iter().flatten().map(hard(false)));
    let required = away.and_then(|p| p.required_during_scheduling_ignored_during_execution.as_ref());
    all.extend(required.into_iter().flatten().map(hard(true)));
    let near = near.and_then(|p| p.preferred_during_scheduling_ignored_during_execution.as_ref());
    let away = away.and_then(|p| p.preferred_during_scheduling_ignored_during_execution.as_ref());
    let near = near.into_iter().flatten().map(|w| (w, false));
    let mut wishes: Vec<_> = near
        .chain(away.into_iter().flatten().map(|w| (w, true)))
        .collect();
    wishes.sort_by_key(|(w, _)| std::cmp::Reverse(w.weight));
    all.extend(
        wishes
            .into_iter()
            .map(|(w, away)| (&w.pod_affinity_term, away, Force::Soft)),
    );
    all
}

/// Whether a pod has any.
#[must_use]
pub fn any(spec: &PodSpec) -> bool {
    let spread = spec.topology_spread_constraints.as_ref();
    !terms(spec).is_empty() || spread.is_some_and(|all| !all.is_empty())
}

/// Adds what a pod's rules between pods are over these nodes.
pub fn lower(pod: &Pod, spec: &PodSpec, places: &Places<'_>, rules: &mut Rules) {
    for (term, away, force) in terms(spec) {
        rules.affinity.push(Affinity {
            tally: Tally {
                among: meant(pod, term),
                ..domains(&term.topology_key, places, |_| true)
            },
            away,
            hard: force == Force::Hard,
        });
    }
    let constraints = spec.topology_spread_constraints.as_deref().unwrap_or_default();
    let keys: Vec<&str> = constraints.iter().map(|c| c.topology_key.as_str()).collect();
    for constraint in constraints {
        rules.spread.push(spread(pod, spec, constraint, places, &keys));
    }
}

fn spread(
    pod: &Pod,
    spec: &PodSpec,
    constraint: &TopologySpreadConstraint,
    places: &Places<'_>,
    keys: &[&str],
) -> Spread {
    // The defaults are to honour node affinity and to ignore taints.
    let affinity = constraint.node_affinity_policy.as_deref() != Some("Ignore");
    let taints = constraint.node_taints_policy.as_deref() == Some("Honor");
    let counts = |place: &Place| {
        keys.iter().all(|key| place.labels.contains_key(*key))
            && (!affinity || place.is_selected(spec))
            && (!taints || place.is_borne(spec))
    };
    let mut labels = labels(constraint.label_selector.as_ref());
    labels.extend(own_values(pod, constraint.match_label_keys.as_ref(), Op::In));
    labels.push(Expr::equals(NAMESPACE, namespace(pod)));
    Spread {
        tally: Tally {
            among: Among::labelled(labels),
            ..domains(&constraint.topology_key, places, counts)
        },
        max_skew: u32::try_from(constraint.max_skew).unwrap_or(1),
        min_domains: constraint
            .min_domains
            .map_or(0, |n| u32::try_from(n).unwrap_or(0)),
        over: Domains::All,
        hard: constraint.when_unsatisfiable == "DoNotSchedule",
    }
}

/// The domains of a key over the nodes that count. Where the pool's own attribute says the same, it says so itself:
/// lists of nodes are long, and every change of one makes another rule of them.
fn domains(key: &str, places: &Places<'_>, counts: impl Fn(&Place) -> bool) -> Tally {
    let attribute = if key == HOSTNAME { keys::NODE } else { key };
    let same = |(place, facts): &(&Place, &NodeFacts)| {
        let label = place.labels.get(key).map(String::as_str);
        counts(place) && label == facts.attribute(attribute)
    };
    if places.iter().all(same) {
        return Tally::of_workload(attribute);
    }
    let counted = places.iter().filter(|(place, _)| counts(place));
    let nodes: BTreeMap<NodeId, String> = counted
        .filter_map(|(place, facts)| Some((facts.id.clone(), place.labels.get(key)?.clone())))
        .collect();
    if nodes.is_empty() {
        // No node that counts has the label: the pool's own attribute of that name is not what is meant.
        return Tally::of_workload(format!("label {key}"));
    }
    Tally {
        nodes,
        ..Tally::of_workload(key)
    }
}

/// The pods that a term of affinity is about.
fn meant(pod: &Pod, term: &PodAffinityTerm) -> Among {
    let mut labels = labels(term.label_selector.as_ref());
    labels.extend(own_values(pod, term.match_label_keys.as_ref(), Op::In));
    labels.extend(own_values(pod, term.mismatch_label_keys.as_ref(), Op::NotIn));
    let everywhere = term.namespace_selector.as_ref().is_some_and(is_empty);
    let listed = term.namespaces.as_deref().unwrap_or_default();
    if !everywhere {
        let own = [namespace(pod).to_owned()];
        labels.push(Expr {
            values: if listed.is_empty() {
                own.to_vec()
            } else {
                listed.to_vec()
            },
            ..Expr::equals(NAMESPACE, "")
        });
    }
    Among::labelled(labels)
}

/// None selects nothing, an empty one everything.
fn labels(selector: Option<&LabelSelector>) -> Vec<Expr> {
    let Some(selector) = selector else {
        return vec![Expr {
            values: Vec::new(),
            ..Expr::equals(NAMESPACE, "")
        }];
    };
    let equal = selector.match_labels.iter().flatten();
    let mut all: Vec<_> = equal.map(|(key, value)| Expr::equals(key, value)).collect();
    for r in selector.match_expressions.iter().flatten() {
        // The API has refused every other operator.
        let (op, absent_matches) = match r.operator.as_str() {
            "NotIn" => (Op::NotIn, true),
            "Exists" => (Op::Exists, false),
            "DoesNotExist" => (Op::NotExists, true),
            _ => (Op::In, false),
        };
        all.push(Expr {
            key: r.key.clone(),
            op,
            values: r.values.clone().unwrap_or_default(),
            absent_matches,
            fold_case: false,
        });
    }
    all
}

/// The pod's own values of these labels; a label that it does not have asks nothing.
fn own_values(pod: &Pod, keys: Option<&Vec<String>>, op: Op) -> Vec<Expr> {
    let own = pod.metadata.labels.as_ref();
    let value = |key: &String| {
        Some(Expr {
            op,
            absent_matches: op == Op::NotIn,
            ..Expr::equals(key, own?.get(key)?)
        })
    };
    keys.into_iter().flatten().filter_map(value).collect()
}

fn is_empty(selector: &LabelSelector) -> bool {
    let labels = selector.match_labels.as_ref().is_none_or(BTreeMap::is_empty);
    labels && selector.match_expressions.as_ref().is_none_or(Vec::is_empty)
}

/// Refuses by name what is not kept: namespaces that are chosen by their labels.
///
/// # Errors
/// The first of them.
pub fn check(spec: &PodSpec) -> Result<(), Refused> {
    let by_labels = terms(spec)
        .into_iter()
        .find(|(term, ..)| term.namespace_selector.as_ref().is_some_and(|s| !is_empty(s)));
    match by_labels {
        None => Ok(()),
        Some((_, away, _)) => {
            let kind = if away { "podAntiAffinity" } else { "podAffinity" };
            Err(Refused::unserved(format!(
                "spec.affinity.{kind}: namespaceSelector"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Node;
    use serde_json::{Value, json};

    fn lowered(spec: Value, nodes: &[(&str, Value)]) -> Rules {
        let mut spec = spec;
        spec["containers"] = json!([]);
        let pod = json!({"metadata": {"name": "p", "namespace": "prod", "labels": {"app": "web", "gen": "7"}},
            "spec": spec});
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let places = nodes.iter().map(|(name, labels)| {
            let taints: &[Value] = if name.starts_with('t') {
                &[json!({"key": "x", "effect": "NoSchedule"})]
            } else {
                &[]
            };
            let node: Node = serde_json::from_value(json!({"metadata": {"name": name, "labels": labels},
                "spec": {"taints": taints}}))
            .unwrap();
            (Place::of(&node), facts(name))
        });
        let places: Vec<(Place, NodeFacts)> = places.collect();
        let mut rules = Rules::default();
        let spec = pod.spec.as_ref().unwrap();
        lower(
            &pod,
            spec,
            &places.iter().map(|(p, f)| (p, f)).collect(),
            &mut rules,
        );
        rules
    }

    /// The pool knows of racks, and of nothing else.
    fn facts(name: &str) -> NodeFacts {
        let json = json!({"id": name, "hostname": name, "address": "", "devices": {}, "runtimes": {},
            "capacity": plenum_model::amounts::Amounts::default(), "agent_version": "",
            "system": plenum_model::amounts::Amounts::default(), "attributes": {"rack": name},
            "ports": {"low": 1, "high": 2}});
        serde_json::from_value(json).unwrap()
    }

    fn three() -> [(&'static str, Value); 3] {
        [
            ("n1", json!({"zone": "a", "kubernetes.io/hostname": "n1"})),
            (
                "n2",
                json!({"zone": "b", "kubernetes.io/hostname": "n2", "disk": "ssd"}),
            ),
            ("t3", json!({"zone": "c", "kubernetes.io/hostname": "t3"})),
        ]
    }

    #[test]
    fn anti_affinity_by_host_is_the_brokers_own_key_and_counts_the_namespace() {
        let term = json!({"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "web"}}});
        let rules = lowered(
            json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}),
            &three(),
        );
        let [rule] = rules.affinity.as_slice() else {
            panic!("{rules:?}")
        };
        assert!(rule.away && rule.hard && rule.tally.nodes.is_empty());
        assert_eq!(rule.tally.key, keys::NODE);
        let expected = vec![Expr::equals("app", "web"), Expr::equals(NAMESPACE, "prod")];
        assert_eq!(rule.tally.among, Among::labelled(expected));
    }

    #[test]
    fn nodes_are_listed_only_where_their_labels_say_something_else_than_the_pool() {
        let term = json!({"topologyKey": "rack", "labelSelector": {}});
        let spec =
            json!({"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}});
        let tally = |nodes: &[(&str, Value)]| lowered(spec.clone(), nodes).affinity.remove(0).tally;
        let same = [("n1", json!({"rack": "n1"})), ("n2", json!({"rack": "n2"}))];
        assert_eq!((tally(&same).key.as_str(), tally(&same).nodes.len()), ("rack", 0));
        let other = [
            ("n1", json!({"rack": "n1"})),
            ("n2", json!({"rack": "x"})),
            ("n3", json!({})),
        ];
        let listed: Vec<_> = tally(&other).nodes.into_values().collect();
        assert_eq!(listed, ["n1", "x"]);
    }

    #[test]
    fn wishes_come_after_musts_and_the_heaviest_first() {
        let term = |key: &str| json!({"topologyKey": key, "labelSelector": {}, "namespaceSelector": {}});
        let rules = lowered(
            json!({"affinity": {
                "podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution":
                    [{"weight": 10, "podAffinityTerm": term("zone")}]},
                "podAntiAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": [term("disk")],
                    "preferredDuringSchedulingIgnoredDuringExecution":
                        [{"weight": 50, "podAffinityTerm": term("none")}]}}}),
            &three(),
        );
        let shape = |a: &Affinity| (a.tally.key.clone(), a.away, a.hard, a.tally.nodes.len());
        let shapes: Vec<_> = rules.affinity.iter().map(shape).collect();
        let expected = [
            ("disk", true, true, 1),
            ("none", true, false, 0),
            ("zone", false, false, 3),
        ];
        assert_eq!(
            shapes,
            expected.map(|(key, away, hard, n)| (key.to_owned(), away, hard, n))
        );
        assert!(rules.affinity.iter().all(|a| a.tally.among.labels.is_empty()));
    }

    #[test]
    fn a_spread_counts_the_nodes_that_its_policies_include() {
        let one = |more: Value| {
            let mut c = json!({"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": {"app": "web"}}, "matchLabelKeys": ["gen", "absent"]});
            for (key, value) in more.as_object().unwrap() {
                c[key] = value.clone();
            }
            let spec =
                json!({"nodeSelector": {"kubernetes.io/hostname": "n2"}, "topologySpreadConstraints": [c]});
            lowered(spec, &three()).spread.remove(0)
        };
        let domains = |s: &Spread| s.tally.nodes.values().cloned().collect::<String>();
        let plain = one(json!({}));
        assert_eq!(
            (domains(&plain).as_str(), plain.over, plain.hard),
            ("b", Domains::All, true)
        );
        assert!(plain.tally.among.labels.contains(&Expr::equals("gen", "7")));
        assert_eq!(plain.tally.among.labels.len(), 3);
        let all = one(json!({"nodeAffinityPolicy": "Ignore", "minDomains": 4}));
        assert_eq!((domains(&all).as_str(), all.min_domains), ("abc", 4));
        let honest = one(json!({"nodeAffinityPolicy": "Ignore", "nodeTaintsPolicy": "Honor"}));
        assert_eq!(domains(&honest), "ab");
        assert!(!one(json!({"whenUnsatisfiable": "ScheduleAnyway"})).hard);
    }

    #[test]
    fn selectors_say_what_is_meant_by_labels_that_are_absent() {
        let selector = json!({"matchExpressions": [
            {"key": "a", "operator": "NotIn", "values": ["x"]}, {"key": "b", "operator": "Exists"},
            {"key": "c", "operator": "DoesNotExist"}, {"key": "d", "operator": "In", "values": ["y", "z"]}]});
        let term = json!({"topologyKey": "zone", "namespaces": ["dev", "test"], "labelSelector": selector});
        let rules = lowered(
            json!({"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}),
            &three(),
        );
        let picked = rules.affinity[0].tally.among.compile().unwrap();
        let counts = |labels: &[(&str, &str)]| {
            let labels = labels
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect();
            let subject = plenum_model::tally::Subject {
                workload: "",
                version: "",
                labels: &labels,
            };
            picked.counts(&subject, &subject)
        };
        assert!(counts(&[("b", ""), ("d", "y"), (NAMESPACE, "dev")]));
        assert!(!counts(&[("b", ""), ("d", "y"), (NAMESPACE, "prod")]));
        assert!(!counts(&[("a", "x"), ("b", ""), ("d", "y"), (NAMESPACE, "dev")]));
        assert!(!counts(&[("b", ""), ("c", ""), ("d", "y"), (NAMESPACE, "dev")]));
        let none = json!({"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
            [{"topologyKey": "zone"}]}}});
        let none = lowered(none, &three()).affinity[0].tally.among.compile().unwrap();
        let labels = BTreeMap::from([(NAMESPACE.to_owned(), "prod".to_owned())]);
        let subject = plenum_model::tally::Subject {
            workload: "",
            version: "",
            labels: &labels,
        };
        assert!(!none.counts(&subject, &subject));
    }

    #[test]
    fn namespaces_by_their_labels_are_refused_by_name() {
        let spec = |selector: Value| {
            let term = json!({"topologyKey": "zone", "labelSelector": {}, "namespaceSelector": selector});
            serde_json::from_value(json!({"containers": [], "affinity": {"podAntiAffinity":
                {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}))
            .unwrap()
        };
        assert!(check(&spec(json!({}))).is_ok());
        let refused = check(&spec(json!({"matchLabels": {"team": "a"}})))
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("podAntiAffinity: namespaceSelector"),
            "{refused}"
        );
    }
}
