use super::*;
use crate::container::record::Wanted;
use http::StatusCode;
use plenum_model::claim::{HostPort, Protocol};
use plenum_model::ids::TenantPath;
use plenum_model::spec::{Mount, MountSource};
use serde_json::json;

fn record(body: Value) -> Record {
    Record {
        id: "ab".repeat(32),
        name: "web".to_owned(),
        created_nanos: 1,
        tenant: TenantPath::new("default").unwrap(),
        body,
        wanted: Wanted::Created,
        removing: false,
    }
}

fn lowered(body: Value) -> Lowered {
    lower(&record(body)).unwrap()
}

fn with_host(host: Value) -> Lowered {
    lowered(json!({ "Image": "busybox", "HostConfig": host }))
}

fn main(lowered: &Lowered) -> &ContainerSpec {
    &lowered.spec.containers[0]
}

/// What the CLI sends for `docker run busybox echo hi`, its defaults included.
fn by_the_cli() -> Value {
    let text = r#"{
        "Hostname": "", "Domainname": "", "User": "", "AttachStdin": false, "AttachStdout": true, "AttachStderr": true,
        "Tty": false, "OpenStdin": false, "StdinOnce": false, "Env": null, "Cmd": ["echo", "hi"], "Image": "busybox",
        "Volumes": {}, "WorkingDir": "", "Entrypoint": null, "OnBuild": null, "Labels": {},
        "HostConfig": {
            "Binds": null, "ContainerIDFile": "", "LogConfig": {"Type": "", "Config": {}}, "NetworkMode": "default",
            "PortBindings": {}, "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "AutoRemove": true,
            "VolumeDriver": "", "VolumesFrom": null, "ConsoleSize": [24, 80], "CapAdd": null, "CapDrop": null,
            "CgroupnsMode": "", "Dns": [], "DnsOptions": [], "DnsSearch": [], "ExtraHosts": null, "GroupAdd": null,
            "IpcMode": "", "Cgroup": "", "Links": null, "OomScoreAdj": 0, "PidMode": "", "Privileged": false,
            "PublishAllPorts": false, "ReadonlyRootfs": false, "SecurityOpt": null, "UTSMode": "", "UsernsMode": "",
            "ShmSize": 0, "Isolation": "", "CpuShares": 0, "Memory": 0, "NanoCpus": 0, "CgroupParent": "",
            "BlkioWeight": 0, "BlkioWeightDevice": [], "CpuPeriod": 0, "CpuQuota": 0, "CpusetCpus": "", "Devices": [],
            "DeviceCgroupRules": null, "DeviceRequests": null, "MemoryReservation": 0, "MemorySwap": 0,
            "MemorySwappiness": -1, "OomKillDisable": false, "PidsLimit": 0, "Ulimits": [], "MaskedPaths": null
        },
        "NetworkingConfig": {"EndpointsConfig": {"default": {
            "IPAMConfig": null, "Links": null, "Aliases": null, "MacAddress": "", "IPPrefixLen": 0
        }}}
    }"#;
    serde_json::from_str(text).unwrap()
}

#[test]
fn what_the_cli_sends_by_default_is_taken_and_charges_a_slot_only() {
    let l = lowered(by_the_cli());
    assert_eq!(l.terms.charge, Amounts::task(0, 0, 0));
    assert_eq!(main(&l).args, Some(vec!["echo".into(), "hi".into()]));
    assert_eq!(main(&l).entrypoint, None);
    assert_eq!(main(&l).caps, Caps::default());
    assert!(l.auto_remove && !l.tty && !l.stdin && l.warnings.is_empty());
    assert_eq!(l.grace_ms, 10_000);
    assert_eq!(
        (l.spec.network, l.spec.hostname.as_deref()),
        (Network::Bridge, Some("abababababab"))
    );
    assert!(matches!(l.terms.desired, Desired::Held { .. }));
    assert_eq!(lowered(by_the_cli()), l, "the same request means the same");
}

#[test]
fn what_is_reserved_is_charged_and_what_is_limited_is_capped() {
    let l = with_host(json!({
        "Memory": 64 << 20, "MemoryReservation": 32 << 20, "NanoCpus": 1_500_000_000_u64, "CpuShares": 512,
        "PidsLimit": 9, "MemorySwap": 64 << 20,
    }));
    assert_eq!(l.terms.charge, Amounts::task(1500, 32 << 20, 0));
    let caps = Caps {
        cpu_weight_millis: Some(500),
        cpu_limit_millis: Some(1500),
        memory_limit_bytes: Some(64 << 20),
        pids: Some(9),
    };
    assert_eq!(main(&l).caps, caps);
    let l =
        with_host(json!({ "Memory": 64 << 20, "CpuQuota": 50_000, "CpuPeriod": 100_000, "PidsLimit": -1 }));
    assert_eq!(
        l.terms.charge,
        Amounts::task(500, 64 << 20, 0),
        "the limit is reserved where nothing else is"
    );
    assert_eq!(main(&l).caps.pids, None);
}

#[test]
fn ports_mounts_and_policies_become_the_pools_own() {
    let l = with_host(json!({
        "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}, {"HostPort": ""}], "53/udp": [{"HostPort": "53"}]},
        "Binds": ["/data:/d:ro", "cache:/c"],
        "Mounts": [{"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 1024}}],
        "Tmpfs": {"/run": "size=64m"},
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "3"}},
    }));
    let ports: Vec<_> = l
        .terms
        .ports
        .iter()
        .map(|p| (p.protocol, p.host, p.container))
        .collect();
    assert_eq!(
        ports,
        [
            (Protocol::Udp, HostPort::Fixed(53), Some(53)),
            (Protocol::Tcp, HostPort::Fixed(8080), Some(80)),
            (Protocol::Tcp, HostPort::Dynamic, Some(80)),
        ]
    );
    let mount = |target: &str, source, read_only| Mount {
        target: target.to_owned(),
        source,
        read_only,
    };
    assert_eq!(
        main(&l).mounts,
        [
            mount("/d", MountSource::Host("/data".into()), true),
            mount("/c", MountSource::Volume("cache".into()), false),
            mount("/t", MountSource::Tmpfs(Some(1024)), false),
            mount("/run", MountSource::Tmpfs(Some(64 << 20)), false),
        ]
    );
    assert_eq!(main(&l).restart, Restart::OnFailure { max: 3 });
    assert_eq!(
        main(&l).logs,
        LogLimits {
            max_bytes: 1 << 20,
            files: 3
        }
    );
}

#[test]
fn the_hosts_network_publishes_nothing_and_says_so() {
    let l = with_host(json!({ "NetworkMode": "host", "PortBindings": {"80/tcp": [{"HostPort": "80"}]} }));
    assert_eq!(
        (l.spec.network, l.spec.hostname.as_deref()),
        (Network::Host, None)
    );
    assert!(l.terms.ports.is_empty() && l.warnings.len() == 1);
}

#[test]
fn names_in_any_case_and_a_health_check_are_read() {
    let l = lowered(json!({
        "image": "busybox", "CMD": "date", "env": ["A=b=c", "UNSET"],
        "healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 1_000_000_000, "Retries": 2},
    }));
    assert_eq!(main(&l).env, [("A".to_owned(), "b=c".into())]);
    let probe = &main(&l).probes[0];
    assert_eq!(
        (probe.period_ms, probe.failures, probe.timeout_ms),
        (1000, 2, 30_000)
    );
    assert_eq!(
        probe.check,
        Check::Exec(vec!["/bin/sh".into(), "-c".into(), "true".into()])
    );
}

#[test]
fn what_makes_no_sense_is_400_and_names_what_is_wrong() {
    let host = |host: Value| json!({ "Image": "busybox", "HostConfig": host });
    refused(&[
        (json!({}), 400, "no image"),
        (json!({ "Image": "UPPER" }), 400, "must be lowercase"),
        (json!({ "Image": "b", "Cmd": 5 }), 400, "invalid value of Cmd"),
        (host(json!({ "Memory": 1024 })), 400, "Minimum memory limit"),
        (
            host(json!({ "Memory": 8 << 20, "MemoryReservation": 9 << 20 })),
            400,
            "memory reservation",
        ),
        (
            host(json!({ "NanoCpus": 1, "CpuQuota": 1 })),
            400,
            "Conflicting options",
        ),
        (
            host(json!({ "PortBindings": {"0/tcp": [{}]} })),
            400,
            "invalid port",
        ),
        (
            host(json!({ "PortBindings": {"80/sctp": [{}]} })),
            400,
            "unknown protocol",
        ),
        (
            host(json!({ "Binds": ["/a:b"] })),
            400,
            "invalid volume specification",
        ),
        (
            host(json!({ "Binds": ["/a:/b", "/c:/b"] })),
            400,
            "Duplicate mount point",
        ),
        (
            host(json!({ "RestartPolicy": {"Name": "sometimes"} })),
            400,
            "invalid restart policy",
        ),
        (
            host(json!({ "RestartPolicy": {"Name": "always", "MaximumRetryCount": 2} })),
            400,
            "maximum retry count",
        ),
    ]);
}

#[test]
fn what_is_not_served_is_refused_by_name() {
    let host = |host: Value| json!({ "Image": "busybox", "HostConfig": host });
    refused(&[
        (
            json!({ "Image": "b", "Volumes": {"/x": {}}, "Domainname": "d" }),
            501,
            "Domainname",
        ),
        (
            host(json!({ "PortBindings": {"80/tcp": [{"HostPort": "1-9"}]} })),
            501,
            "range of host ports",
        ),
        (
            host(json!({ "PortBindings": {"80/tcp": [{"HostIp": "10.0.0.1"}]} })),
            501,
            "HostIp",
        ),
        (host(json!({ "Binds": ["/a"] })), 501, "anonymous volumes"),
        (host(json!({ "Binds": ["/a:/b:z"] })), 501, "option z"),
        (host(json!({ "CapAdd": ["SYS_ADMIN"] })), 501, "--cap-add"),
        (host(json!({ "Init": true })), 501, "--init"),
        (host(json!({ "IpcMode": "host" })), 501, "--ipc"),
        (host(json!({ "MemorySwap": -1 })), 501, "--memory-swap"),
        (host(json!({ "NetworkMode": "none" })), 501, "--network none"),
        (
            host(json!({ "NetworkMode": "mine" })),
            404,
            "network mine not found",
        ),
        (
            host(json!({ "LogConfig": {"Type": "syslog"} })),
            501,
            "log drivers",
        ),
    ]);
}

fn refused(table: &[(Value, u16, &str)]) {
    for (body, status, words) in table {
        let error = lower(&record(body.clone())).expect_err(&body.to_string());
        assert_eq!(
            error.status,
            StatusCode::from_u16(*status).unwrap(),
            "{body}: {error}"
        );
        assert!(error.message.contains(words), "{body}: {error}");
    }
}
