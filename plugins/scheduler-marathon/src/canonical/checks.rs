//! Rules on checks, and the port that a health check means when it names none.

use crate::canonical::Violations;
use crate::checks::{CheckProtocol, HealthCheck, ReadinessCheck};
use crate::request::fields::AppFields;
use crate::request::reader::NOT_SUPPORTED;

/// Checks the health and readiness checks of `fields`, whose ports stand where the network mode wants them.
pub fn check(fields: &AppFields, v: &mut Violations) {
    let health = fields.health_checks.as_deref().unwrap_or_default();
    for (i, one) in health.iter().enumerate() {
        check_health(fields, one, &format!("/healthChecks({i})"), v);
    }
    let of_node = |c: &&HealthCheck| c.command.is_none() && c.protocol.is_of_node();
    v.require(
        health.iter().filter(of_node).count() <= 1,
        "/",
        "AppDefinition can contain at most one Mesos health check",
    );
    let readiness = fields.readiness_checks.as_deref().unwrap_or_default();
    v.require(
        readiness.len() <= 1,
        "/readinessChecks/size",
        format!("got {}, expected 1 or less", readiness.len()),
    );
    for (i, one) in readiness.iter().enumerate() {
        check_readiness(fields, one, &format!("/readinessChecks({i})"), v);
    }
}

/// Gives a health check that names no port the app's first one, if the app has any.
pub fn default_ports(fields: &mut AppFields) {
    if port_count(fields) == 0 {
        return;
    }
    for check in fields.health_checks.iter_mut().flatten() {
        let names_none = check.port.is_none() && check.port_index.is_none();
        if names_none && check.protocol != CheckProtocol::Command {
            check.port_index = Some(0);
        }
    }
}

fn check_health(fields: &AppFields, check: &HealthCheck, at: &str, v: &mut Violations) {
    let is_command = check.protocol == CheckProtocol::Command;
    v.require(
        is_command == check.command.is_some(),
        at,
        match &check.command {
            Some(_) => "a command needs the protocol COMMAND",
            None => "the protocol COMMAND needs a command",
        },
    );
    let sound = |text: &Option<String>| text.as_ref().is_none_or(|t| !t.contains('\0'));
    v.require(sound(&check.command), at, "command must not contain NUL");
    let path_of = &format!("{at}/path");
    let plain = |t: &String| !t.bytes().any(|b| b.is_ascii_control() || b == b' ');
    v.require(
        check.path.as_ref().is_none_or(plain),
        path_of,
        "must contain neither spaces nor control characters",
    );
    if is_command {
        let alone = check.port.is_none() && check.path.is_none();
        v.require(alone, at, "a command has neither port nor path");
        return;
    }
    let in_range = match check.port_index {
        Some(index) => usize::from(index) < port_count(fields),
        None => check.port.is_some(),
    };
    v.require(
        in_range,
        at,
        "Health check port indices must address an element of the ports array or container port mappings.",
    );
    if let Some(port) = check.port {
        v.require(
            check.port_index.is_none(),
            at,
            "HealthCheck must specify either a port or a portIndex",
        );
        let known = fields.port_definitions.is_some()
            || mappings(fields).any(|m| m.host_port == Some(port) || m.container_port == port);
        v.require(
            known && port != 0,
            &format!("{at}/port"),
            format!("a port that is none of the app's {NOT_SUPPORTED}"),
        );
    }
}

fn check_readiness(fields: &AppFields, check: &ReadinessCheck, at: &str, v: &mut Violations) {
    let defined = fields.port_definitions.iter().flatten().map(|p| p.name.as_ref());
    let mapped = mappings(fields).map(|m| m.name.as_ref());
    let name = &check.port_name;
    v.require(
        defined.chain(mapped).flatten().any(|n| n == name),
        &format!("{at}/portName"),
        format!("No port definition reference for portName {name}"),
    );
    let (timeout, interval) = (check.timeout_seconds, check.interval_seconds);
    v.require(
        timeout < interval,
        &format!("{at}/timeoutSeconds"),
        format!("got {timeout}, expected less than {interval}"),
    );
    v.require(
        !check.path.bytes().any(|b| b.is_ascii_control() || b == b' '),
        &format!("{at}/path"),
        "must contain neither spaces nor control characters",
    );
}

fn mappings(fields: &AppFields) -> impl Iterator<Item = &crate::request::fields::MappingFields> {
    let container = fields.container.iter();
    container.flat_map(|c| c.port_mappings.iter().flatten())
}

fn port_count(fields: &AppFields) -> usize {
    match &fields.port_definitions {
        Some(definitions) => definitions.len(),
        None => mappings(fields).count(),
    }
}

#[cfg(test)]
mod tests {
    use crate::refusal::Refusal;
    use crate::tests::{app_at, canonical};

    /// `path: error` lines of a refusal by rules.
    fn broken(checks: &str) -> Vec<String> {
        let text = format!(r#"{{"id":"a","cmd":"xx",{checks}}}"#);
        let Refusal::Rules(details) = canonical(&text).expect_err(&text) else {
            panic!("{text}")
        };
        let lines = |d: &crate::refusal::Detail| {
            let path = d.path.clone();
            d.errors
                .iter()
                .map(move |e| format!("{path}: {e}"))
                .collect::<Vec<_>>()
        };
        details.iter().flat_map(lines).collect()
    }

    #[test]
    fn what_a_check_cannot_ask_is_refused_in_marathons_words() {
        let port_rule = "Health check port indices must address an element of the ports array or container port mappings.";
        for (checks, error) in [
            (
                r#""healthChecks":[{},{"portIndex":1}]"#,
                format!("/healthChecks(1): {port_rule}"),
            ),
            (
                r#""portDefinitions":[],"healthChecks":[{}]"#,
                format!("/healthChecks(0): {port_rule}"),
            ),
            (
                r#""healthChecks":[{"port":8080,"portIndex":0}]"#,
                "/healthChecks(0): HealthCheck must specify either a port or a portIndex".to_owned(),
            ),
            (
                r#""healthChecks":[{"protocol":"MESOS_HTTP"},{"protocol":"MESOS_TCP"}]"#,
                "/: AppDefinition can contain at most one Mesos health check".to_owned(),
            ),
            (
                r#""healthChecks":[{"protocol":"COMMAND"}]"#,
                "/healthChecks(0): the protocol COMMAND needs a command".to_owned(),
            ),
            (
                r#""healthChecks":[{"command":{"value":"true"}}]"#,
                "/healthChecks(0): a command needs the protocol COMMAND".to_owned(),
            ),
            (
                r#""readinessChecks":[{"portName":"default"},{"portName":"default"}]"#,
                "/readinessChecks/size: got 2, expected 1 or less".to_owned(),
            ),
            (
                r#""readinessChecks":[{}]"#,
                "/readinessChecks(0)/portName: No port definition reference for portName http-api".to_owned(),
            ),
            (
                r#""readinessChecks":[{"portName":"default","intervalSeconds":5,"timeoutSeconds":5}]"#,
                "/readinessChecks(0)/timeoutSeconds: got 5, expected less than 5".to_owned(),
            ),
        ] {
            assert_eq!(broken(checks), [error], "{checks}");
        }
    }

    #[test]
    fn several_commands_and_several_of_marathons_own_are_fine() {
        let command = r#"{"protocol":"COMMAND","command":{"value":"true"}}"#;
        let text = format!(
            r#"{{"id":"a","cmd":"xx","healthChecks":[{{}},{{"protocol":"TCP"}},{command},{command}]}}"#
        );
        assert!(canonical(&text).is_ok());
    }

    #[test]
    fn a_check_that_names_no_port_means_the_first_if_there_is_one() {
        let of = |rest: &str, check: &str| {
            let text = format!(r#"{{"id":"a","cmd":"xx",{rest}"healthChecks":[{check}]}}"#);
            app_at(&text, 0).config.health_checks[0].port_index
        };
        assert_eq!(of("", "{}"), Some(0));
        assert_eq!(of("", r#"{"port":80}"#), None);
        assert_eq!(
            of("", r#"{"protocol":"COMMAND","command":{"value":"true"}}"#),
            None
        );
        assert_eq!(of(r#""portDefinitions":[],"#, r#"{"port":80}"#), None);
    }
}
