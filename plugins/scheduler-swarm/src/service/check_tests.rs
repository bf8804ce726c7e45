use super::*;
use crate::service::world::spec;
use http::StatusCode;
use serde_json::json;

fn refusal(more: &Value, task: &Value) -> (StatusCode, String) {
    let error = service(spec(more, task), &Desired::default()).expect_err("it is refused");
    (error.status, error.message)
}

#[test]
fn what_is_wrong_is_refused_in_a_swarms_words() {
    let none = json!({});
    let container = |c: Value| json!({"ContainerSpec": c});
    let table: [(Value, Value, &str); 14] = [
        (
            json!({"Name": "a.b"}),
            none.clone(),
            "name must be valid as a DNS name component",
        ),
        (
            json!({"Name": "-a"}),
            none.clone(),
            "name must be valid as a DNS name component",
        ),
        (
            json!({"Name": "x".repeat(64)}),
            none.clone(),
            "name must be valid as a DNS name component",
        ),
        (
            none.clone(),
            container(json!({"Image": ""})),
            "ContainerSpec: image reference must be provided",
        ),
        (
            json!({"Mode": {"Replicated": {}, "Global": {}}}),
            none.clone(),
            "must specify only one service mode",
        ),
        (
            none.clone(),
            json!({"Placement": {"Constraints": ["a=b"]}}),
            "constraint expected one operator from ==, !=",
        ),
        (
            none.clone(),
            json!({"Resources": {"Limits": {"NanoCPUs": 1}}}),
            "invalid cpu value 0.000000001: Must be at least 0.001",
        ),
        (
            none.clone(),
            json!({"Resources": {"Reservations": {"MemoryBytes": 5}}}),
            "invalid memory value 5: Must be at least 4MiB",
        ),
        (
            none.clone(),
            json!({"RestartPolicy": {"Condition": "x"}}),
            "invalid RestartCondition: 'x'",
        ),
        (
            json!({"UpdateConfig": {"Order": "x"}}),
            none.clone(),
            "unrecognized update order x",
        ),
        (
            json!({"RollbackConfig": {"FailureAction": "rollback"}}),
            none.clone(),
            "unrecognized rollback failure action rollback",
        ),
        (
            json!({"UpdateConfig": {"MaxFailureRatio": 2}}),
            none.clone(),
            "cannot be less than 0 or bigger than 1",
        ),
        (
            none.clone(),
            container(json!({"Secrets": [{"SecretID": "a", "SecretName": "b"}]})),
            "secret not found: b",
        ),
        (
            none.clone(),
            container(json!({"Mounts": [{"Type": "bind", "Source": "a", "Target": "/b"}]})),
            "must be an absolute path: a",
        ),
    ];
    for (more, task, words) in table {
        let (status, message) = refusal(&more, &task);
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn what_is_not_served_is_named_and_its_default_is_taken() {
    let container = |c: Value| json!({"ContainerSpec": c});
    let table: [(Value, Value, &str); 8] = [
        (json!({"Init": true}), json!({"Init": false}), "--init"),
        (
            json!({"ReadOnly": true}),
            json!({"ReadOnly": false}),
            "--read-only",
        ),
        (json!({"Groups": ["a"]}), json!({"Groups": []}), "--group"),
        (
            json!({"CapabilityAdd": ["A"]}),
            json!({"CapabilityAdd": null}),
            "--cap-add",
        ),
        (
            json!({"DNSConfig": {"Nameservers": ["1.1.1.1"]}}),
            json!({"DNSConfig": {}}),
            "--dns",
        ),
        (
            json!({"Privileges": {"NoNewPrivileges": true}}),
            json!({"Privileges": {"NoNewPrivileges": false}}),
            "Privileges",
        ),
        (
            json!({"Hostname": "{{.Task.Slot}}"}),
            json!({"Hostname": "h"}),
            "--hostname",
        ),
        (json!({"Sysctls": {"a": "b"}}), json!({"Sysctls": {}}), "--sysctl"),
    ];
    for (asked, default, flag) in table {
        let (_, message) = refusal(&json!({}), &container(asked));
        assert!(
            message.contains(flag) && message.contains("not served"),
            "{message}"
        );
        service(spec(&json!({}), &container(default)), &Desired::default()).unwrap();
    }
    let ports = json!({"EndpointSpec": {"Ports": [{"TargetPort": 80, "PublishedPort": 8080}]}});
    assert!(
        refusal(&ports, &json!({}))
            .1
            .contains("--publish mode=host,published=8080,target=80")
    );
    let networks = json!({"Networks": [{"Target": "front"}]});
    assert_eq!(
        refusal(&json!({}), &networks),
        (StatusCode::NOT_FOUND, "network front not found".to_owned())
    );
}

#[test]
fn what_a_server_stores_is_filled_in() {
    let stored = service(
        spec(&json!({"Mode": {"Replicated": {}}}), &json!({})),
        &Desired::default(),
    )
    .unwrap();
    let text = serde_json::to_value(&stored).unwrap();
    assert_eq!(text["Mode"], json!({"Replicated": {"Replicas": 1}}));
    assert_eq!(text["TaskTemplate"]["ContainerSpec"]["Isolation"], "default");
    assert_eq!(
        serde_json::to_value(service(stored, &Desired::default()).unwrap()).unwrap(),
        text,
        "nothing more the next time"
    );
}
