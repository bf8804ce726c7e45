//! What the real server refuses, in its words, and what it lets pass.

use serde_json::{Value, json};

use super::*;
use crate::object::decode::settle;
use crate::object::defaults;
use crate::object::problem::Problem;
use crate::object::schema::lookup;

fn made(group: &str, kind: &str, object: &Value) -> (&'static Kind, Value) {
    let kind = lookup(group, "v1", kind).expect("kind");
    let mut object = object.clone();
    settle(kind, &mut object);
    defaults::fill(kind, &mut object);
    (kind, object)
}

fn created(group: &str, kind: &str, object: &Value) -> Vec<String> {
    let (kind, object) = made(group, kind, object);
    create(kind, &object).iter().map(ToString::to_string).collect()
}

fn changed(group: &str, kind: &str, old: &Value, new: &Value) -> Vec<String> {
    let (kind, old) = made(group, kind, old);
    let (_, new) = made(group, kind.kind, new);
    update(kind, &old, &new).iter().map(ToString::to_string).collect()
}

fn pod(spec: &Value) -> Value {
    json!({"metadata": {"name": "p", "namespace": "n"}, "spec": spec})
}

/// A pod with this container, which has a name and an image already.
fn with(container: &Value) -> Value {
    let mut whole = json!({"name": "c", "image": "i:1"});
    for (name, value) in container.as_object().into_iter().flatten() {
        whole[name] = value.clone();
    }
    pod(&json!({"containers": [whole]}))
}

fn deployment(spec: &Value) -> Value {
    let mut whole = json!({
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "c", "image": "i:1"}]},
        },
    });
    for (name, value) in spec.as_object().into_iter().flatten() {
        whole[name] = value.clone();
    }
    json!({"metadata": {"name": "d", "namespace": "n"}, "spec": whole})
}

#[test]
fn what_is_good_passes() {
    let none = Vec::<String>::new();
    assert_eq!(created("", "Pod", &with(&json!({}))), none);
    assert_eq!(created("apps", "Deployment", &deployment(&json!({}))), none);
    assert_eq!(
        created(
            "",
            "ConfigMap",
            &json!({"metadata": {"name": "a.b"}, "data": {"a.txt": "x"}})
        ),
        none
    );
    assert_eq!(created("", "Secret", &json!({"metadata": {"name": "a-b"}})), none);
    let full = with(&json!({
        "ports": [{"name": "http", "containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}],
        "env": [
            {"name": "A", "value": "1"},
            {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a']"}}},
            {"name": "C", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        ],
        "resources": {"limits": {"cpu": "1", "example.com/gpu": "1"}, "requests": {"cpu": "500m"}},
        "livenessProbe": {"httpGet": {"port": "http"}},
        "lifecycle": {"preStop": {"exec": {"command": ["true"]}}},
    }));
    assert_eq!(created("", "Pod", &full), none);
}

#[test]
fn a_bad_name_is_told_with_its_rule() {
    let (kind, object) = made("", "ConfigMap", &json!({"metadata": {"name": "Bad_Name"}}));
    let problem = Problem::invalid("", "ConfigMap", "Bad_Name", &create(kind, &object));
    assert_eq!(
        problem.message,
        "ConfigMap \"Bad_Name\" is invalid: metadata.name: Invalid value: \"Bad_Name\": a lowercase RFC 1123 \
         subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an \
         alphanumeric character (e.g. 'example.com', regex used for validation is \
         '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
    );
    let cause = &problem.to_json()["details"]["causes"][0];
    assert_eq!(
        (&cause["reason"], &cause["field"]),
        (&json!("FieldValueInvalid"), &json!("metadata.name"))
    );
    assert_eq!(
        created("", "Namespace", &json!({"metadata": {}})),
        ["metadata.name: Required value: name or generateName is required"]
    );
}

#[test]
fn what_is_wrong_with_a_container_is_told() {
    let cases = [
        (json!({"image": ""}), "spec.containers[0].image: Required value"),
        (
            json!({"volumeMounts": [{"name": "x", "mountPath": "/x"}]}),
            "spec.containers[0].volumeMounts[0].name: Not found: \"x\"",
        ),
        (
            json!({"ports": [{"containerPort": 70_000}]}),
            "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
        ),
        (
            json!({"ports": [{"containerPort": 1, "protocol": "ICMP"}]}),
            "spec.containers[0].ports[0].protocol: Unsupported value: \"ICMP\": supported values: \"SCTP\", \"TCP\", \
             \"UDP\"",
        ),
        (
            json!({"resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}}),
            "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
        ),
        (
            json!({"resources": {"limits": {"memory": "-1"}, "requests": {"memory": "-1"}}}),
            "spec.containers[0].resources.limits[memory]: Invalid value: \"-1\": must be greater than or equal to 0",
        ),
        (
            json!({"resources": {"limits": {"disk": "1"}}}),
            "spec.containers[0].resources.limits[disk]: Invalid value: \"disk\": must be a standard resource for \
             containers",
        ),
        (
            json!({"livenessProbe": {}}),
            "spec.containers[0].livenessProbe: Required value: must specify a handler type",
        ),
        (
            json!({"livenessProbe": {"tcpSocket": {"port": 1}, "successThreshold": 2}}),
            "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
        ),
        (
            json!({"env": [{"value": "x"}]}),
            "spec.containers[0].env[0].name: Required value",
        ),
        (
            json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.x"}}}]}),
            "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"spec.x\": error converting \
             fieldPath: field label not supported: spec.x",
        ),
        (
            json!({"imagePullPolicy": "Sometimes"}),
            "spec.containers[0].imagePullPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \
             \"IfNotPresent\", \"Never\"",
        ),
    ];
    for (container, want) in cases {
        let errors = created("", "Pod", &with(&container));
        assert_eq!(
            errors.first().map(String::as_str),
            Some(want),
            "{container} {errors:?}"
        );
    }
}

#[test]
fn what_is_wrong_with_a_pod_is_told() {
    let container = json!({"name": "c", "image": "i"});
    let cases = [
        (json!({}), "spec.containers: Required value"),
        (
            json!({"containers": [container, container]}),
            "spec.containers[1].name: Duplicate value: \"c\"",
        ),
        (
            json!({"containers": [container], "restartPolicy": "Often"}),
            "spec.restartPolicy: Unsupported value: \"Often\": supported values: \"Always\", \"OnFailure\", \"Never\"",
        ),
        (
            json!({"containers": [container], "volumes": [{"name": "v"}, {"name": "v"}]}),
            "spec.volumes[1].name: Duplicate value: \"v\"",
        ),
        (
            json!({"containers": [container], "volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}]}),
            "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type",
        ),
        (
            json!({"containers": [container], "volumes": [{"name": "v", "secret": {}}]}),
            "spec.volumes[0].secret.secretName: Required value",
        ),
        (
            json!({"containers": [container], "tolerations": [{"operator": "Equal", "value": "x"}]}),
            "spec.tolerations[0].operator: Invalid value: \"Equal\": operator must be Exists when `key` is empty, \
             which means \"match all values and all keys\"",
        ),
        (
            json!({"containers": [container], "initContainers": [{"name": "i", "image": "i", "livenessProbe": {}}]}),
            "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without \
             restartPolicy=Always",
        ),
        (
            json!({"containers": [container], "activeDeadlineSeconds": 0}),
            "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
        ),
        (
            json!({"containers": [container], "affinity": {"podAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [{"labelSelector": {}}],
            }}}),
            "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Required value: \
             can not be empty",
        ),
        (
            json!({"containers": [container], "ephemeralContainers": [{"name": "e", "image": "i"}]}),
            "spec.ephemeralContainers: Forbidden: cannot be set on create",
        ),
    ];
    for (spec, want) in cases {
        assert_eq!(created("", "Pod", &pod(&spec)), [want], "{spec}");
    }
}

#[test]
fn what_is_wrong_with_a_workload_is_told() {
    let cases = [
        (
            "Deployment",
            json!({"selector": {"matchLabels": {"app": "other"}}}),
            "spec.template.metadata.labels: Invalid value: {\"app\":\"web\"}: `selector` does not match template \
             `labels`",
        ),
        (
            "Deployment",
            json!({"selector": null}),
            "spec.selector: Required value",
        ),
        (
            "Deployment",
            json!({"selector": {}}),
            "spec.selector: Invalid value: {}: empty selector is invalid for deployment",
        ),
        (
            "Deployment",
            json!({"replicas": -1}),
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            "Deployment",
            json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}}),
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"0%\": may not be 0 when `maxSurge` is 0",
        ),
        (
            "Deployment",
            json!({"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}}),
            "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
        ),
        (
            "Deployment",
            json!({"progressDeadlineSeconds": 5, "minReadySeconds": 5}),
            "spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds",
        ),
        (
            "ReplicaSet",
            json!({"template": {"metadata": {"labels": {"app": "web"}}, "spec": {
                "restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}],
            }}}),
            "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
        ),
    ];
    for (kind, spec, want) in cases {
        assert_eq!(created("apps", kind, &deployment(&spec)), [want], "{spec}");
    }
    let mut job = deployment(&json!({}));
    assert_eq!(
        created("batch", "Job", &job),
        [
            "spec.template.spec.restartPolicy: Unsupported value: \"Always\": supported values: \"OnFailure\", \"Never\""
        ]
    );
    job["spec"]["template"]["spec"]["restartPolicy"] = json!("Never");
    assert_eq!(created("batch", "Job", &job), Vec::<String>::new());
}

#[test]
fn what_may_not_change_is_told() {
    let old = deployment(&json!({}));
    let new = deployment(
        &json!({"selector": {"matchLabels": {"app": "web", "x": "y"}}, "template": {
            "metadata": {"labels": {"app": "web", "x": "y"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]},
        }}),
    );
    assert_eq!(
        changed("apps", "Deployment", &old, &new),
        ["spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"web\",\"x\":\"y\"}}: field is immutable"]
    );
    let frozen = json!({"metadata": {"name": "c"}, "immutable": true, "data": {"a": "1"}});
    let thawed = json!({"metadata": {"name": "c"}, "data": {"a": "2"}});
    assert_eq!(
        changed("", "ConfigMap", &frozen, &thawed),
        [
            "immutable: Forbidden: field is immutable when `immutable` is set",
            "data: Forbidden: field is immutable when `immutable` is set"
        ]
    );
    let old = json!({"metadata": {"name": "s"}, "type": "Opaque"});
    let new = json!({"metadata": {"name": "s"}, "type": "other"});
    assert_eq!(
        changed("", "Secret", &old, &new),
        ["type: Invalid value: \"other\": field is immutable"]
    );
    let old = json!({"metadata": {"name": "s", "deletionTimestamp": "2020-01-01T00:00:00Z", "finalizers": ["a/x"]}});
    let new = json!({"metadata": {"name": "s", "deletionTimestamp": "2020-01-01T00:00:00Z", "finalizers": ["a/x", "a/y"]}});
    assert_eq!(
        changed("", "ServiceAccount", &old, &new),
        [
            "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new \
             finalizers []string{\"a/y\"}"
        ]
    );
}

#[test]
fn of_a_pod_only_a_little_may_change() {
    let old = with(&json!({}));
    for good in [
        with(&json!({"image": "i:2"})),
        pod(&json!({"containers": [{"name": "c", "image": "i:1"}], "activeDeadlineSeconds": 5})),
        pod(&json!({"containers": [{"name": "c", "image": "i:1"}], "tolerations": [{"operator": "Exists"}]})),
    ] {
        // The policy of pulling is filled in once, at creation.
        let mut good = good;
        good["spec"]["containers"][0]["imagePullPolicy"] = json!("IfNotPresent");
        assert_eq!(changed("", "Pod", &old, &good), Vec::<String>::new(), "{good}");
    }
    let errors = changed("", "Pod", &old, &with(&json!({"command": ["x"]})));
    assert_eq!(
        errors,
        [
            "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,\
             `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing \
             tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously \
             negative)\n- spec.containers[0].command: null\n+ spec.containers[0].command: [\"x\"]"
        ]
    );
    let two = pod(&json!({"containers": [{"name": "c", "image": "i:1"}, {"name": "d", "image": "i:1"}]}));
    assert_eq!(
        changed("", "Pod", &old, &two),
        ["spec.containers: Forbidden: pod updates may not add or remove containers"]
    );
}

#[test]
fn an_ended_container_of_a_pod_that_never_restarts_stays_ended() {
    let status = |state: Value| json!({"spec": {"restartPolicy": "Never"}, "status": {"containerStatuses": [{"name": "c", "state": state}]}});
    let (ended, runs) = (
        status(json!({"terminated": {"exitCode": 0}})),
        status(json!({"running": {}})),
    );
    let errors: Vec<_> = pod_status(&ended, &runs)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        errors,
        ["status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"]
    );
    assert_eq!(pod_status(&runs, &ended), []);
}

#[test]
fn a_jobs_template_stays() {
    let job = |image: &str| {
        json!({"metadata": {"name": "j"}, "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {
                "restartPolicy": "Never", "containers": [{"name": "c", "image": image}],
            }},
        }})
    };
    let errors = changed("batch", "Job", &job("i:1"), &job("i:2"));
    assert_eq!(errors.len(), 1);
    assert!(
        errors[0].starts_with("spec.template: Invalid value: {"),
        "{errors:?}"
    );
    assert!(errors[0].ends_with(": field is immutable"), "{errors:?}");
    assert_eq!(
        changed("batch", "Job", &job("i:1"), &job("i:1")),
        Vec::<String>::new()
    );
}

#[test]
fn too_much_data_is_too_much() {
    let big = json!({"metadata": {"name": "c"}, "data": {"a": "x".repeat(1_048_577)}});
    assert_eq!(
        created("", "ConfigMap", &big),
        ["[]: Too long: may not be more than 1048576 bytes"]
    );
    let key = json!({"metadata": {"name": "c"}, "data": {"a/b": "x"}});
    assert_eq!(
        created("", "ConfigMap", &key),
        [
            "data[a/b]: Invalid value: \"a/b\": a valid config key must consist of alphanumeric characters, '-', '_' \
             or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
        ]
    );
    let tls = json!({"metadata": {"name": "s"}, "type": "kubernetes.io/tls"});
    assert_eq!(
        created("", "Secret", &tls),
        ["data[tls.crt]: Required value", "data[tls.key]: Required value"]
    );
}
