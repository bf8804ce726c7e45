use super::*;
use crate::adapter::pod::sources::{NeededBy, TokenAsk, refs};
use plenum_model::spec::{Check, Confinement, OnFailure, PreStop, ProbePort, Pull, Restart, VolumeSource};
use plenum_model::template::Part;
use serde_json::{Value, json};

fn pod(spec: Value) -> Pod {
    let meta = json!({"name": "web-0", "namespace": "prod", "uid": "u-1", "labels": {"app": "web"}});
    serde_json::from_value(json!({"metadata": meta, "spec": spec})).unwrap()
}

fn sources() -> Sources {
    let entries = |list: &[(&str, &str)]| {
        list.iter()
            .map(|(k, v)| ((*k).to_owned(), v.as_bytes().to_vec()))
            .collect::<BTreeMap<_, _>>()
    };
    let token = TokenAsk {
        audience: String::new(),
        expiration_seconds: 3607,
    };
    Sources {
        config_maps: [
            ("cm".to_owned(), entries(&[("a", "1"), ("b", "2")])),
            ("kube-root-ca.crt".to_owned(), entries(&[("ca.crt", "CA")])),
        ]
        .into(),
        secrets: [("s".to_owned(), entries(&[("pw", "hunter2")]))].into(),
        tokens: [(token, "TOKEN".to_owned())].into(),
    }
}

fn settings() -> Settings {
    Settings {
        runtime: "docker".to_owned(),
    }
}

fn lowered(spec: Value) -> Draft {
    lower(&pod(spec), &sources(), &settings()).unwrap()
}

fn refused(spec: Value) -> String {
    lower(&pod(spec), &sources(), &settings()).unwrap_err().field
}

fn shown(template: &Template) -> String {
    template.to_string()
}

#[test]
fn the_environment_is_expanded_and_secrets_stay_out_of_it() {
    let env = json!([
        {"name": "A", "value": "x$(b)$$(b)$(none)"},
        {"name": "PW", "valueFrom": {"secretKeyRef": {"name": "s", "key": "pw"}}},
        {"name": "URL", "value": "db://u:$(PW)@h"},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "L", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        {"name": "OPT", "valueFrom": {"configMapKeyRef": {"name": "no", "key": "k", "optional": true}}},
        {"name": "M", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Ki"}}},
    ]);
    let draft = lowered(json!({"containers": [{
        "name": "c", "image": "i:1", "env": env, "envFrom": [{"configMapRef": {"name": "cm"}}],
        "command": ["run", "$(A)"], "resources": {"limits": {"memory": "1025"}},
    }]}));
    let c = &draft.spec.containers[0];
    let env: Vec<_> = c.env.iter().map(|(n, v)| format!("{n}={}", shown(v))).collect();
    assert_eq!(
        env,
        [
            "a=1",
            "b=2",
            "A=x2$(b)$(none)",
            "PW=<File(0)>",
            "URL=db://u:<File(0)>@h",
            "IP=<TaskAddress>",
            "L=web",
            "M=2"
        ]
    );
    let command: Vec<_> = c.entrypoint.iter().flatten().map(shown).collect();
    assert_eq!(command, ["run", "x2$(b)$(none)"]);
    assert_eq!(c.args, Some(Vec::new()));
    assert_eq!(draft.files[0].bytes, b"hunter2");
    assert!(draft.files[0].secret && draft.missing.is_empty());
    let spec = serde_json::to_string(&draft.spec).unwrap();
    assert!(!spec.contains("hunter2"), "{spec}");
}

#[test]
fn a_projected_token_volume_becomes_files_of_the_claim() {
    let volumes = json!([{"name": "kube-api-access-x", "projected": {"defaultMode": 420, "sources": [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
    ]}}, {"name": "tmp", "emptyDir": {}}, {"name": "mem", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}]);
    let draft = lowered(
        json!({"volumes": volumes, "containers": [{"name": "c", "image": "i", "volumeMounts": [
            {"name": "kube-api-access-x", "mountPath": "/var/run/secrets", "readOnly": true},
            {"name": "tmp", "mountPath": "/tmp", "subPath": "a"},
        ]}]}),
    );
    let files: Vec<_> = draft
        .files
        .iter()
        .map(|f| {
            (
                f.target.as_str(),
                String::from_utf8_lossy(&f.bytes).into_owned(),
                f.mode,
                f.secret,
            )
        })
        .collect();
    assert_eq!(
        files,
        [
            ("token", "TOKEN".to_owned(), 0o644, true),
            ("ca.crt", "CA".to_owned(), 0o644, false),
            ("namespace", "prod".to_owned(), 0o644, false),
        ]
    );
    let kinds: Vec<_> = draft.spec.volumes.iter().map(|v| v.source.clone()).collect();
    assert_eq!(
        kinds,
        [
            VolumeSource::Files,
            VolumeSource::Disk,
            VolumeSource::Memory(Some(1 << 20))
        ]
    );
    let mounts = &draft.spec.containers[0].volumes;
    assert_eq!(
        (mounts[0].read_only, mounts[1].sub_path.as_deref()),
        (true, Some("a"))
    );
}

#[test]
fn what_is_missing_is_listed_in_kubernetes_words_and_the_spec_still_made() {
    let spec = json!({
        "volumes": [{"name": "v", "secret": {"secretName": "gone"}}],
        "containers": [{"name": "c", "image": "i", "env": [
            {"name": "X", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "zz"}}}],
            "envFrom": [{"secretRef": {"name": "gone"}}]}],
    });
    let wanted = refs(pod(spec.clone()).spec.as_ref().unwrap());
    assert_eq!(wanted.secrets.iter().collect::<Vec<_>>(), ["gone"]);
    let draft = lowered(spec);
    let missing: Vec<_> = draft
        .missing
        .iter()
        .map(|m| (m.needed_by.clone(), m.message.as_str()))
        .collect();
    assert_eq!(
        missing,
        [
            (NeededBy::Volume("v".to_owned()), "secret \"gone\" not found"),
            (NeededBy::Container("c".to_owned()), "secret \"gone\" not found"),
            (
                NeededBy::Container("c".to_owned()),
                "couldn't find key zz in ConfigMap prod/cm"
            ),
        ]
    );
}

#[test]
fn containers_play_their_parts_and_restart_by_the_pods_policy() {
    let container = |name: &str| json!({"name": name, "image": "i"});
    let draft = lowered(json!({
        "restartPolicy": "OnFailure", "terminationGracePeriodSeconds": 5,
        "initContainers": [container("i"), {"name": "s", "image": "i:2", "restartPolicy": "Always"}],
        "containers": [{"name": "a", "image": "r/i@sha256:00", "lifecycle": {"preStop": {"sleep": {"seconds": 2}}},
            "securityContext": {"runAsUser": 7}, "ports": [{"containerPort": 80, "name": "http", "hostPort": 8080}],
            "readinessProbe": {"httpGet": {"path": "ok", "port": "http"}, "periodSeconds": 2},
            "livenessProbe": {"exec": {"command": ["true"]}},
            "startupProbe": {"tcpSocket": {"port": 80}, "failureThreshold": 30}}],
    }));
    let parts: Vec<_> = draft
        .spec
        .containers
        .iter()
        .map(|c| (c.role, c.restart))
        .collect();
    assert_eq!(
        parts,
        [
            (Role::Init, Restart::OnFailure { max: 0 }),
            (Role::Sidecar, Restart::Always),
            (Role::Main, Restart::OnFailure { max: 0 }),
        ]
    );
    let c = &draft.spec.containers[2];
    let pulls: Vec<_> = draft
        .spec
        .containers
        .iter()
        .map(|c| c.image.as_ref().unwrap().pull)
        .collect();
    assert_eq!(pulls, [Pull::Always, Pull::IfMissing, Pull::IfMissing]);
    assert_eq!((c.stop_grace_ms, c.user.as_deref()), (5000, Some("7")));
    assert_eq!(c.pre_stop, Some(PreStop::SleepMs(2000)));
    let port = ProbePort::Inside { inside: 80 };
    assert!(matches!(&c.probes[0].check, Check::Http { port: p, path, .. } if *p == port && path == "/ok"));
    assert_eq!(
        (c.probes[0].on_failure, c.probes[0].period_ms),
        (OnFailure::Report, 2000)
    );
    assert_eq!(c.probes[1].on_failure, OnFailure::Restart);
    assert_eq!(c.startup.as_ref().map(|p| p.failures), Some(30));
    assert_eq!(
        (draft.ports[0].host, draft.ports[0].container),
        (HostPort::Fixed(8080), Some(80))
    );
}

#[test]
fn what_is_not_served_is_refused_by_name() {
    let with = |more: Value| {
        let mut spec = json!({"containers": [{"name": "c", "image": "i"}]});
        let (Value::Object(spec_map), Value::Object(more)) = (&mut spec, more) else {
            unreachable!()
        };
        spec_map.extend(more);
        spec
    };
    let inside = |more: Value| {
        let mut container = json!({"name": "c", "image": "i"});
        let (Value::Object(map), Value::Object(more)) = (&mut container, more) else {
            unreachable!()
        };
        map.extend(more);
        json!({"containers": [container]})
    };
    let table = [
        (with(json!({"hostPID": true})), "spec.hostPID"),
        (with(json!({"runtimeClassName": "kata"})), "spec.runtimeClassName"),
        (
            with(json!({"securityContext": {"fsGroup": 1}})),
            "spec.securityContext.fsGroup",
        ),
        (
            with(json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "x"}}]})),
            "spec.volumes[0] (persistentVolumeClaim)",
        ),
        (
            with(json!({"volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}]})),
            "spec.volumes[0].emptyDir.sizeLimit on disk",
        ),
        (
            inside(json!({"securityContext": {"seccompProfile": {"type": "Unconfined"}}})),
            "spec.containers[0].securityContext.seccompProfile",
        ),
        (
            inside(json!({"readinessProbe": {"grpc": {"port": 1}}})),
            "readinessProbe of container c.grpc",
        ),
        (
            inside(json!({"lifecycle": {"postStart": {"exec": {"command": ["x"]}}}})),
            "spec.containers[0].lifecycle.postStart",
        ),
        (
            inside(
                json!({"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}]}),
            ),
            "resourceFieldRef limits.cpu",
        ),
    ];
    for (spec, field) in table {
        assert_eq!(refused(spec), field);
    }
}

#[test]
fn what_charts_take_from_their_containers_is_taken_from_them() {
    let context = json!({
        "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "runAsNonRoot": true, "runAsUser": 1000,
        "capabilities": {"drop": ["ALL"], "add": ["CAP_NET_BIND_SERVICE"]}, "seccompProfile": {"type": "RuntimeDefault"},
    });
    let draft = lowered(json!({"containers": [
        {"name": "c", "image": "i", "securityContext": context},
        {"name": "d", "image": "i", "securityContext": {"allowPrivilegeEscalation": true, "capabilities": {}}},
    ]}));
    let expected = Confinement {
        read_only_root: true,
        no_new_privileges: true,
        dropped: ["ALL".to_owned()].into(),
        added: ["NET_BIND_SERVICE".to_owned()].into(),
    };
    assert_eq!(draft.spec.containers[0].confinement, expected);
    assert_eq!(draft.spec.containers[0].user.as_deref(), Some("1000"));
    assert_eq!(draft.spec.containers[1].confinement, Confinement::default());
}

#[test]
fn a_pod_with_every_default_filled_in_is_taken() {
    let draft = lowered(json!({
        "restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler",
        "securityContext": {}, "serviceAccountName": "default", "enableServiceLinks": true,
        "preemptionPolicy": "PreemptLowerPriority", "priority": 0, "terminationGracePeriodSeconds": 30,
        "containers": [{"name": "c", "image": "i", "imagePullPolicy": "IfNotPresent", "resources": {},
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
            "ports": [{"containerPort": 80, "protocol": "TCP"}]}],
    }));
    assert!(draft.ports.is_empty());
    assert_eq!(draft.spec.hostname.as_deref(), Some("web-0"));
    assert!(
        draft.spec.containers[0]
            .env
            .iter()
            .all(|(_, t)| t.0.iter().all(|p| matches!(p, Part::Text(_))))
    );
}

#[test]
fn a_pod_goes_by_the_name_of_what_users_made() {
    let owner = |kind: &str, name: &str| json!([{"kind": kind, "name": name, "controller": true, "uid": "o", "apiVersion": "x"}]);
    for (owners, labels, wanted) in [
        (json!([]), json!({}), ("Pod", "prod/web-0", "")),
        (
            owner("ReplicaSet", "web-abc"),
            json!({"pod-template-hash": "abc"}),
            ("Deployment", "prod/web", "abc"),
        ),
        (
            owner("ReplicaSet", "bare"),
            json!({}),
            ("ReplicaSet", "prod/bare", ""),
        ),
        (
            owner("ReplicaSet", "abc"),
            json!({"pod-template-hash": "abc"}),
            ("ReplicaSet", "prod/abc", ""),
        ),
        (owner("Job", "once"), json!({}), ("Job", "prod/once", "")),
        (
            owner("DaemonSet", "log"),
            json!({"controller-revision-hash": "7"}),
            ("DaemonSet", "prod/log", "7"),
        ),
    ] {
        let mut pod = pod(json!({"containers": []}));
        pod.metadata.owner_references = serde_json::from_value(owners).unwrap();
        pod.metadata.labels = serde_json::from_value(labels).unwrap();
        let of = workload(&pod);
        assert_eq!((&*of.kind, &*of.name, &*of.version), wanted);
        assert_eq!(of.uid, "u-1");
    }
}
