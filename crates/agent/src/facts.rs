//! What an agent says of its node: what the configuration does not say is detected.

use crate::config::{AgentConfig, DEFAULT_SLOTS, SECRETS};
use crate::files::keeps_secrets;
use nix::sys::statvfs::statvfs;
use nix::sys::utsname::uname;
use plenum_contract::runtime::Runtime;
use plenum_model::amounts::Amounts;
use plenum_model::node::{NodeFacts, RuntimeFacts, capability};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A runtime that has not answered by then is left out until the next look.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Describes the node as it is now. A runtime that cannot say what it can do is left out, and the log says why.
pub(crate) async fn detect(config: &AgentConfig, runtimes: &[Arc<dyn Runtime>]) -> NodeFacts {
    let mut found = BTreeMap::new();
    for runtime in runtimes {
        match tokio::time::timeout(ANSWER_WITHIN, runtime.facts()).await {
            Ok(Ok(facts)) => {
                found.insert(runtime.name().to_owned(), facts);
            }
            Ok(Err(why)) => tracing::debug!(runtime = runtime.name(), %why, "runtime left out"),
            Err(_) => tracing::debug!(runtime = runtime.name(), why = "no answer", "runtime left out"),
        }
    }
    for facts in found.values_mut() {
        facts.capabilities.insert(capability::CONTAINERS.to_owned());
    }
    if keeps_secrets(&config.data_dir.join(SECRETS)) {
        for facts in found.values_mut() {
            facts.capabilities.insert(capability::SECRETS.to_owned());
        }
    }
    describe(config, found)
}

fn describe(config: &AgentConfig, runtimes: BTreeMap<String, RuntimeFacts>) -> NodeFacts {
    let system = uname().ok();
    let text = |part: Option<&std::ffi::OsStr>| part.map(|s| s.to_string_lossy().into_owned());
    let hostname = config
        .hostname
        .clone()
        .or_else(|| text(system.as_ref().map(|u| u.nodename())));
    let mut attributes = BTreeMap::from([
        ("arch".to_owned(), std::env::consts::ARCH.to_owned()),
        ("os".to_owned(), std::env::consts::OS.to_owned()),
    ]);
    attributes.extend(text(system.as_ref().map(|u| u.release())).map(|r| ("kernel".to_owned(), r)));
    attributes.extend(config.attributes.clone());
    NodeFacts {
        id: config.node.clone(),
        hostname: hostname.unwrap_or_else(|| config.node.to_string()),
        address: config.address.clone(),
        capacity: capacity(config),
        system: config.system.clone(),
        devices: config.devices.clone(),
        attributes,
        runtimes,
        ports: config.ports,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        taints: config.taints.clone(),
    }
}

/// What the node offers: what is configured, else what is detected.
#[must_use]
pub fn capacity(config: &AgentConfig) -> Amounts {
    let given = &config.capacity;
    let extended = given.extended.iter().filter(|(_, n)| **n > 0);
    Amounts {
        cpu_millis: given.cpu_millis.unwrap_or_else(processors),
        memory_bytes: given.memory_bytes.unwrap_or_else(memory),
        disk_bytes: given.disk_bytes.unwrap_or_else(|| disk(&config.data_dir)),
        slots: given.slots.unwrap_or(DEFAULT_SLOTS),
        extended: extended.map(|(name, n)| (name.clone(), *n)).collect(),
    }
}

/// Processors this process may use (its affinity and its cgroup's quota count), in thousandths.
fn processors() -> u64 {
    std::thread::available_parallelism().map_or(1000, |n| n.get() as u64 * 1000)
}

/// The machine's memory, or the limit of the cgroup the agent is in if that is less.
fn memory() -> u64 {
    let whole = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|l| l.starts_with("MemTotal:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    });
    let whole = whole.map_or(0, |kib| kib.saturating_mul(1024));
    let limits = [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ];
    let limit = limits
        .iter()
        .find_map(|f| std::fs::read_to_string(f).ok()?.trim().parse::<u64>().ok());
    limit.map_or(whole, |l| whole.min(l))
}

fn disk(path: &Path) -> u64 {
    statvfs(path).map_or(0, |s| s.blocks().saturating_mul(s.fragment_size()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_model::ids::NodeId;
    use plenum_model::node::PortRange;

    #[test]
    fn what_is_not_configured_is_detected() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = AgentConfig::new(
            NodeId::new("n1").unwrap(),
            "127.0.0.1",
            PortRange { low: 1, high: 2 },
            dir.path(),
        );
        config.attributes.insert("rack".into(), "b".into());
        config.capacity.memory_bytes = Some(5);
        let facts = describe(&config, BTreeMap::new());
        assert!(
            facts.capacity.cpu_millis >= 1000 && facts.capacity.disk_bytes > 1 << 20,
            "{facts:?}"
        );
        assert_eq!(
            (facts.capacity.memory_bytes, facts.capacity.slots),
            (5, DEFAULT_SLOTS)
        );
        assert_eq!(facts.attribute("rack"), Some("b"));
        assert!(facts.attribute("kernel").is_some() && facts.attribute("arch").is_some());
        assert!(memory() > 1 << 20 && !facts.hostname.is_empty());
    }
}
