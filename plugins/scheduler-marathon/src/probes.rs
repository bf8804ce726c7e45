//! The checks of an app lowered to probes of the pool. All are told one by one: what a failure means is decided
//! by the planner, as in Marathon, so an app whose scheduler is away is not killed.

use crate::app::{App, Config};
use crate::checks::{CheckProtocol, HealthCheck, HttpScheme, ReadinessCheck};
use plenum_model::spec::{Check, OnFailure, Probe, ProbePort};
use plenum_model::task::{CheckStatus, Task};

/// Marathon asks first no later than this after a check began, in milliseconds.
const FIRST_AT_LATEST_MS: u64 = 5_000;

/// The probes of each task: its health checks in order, then its readiness check.
#[must_use]
pub fn of(config: &Config) -> Vec<Probe> {
    let health = config.health_checks.iter().map(|c| health(config, c));
    let readiness = config.readiness_checks.iter().map(|c| readiness(config, c));
    health.chain(readiness).collect()
}

/// How each health check of a task of `app` stands; none: nothing that counts was seen yet.
pub fn health_of<'a>(
    app: &'a App,
    task: &'a Task,
) -> impl Iterator<Item = (&'a HealthCheck, Option<&'a CheckStatus>)> {
    let told = |i: usize| task.status.checks.get(i);
    let checks = app.config.health_checks.iter().enumerate();
    checks.map(move |(i, check)| (check, told(i)))
}

/// Whether the readiness check of a task of `app` has passed; none: the app has none.
#[must_use]
pub fn is_ready(app: &App, task: &Task) -> Option<bool> {
    app.config.readiness_checks.first()?;
    let told = task.status.checks.get(app.config.health_checks.len());
    Some(told.is_some_and(|check| check.passes == Some(true)))
}

/// The check for which a task of `app` must be killed, if there is one.
#[must_use]
pub fn deadly<'a>(app: &'a App, task: &'a Task) -> Option<&'a CheckStatus> {
    health_of(app, task).find_map(|(check, told)| {
        let most = check.kills_at()?;
        told.filter(|told| told.failures >= most)
    })
}

fn health(config: &Config, check: &HealthCheck) -> Probe {
    let port = || port_of(config, check);
    let get = |tls| Check::Http {
        port: port(),
        path: check.path.clone().unwrap_or_else(|| "/".to_owned()),
        tls,
        headers: Vec::new(),
        statuses: Vec::new(),
    };
    let asked = match check.protocol {
        CheckProtocol::Http | CheckProtocol::MesosHttp => get(false),
        CheckProtocol::Https | CheckProtocol::MesosHttps => get(true),
        CheckProtocol::Tcp | CheckProtocol::MesosTcp => Check::Tcp { port: port() },
        CheckProtocol::Command => {
            let shell = check.command.clone().unwrap_or_default();
            Check::Exec(vec!["/bin/sh".into(), "-c".into(), shell.into()])
        }
    };
    let period_ms = at_least_a_second(check.interval_seconds);
    Probe {
        delay_ms: if check.protocol.is_of_node() {
            u64::from(check.delay_seconds) * 1000
        } else {
            period_ms.min(FIRST_AT_LATEST_MS)
        },
        grace_ms: u64::from(check.grace_seconds) * 1000,
        ..told(asked, period_ms, check.timeout_seconds)
    }
}

fn readiness(config: &Config, check: &ReadinessCheck) -> Probe {
    let defined = config.port_definitions.iter().flatten().map(|p| p.name.as_ref());
    let mapped = config.port_mappings().iter().map(|p| p.name.as_ref());
    let named = |name: Option<&String>| name == Some(&check.port_name);
    let index = defined.chain(mapped).position(named).unwrap_or(0);
    let asked = Check::Http {
        port: ProbePort::Claim(u16::try_from(index).unwrap_or(u16::MAX)),
        path: check.path.clone(),
        tls: check.protocol == HttpScheme::Https,
        headers: Vec::new(),
        statuses: check.statuses.clone(),
    };
    Probe {
        once: true,
        ..told(
            asked,
            at_least_a_second(check.interval_seconds),
            check.timeout_seconds,
        )
    }
}

/// A probe that one result settles, asked as soon as the task runs.
fn told(check: Check, period_ms: u64, timeout_seconds: u32) -> Probe {
    Probe {
        check,
        on_failure: OnFailure::Report,
        delay_ms: 0,
        period_ms,
        timeout_ms: at_least_a_second(timeout_seconds),
        failures: 1,
        successes: 1,
        grace_ms: 0,
        told: true,
        once: false,
    }
}

fn at_least_a_second(seconds: u32) -> u64 {
    u64::from(seconds.max(1)) * 1000
}

/// Where a check asks: at the node's address at the host port, which also leads to a port inside.
fn port_of(config: &Config, check: &HealthCheck) -> ProbePort {
    let claim = |i: usize| ProbePort::Claim(u16::try_from(i).unwrap_or(u16::MAX));
    match (check.port_index, check.port) {
        (Some(index), _) => ProbePort::Claim(index),
        (None, Some(port)) => {
            let mut mapped = config.port_mappings().iter();
            let this = mapped.position(|m| m.host_port == port || m.container_port == port);
            this.map_or(ProbePort::Inside { inside: port }, claim)
        }
        (None, None) => ProbePort::Claim(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{app_at, task_of};
    use plenum_model::phase::Phase;

    fn probes(checks: &str, rest: &str) -> Vec<Probe> {
        of(&app_at(&format!(r#"{{"id":"/a",{rest},{checks}}}"#), 0).config)
    }

    #[test]
    fn each_protocol_is_asked_where_it_says() {
        let host = r#""cmd":"xx","portDefinitions":[{"port":0},{"port":0,"name":"admin"}]"#;
        let bridge = r#""container":{"docker":{"image":"i","network":"BRIDGE",
            "portMappings":[{"containerPort":80},{"containerPort":81,"hostPort":9000}]}}"#;
        let tcp = |port| Check::Tcp { port };
        for (check, rest, asked) in [
            (r#"{"protocol":"TCP"}"#, host, tcp(ProbePort::Claim(0))),
            (
                r#"{"protocol":"TCP","portIndex":1}"#,
                host,
                tcp(ProbePort::Claim(1)),
            ),
            (
                r#"{"protocol":"TCP","port":22}"#,
                host,
                tcp(ProbePort::Inside { inside: 22 }),
            ),
            (
                r#"{"protocol":"TCP","port":9000}"#,
                bridge,
                tcp(ProbePort::Claim(1)),
            ),
            (
                r#"{"protocol":"MESOS_TCP","port":80}"#,
                bridge,
                tcp(ProbePort::Claim(0)),
            ),
            (
                r#"{"protocol":"COMMAND","command":{"value":"test -f x"}}"#,
                host,
                Check::Exec(vec!["/bin/sh".into(), "-c".into(), "test -f x".into()]),
            ),
        ] {
            let probe = probes(&format!(r#""healthChecks":[{check}]"#), rest).remove(0);
            assert_eq!(probe.check, asked, "{check}");
            assert!(probe.told && !probe.once, "{check}");
        }
    }

    #[test]
    fn the_numbers_of_a_check_are_those_of_its_protocol() {
        let host = r#""cmd":"xx""#;
        let of = |check: &str| probes(&format!(r#""healthChecks":[{check}]"#), host).remove(0);
        let own = of(r#"{"path":"health","delaySeconds":60}"#);
        assert_eq!(
            (own.delay_ms, own.period_ms, own.timeout_ms, own.grace_ms),
            (5_000, 60_000, 20_000, 300_000)
        );
        let quick = of(r#"{"intervalSeconds":1,"timeoutSeconds":0}"#);
        assert_eq!(
            (quick.delay_ms, quick.period_ms, quick.timeout_ms),
            (1_000, 1_000, 1_000)
        );
        assert_eq!(
            of(r#"{"protocol":"MESOS_HTTP","delaySeconds":60}"#).delay_ms,
            60_000
        );
    }

    #[test]
    fn a_readiness_check_comes_last_is_asked_at_once_and_no_more_when_it_has_passed() {
        let text = r#""healthChecks":[{}],"readinessChecks":[{"portName":"admin","httpStatusCodesForReady":[204,200]}]"#;
        let host = r#""cmd":"xx","portDefinitions":[{"port":0},{"port":0,"name":"admin"}]"#;
        let probe = probes(text, host).remove(1);
        assert!(probe.once && probe.delay_ms == 0 && probe.grace_ms == 0);
        let Check::Http {
            port, statuses, path, ..
        } = probe.check
        else {
            panic!("{probe:?}")
        };
        assert_eq!(
            (port, statuses, path.as_str()),
            (ProbePort::Claim(1), vec![204, 200], "/")
        );
    }

    #[test]
    fn an_instance_is_killed_at_one_more_failure_than_marathon_is_told_and_at_as_many_by_the_node() {
        for (check, failures) in [
            (r#"{"maxConsecutiveFailures":2}"#, Some(3)),
            (r#"{"maxConsecutiveFailures":0}"#, None),
            (r#"{"protocol":"MESOS_HTTP","maxConsecutiveFailures":2}"#, Some(2)),
            (r#"{"protocol":"MESOS_TCP","maxConsecutiveFailures":0}"#, Some(1)),
        ] {
            let app = app_at(
                &format!(r#"{{"id":"/a","cmd":"xx","healthChecks":[{check}]}}"#),
                0,
            );
            let mut task = task_of(&app, 0, 1, Phase::Running);
            let mut first = None;
            for n in 1..=100 {
                task.status.checks = vec![CheckStatus {
                    failures: n,
                    ..CheckStatus::default()
                }];
                if first.is_none() && deadly(&app, &task).is_some() {
                    first = Some(n);
                }
            }
            assert_eq!(first, failures, "{check}");
        }
    }
}
