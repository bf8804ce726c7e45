//! What a configuration says beyond the types of its values: addresses are addresses, names are known, ranges
//! are ranges. The rules, one function each, each of which names the key.

use super::{Config, ConfigError};
use crate::listen::Reach;
use plenum_model::taint::Taint;
use std::net::SocketAddr;
use toml::{Table, Value};

/// Checks it. `tree` is the whole, with the sections of the schedulers.
///
/// # Errors
/// `Value`, with the key, for the first that makes no sense.
pub(super) fn check(config: &Config, tree: &Table, own: &[&str]) -> Result<(), ConfigError> {
    let schedulers: Vec<&String> = tree.keys().filter(|k| !own.contains(&k.as_str())).collect();
    for (section, key) in tree.keys().flat_map(|s| [(s, "listen"), (s, "insecure_listen")]) {
        if let Some(Value::String(given)) = tree.get(section).and_then(|s| s.get(key)) {
            let reach = match key {
                "listen" => Reach::Loopback,
                _ => Reach::Insecure,
            };
            address(&format!("{section}.{key}"), given, reach)?;
        }
    }
    if let Some(unknown) = config.up.schedulers.iter().find(|s| !schedulers.contains(s)) {
        let known: Vec<&str> = schedulers.iter().map(|s| s.as_str()).collect();
        let why = format!(
            "there is no scheduler `{unknown}`, there are {}",
            known.join(", ")
        );
        return Err(bad("up.schedulers", why));
    }
    if config.up.nodes > crate::nodes::MOST {
        let why = format!("{} is above {}", config.up.nodes, crate::nodes::MOST);
        return Err(bad("up.nodes", why));
    }
    if config.broker.lease_ms == 0 {
        return Err(bad(
            "broker.lease_ms",
            "a lease of 0 ms makes every node unreachable",
        ));
    }
    for taint in &config.agent.taints {
        if let Err(why) = taint.parse::<Taint>() {
            return Err(bad("agent.taints", why.to_string()));
        }
    }
    let (low, high) = (config.agent.port_low, config.agent.port_high);
    if low > high && high != 0 {
        return Err(bad(
            "agent.port_low",
            format!("{low} is above agent.port_high {high}"),
        ));
    }
    crate::telemetry::check(&config.telemetry)
}

/// Empty where a listener may be absent.
fn address(key: &str, given: &str, reach: Reach) -> Result<(), ConfigError> {
    if reach == Reach::Insecure && given.is_empty() {
        return Ok(());
    }
    let Ok(address) = given.parse::<SocketAddr>() else {
        let why = format!("`{given}` is no address; give it as 127.0.0.1:7717");
        return Err(bad(key, why));
    };
    if reach == Reach::Insecure || address.ip().is_loopback() {
        return Ok(());
    }
    let why = format!(
        "{address} is not a loopback address; there are no users and no TLS yet, so only \
         `insecure_listen` takes it"
    );
    Err(bad(key, why))
}

fn bad(key: &str, why: impl Into<String>) -> ConfigError {
    ConfigError::Value {
        key: key.to_owned(),
        why: why.into(),
    }
}
