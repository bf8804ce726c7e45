//! The environment of a task, as Marathon gives it: context, labels and ports first, the user's own last, so
//! that it wins.

use crate::app::{App, Config, NetworkMode};
use crate::lower::is_docker_engine;
use plenum_model::template::{Placeholder, Template};
use std::collections::BTreeMap;

/// Names and values, in order; a later one of the same name wins.
#[must_use]
pub fn of(app: &App) -> Vec<(String, Template)> {
    let mut env = context(app);
    env.extend(labels(&app.config.labels).into_iter().map(|(k, v)| (k, v.into())));
    env.extend(ports(&app.config));
    env.extend(app.config.env.iter().map(|(k, v)| (k.clone(), v.as_str().into())));
    env
}

fn context(app: &App) -> Vec<(String, Template)> {
    let c = &app.config;
    let mut env: Vec<(String, Template)> = vec![
        ("HOST".into(), Template::fill(Placeholder::NodeAddress)),
        ("MESOS_TASK_ID".into(), Template::fill(Placeholder::TaskName)),
        ("MESOS_SANDBOX".into(), Template::fill(Placeholder::Sandbox)),
        ("MARATHON_APP_ID".into(), app.id.to_string().into()),
        (
            "MARATHON_APP_VERSION".into(),
            app.config_version().to_string().into(),
        ),
        ("MARATHON_APP_RESOURCE_CPUS".into(), java_double(c.cpus).into()),
        ("MARATHON_APP_RESOURCE_MEM".into(), java_double(c.mem).into()),
        ("MARATHON_APP_RESOURCE_DISK".into(), java_double(c.disk).into()),
        ("MARATHON_APP_RESOURCE_GPUS".into(), "0".into()),
    ];
    if let Some(docker) = c.docker().filter(|_| is_docker_engine(c)) {
        env.push(("MARATHON_APP_DOCKER_IMAGE".into(), docker.image.as_str().into()));
    }
    env
}

/// The longest text that an environment variable made from a label may have, in characters.
const LONGEST: usize = 512;
const LABEL_PREFIX: &str = "MARATHON_APP_LABEL_";

fn labels(labels: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let short = |(key, value): &(&String, &String)| {
        key.chars().count() < LONGEST - LABEL_PREFIX.len() && value.chars().count() < LONGEST
    };
    let short: BTreeMap<_, _> = labels
        .iter()
        .filter(short)
        .map(|(k, v)| (shell_name(k), v))
        .collect();
    let names = short.keys().map(String::as_str).collect::<Vec<_>>().join(" ");
    let mut env = vec![("MARATHON_APP_LABELS".to_owned(), names)];
    env.extend(
        short
            .into_iter()
            .map(|(k, v)| (format!("{LABEL_PREFIX}{k}"), v.clone())),
    );
    env
}

/// Upper case, every run of other characters one `_`.
fn shell_name(name: &str) -> String {
    let mut out = String::new();
    let mut in_run = false;
    for c in name.chars() {
        let plain = c.is_ascii_alphanumeric() || c == '_';
        if plain {
            out.push(c.to_ascii_uppercase());
        } else if !in_run {
            out.push('_');
        }
        in_run = !plain;
    }
    out
}

/// `PORT`, `PORTS`, `PORT0`..., `PORT_<number asked for>`, `PORT_<NAME>`: all of them host ports.
fn ports(config: &Config) -> Vec<(String, Template)> {
    let asked: Vec<(Option<&str>, u16)> = match config.network {
        NetworkMode::Host => config
            .port_definitions
            .iter()
            .flatten()
            .map(|p| (p.name.as_deref(), p.port))
            .collect(),
        NetworkMode::Bridge => config
            .port_mappings()
            .iter()
            .map(|p| (p.name.as_deref(), p.container_port))
            .collect(),
    };
    if asked.is_empty() {
        return Vec::new();
    }
    let indexed = || (0_u16..).zip(asked.iter());
    let host = |i: u16| Template::fill(Placeholder::HostPort(i));
    let mut env: Vec<_> = indexed().map(|(i, _)| (format!("PORT{i}"), host(i))).collect();
    env.extend(
        indexed()
            .filter(|(_, (_, n))| *n != 0)
            .map(|(i, (_, n))| (format!("PORT_{n}"), host(i))),
    );
    let named = indexed().filter_map(|(i, (name, _))| name.map(|name| (i, name)));
    env.extend(named.map(|(i, name)| (format!("PORT_{}", name.to_uppercase()), host(i))));
    env.push(("PORT".to_owned(), host(0)));
    env.push((
        "PORTS".to_owned(),
        Template::join(indexed().map(|(i, _)| host(i)), ","),
    ));
    env
}

/// A double as Java writes it: `1.0`, `0.1`, `1.0E7`.
#[must_use]
pub fn java_double(v: f64) -> String {
    if v == 0.0 || (1e-3..1e7).contains(&v.abs()) {
        return format!("{v:?}");
    }
    let text = format!("{v:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let point = if digits.contains('.') { "" } else { ".0" };
    format!("{digits}{point}E{exponent}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::app_at;

    fn filled(text: &str) -> BTreeMap<String, String> {
        let app = app_at(text, 0);
        let value = |p| {
            Some(match p {
                Placeholder::HostPort(i) => (31_000 + u32::from(i)).to_string(),
                other => format!("<{other:?}>"),
            })
        };
        of(&app)
            .into_iter()
            .map(|(k, t)| (k, t.expand(value).unwrap()))
            .collect()
    }

    #[test]
    fn a_task_on_the_hosts_network_knows_its_ports_by_every_name() {
        let env = filled(
            r#"{"id":"/g/a","cmd":"xx","cpus":0.1,"mem":64,
                "portDefinitions":[{"port":10000,"name":"http"},{"port":8080,"name":"admin-x"}]}"#,
        );
        for (name, value) in [
            ("PORT", "31000"),
            ("PORTS", "31000,31001"),
            ("PORT0", "31000"),
            ("PORT1", "31001"),
            ("PORT_10000", "31000"),
            ("PORT_8080", "31001"),
            ("PORT_HTTP", "31000"),
            ("PORT_ADMIN-X", "31001"),
            ("HOST", "<NodeAddress>"),
            ("MESOS_TASK_ID", "<TaskName>"),
            ("MARATHON_APP_ID", "/g/a"),
            ("MARATHON_APP_VERSION", "1970-01-01T00:00:00.000Z"),
            ("MARATHON_APP_RESOURCE_CPUS", "0.1"),
            ("MARATHON_APP_RESOURCE_MEM", "64.0"),
            ("MARATHON_APP_RESOURCE_DISK", "0.0"),
            ("MARATHON_APP_RESOURCE_GPUS", "0"),
            ("MARATHON_APP_LABELS", ""),
        ] {
            assert_eq!(env.get(name).map(String::as_str), Some(value), "{name}");
        }
        assert!(!env.contains_key("MARATHON_APP_DOCKER_IMAGE"));
    }

    #[test]
    fn a_bridged_task_knows_the_host_port_by_its_container_port() {
        let env = filled(
            r#"{"id":"a","container":{"docker":{"image":"nginx","network":"BRIDGE",
                "portMappings":[{"containerPort":80}]}}}"#,
        );
        assert_eq!(env.get("PORT_80").map(String::as_str), Some("31000"));
        assert_eq!(
            env.get("MARATHON_APP_DOCKER_IMAGE").map(String::as_str),
            Some("nginx")
        );
    }

    #[test]
    fn no_ports_no_port_variables() {
        let env = filled(r#"{"id":"a","cmd":"xx","portDefinitions":[]}"#);
        assert!(!env.keys().any(|k| k.starts_with("PORT")), "{env:?}");
    }

    #[test]
    fn labels_become_names_a_shell_can_read_and_long_ones_are_left_out() {
        let long = "x".repeat(512);
        let env = filled(&format!(
            r#"{{"id":"a","cmd":"xx","labels":{{"com.example--x":"1","b_c":"2","long":"{long}","{long}":"v"}}}}"#
        ));
        assert_eq!(env["MARATHON_APP_LABELS"], "B_C COM_EXAMPLE_X");
        assert_eq!(env["MARATHON_APP_LABEL_COM_EXAMPLE_X"], "1");
        assert_eq!(
            env.keys()
                .filter(|k| k.starts_with("MARATHON_APP_LABEL_"))
                .count(),
            2
        );
    }

    #[test]
    fn the_users_own_value_wins() {
        assert_eq!(
            filled(r#"{"id":"a","cmd":"xx","env":{"PORT0":"7","HOST":"h"}}"#)["PORT0"],
            "7"
        );
    }

    #[test]
    fn numbers_are_written_as_java_does() {
        for (v, text) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1e7, "1.0E7"),
            (1.25e8, "1.25E8"),
            (1e-4, "1.0E-4"),
            (0.0, "0.0"),
        ] {
            assert_eq!(java_double(v), text);
        }
    }
}
