//! Published ports.

use super::fields::Fields;
use crate::error::{ApiError, ApiResult};
use plenum_model::claim::{HostPort, PortAsk, Protocol};
use std::collections::BTreeMap;

/// The ports of `HostConfig.PortBindings`, in the order of the ports inside.
pub(super) fn bindings(host: &Fields<'_>) -> ApiResult<Vec<PortAsk>> {
    let mut asks: BTreeMap<(u16, String), Vec<PortAsk>> = BTreeMap::new();
    for (name, list) in host.object("PortBindings")?.entries() {
        let (port, protocol) = inside(name)?;
        let key = (port, name.clone());
        let given = list.as_array().map(Vec::as_slice).unwrap_or_default();
        for binding in given {
            let binding = Fields::of(Some(binding), "PortBindings")?;
            address(binding.text("HostIp")?)?;
            asks.entry(key.clone()).or_default().push(PortAsk {
                name: format!("{port}/{}", word(protocol)),
                protocol,
                host: outside(binding.text("HostPort")?)?,
                container: Some(port),
            });
        }
    }
    Ok(asks.into_values().flatten().collect())
}

fn inside(name: &str) -> ApiResult<(u16, Protocol)> {
    let (port, protocol) = name.split_once('/').unwrap_or((name, "tcp"));
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        other => {
            return Err(ApiError::bad(format!(
                "invalid port specification: unknown protocol {other}"
            )));
        }
    };
    match port.parse() {
        Ok(port) if port > 0 => Ok((port, protocol)),
        _ => Err(ApiError::bad(format!("invalid port specification: \"{name}\""))),
    }
}

/// A task's ports are published on its node's address.
fn address(ip: &str) -> ApiResult<()> {
    if matches!(ip, "" | "0.0.0.0" | "::") {
        return Ok(());
    }
    Err(ApiError::not_served(format!(
        "HostIp {ip}: ports are published on the address of the node; leave it out"
    )))
}

fn outside(port: &str) -> ApiResult<HostPort> {
    if port.is_empty() || port == "0" {
        return Ok(HostPort::Dynamic);
    }
    if port.contains('-') {
        return Err(ApiError::not_served(format!(
            "a range of host ports ({port}); leave it out and any free port is taken"
        )));
    }
    port.parse()
        .map(HostPort::Fixed)
        .map_err(|_| ApiError::bad(format!("invalid port specification: \"{port}\"")))
}

/// A protocol as Docker writes it; both are never asked for here.
pub(super) fn word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp | Protocol::Both => "tcp",
        Protocol::Udp => "udp",
    }
}
