//! What new objects get at their creation, beside the defaults of their kind.

use serde_json::{Value, json};

use super::set::{put, within};
use crate::object::quantity::Quantity;

/// How long a pod stays on a node that is not ready or cannot be reached, in seconds.
const STAY_SECONDS: i64 = 300;

/// The tolerations for nodes that are not ready or unreachable, which each new pod gets unless it says otherwise.
pub fn node_tolerations(pod: &mut Value) {
    within(pod, "spec", |spec| {
        for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
            let said = |toleration: &Value| {
                let text = |name: &str| toleration[name].as_str().unwrap_or_default();
                (text("key").is_empty() || text("key") == key) && matches!(text("effect"), "" | "NoExecute")
            };
            if spec["tolerations"]
                .as_array()
                .is_some_and(|known| known.iter().any(said))
            {
                continue;
            }
            put(spec, "tolerations", json!([]));
            let toleration = json!({
                "key": key,
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": STAY_SECONDS,
            });
            spec["tolerations"]
                .as_array_mut()
                .into_iter()
                .for_each(|known| known.push(toleration.clone()));
        }
    });
}

/// A priority class that is not there: only the system's own two are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no PriorityClass with name {0} was found")]
pub struct UnknownPriorityClass(pub String);

/// Resolves a new pod's priority class.
///
/// # Errors
/// [`UnknownPriorityClass`]; the pod is refused as forbidden then.
pub fn priority(pod: &mut Value) -> Result<(), UnknownPriorityClass> {
    let class = pod["spec"]["priorityClassName"].as_str().unwrap_or_default();
    let value = match class {
        "" => 0,
        "system-cluster-critical" => 2_000_000_000,
        "system-node-critical" => 2_000_001_000,
        other => return Err(UnknownPriorityClass(other.to_owned())),
    };
    within(pod, "spec", |spec| {
        put(spec, "priority", json!(value));
        put(spec, "preemptionPolicy", json!("PreemptLowerPriority"));
    });
    Ok(())
}

/// The selector and the labels that a new job gets from its uid, unless it has `manualSelector`.
pub fn job_selector(job: &mut Value, uid: &str) {
    if job["spec"]["manualSelector"] == true {
        return;
    }
    let name = job["metadata"]["name"].clone();
    within(job, "spec", |spec| {
        put(spec, "selector", json!({}));
        put(&mut spec["selector"], "matchLabels", json!({}));
        put(
            &mut spec["selector"]["matchLabels"],
            "batch.kubernetes.io/controller-uid",
            json!(uid),
        );
        within(spec, "template", |template| {
            put(template, "metadata", json!({}));
            put(&mut template["metadata"], "labels", json!({}));
            let labels = &mut template["metadata"]["labels"];
            for (key, value) in [("controller-uid", json!(uid)), ("job-name", name)] {
                put(labels, &format!("batch.kubernetes.io/{key}"), value.clone());
                put(labels, key, value);
            }
        });
    });
}

/// `Guaranteed`, `Burstable` or `BestEffort`, by what the pod's containers ask for and are limited to.
pub fn quality_of_service(pod: &Value) -> &'static str {
    let lists = ["containers", "initContainers"].into_iter();
    let containers: Vec<_> = lists
        .filter_map(|list| pod["spec"][list].as_array())
        .flatten()
        .map(|container| &container["resources"])
        .collect();
    let amount = |resources: &Value, part: &str, name: &str| {
        let text = resources[part][name].as_str()?;
        Quantity::parse(text)
            .ok()
            .filter(|amount| *amount > Quantity::whole(0))
    };
    let any = containers.iter().any(|resources| {
        ["requests", "limits"].into_iter().any(|part| {
            ["cpu", "memory"]
                .into_iter()
                .any(|name| amount(resources, part, name).is_some())
        })
    });
    if !any {
        return "BestEffort";
    }
    let all_equal = containers.iter().all(|resources| {
        ["cpu", "memory"].into_iter().all(|name| {
            let limit = amount(resources, "limits", name);
            limit.is_some() && amount(resources, "requests", name).or(limit) == limit
        })
    });
    if all_equal { "Guaranteed" } else { "Burstable" }
}
