//! What the ledger holds for a pod: the sum of its containers and sidecars, or what an init container needs
//! beside the sidecars that run before it, whichever is more; and the overhead. A request that is missing is the
//! limit.

use super::{Refused, is_sidecar};
use crate::adapter::names::RESOURCE_PREFIX;
use crate::object::quantity::Quantity;
use k8s_openapi::api::core::v1::{Container, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;
use plenum_model::amounts::Amounts;
use std::collections::BTreeMap;

/// Amounts by Kubernetes' name: processor time in thousandths, the rest in whole units.
type Counts = BTreeMap<String, u64>;

/// What the ledger holds, one slot included.
///
/// # Errors
/// An amount that cannot be read, or of something no ledger has.
pub fn charge(spec: &PodSpec) -> Result<Amounts, Refused> {
    let mut counts = needed(spec)?;
    let overhead = spec.overhead.iter().flatten();
    for (name, text) in overhead {
        let more = count(name, text, "spec.overhead")?;
        add(&mut counts, name, more);
    }
    let mut amounts = Amounts::task(0, 0, 0);
    for (name, count) in counts {
        match name.as_str() {
            "cpu" => amounts.cpu_millis = count,
            "memory" => amounts.memory_bytes = count,
            "ephemeral-storage" => amounts.disk_bytes = count,
            _ if name.starts_with("hugepages-") => {
                return Err(Refused::unserved(format!("resources.requests.{name}")));
            }
            _ if count > 0 => {
                // the pool's own names have no domain
                let own = name.strip_prefix(RESOURCE_PREFIX).unwrap_or(&name);
                amounts.extended.insert(own.to_owned(), count);
            }
            _ => {}
        }
    }
    Ok(amounts)
}

fn needed(spec: &PodSpec) -> Result<Counts, Refused> {
    let mut running = Counts::new();
    for container in &spec.containers {
        for (name, count) in requests(container)? {
            add(&mut running, &name, count);
        }
    }
    let (mut sidecars, mut most) = (Counts::new(), Counts::new());
    for init in super::init_containers(spec) {
        let own = requests(init)?;
        let mut at_once = sidecars.clone();
        for (name, count) in &own {
            add(&mut at_once, name, *count);
        }
        if is_sidecar(init) {
            sidecars = at_once;
        } else {
            raise(&mut most, at_once);
        }
    }
    for (name, count) in sidecars {
        add(&mut running, &name, count);
    }
    raise(&mut running, most);
    Ok(running)
}

fn add(counts: &mut Counts, name: &str, more: u64) {
    let have = counts.entry(name.to_owned()).or_default();
    *have = have.saturating_add(more);
}

fn raise(counts: &mut Counts, to: Counts) {
    for (name, count) in to {
        let have = counts.entry(name).or_default();
        *have = (*have).max(count);
    }
}

/// What one container requests; where it says nothing, its limit.
fn requests(container: &Container) -> Result<Counts, Refused> {
    let Some(resources) = &container.resources else {
        return Ok(Counts::new());
    };
    let field = format!("resources of container {}", container.name);
    let mut counts = Counts::new();
    let said = resources
        .limits
        .iter()
        .flatten()
        .chain(resources.requests.iter().flatten());
    for (name, text) in said {
        counts.insert(name.clone(), count(name, text, &field)?);
    }
    Ok(counts)
}

/// A limit of one container, in the unit of its kind.
///
/// # Errors
/// An amount that cannot be read.
pub fn limit(container: &Container, name: &str) -> Result<Option<u64>, Refused> {
    let limits = container.resources.as_ref().and_then(|r| r.limits.as_ref());
    amount(container, limits, name)
}

/// What one container requests of something; where it says nothing, its limit.
///
/// # Errors
/// An amount that cannot be read.
pub fn request(container: &Container, name: &str) -> Result<Option<u64>, Refused> {
    let requests = container.resources.as_ref().and_then(|r| r.requests.as_ref());
    match amount(container, requests, name)? {
        Some(count) => Ok(Some(count)),
        None => limit(container, name),
    }
}

fn amount(
    container: &Container,
    amounts: Option<&BTreeMap<String, Text>>,
    name: &str,
) -> Result<Option<u64>, Refused> {
    let field = format!("resources of container {}", container.name);
    let text = amounts.and_then(|a| a.get(name));
    text.map(|text| count(name, text, &field)).transpose()
}

fn count(name: &str, text: &Text, field: &str) -> Result<u64, Refused> {
    let bad = |why: String| Refused::new(format!("{field}: {name}"), why);
    let quantity = Quantity::parse(&text.0).map_err(|e| bad(e.to_string()))?;
    let count = if name == "cpu" {
        quantity.millis()
    } else {
        quantity.value()
    };
    u64::try_from(count).map_err(|_| bad("is below zero".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn charged(spec: serde_json::Value) -> (u64, u64) {
        let amounts = charge(&serde_json::from_value(spec).unwrap()).unwrap();
        assert_eq!(amounts.slots, 1);
        (amounts.cpu_millis, amounts.memory_bytes)
    }

    fn container(name: &str, cpu: &str, memory: &str) -> serde_json::Value {
        json!({"name": name, "resources": {"requests": {"cpu": cpu, "memory": memory}}})
    }

    #[test]
    fn containers_add_up_and_an_init_container_counts_where_it_needs_more() {
        let sidecar = json!({"name": "s", "restartPolicy": "Always",
            "resources": {"requests": {"cpu": "100m", "memory": "10"}}});
        let spec = json!({
            "initContainers": [container("i", "2", "5"), sidecar, container("j", "1", "500")],
            "containers": [container("a", "500m", "100"), container("b", "300m", "200")],
            "overhead": {"cpu": "10m"},
        });
        // cpu: max(900 running, 2000 for i, 1100 for j beside the sidecar); memory: max(310, 5, 510)
        assert_eq!(charged(spec), (2010, 510));
    }

    #[test]
    fn a_missing_request_is_the_limit_and_nothing_is_nothing() {
        let spec = json!({"containers": [
            {"name": "a", "resources": {"limits": {"cpu": "1", "memory": "1Ki"}, "requests": {"cpu": "250m"}}},
            {"name": "b"},
        ]});
        assert_eq!(charged(spec), (250, 1024));
    }

    #[test]
    fn what_no_ledger_has_is_refused_by_name() {
        let spec = json!({"containers": [{"name": "a",
            "resources": {"requests": {"hugepages-2Mi": "4Mi"}}}]});
        let refused = charge(&serde_json::from_value(spec).unwrap()).unwrap_err();
        assert_eq!(refused.field, "resources.requests.hugepages-2Mi");
    }
}
