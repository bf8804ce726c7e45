//! Reading an app, or a change to one.

use crate::app::{KillSelection, Unreachable, UpgradeStrategy};
use crate::json::Json;
use crate::path;
use crate::refusal::Refusal;
use crate::request::checks;
use crate::request::container;
use crate::request::fields::AppFields;
use crate::request::names::{APP, UNREACHABLE, UPGRADE_STRATEGY, UnknownFields};
use crate::request::ports;
use crate::request::reader::{At, NOT_SUPPORTED, Object, Reader, Whole};

/// Whether a request must be a whole app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A whole app: `id` must be there.
    Whole,
    /// Changed fields only.
    Change,
}

/// Parses a body.
///
/// # Errors
/// `EmptyBody`, or `Malformed` with what the parser says.
pub fn parse_body(body: &[u8]) -> Result<Json, Refusal> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Refusal::EmptyBody);
    }
    Json::parse(body).map_err(|e| Refusal::Malformed(e.to_string()))
}

/// Reads one app or change.
///
/// # Errors
/// `Fields` with everything that is wrong, else `Rules` with everything that is not served.
pub fn read_app(json: &Json, form: Form, unknown: UnknownFields) -> Result<AppFields, Refusal> {
    let mut reader = Reader::new(unknown);
    let fields = app(&mut reader, At::root(json), form);
    reader.finish(fields)
}

/// Reads an array of apps or changes.
///
/// # Errors
/// As [`read_app`], with the index in each path.
pub fn read_apps(json: &Json, form: Form, unknown: UnknownFields) -> Result<Vec<AppFields>, Refusal> {
    let mut reader = Reader::new(unknown);
    let fields = reader.list(At::root(json), |r, at| app(r, at, form));
    reader.finish(fields)
}

/// Reads an app where it stands in a request.
pub(super) fn app(r: &mut Reader, at: At<'_>, form: Form) -> Option<AppFields> {
    let o = r.object(at, &APP)?;
    let id = match form {
        Form::Whole => r.required(&o, "id", path_id),
        Form::Change => r.optional(&o, "id", path_id),
    };
    let mut fields = AppFields {
        id,
        ..AppFields::default()
    };
    read_command(r, &o, &mut fields);
    read_amounts(r, &o, &mut fields);
    read_placing(r, &o, &mut fields);
    read_changing(r, &o, &mut fields);
    Some(fields)
}

/// An id of an app or a group as written, absolute or relative.
pub(super) fn path_id(r: &mut Reader, at: At<'_>) -> Option<String> {
    let path = at.path.clone();
    let id = r.filled(at)?;
    if path::is_path(&id) {
        Some(id)
    } else {
        r.wrong(&path, "error.pattern")
    }
}

fn read_command(r: &mut Reader, o: &Object<'_>, fields: &mut AppFields) {
    fields.cmd = r.optional(o, "cmd", Reader::filled);
    fields.args = r.optional(o, "args", |r, at| r.list(at, Reader::text));
    fields.user = r.optional(o, "user", Reader::text);
    fields.env = r.optional(o, "env", |r, at| r.map(at, env_value));
    fields.labels = r.optional(o, "labels", Reader::text_map);
    fields.dependencies = r.optional(o, "dependencies", |r, at| r.list(at, path_id));
    fields.executor = r.optional(o, "executor", executor);
    fields.container = r.optional(o, "container", container::container);
}

fn env_value(r: &mut Reader, at: At<'_>) -> Option<String> {
    if let Json::Object(entries) = at.json
        && entries.iter().any(|(key, _)| key == "secret")
    {
        return r.unserved(&at.path, format!("a secret {NOT_SUPPORTED}"));
    }
    r.text(at)
}

fn executor(r: &mut Reader, at: At<'_>) -> Option<String> {
    let path = at.path.clone();
    match r.text(at)? {
        text if text.is_empty() || text == "//cmd" => Some(text),
        _ => r.unserved(&path, NOT_SUPPORTED),
    }
}

fn read_amounts(r: &mut Reader, o: &Object<'_>, fields: &mut AppFields) {
    fields.instances = r.optional(o, "instances", Reader::count);
    fields.cpus = r.optional(o, "cpus", |r, at| r.double(at, 0.001, f64::MAX));
    fields.mem = r.optional(o, "mem", |r, at| r.double(at, 0.0, f64::MAX));
    fields.disk = r.optional(o, "disk", |r, at| r.double(at, 0.0, f64::MAX));
}

fn read_placing(r: &mut Reader, o: &Object<'_>, fields: &mut AppFields) {
    fields.networks = r.optional(o, "networks", |r, at| r.list(at, container::network));
    fields.port_definitions = r.optional(o, "portDefinitions", |r, at| r.list(at, ports::definition));
    fields.ports = r.optional(o, "ports", |r, at| r.list(at, Reader::port));
    fields.require_ports = r.optional(o, "requirePorts", Reader::boolean);
    fields.accepted_resource_roles = r.optional(o, "acceptedResourceRoles", |r, at| r.list(at, Reader::text));
}

fn read_changing(r: &mut Reader, o: &Object<'_>, fields: &mut AppFields) {
    const SELECTIONS: [(&str, KillSelection); 2] = [
        ("YOUNGEST_FIRST", KillSelection::YoungestFirst),
        ("OLDEST_FIRST", KillSelection::OldestFirst),
    ];
    fields.backoff_seconds = r.optional(o, "backoffSeconds", Reader::count);
    fields.backoff_factor = r.optional(o, "backoffFactor", |r, at| r.double(at, 1.0, f64::MAX));
    fields.max_launch_delay_seconds = r.optional(o, "maxLaunchDelaySeconds", Reader::count);
    fields.kill_grace_seconds = r.optional(o, "taskKillGracePeriodSeconds", Reader::count);
    fields.upgrade = r.optional(o, "upgradeStrategy", upgrade_strategy);
    fields.kill_selection = r.optional(o, "killSelection", |r, at| r.choice(at, &SELECTIONS));
    fields.unreachable = r.optional(o, "unreachableStrategy", unreachable);
    fields.version = r.optional(o, "version", version);
    fields.constraints = r.optional(o, "constraints", |r, at| {
        r.list(at, |r, at| r.list(at, Reader::text))
    });
    fields.health_checks = r.optional(o, "healthChecks", |r, at| r.list(at, checks::health));
    fields.readiness_checks = r.optional(o, "readinessChecks", |r, at| r.list(at, checks::readiness));
}

fn upgrade_strategy(r: &mut Reader, at: At<'_>) -> Option<UpgradeStrategy> {
    let o = r.object(at, &UPGRADE_STRATEGY)?;
    let over = r.required(&o, "maximumOverCapacity", |r, at| r.double(at, 0.0, 1.0));
    let healthy = r.required(&o, "minimumHealthCapacity", |r, at| r.double(at, 0.0, 1.0));
    Some(UpgradeStrategy {
        maximum_over_capacity: over?,
        minimum_health_capacity: healthy?,
    })
}

fn unreachable(r: &mut Reader, at: At<'_>) -> Option<Unreachable> {
    if matches!(at.json, Json::Text(_)) {
        return r.choice(at, &[("disabled", Unreachable::Disabled)]);
    }
    let seconds = |r: &mut Reader, at: At<'_>| {
        // Marathon takes 64 bits here; four thousand million seconds are 136 years
        let v = r.whole(at, Whole::Long, 0, i64::from(u32::MAX))?;
        u32::try_from(v).ok()
    };
    let o = r.object(at, &UNREACHABLE)?;
    Some(Unreachable::After {
        inactive_seconds: r.optional(&o, "inactiveAfterSeconds", seconds).unwrap_or(0),
        expunge_seconds: r.optional(&o, "expungeAfterSeconds", seconds).unwrap_or(0),
    })
}

/// A version as answers write it.
pub(super) fn version(r: &mut Reader, at: At<'_>) -> Option<String> {
    let path = at.path.clone();
    let text = r.text(at)?;
    if text.parse::<crate::stamp::Stamp>().is_ok() {
        return Some(text);
    }
    r.wrong(&path, "error.expected.jodadate.format")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<AppFields, Refusal> {
        read_app(&parse_body(text.as_bytes())?, Form::Whole, UnknownFields::Refuse)
    }

    /// `path: error` lines of a refusal, sorted, with the stage in front.
    fn refused(text: &str) -> (String, Vec<String>) {
        let refusal = read(text).expect_err(text);
        let (stage, details) = match refusal {
            Refusal::Fields(details) => ("fields", details),
            Refusal::Rules(details) => ("rules", details),
            other => (if other.status() == 400 { "400" } else { "?" }, Vec::new()),
        };
        let mut lines: Vec<_> = details
            .iter()
            .flat_map(|d| d.errors.iter().map(|e| format!("{}: {e}", d.path)))
            .collect();
        lines.sort();
        (stage.to_owned(), lines)
    }

    #[test]
    fn a_body_that_is_no_json_or_no_body_is_400() {
        assert_eq!(read("{").unwrap_err().status(), 400);
        assert_eq!(read("  ").unwrap_err(), Refusal::EmptyBody);
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let (stage, lines) = refused(
            r#"{"id":"/A","cpus":-1,"mem":"x","instances":1.5,"env":{"A":1},"labels":[],
                "upgradeStrategy":{"minimumHealthCapacity":1.5},"killSelection":"x",
                "portDefinitions":[{"port":70000},{"name":"A"}],
                "container":{"type":"LXC","docker":{"network":"X"},"volumes":[{"mode":"RW"}]}}"#,
        );
        assert_eq!(stage, "fields");
        let expected = [
            "/container/docker/image: 'image' is undefined on object: {\"network\":\"X\"}",
            "/container/docker/network: error.unknown.enum.literal",
            "/container/type: error.unknown.enum.literal",
            "/container/volumes(0)/containerPath: 'containerPath' is undefined on object: {\"mode\":\"RW\"}",
            "/container/volumes(0)/hostPath: 'hostPath' is undefined on object: {\"mode\":\"RW\"}",
            "/cpus: error.min",
            "/env/A: error.expected.jsstring",
            "/id: error.pattern",
            "/instances: error.expected.int",
            "/killSelection: error.unknown.enum.literal",
            "/labels: error.expected.jsobject",
            "/mem: error.expected.jsnumber",
            "/portDefinitions(0)/port: error.max",
            "/portDefinitions(1)/name: error.pattern",
            "/upgradeStrategy/maximumOverCapacity: 'maximumOverCapacity' is undefined on object: {\"minimumHealthCapacity\":1.5}",
            "/upgradeStrategy/minimumHealthCapacity: error.max",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_missing_id_quotes_the_object() {
        assert_eq!(refused("{}").1, ["/id: 'id' is undefined on object: {}"]);
        assert_eq!(refused("[]").1, [": error.expected.jsobject"]);
    }

    #[test]
    fn null_is_absent_everywhere() {
        let names: Vec<_> = APP
            .served
            .iter()
            .filter(|n| **n != "id")
            .map(|n| format!("\"{n}\":null"))
            .collect();
        let fields = read(&format!("{{\"id\":\"a\",{}}}", names.join(","))).unwrap();
        assert_eq!(
            fields,
            AppFields {
                id: Some("a".into()),
                ..AppFields::default()
            }
        );
    }

    #[test]
    fn what_clients_send_back_of_an_answer_is_ignored() {
        let text = r#"{"id":"a","tasks":[{"x":1}],"tasksStaged":0,"versionInfo":{},"deployments":[],"lastTaskFailure":{}}"#;
        assert!(read(text).is_ok());
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_nearest_known_one_unless_told_otherwise() {
        let text = r#"{"id":"a","cpu":1,"container":{"docker":{"image":"i","forcePullImag":true}}}"#;
        assert_eq!(
            refused(text).1,
            [
                "/container/docker/forcePullImag: 'forcePullImag' is not a known field, did you mean 'forcePullImage'?",
                "/cpu: 'cpu' is not a known field, did you mean 'cpus'?",
            ]
        );
        let json = parse_body(text.as_bytes()).unwrap();
        assert!(read_app(&json, Form::Whole, UnknownFields::Ignore).is_ok());
    }

    #[test]
    fn what_is_not_served_is_refused_by_path_and_accepted_at_its_default() {
        let (stage, lines) = refused(
            r#"{"id":"a","gpus":1,"healthChecks":[{"ignoreHttp1xx":true}],
               "env":{"S":{"secret":"s"}},"networks":[{"name":"dcos"}],"executor":"/x",
               "container":{"docker":{"image":"i","parameters":[{"key":"a","value":"b"}],"network":"USER"},
                            "volumes":[{"containerPath":"d","mode":"RW","persistent":{"size":1}}]}}"#,
        );
        assert_eq!(stage, "rules");
        let paths: Vec<_> = lines.iter().map(|l| l.split(':').next().unwrap()).collect();
        assert_eq!(
            paths,
            [
                "/container/docker/network",
                "/container/docker/parameters",
                "/container/volumes(0)/persistent",
                "/env/S",
                "/executor",
                "/gpus",
                "/healthChecks(0)/ignoreHttp1xx",
                "/networks(0)/mode",
            ]
        );
        assert!(lines.iter().all(|l| l.ends_with(NOT_SUPPORTED)), "{lines:?}");
        let defaults = r#"{"id":"a","gpus":0,"healthChecks":[],"constraints":[],"dependencies":[],"secrets":{},"fetch":[],
            "uris":[],"tty":false,"residency":null,"storeUrls":[],"taskRateLimit":null,"readinessChecks":[],"executor":""}"#;
        assert!(read(defaults).is_ok());
    }

    #[test]
    fn wrong_fields_are_told_before_what_is_not_served() {
        let (stage, lines) = refused(r#"{"id":"a","gpus":1,"cpus":"x"}"#);
        assert_eq!(
            (stage.as_str(), lines.as_slice()),
            ("fields", &["/cpus: error.expected.jsnumber".to_owned()][..])
        );
    }

    #[test]
    fn an_unreachable_strategy_is_a_word_or_an_object() {
        let of = |s: &str| read(&format!(r#"{{"id":"a","unreachableStrategy":{s}}}"#));
        assert_eq!(
            of("\"disabled\"").unwrap().unreachable,
            Some(Unreachable::Disabled)
        );
        assert_eq!(
            of(r#"{"inactiveAfterSeconds":5}"#).unwrap().unreachable,
            Some(Unreachable::After {
                inactive_seconds: 5,
                expunge_seconds: 0
            })
        );
        assert!(of("\"never\"").is_err() && of(r#"{"inactiveAfterSeconds":-1}"#).is_err());
    }

    #[test]
    fn arrays_carry_the_index_in_the_path() {
        let json = parse_body(br#"[{"id":"a"},{"cpus":0}]"#).unwrap();
        let refusal = read_apps(&json, Form::Whole, UnknownFields::Refuse).unwrap_err();
        let Refusal::Fields(details) = refusal else {
            panic!("{refusal}")
        };
        let paths: Vec<_> = details.iter().map(|d| d.path.as_str()).collect();
        assert_eq!(paths, ["(1)/id", "(1)/cpus"]);
    }
}
