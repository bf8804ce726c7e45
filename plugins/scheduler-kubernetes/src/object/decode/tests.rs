//! Decoding: recorded bodies of kubectl 1.33, the texts for what is wrong, and that nothing makes it panic.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::object::schema::lookup;

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

fn kind(group: &str, kind: &str) -> &'static Kind {
    lookup(group, "v1", kind).expect("kind")
}

fn strictly(kind: &Kind, text: &str) -> Result<Decoded, Problem> {
    body("application/json", text.as_bytes(), kind, FieldValidation::Strict)
}

/// A body that kubectl 1.33 sent, by the command: hexadecimal lines under its name.
fn recorded(command: &str) -> Vec<u8> {
    let lines = include_str!("recorded/kubectl-1.33.txt").lines();
    let hex: String = lines
        .skip_while(|line| *line != command)
        .skip(1)
        .take_while(|line| !line.starts_with("kubectl"))
        .collect();
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
    (0..hex.len()).step_by(2).map(digit).collect()
}

#[test]
fn what_kubectl_sends_as_protobuf_is_what_it_would_have_sent_as_json() {
    let wanted: Value = serde_json::from_str(include_str!("recorded/kubectl-1.33.json")).expect("JSON");
    for (command, want) in wanted.as_object().expect("by command") {
        let api_version = want["apiVersion"].as_str().expect("apiVersion");
        let (group, _) = api_version.split_once('/').unwrap_or(("", api_version));
        let kind = kind(group, want["kind"].as_str().expect("kind"));
        let decoded = body(PROTOBUF, &recorded(command), kind, FieldValidation::Strict).expect(command);
        assert_eq!(decoded.object, *want, "{command}");
    }
}

#[test]
fn unknown_and_duplicate_fields_are_told_in_order() {
    let text = r#"{"apiVersion":"apps/v1","kind":"Deployment","spec":{"bogus":1,"replicas":1,"replicas":2,
        "template":{"spec":{"containers":[{"name":"c","foo":true}]}}}}"#;
    let deployment = kind("apps", "Deployment");
    let problem = strictly(deployment, text).expect_err("strict");
    assert_eq!(problem.code, 400);
    assert_eq!(
        problem.message,
        "Deployment in version \"v1\" cannot be handled as a Deployment: strict decoding error: unknown field \
         \"spec.bogus\", duplicate field \"spec.replicas\", unknown field \"spec.template.spec.containers[0].foo\""
    );
    let warned = body(
        "application/json",
        text.as_bytes(),
        deployment,
        FieldValidation::Warn,
    )
    .expect("warn");
    assert_eq!(warned.warnings[0], "unknown field \"spec.bogus\"");
    assert_eq!(warned.warnings.len(), 3);
    assert_eq!(warned.object["spec"]["replicas"], 2);
    assert!(warned.object["spec"].get("bogus").is_none());
    let ignored = body(
        "application/json",
        text.as_bytes(),
        deployment,
        FieldValidation::Ignore,
    )
    .expect("ignore");
    assert_eq!(ignored.warnings, Vec::<String>::new());
    assert_eq!(ignored.object, warned.object);
}

#[test]
fn a_value_of_the_wrong_type_is_refused_in_the_real_servers_words() {
    let cases = [
        (
            kind("apps", "Deployment"),
            r#"{"spec":{"replicas":"two"}}"#,
            "Deployment in version \"v1\" cannot be handled as a Deployment: json: cannot unmarshal string into Go \
             struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            kind("", "Pod"),
            r#"{"kind":"Pod","apiVersion":"v1","metadata":{"labels":{"a":1}}}"#,
            "Pod in version \"v1\" cannot be handled as a Pod: json: cannot unmarshal number into Go struct field \
             ObjectMeta.metadata.labels of type string",
        ),
        (
            kind("", "Pod"),
            r#"{"spec":{"containers":{}}}"#,
            "Pod in version \"v1\" cannot be handled as a Pod: json: cannot unmarshal object into Go struct field \
             PodSpec.spec.containers of type []v1.Container",
        ),
        (
            kind("", "Pod"),
            r#"{"spec":{"containers":[{"resources":{"limits":{"cpu":"lots"}}}]}}"#,
            "Pod in version \"v1\" cannot be handled as a Pod: quantities must match the regular expression \
             '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        (
            kind("", "Secret"),
            r#"{"data":{"a":"!"}}"#,
            "Secret in version \"v1\" cannot be handled as a Secret: illegal base64 data at input byte 0",
        ),
        (
            kind("", "Pod"),
            r#"{"apiVersion":"apps/v1","kind":"Deployment"}"#,
            "the API version in the data (apps/v1) does not match the expected API version (v1)",
        ),
        (
            kind("", "Pod"),
            r#"{"apiVersion":"v1","kind":"ConfigMap"}"#,
            "ConfigMap in version \"v1\" cannot be handled as a Pod: converting (v1.ConfigMap) to (core.Pod): unknown \
             conversion",
        ),
    ];
    for (kind, text, want) in cases {
        let problem = strictly(kind, text).expect_err(text);
        assert_eq!((problem.code, problem.message.as_str()), (400, want));
    }
    assert_eq!(
        body("text/plain", b"{}", kind("", "Pod"), FieldValidation::Warn)
            .expect_err("type")
            .code,
        415
    );
    for broken in ["", "{", "[]", "{\"a\":}", "{} {}", "nonsense"] {
        assert_eq!(
            strictly(kind("", "Pod"), broken).expect_err(broken).code,
            400,
            "{broken}"
        );
    }
}

#[test]
fn an_object_is_kept_in_its_canonical_form() {
    let text = r#"{"metadata":{"name":"p","creationTimestamp":null,"labels":{}},
        "spec":{"hostNetwork":false,"nodeName":"","automountServiceAccountToken":false,"containers":[{"name":"c",
        "resources":{"limits":{"cpu":1,"memory":"1024Mi"}},"args":[],"env":[{"name":"A","value":""}]}]}}"#;
    let decoded = strictly(kind("", "Pod"), text).expect("pod");
    assert_eq!(
        decoded.object,
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "p"},
            "spec": {
                "automountServiceAccountToken": false,
                "containers": [{
                    "name": "c",
                    "env": [{"name": "A"}],
                    "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
                }],
            },
            "status": {},
        })
    );
}

#[test]
fn yaml_is_read_as_json_is() {
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\ndata:\n  a: \"1\"\nbogus: 2\n";
    let map = kind("", "ConfigMap");
    let decoded = body("application/yaml", text.as_bytes(), map, FieldValidation::Warn).expect("yaml");
    assert_eq!(decoded.object["data"], json!({"a": "1"}));
    assert_eq!(decoded.warnings, ["unknown field \"bogus\""]);
    let twice = body(
        "application/yaml",
        b"data:\n  a: x\n  a: y\n",
        map,
        FieldValidation::Strict,
    )
    .expect_err("twice");
    assert!(
        twice.message.ends_with("duplicate field \"data.a\""),
        "{}",
        twice.message
    );
}

#[test]
fn an_applied_configuration_stays_as_it_was_written() {
    let text = b"apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: n}\nspec:\n  hostNetwork: false\n  containers: []\n";
    let object = applied(text, kind("", "Pod"), "n").expect("applied");
    assert_eq!(object["spec"], json!({"hostNetwork": false, "containers": []}));
    let text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: p, namespace: n}\nbogus: 1\n";
    let problem = applied(text, kind("", "ConfigMap"), "n").expect_err("bogus");
    assert_eq!(problem.code, 500);
    assert_eq!(
        problem.message,
        "failed to create typed patch object (n/p; /v1, Kind=ConfigMap): .bogus: field not declared in schema"
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let pod = kind("", "Pod");
        let _ = protobuf::message(&bytes, pod.root());
        let _ = body(PROTOBUF, &bytes, pod, FieldValidation::Strict);
        let _ = body("application/json", &bytes, pod, FieldValidation::Strict);
        let _ = body("application/yaml", &bytes, pod, FieldValidation::Strict);
    }

    #[test]
    fn a_bit_flipped_in_a_real_body_does_not_make_it_panic(at in 0usize..220, bit in 0u8..8) {
        let mut bytes = recorded("kubectl-create-deployment");
        bytes[at] ^= 1 << bit;
        let _ = body(PROTOBUF, &bytes, kind("apps", "Deployment"), FieldValidation::Strict);
    }

    #[test]
    fn a_kept_object_is_read_as_itself(at in 0usize..3) {
        let text = [r#"{"spec":{"containers":[{"name":"a","image":"b"}]}}"#, "{}", r#"{"metadata":{"name":"x"}}"#][at];
        let once = strictly(kind("", "Pod"), text).expect("once").object;
        let twice = strictly(kind("", "Pod"), &once.to_string()).expect("twice").object;
        prop_assert_eq!(once, twice);
    }
}
