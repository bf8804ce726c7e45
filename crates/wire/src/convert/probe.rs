//! Checks of a container's health.

use super::enums::WireEnum;
use super::template::{command, words};
use crate::malformed::{Malformed, need, small};
use crate::proto::model::v1 as wire;
use plenum_model::spec::{Check, OnFailure, Probe, ProbePort};

/// Where a probe asks, in its two fields.
fn port(port: ProbePort) -> (u32, Option<u32>) {
    match port {
        ProbePort::Claim(n) => (n.into(), None),
        ProbePort::Inside { inside } => (0, Some(inside.into())),
    }
}

fn read_port(port: u32, inside: Option<u32>, field: &'static str) -> Result<ProbePort, Malformed> {
    Ok(match inside {
        None => ProbePort::Claim(small(port, field)?),
        Some(inside) => ProbePort::Inside {
            inside: small(inside, field)?,
        },
    })
}

impl From<&Probe> for wire::Probe {
    fn from(probe: &Probe) -> Self {
        use wire::probe::Check as C;
        let check = match &probe.check {
            Check::Exec(words) => C::Exec(command(words)),
            Check::Http {
                port: at,
                path,
                tls,
                headers,
                statuses,
            } => {
                let (port, inside) = port(*at);
                let header = |(name, value): &(String, String)| wire::Header {
                    name: name.clone(),
                    value: value.clone(),
                };
                C::Http(wire::HttpCheck {
                    port,
                    path: path.clone(),
                    tls: *tls,
                    inside,
                    headers: headers.iter().map(header).collect(),
                    statuses: statuses.iter().copied().map(u32::from).collect(),
                })
            }
            Check::Tcp { port: at } => {
                let (port, inside) = port(*at);
                C::Tcp(wire::TcpCheck { port, inside })
            }
            Check::Image => C::Image(()),
        };
        Self {
            check: Some(check),
            on_failure: probe.on_failure.number(),
            delay_ms: probe.delay_ms,
            period_ms: probe.period_ms,
            timeout_ms: probe.timeout_ms,
            failures: probe.failures,
            successes: probe.successes,
            grace_ms: probe.grace_ms,
            told: probe.told,
            once: probe.once,
        }
    }
}

impl TryFrom<wire::Probe> for Probe {
    type Error = Malformed;
    fn try_from(probe: wire::Probe) -> Result<Self, Malformed> {
        use wire::probe::Check as C;
        let check = match need(probe.check, "probe.check")? {
            C::Exec(command) => Check::Exec(words(command)?),
            C::Http(http) => Check::Http {
                port: read_port(http.port, http.inside, "http.port")?,
                path: http.path,
                tls: http.tls,
                headers: http.headers.into_iter().map(|h| (h.name, h.value)).collect(),
                statuses: http
                    .statuses
                    .into_iter()
                    .map(|code| small(code, "http.statuses"))
                    .collect::<Result<_, _>>()?,
            },
            C::Tcp(tcp) => Check::Tcp {
                port: read_port(tcp.port, tcp.inside, "tcp.port")?,
            },
            C::Image(()) => Check::Image,
        };
        Ok(Self {
            check,
            on_failure: OnFailure::from_number(probe.on_failure)?,
            delay_ms: probe.delay_ms,
            period_ms: probe.period_ms,
            timeout_ms: probe.timeout_ms,
            failures: probe.failures,
            successes: probe.successes,
            grace_ms: probe.grace_ms,
            told: probe.told,
            once: probe.once,
        })
    }
}
