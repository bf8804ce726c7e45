//! A node's object, from what the pool knows. Pure. What is allocatable is capacity less the system's part less
//! what other schedulers hold, so that the tools' own arithmetic gives what is free in the ledger.

use crate::adapter::names::{NODE_ANNOTATION, OWN_LABEL, RESOURCE_PREFIX, node as node_name};
use crate::adapter::status::time;
use k8s_openapi::api::core::v1::{
    DaemonEndpoint, Node as KubeNode, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeStatus,
    NodeSystemInfo,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use plenum_model::amounts::Amounts;
use plenum_model::ids::SchedulerId;
use plenum_model::node::{Liveness, Node};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The version of Kubernetes whose node this is.
pub const KUBELET_VERSION: &str = "v1.33.0-plenum";
/// How often a node's object says that it lives, though nothing has changed.
const HEARTBEAT_MS: u64 = 300_000;

/// What the adapter adds to what the pool knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extra<'a> {
    /// Whose nodes they are.
    pub scheduler: &'a SchedulerId,
    /// The runtime that runs pods.
    pub runtime: &'a str,
    /// The address under which the API server reaches the node.
    pub address: &'a str,
    /// The port there, once it listens.
    pub port: Option<u16>,
    /// A taint that keeps off pods that do not ask for it: `key=value:effect`.
    pub taint: Option<&'a str>,
}

/// The labels that are the adapter's.
#[must_use]
pub fn labels(node: &Node, extra: &Extra<'_>) -> BTreeMap<String, String> {
    let facts = &node.facts;
    let attribute = |key: &str| facts.attributes.get(key).map_or("", String::as_str);
    let arch = match attribute("arch") {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let own = facts.attributes.iter().filter(|(k, v)| is_label(k, v));
    let mut labels: BTreeMap<String, String> = own.map(|(k, v)| (k.clone(), v.clone())).collect();
    labels.insert("kubernetes.io/hostname".to_owned(), node_name(&facts.id));
    labels.insert("kubernetes.io/os".to_owned(), attribute("os").to_owned());
    labels.insert("kubernetes.io/arch".to_owned(), arch.to_owned());
    labels.insert(OWN_LABEL.to_owned(), extra.scheduler.to_string());
    labels
}

/// Whether an attribute can be a label.
fn is_label(key: &str, value: &str) -> bool {
    let word = |w: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        w.len() <= 63 && w.chars().all(inner) && edge(w.chars().next()) && edge(w.chars().last())
    };
    let name = key.rsplit('/').next().unwrap_or(key);
    let domain = key.len() - name.len() <= 253 && key.matches('/').count() <= 1;
    word(name) && domain && (value.is_empty() || word(value))
}

/// A node's object as it is first created.
#[must_use]
pub fn created(node: &Node, extra: &Extra<'_>) -> Value {
    let taint = extra.taint.and_then(|taint| {
        let (rest, effect) = taint.rsplit_once(':')?;
        let (key, value) = rest.split_once('=').unwrap_or((rest, ""));
        Some(json!([{"key": key, "value": value, "effect": effect}]))
    });
    let mut spec = json!({"providerID": format!("plenum://{}", node.facts.id)});
    if let (Some(taint), Some(spec)) = (taint, spec.as_object_mut()) {
        spec.insert("taints".to_owned(), taint);
    }
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": node_name(&node.facts.id),
            "labels": labels(node, extra),
            "annotations": {NODE_ANNOTATION: node.facts.id.as_str()},
        },
        "spec": spec,
    })
}

/// Labels that are not as they shall be.
#[must_use]
pub fn stale_labels(node: &Node, extra: &Extra<'_>, have: &KubeNode) -> BTreeMap<String, String> {
    let empty = BTreeMap::new();
    let labels_there = have.metadata.labels.as_ref().unwrap_or(&empty);
    let mut wanted = labels(node, extra);
    wanted.retain(|k, v| labels_there.get(k) != Some(v));
    wanted
}

/// What the scheduler's users can have of a node.
#[must_use]
pub fn allocatable(node: &Node, scheduler: &SchedulerId) -> Amounts {
    let others = node
        .held
        .iter()
        .filter(|(who, _)| who.as_str() != scheduler.as_str());
    others.fold(node.facts.allocatable(), |left, (_, held)| {
        left.saturating_sub(held)
    })
}

/// Amounts in Kubernetes' names and canonical forms: what the server would write otherwise would be found to differ,
/// and be written again, for ever.
#[must_use]
pub fn quantities(amounts: &Amounts) -> BTreeMap<String, Quantity> {
    let cpu = match amounts.cpu_millis % 1000 {
        0 => (amounts.cpu_millis / 1000).to_string(),
        _ => format!("{}m", amounts.cpu_millis),
    };
    let bytes = |n: u64| {
        if n.is_multiple_of(1024) {
            format!("{}Ki", n / 1024)
        } else {
            n.to_string()
        }
    };
    let named = |name: &str| {
        if name.contains('/') {
            name.to_owned()
        } else {
            format!("{RESOURCE_PREFIX}{name}")
        }
    };
    let canonical = |text: String| {
        let parsed = crate::object::quantity::Quantity::parse(&text);
        Quantity(parsed.map_or(text, |quantity| quantity.to_string()))
    };
    let mut out: BTreeMap<String, Quantity> = [
        ("cpu", cpu),
        ("memory", bytes(amounts.memory_bytes)),
        ("ephemeral-storage", bytes(amounts.disk_bytes)),
        ("pods", amounts.slots.to_string()),
    ]
    .map(|(k, v)| (k.to_owned(), canonical(v)))
    .into();
    let extended = amounts
        .extended
        .iter()
        .map(|(name, n)| (named(name), canonical(n.to_string())));
    out.extend(extended);
    out
}

/// The status a node's object shall have; none: it has it.
#[must_use]
pub fn stale_status(node: &Node, extra: &Extra<'_>, have: &KubeNode, now: u64) -> Option<NodeStatus> {
    let old = have.status.clone().unwrap_or_default();
    let facts = &node.facts;
    let runtime = facts
        .runtimes
        .get(extra.runtime)
        .map_or("", |r| r.version.as_str());
    let attribute = |key: &str| facts.attributes.get(key).cloned().unwrap_or_default();
    let (own, fresh) = conditions(node, &old, now);
    let foreign = old.conditions.iter().flatten();
    let foreign = foreign
        .filter(|c| !own.iter().any(|o| o.type_ == c.type_))
        .cloned();
    let wanted = NodeStatus {
        capacity: Some(quantities(&facts.capacity)),
        allocatable: Some(quantities(&allocatable(node, extra.scheduler))),
        conditions: Some(own.iter().cloned().chain(foreign).collect()),
        addresses: Some(
            [
                ("InternalIP", extra.address.to_owned()),
                ("Hostname", node_name(&facts.id)),
            ]
            .map(|(type_, address)| NodeAddress {
                address,
                type_: type_.to_owned(),
            })
            .into(),
        ),
        daemon_endpoints: Some(NodeDaemonEndpoints {
            kubelet_endpoint: extra.port.map(|port| DaemonEndpoint {
                port: i32::from(port),
            }),
        }),
        node_info: Some(NodeSystemInfo {
            architecture: labels(node, extra)
                .get("kubernetes.io/arch")
                .cloned()
                .unwrap_or_default(),
            container_runtime_version: format!("{}://{runtime}", extra.runtime),
            kernel_version: attribute("kernel"),
            kubelet_version: KUBELET_VERSION.to_owned(),
            operating_system: attribute("os"),
            os_image: "Plenum".to_owned(),
            ..NodeSystemInfo::default()
        }),
        ..old.clone()
    };
    let beats = |s: &NodeStatus| {
        let mut s = s.clone();
        for c in s.conditions.iter_mut().flatten() {
            c.last_heartbeat_time = None;
        }
        s
    };
    (!fresh || beats(&wanted) != beats(&old)).then_some(wanted)
}

/// The conditions of a node, and whether its last word is young enough.
fn conditions(node: &Node, old: &NodeStatus, now: u64) -> (Vec<NodeCondition>, bool) {
    let ready = match node.liveness {
        Liveness::Ready => ("True", "KubeletReady", "the node's agent is connected"),
        Liveness::Unreachable => (
            "Unknown",
            "NodeStatusUnknown",
            "Kubelet stopped posting node status.",
        ),
    };
    let table = [
        (
            "MemoryPressure",
            (
                "False",
                "KubeletHasSufficientMemory",
                "kubelet has sufficient memory available",
            ),
        ),
        (
            "DiskPressure",
            (
                "False",
                "KubeletHasNoDiskPressure",
                "kubelet has no disk pressure",
            ),
        ),
        (
            "PIDPressure",
            (
                "False",
                "KubeletHasSufficientPID",
                "kubelet has sufficient PID available",
            ),
        ),
        ("Ready", ready),
    ];
    let find = |kind: &str| old.conditions.iter().flatten().find(|c| c.type_ == kind);
    let beat = find("Ready").and_then(|c| c.last_heartbeat_time.as_ref());
    let beat = beat.map_or(0, |t| u64::try_from(t.0.as_millisecond()).unwrap_or(0));
    let silent = node.liveness == Liveness::Unreachable;
    let fresh = silent || now.saturating_sub(beat) < HEARTBEAT_MS;
    let made = table.map(|(kind, (status, reason, message))| {
        let same = find(kind).filter(|c| c.status == status);
        NodeCondition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            last_heartbeat_time: Some(time(if silent { beat.max(1000) } else { now })),
            last_transition_time: same
                .and_then(|c| c.last_transition_time.clone())
                .or_else(|| Some(time(now))),
        }
    });
    (made.into(), fresh)
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_model::ids::NodeId;
    use plenum_model::node::{NodeFacts, PortRange, Scheduling};

    fn node() -> Node {
        let amounts = |cpu, memory| Amounts::task(cpu, memory, 0);
        Node {
            facts: NodeFacts {
                id: NodeId::new("Node_1").unwrap(),
                hostname: "m".into(),
                address: "127.77.0.1".into(),
                capacity: Amounts {
                    slots: 100,
                    ..amounts(4000, 8 << 30)
                },
                system: Amounts {
                    slots: 0,
                    ..amounts(500, 1 << 30)
                },
                devices: BTreeMap::new(),
                attributes: [
                    ("arch", "x86_64"),
                    ("os", "linux"),
                    ("rack", "b"),
                    ("bad key", "x"),
                ]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
                runtimes: BTreeMap::new(),
                ports: PortRange { low: 1, high: 2 },
                agent_version: String::new(),
                taints: Vec::new(),
            },
            liveness: Liveness::Ready,
            scheduling: Scheduling::Open,
            held: [
                ("marathon".to_owned(), amounts(1000, 1 << 30)),
                ("kubernetes".to_owned(), amounts(700, 5)),
            ]
            .into(),
            tasks: BTreeMap::new(),
            joined_at: 0,
            since: 0,
            taints: Vec::new(),
        }
    }

    #[test]
    fn allocatable_less_its_own_charges_is_what_is_free() {
        let node = node();
        let scheduler = SchedulerId::new("kubernetes").unwrap();
        let shown = allocatable(&node, &scheduler);
        assert_eq!(
            (shown.cpu_millis, shown.memory_bytes, shown.slots),
            (2500, 6 << 30, 99)
        );
        assert_eq!(shown.saturating_sub(&node.held["kubernetes"]), node.free());
        let text = quantities(&shown);
        assert_eq!(
            (text["cpu"].0.as_str(), text["memory"].0.as_str()),
            ("2500m", "6Gi")
        );
        let many = Amounts {
            slots: 1000,
            ..Amounts::task(2000, 1_500_000, 1 << 40)
        };
        let text = quantities(&many);
        let of = |name: &str| text[name].0.as_str();
        assert_eq!(
            (of("cpu"), of("memory"), of("ephemeral-storage"), of("pods")),
            ("2", "1500k", "1Ti", "1k")
        );
    }

    #[test]
    fn a_status_is_written_once_and_again_when_something_has_changed() {
        let mut pool = node();
        let scheduler = SchedulerId::new("kubernetes").unwrap();
        let extra = Extra {
            scheduler: &scheduler,
            runtime: "docker",
            address: "127.77.0.1",
            port: Some(9),
            taint: None,
        };
        let mut kube: KubeNode = serde_json::from_value(created(&pool, &extra)).unwrap();
        assert_eq!(kube.metadata.name.as_deref(), Some("node-1"));
        assert!(stale_labels(&pool, &extra, &kube).is_empty());
        let labels = kube.metadata.labels.clone().unwrap();
        assert_eq!(
            (labels["rack"].as_str(), labels["kubernetes.io/arch"].as_str()),
            ("b", "amd64")
        );
        assert!(!labels.contains_key("bad key"));
        kube.status = stale_status(&pool, &extra, &kube, 1_000_000);
        assert_eq!(stale_status(&pool, &extra, &kube, 1_200_000), None);
        assert!(
            stale_status(&pool, &extra, &kube, 1_400_000).is_some(),
            "it says that it lives"
        );
        pool.liveness = Liveness::Unreachable;
        let lost = stale_status(&pool, &extra, &kube, 1_200_000).unwrap();
        let ready = lost
            .conditions
            .iter()
            .flatten()
            .find(|c| c.type_ == "Ready")
            .unwrap()
            .clone();
        assert_eq!(ready.status, "Unknown");
        kube.status = Some(lost);
        assert_eq!(stale_status(&pool, &extra, &kube, 1_300_000), None);
    }
}
