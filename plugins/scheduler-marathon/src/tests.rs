//! What a request becomes, end to end over the pure modules, and helpers for the tests of each.

use crate::app::{App, Config, Engine, NetworkMode, PortDefinition, Protocol, Unreachable, UpgradeStrategy};
use crate::canonical::Canonical;
use crate::lower::{self, CpuCap, TenantRule};
use crate::names;
use crate::refusal::Refusal;
use crate::request::app::{Form, parse_body, read_app};
use crate::request::names::UnknownFields;
use crate::stamp::Stamp;
use crate::update::{self, Change};
use plenum_model::claim::Seat;
use plenum_model::ids::{Generation, NodeId, SchedulerId, TaskId};
use plenum_model::phase::Phase;
use plenum_model::task::{Status, Task};
use std::sync::Arc;

/// The canonical form of a whole app.
pub(crate) fn canonical(text: &str) -> Result<Canonical, Refusal> {
    let json = parse_body(text.as_bytes())?;
    crate::canonical::canonical(read_app(&json, Form::Whole, UnknownFields::Refuse)?)
}

/// The first version of a whole app, made at `ms`.
pub(crate) fn app_at(text: &str, ms: i64) -> App {
    update::created(canonical(text).unwrap(), Stamp::from_ms(ms))
}

fn change(text: &str, current: &App) -> Result<Change, Refusal> {
    let json = parse_body(text.as_bytes())?;
    update::partial(read_app(&json, Form::Change, UnknownFields::Refuse)?, current)
}

fn changed_to(text: &str, current: &App) -> Canonical {
    match change(text, current).unwrap() {
        Change::To(new) => *new,
        Change::Back(version) => panic!("rollback to {version}"),
    }
}

fn config(text: &str) -> Config {
    canonical(text).unwrap().config
}

fn rule_paths(text: &str) -> Vec<String> {
    match canonical(text).expect_err(text) {
        Refusal::Rules(details) => details.into_iter().map(|d| d.path).collect(),
        other => panic!("{text}: {other}"),
    }
}

#[test]
fn an_app_of_two_fields_has_every_default() {
    let app = canonical(r#"{"id":"shop/../web","cmd":"sleep 1"}"#).unwrap();
    assert_eq!((app.id.to_string().as_str(), app.instances), ("/web", 1));
    let c = app.config;
    assert_eq!((c.cpus, c.mem, c.disk), (1.0, 128.0, 0.0));
    assert_eq!(
        (c.backoff.seconds, c.backoff.factor, c.backoff.max_seconds),
        (1, 1.15, 300)
    );
    assert_eq!(
        c.upgrade,
        UpgradeStrategy {
            maximum_over_capacity: 1.0,
            minimum_health_capacity: 1.0
        }
    );
    assert_eq!(
        c.unreachable,
        Unreachable::After {
            inactive_seconds: 0,
            expunge_seconds: 0
        }
    );
    assert_eq!(c.network, NetworkMode::Host);
    let default_port = PortDefinition {
        port: 0,
        protocol: Protocol::Tcp,
        name: Some("default".into()),
        labels: [].into(),
    };
    assert_eq!(c.port_definitions, Some(vec![default_port]));
}

#[test]
fn ports_stand_where_the_network_mode_wants_them() {
    let none = config(r#"{"id":"a","cmd":"xx","portDefinitions":[]}"#);
    assert_eq!(none.port_definitions, Some(vec![]));
    let old = config(r#"{"id":"a","cmd":"xx","ports":[0,8080],"requirePorts":true}"#);
    assert_eq!(
        old.port_definitions
            .as_ref()
            .map(|p| p.iter().map(|d| d.port).collect()),
        Some(vec![0, 8080])
    );
    assert!(old.require_ports);

    let bridged = config(
        r#"{"id":"a","requirePorts":true,"container":{"docker":{"image":"nginx","network":"BRIDGE",
            "portMappings":[{"containerPort":80}]}}}"#,
    );
    assert_eq!(
        (bridged.network, bridged.port_definitions.as_ref()),
        (NetworkMode::Bridge, None)
    );
    assert_eq!(
        (
            bridged.port_mappings()[0].container_port,
            bridged.port_mappings()[0].host_port
        ),
        (80, 0)
    );
    assert!(!bridged.require_ports, "only the host's network has such ports");

    let default = config(
        r#"{"id":"a","networks":[{"mode":"container/bridge"}],"container":{"docker":{"image":"nginx"}}}"#,
    );
    assert_eq!(default.port_mappings()[0].name.as_deref(), Some("default"));
    let emptied = config(
        r#"{"id":"a","networks":[{"mode":"container/bridge"}],
            "container":{"docker":{"image":"nginx"},"portMappings":[]}}"#,
    );
    assert!(emptied.port_mappings().is_empty());
    let moved = config(
        r#"{"id":"a","networks":[{"mode":"container/bridge"}],"portDefinitions":[{"port":1},{"port":2}],
            "container":{"docker":{"image":"nginx"},"portMappings":[{"containerPort":5}]}}"#,
    );
    assert_eq!(
        moved
            .port_mappings()
            .iter()
            .map(|p| p.container_port)
            .collect::<Vec<_>>(),
        [5, 0]
    );
    let dropped =
        config(r#"{"id":"a","container":{"docker":{"image":"nginx"},"portMappings":[{"containerPort":5}]}}"#);
    assert!(dropped.port_mappings().is_empty() && dropped.port_definitions.is_some());
}

#[test]
fn rules_name_the_place_that_breaks_them() {
    for (text, paths) in [
        (r#"{"id":"a"}"#, &["/"][..]),
        (r#"{"id":"a","cmd":"xx","args":["y"]}"#, &["/"]),
        (r#"{"id":"a","cmd":"x"}"#, &["/"]),
        (r#"{"id":"/","cmd":"xx"}"#, &["/id", "/"]),
        (r#"{"id":"/a/tasks","cmd":"xx"}"#, &["/id"]),
        (
            r#"{"id":"a","cmd":"xx","container":{"volumes":[]}}"#,
            &["/container/docker"],
        ),
        (
            r#"{"id":"a","cmd":"xx","portDefinitions":[{"port":5},{"port":5}]}"#,
            &["/portDefinitions"],
        ),
        (
            r#"{"id":"a","cmd":"xx","portDefinitions":[{"name":"n"},{"name":"n"}]}"#,
            &["/portDefinitions"],
        ),
        (
            r#"{"id":"a","cmd":"xx","acceptedResourceRoles":["slave_public"]}"#,
            &["/acceptedResourceRoles"],
        ),
        (
            r#"{"id":"a","cmd":"xx","acceptedResourceRoles":[]}"#,
            &["/acceptedResourceRoles"],
        ),
        (
            r#"{"id":"a","cmd":"xx","networks":[{"mode":"host"},{"mode":"host"}]}"#,
            &["/networks"],
        ),
        (
            r#"{"id":"a","cmd":"xx","networks":[{"mode":"host","name":"x"}]}"#,
            &["/networks"],
        ),
        (
            r#"{"id":"a","cmd":"xx","networks":[{"mode":"container/bridge"}]}"#,
            &["/networks"],
        ),
        (r#"{"id":"a","cmd":"xx","env":{"":"x"}}"#, &["/env/keys(0)"]),
        (
            r#"{"id":"a","cmd":"xx","constraints":[["a","UNIQUE","b"],["x"]]}"#,
            &["/constraints"],
        ),
        (
            r#"{"id":"a","cmd":"xx","unreachableStrategy":{"inactiveAfterSeconds":5,"expungeAfterSeconds":1}}"#,
            &["/unreachableStrategy"],
        ),
        (
            r#"{"id":"a","cmd":"xx","labels":{"MARATHON_SINGLE_INSTANCE_APP":"true"},"instances":2}"#,
            &["/"],
        ),
        (
            r#"{"id":"a","cmd":"xx","labels":{"MARATHON_SINGLE_INSTANCE_APP":"true"},
                "upgradeStrategy":{"maximumOverCapacity":0,"minimumHealthCapacity":0.5}}"#,
            &["/upgradeStrategy/minimumHealthCapacity"],
        ),
        (
            r#"{"id":"a","cmd":"xx","labels":{"MARATHON_SINGLE_INSTANCE_APP":"true"}}"#,
            &[
                "/isSingleInstance",
                "/upgradeStrategy/maximumOverCapacity",
                "/upgradeStrategy/minimumHealthCapacity",
            ],
        ),
        (
            r#"{"id":"a","cmd":"xx","container":{"type":"MESOS","docker":{"image":"i","network":"HOST"}}}"#,
            &["/container/docker/network"],
        ),
        (
            r#"{"id":"a","networks":[{"mode":"host"}],"container":{"docker":{"image":"i","network":"HOST"}}}"#,
            &["/"],
        ),
        (r#"{"id":"a","cmd":"xx","ports":[1,1]}"#, &["/"]),
        (
            r#"{"id":"a","cmd":"xx","ports":[1],"portDefinitions":[{"port":2}]}"#,
            &["/"],
        ),
    ] {
        assert_eq!(rule_paths(text), paths, "{text}");
    }
}

#[test]
fn both_forms_of_mapped_ports_are_the_500_that_marathon_gives() {
    let text = r#"{"id":"a","networks":[{"mode":"container/bridge"}],"container":{"portMappings":[{}],
        "docker":{"image":"i","portMappings":[{}]}}}"#;
    assert_eq!(canonical(text).unwrap_err().status(), 500);
}

#[test]
fn an_app_sent_back_as_it_is_changes_nothing() {
    for text in [
        r#"{"id":"/a","cmd":"sleep 1","env":{"A":"b"},"portDefinitions":[{"port":0,"name":"x"}]}"#,
        r#"{"id":"/a","networks":[{"mode":"container/bridge"}],"container":{"docker":{"image":"nginx"},
            "portMappings":[{"containerPort":80,"hostPort":0,"labels":{"V":"1"}}]}}"#,
        r#"{"id":"/a","cmd":"sleep 1","constraints":[["hostname","UNIQUE"],["rack","like","r[12]"]],
            "healthChecks":[{"path":"/up","delaySeconds":3},{"protocol":"MESOS_TCP"},
                            {"protocol":"COMMAND","command":{"value":"true"},"delaySeconds":3}],
            "readinessChecks":[{"portName":"default","protocol":"HTTPS","httpStatusCodesForReady":[204]}]}"#,
    ] {
        let app = app_at(text, 1000);
        let answer = serde_json::to_vec(&crate::answer::app::AppAnswer::of(&app)).unwrap();
        let sent = std::str::from_utf8(&answer).unwrap();
        let whole = canonical(sent).unwrap();
        assert_eq!((&whole.config, whole.instances), (&app.config, app.instances));
        let back = changed_to(
            &sent.replace(r#""version":"1970-01-01T00:00:01.000Z","#, ""),
            &app,
        );
        assert_eq!(update::changed(&app, back, Stamp::from_ms(2000)), None);
    }
}

#[test]
fn what_the_typed_python_client_sends_with_every_field_is_taken() {
    let rest = r#""acceptedResourceRoles":null,"args":null,"backoffFactor":null,"backoffSeconds":null,"constraints":[],
        "cpus":0.1,"dependencies":[],"deployments":[],"disk":null,"env":{},"executor":null,"fetch":[],"gpus":null,
        "healthChecks":[],"id":"/a","instances":1,"killSelection":null,"labels":{},"lastTaskFailure":null,
        "maxLaunchDelaySeconds":null,"mem":16,"networks":null,"portDefinitions":[],"ports":[],
        "readinessCheckResults":[],"readinessChecks":[],"requirePorts":null,"residency":null,"role":null,"secrets":{},
        "storeUrls":[],"taskKillGracePeriodSeconds":null,"taskRateLimit":null,"taskStats":null,"tasks":[],
        "tasksHealthy":null,"tasksRunning":null,"tasksStaged":null,"tasksUnhealthy":null,"unreachableStrategy":null,
        "upgradeStrategy":null,"uris":[],"user":null,"version":null,"versionInfo":null"#;
    let process = config(&format!(r#"{{"cmd":"sleep 1","container":null,{rest}}}"#));
    assert_eq!(process.port_definitions, Some(vec![]));
    let docker = config(&format!(
        r#"{{"cmd":null,{rest},"container":{{"type":"DOCKER","volumes":[],"docker":{{"forcePullImage":false,
            "image":"nginx","network":"BRIDGE","parameters":[],"privileged":false,"portMappings":[{{"containerPort":80,
            "hostPort":0,"labels":null,"name":null,"protocol":"tcp","servicePort":null}}]}}}}}}"#
    ));
    assert_eq!(docker.port_mappings()[0].container_port, 80);
}

#[test]
fn a_partial_update_keeps_what_was_not_sent_and_null_is_not_sent() {
    let app = app_at(
        r#"{"id":"/a","cmd":"sleep 1","env":{"A":"b"},"labels":{"x":"y"}}"#,
        1000,
    );
    let new = changed_to(r#"{"cpus":0.5,"env":null}"#, &app);
    assert_eq!((new.config.cpus, new.config.env.len()), (0.5, 1));
    let refused = change(r#"{"cmd":null,"args":["a"]}"#, &app).unwrap_err();
    assert_eq!(refused.status(), 422, "the old cmd stays beside the new args");
    let bridged = changed_to(
        r#"{"networks":[{"mode":"container/bridge"}],"container":{"docker":{"image":"i"}}}"#,
        &app,
    );
    assert_eq!(
        bridged
            .config
            .container
            .map(|c| (c.engine, c.port_mappings.map(|p| p.len()))),
        Some((Engine::Docker, Some(1)))
    );
}

#[test]
fn a_version_alone_rolls_back_and_beside_other_fields_is_refused() {
    let app = app_at(r#"{"id":"/a","cmd":"sleep 1"}"#, 1000);
    let v = "1970-01-01T00:00:01.000Z";
    assert_eq!(
        change(&format!(r#"{{"version":"{v}"}}"#), &app),
        Ok(Change::Back(Stamp::from_ms(1000)))
    );
    assert!(change(&format!(r#"{{"id":"/a","version":"{v}","cpus":null}}"#), &app).is_ok());
    assert_eq!(
        change(&format!(r#"{{"version":"{v}","cpus":1}}"#), &app)
            .unwrap_err()
            .status(),
        422
    );
    assert_eq!(change(r#"{"version":"x"}"#, &app).unwrap_err().status(), 422);
}

#[test]
fn times_of_change_follow_what_changed() {
    let app = app_at(r#"{"id":"/a","cmd":"sleep 1"}"#, 1000);
    assert_eq!(app.config_version(), Stamp::from_ms(1000));
    let at = Stamp::from_ms;
    let scaled = update::changed(&app, changed_to(r#"{"instances":3}"#, &app), at(2000)).unwrap();
    assert_eq!(
        (
            scaled.version,
            scaled.version_info.last_scaling_at,
            scaled.config_version()
        ),
        (at(2000), at(2000), at(1000))
    );
    let again = update::changed(&scaled, changed_to(r#"{"cpus":2}"#, &scaled), at(3000)).unwrap();
    assert_eq!(
        (
            again.version,
            again.version_info.last_scaling_at,
            again.config_version()
        ),
        (at(3000), at(3000), at(3000))
    );
    let restarted = update::restarted(&again, at(4000));
    assert_eq!(
        (
            restarted.version,
            restarted.version_info.last_scaling_at,
            restarted.config_version()
        ),
        (at(4000), at(3000), at(4000))
    );
}

/// A task of `app` in the pool, placed on `n1` unless it waits.
pub(crate) fn task_of(app: &App, slot: u64, attempt: u32, phase: Phase) -> Task {
    let scheduler = SchedulerId::new("marathon").unwrap();
    let id = TaskId::derive(&scheduler, "uid", slot, attempt);
    let spec = lower::spec(app, CpuCap::Share);
    let tenant = TenantRule::TopLevelGroup.tenant(&app.id);
    let terms = Arc::new(lower::terms(app, "uid", tenant, &spec, 0));
    let mut status = Status::pending(1);
    status.progress.phase = phase;
    if phase != Phase::Pending {
        status.node = Some(NodeId::new("n1").unwrap());
        status.ports = terms
            .ports
            .iter()
            .enumerate()
            .map(|(i, _)| 31_000 + u16::try_from(i).unwrap())
            .collect();
        status.placed_at = Some(2);
    }
    if phase == Phase::Running {
        status.started_at = Some(3);
    }
    Task {
        scheduler,
        seat: Seat::new(id, names::task(&app.id, id), slot),
        desired: terms.desired,
        terms,
        generation: Generation(1),
        released: false,
        status,
    }
}
