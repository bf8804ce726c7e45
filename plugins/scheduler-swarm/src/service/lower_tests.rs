use super::*;
use crate::service::blob::{Blob, ConfigRecord, SecretRecord};
use crate::service::world::service;
use serde_json::{Value, json};

fn container(asked: Value) -> ContainerSpec {
    let record = service(&json!({}), &json!({"ContainerSpec": asked}));
    task_spec(&record).containers.remove(0)
}

#[test]
fn a_container_is_what_was_asked_for() {
    let c = container(json!({
        "Command": ["/bin/a"], "Args": ["b"], "Dir": "/d", "User": "u", "StopSignal": "SIGINT",
        "StopGracePeriod": 2_000_000_000, "Env": ["S={{.Task.Slot}}", "P=a=b"],
        "Mounts": [
            {"Type": "bind", "Source": "/a", "Target": "/b", "ReadOnly": true},
            {"Type": "volume", "Source": "v", "Target": "/v"},
            {"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 4096}},
        ],
        "Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 1_000_000_000, "Retries": 2},
    }));
    assert_eq!(c.entrypoint, Some(vec![Template::from("/bin/a")]));
    assert_eq!(
        (c.args, c.workdir.as_deref(), c.user.as_deref()),
        (Some(vec![Template::from("b")]), Some("/d"), Some("u"))
    );
    assert_eq!(
        (c.stop_signal.as_deref(), c.stop_grace_ms, c.restart),
        (Some("SIGINT"), 2_000, Restart::Never)
    );
    assert_eq!((c.env[1].0.as_str(), &c.env[1].1), ("P", &Template::from("a=b")));
    let sources: Vec<&MountSource> = c.mounts.iter().map(|m| &m.source).collect();
    let wanted = [
        MountSource::Host("/a".into()),
        MountSource::Volume("v".into()),
        MountSource::Tmpfs(Some(4096)),
    ];
    assert_eq!(sources, wanted.iter().collect::<Vec<_>>());
    let probe = &c.probes[0];
    assert_eq!(
        (probe.period_ms, probe.failures, probe.timeout_ms),
        (1_000, 2, 30_000)
    );
    assert_eq!(container(json!({})).stop_grace_ms, 10_000);
    assert!(
        container(json!({"Healthcheck": {"Test": ["NONE"]}}))
            .probes
            .is_empty()
    );
}

#[test]
fn reservations_are_charged_and_limits_only_cap() {
    let record = service(
        &json!({"Labels": {"com.docker.stack.namespace": "shop"}}),
        &json!({"Resources": {
            "Limits": {"NanoCPUs": 2_000_000_000_u64, "MemoryBytes": 64 << 20, "Pids": 9},
            "Reservations": {"NanoCPUs": 250_000_000, "MemoryBytes": 32 << 20},
        }}),
    );
    let spec = task_spec(&record);
    let terms = terms(
        &record,
        &spec,
        Rules::default(),
        &Desired::default(),
        &SwarmConfig::default(),
    );
    assert_eq!(
        (terms.charge.cpu_millis, terms.charge.memory_bytes),
        (250, 32 << 20)
    );
    assert_eq!(
        (terms.tenant.as_str(), terms.lost_after),
        ("shop", LostAfter::Millis(15_000))
    );
    let caps = &spec.containers[0].caps;
    assert_eq!(
        (caps.cpu_limit_millis, caps.memory_limit_bytes, caps.pids),
        (Some(2000), Some(64 << 20), Some(9))
    );
}

#[test]
fn secrets_and_configs_are_named_as_of_their_record() {
    let blob = |id: &str| Blob {
        id: id.to_owned(),
        name: id.to_owned(),
        labels: BTreeMap::new(),
        digest: String::new(),
        created_at: 0,
        updated_at: 0,
    };
    let mut desired = Desired::default();
    desired.secrets.insert_for_test(SecretRecord(blob("s")));
    desired.configs.insert_for_test(ConfigRecord(blob("c")));
    let record = service(
        &json!({}),
        &json!({"ContainerSpec": {
            "Secrets": [
                {"SecretID": "s", "SecretName": "s", "File": {"Name": "f", "Mode": 0o400}},
                {"SecretID": "s", "SecretName": "s", "File": {"Name": "/x/y"}},
            ],
            "Configs": [{"ConfigID": "c", "ConfigName": "c", "File": {"Name": "f"}}],
        }}),
    );
    let files = terms(
        &record,
        &task_spec(&record),
        Rules::default(),
        &desired,
        &SwarmConfig::default(),
    )
    .files;
    let short: Vec<_> = files
        .iter()
        .map(|f| (f.key.as_str(), f.target.as_str(), f.mode, f.secret, f.revision))
        .collect();
    let wanted = [
        ("secret-data/s", "/run/secrets/f", 0o400, true, 1),
        ("secret-data/s", "/x/y", 0o444, true, 1),
        ("config-data/c", "/f", 0o444, false, 1),
    ];
    assert_eq!(short, wanted);
}

#[test]
fn ports_are_published_on_the_tasks_node() {
    let ports = json!({"EndpointSpec": {"Ports": [
        {"TargetPort": 80, "PublishedPort": 8080, "PublishMode": "host"},
        {"TargetPort": 53, "Protocol": "udp", "PublishMode": "host"},
    ]}});
    let record = service(&ports, &json!({}));
    let terms = terms(
        &record,
        &task_spec(&record),
        Rules::default(),
        &Desired::default(),
        &SwarmConfig::default(),
    );
    let short: Vec<_> = terms
        .ports
        .iter()
        .map(|p| (p.protocol, p.host, p.container))
        .collect();
    assert_eq!(
        short,
        [
            (Protocol::Tcp, HostPort::Fixed(8080), Some(80)),
            (Protocol::Udp, HostPort::Dynamic, Some(53))
        ]
    );
}
