//! Probes of a container.

use super::Refused;
use k8s_openapi::api::core::v1::{Container, HTTPGetAction, Probe as KubeProbe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use plenum_model::spec::{Check, OnFailure, Probe, ProbePort};
use plenum_model::template::Template;

/// Readiness and liveness.
///
/// # Errors
/// A check that is not served.
pub fn probes(container: &Container) -> Result<Vec<Probe>, Refused> {
    let ready = container.readiness_probe.as_ref();
    let alive = container.liveness_probe.as_ref();
    let kinds = [
        (ready, "readinessProbe", OnFailure::Report),
        (alive, "livenessProbe", OnFailure::Restart),
    ];
    let said = kinds
        .into_iter()
        .filter_map(|(p, name, failure)| Some((p?, name, failure)));
    said.map(|(p, name, failure)| probe(container, p, name, failure))
        .collect()
}

/// The check that must pass once before the others begin.
///
/// # Errors
/// A check that is not served.
pub fn startup(container: &Container) -> Result<Option<Probe>, Refused> {
    let said = container.startup_probe.as_ref();
    said.map(|p| probe(container, p, "startupProbe", OnFailure::Restart))
        .transpose()
}

fn probe(
    container: &Container,
    said: &KubeProbe,
    name: &str,
    on_failure: OnFailure,
) -> Result<Probe, Refused> {
    let field = |what: &str| format!("{name} of container {}{what}", container.name);
    if said.grpc.is_some() {
        return Err(Refused::unserved(field(".grpc")));
    }
    if said.termination_grace_period_seconds.is_some() {
        return Err(Refused::unserved(field(".terminationGracePeriodSeconds")));
    }
    let check = if let Some(exec) = &said.exec {
        let command = exec.command.iter().flatten().map(Template::text);
        Check::Exec(command.collect())
    } else if let Some(get) = &said.http_get {
        http(container, get, &field)?
    } else if let Some(tcp) = &said.tcp_socket {
        if tcp.host.as_deref().is_some_and(|h| !h.is_empty()) {
            return Err(Refused::unserved(field(".tcpSocket.host")));
        }
        let port =
            port(container, &tcp.port).ok_or_else(|| Refused::new(field(".tcpSocket.port"), "is no port"))?;
        Check::Tcp { port }
    } else {
        return Err(Refused::new(field(""), "says no check"));
    };
    let ms = |seconds: Option<i32>, default: i32| {
        let seconds = seconds.filter(|s| *s > 0).unwrap_or(default);
        u64::try_from(seconds).unwrap_or(0) * 1000
    };
    let count = |n: Option<i32>, default: u32| {
        n.and_then(|n| u32::try_from(n).ok())
            .filter(|n| *n > 0)
            .unwrap_or(default)
    };
    Ok(Probe {
        check,
        on_failure,
        delay_ms: ms(said.initial_delay_seconds, 0),
        period_ms: ms(said.period_seconds, 10),
        timeout_ms: ms(said.timeout_seconds, 1),
        failures: count(said.failure_threshold, 3),
        successes: count(said.success_threshold, 1),
        grace_ms: 0,
        told: false,
        once: false,
    })
}

fn http(
    container: &Container,
    get: &HTTPGetAction,
    field: &impl Fn(&str) -> String,
) -> Result<Check, Refused> {
    if get.host.as_deref().is_some_and(|h| !h.is_empty()) {
        return Err(Refused::unserved(field(".httpGet.host")));
    }
    let port = port(container, &get.port);
    let path = get.path.as_deref().unwrap_or("/");
    Ok(Check::Http {
        port: port.ok_or_else(|| Refused::new(field(".httpGet.port"), "is no port"))?,
        path: if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        },
        statuses: Vec::new(),
        tls: get.scheme.as_deref() == Some("HTTPS"),
        headers: get
            .http_headers
            .iter()
            .flatten()
            .map(|h| (h.name.clone(), h.value.clone()))
            .collect(),
    })
}

/// A port by number, or by its name among the container's.
fn port(container: &Container, said: &IntOrString) -> Option<ProbePort> {
    let number = match said {
        IntOrString::Int(n) => *n,
        IntOrString::String(name) => {
            let mut ports = container.ports.iter().flatten();
            let named = ports.find(|p| p.name.as_deref() == Some(name));
            named.map(|p| p.container_port).or_else(|| name.parse().ok())?
        }
    };
    let inside = u16::try_from(number).ok().filter(|n| *n > 0)?;
    Some(ProbePort::Inside { inside })
}
