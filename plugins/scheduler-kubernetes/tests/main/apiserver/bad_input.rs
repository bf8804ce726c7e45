//! What is wrong with a request is told as a real API server tells it: code, reason, causes, text.

use super::{Api, CONFIGS, DEPLOYMENTS, PODS, bind, config, deployment, pod};
use reqwest::Method;
use serde_json::{Value, json};

/// Asks, and holds the answer against what is known of the real server. The causes are reason and field.
struct Case {
    name: &'static str,
    method: Method,
    path: String,
    media: &'static str,
    body: String,
    code: u16,
    reason: &'static str,
    message: &'static str,
    causes: &'static [(&'static str, &'static str)],
}

fn post(name: &'static str, path: impl Into<String>, body: Value) -> Case {
    Case {
        name,
        method: Method::POST,
        path: path.into(),
        media: "application/json",
        body: body.to_string(),
        code: 422,
        reason: "Invalid",
        message: "",
        causes: &[],
    }
}

fn patch(name: &'static str, path: impl Into<String>, body: Value) -> Case {
    Case {
        method: Method::PATCH,
        media: "application/merge-patch+json",
        ..post(name, path, body)
    }
}

fn get(name: &'static str, path: impl Into<String>) -> Case {
    Case {
        method: Method::GET,
        body: String::new(),
        ..post(name, path, Value::Null)
    }
}

impl Case {
    fn is(self, code: u16, reason: &'static str, message: &'static str) -> Self {
        Self {
            code,
            reason,
            message,
            ..self
        }
    }

    fn causes(self, causes: &'static [(&'static str, &'static str)]) -> Self {
        Self { causes, ..self }
    }
}

fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap()[field] = value;
    object
}

async fn run(api: &Api, cases: Vec<Case>) {
    let mut wrong = Vec::new();
    for case in cases {
        let answer = api.ask(case.method, &case.path, case.media, case.body).await;
        let (code, reason, message) = answer.refusal();
        let causes: Vec<(String, String)> = answer.body["details"]["causes"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|cause| {
                let text = |field: &str| cause[field].as_str().unwrap_or_default().to_owned();
                (text("reason"), text("field"))
            })
            .collect();
        let expected: Vec<(String, String)> = case
            .causes
            .iter()
            .map(|(reason, field)| ((*reason).to_owned(), (*field).to_owned()))
            .collect();
        let says = message == case.message
            || (case.message.ends_with("...") && message.starts_with(case.message.trim_end_matches("...")));
        if (code, reason) != (case.code, case.reason) || !says || causes != expected {
            wrong.push(format!(
                "{}:\n  {code} {reason} {message}\n  {causes:?}\n",
                case.name
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn bodies_and_names() {
    let api = Api::new().await;
    api.post(CONFIGS, &config("a")).await.ok();
    let bogus = with(
        with(deployment("d"), "/spec/bogus", json!(1)),
        "/spec/template/spec/containers/0/foo",
        json!(2),
    );
    let twice = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"t"},"data":{"a":"1","a":"2"}}"#;
    let cases = vec![
        post("unknown fields", format!("{DEPLOYMENTS}?fieldValidation=Strict"), bogus)
            .is(400, "BadRequest", "Deployment in version \"v1\" cannot be handled as a Deployment: strict decoding error: unknown field \"spec.bogus\", unknown field \"spec.template.spec.containers[0].foo\""),
        Case { body: twice.to_owned(), ..post("a duplicate key", format!("{CONFIGS}?fieldValidation=Strict"), Value::Null) }
            .is(400, "BadRequest", "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: duplicate field \"data.a\""),
        post("a bad name", CONFIGS, config("Bad_Name"))
            .is(422, "Invalid", "ConfigMap \"Bad_Name\" is invalid: metadata.name: Invalid value: \"Bad_Name\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')")
            .causes(&[("FieldValueInvalid", "metadata.name")]),
        post("no name", CONFIGS, with(config("x"), "/metadata/name", json!("")))
            .is(422, "Invalid", "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required")
            .causes(&[("FieldValueRequired", "metadata.name")]),
        post("a name that is taken", CONFIGS, config("a"))
            .is(409, "AlreadyExists", "configmaps \"a\" already exists"),
        post("a namespace that is not there", "/api/v1/namespaces/missing/configmaps", config("a"))
            .is(404, "NotFound", "namespaces \"missing\" not found"),
        post("another namespace in the body", CONFIGS, with(config("x"), "/metadata/namespace", json!("other")))
            .is(400, "BadRequest", "the namespace of the provided object does not match the namespace sent on the request"),
        post("another kind in the body", CONFIGS, pod("x"))
            .is(400, "BadRequest", "Pod in version \"v1\" cannot be handled as a ConfigMap: converting (v1.Pod) to (core.ConfigMap): unknown conversion..."),
        Case { body: "{".to_owned(), ..post("no JSON", CONFIGS, Value::Null) }
            .is(400, "BadRequest", "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: unexpected end of JSON input ({)"),
        Case { media: "text/plain", ..post("no media type", CONFIGS, config("x")) }
            .is(415, "UnsupportedMediaType", "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf"),
        post("too large a body", CONFIGS, with(config("x"), "/data/k", json!("x".repeat(3 << 20))))
            .is(413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728"),
        post("a version on a new object", CONFIGS, with(config("x"), "/metadata/resourceVersion", json!("1")))
            .is(500, "", "resourceVersion should not be set on objects to be created"),
        Case { method: Method::PUT, ..post("another name in the body", format!("{CONFIGS}/a"), config("b")) }
            .is(400, "BadRequest", "the name of the object (b) does not match the name on the URL (a)"),
        Case { method: Method::PUT, ..post("a replacement of nothing", format!("{CONFIGS}/b"), config("b")) }
            .is(404, "NotFound", "configmaps \"b\" not found"),
        Case { method: Method::PUT, ..post("a stale version", format!("{CONFIGS}/a"), with(config("a"), "/metadata/resourceVersion", json!("1"))) }
            .is(409, "Conflict", "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to the latest version and try again"),
        Case { method: Method::DELETE, ..post("another uid", format!("{CONFIGS}/a"), json!({"preconditions": {"uid": "abc"}})) }
            .is(409, "Conflict", "Operation cannot be fulfilled on ConfigMap \"a\": the UID in the precondition (abc) does not match the UID in record (..."),
        get("an unknown resource", "/api/v1/services")
            .is(404, "NotFound", "the server could not find the requested resource"),
        post("a verb that is not there", format!("{CONFIGS}/a"), config("a"))
            .is(405, "MethodNotAllowed", "the server does not allow this method on the requested resource"),
    ];
    run(&api, cases).await;
}

#[tokio::test]
async fn options() {
    let api = Api::new().await;
    api.post(CONFIGS, &config("a")).await.ok();
    let cases = vec![
        get("an unknown field", format!("{PODS}?fieldSelector=spec.bogus%3D1"))
            .is(400, "BadRequest", "field label not supported: spec.bogus"),
        get("a field of a kind without fields", format!("{CONFIGS}?fieldSelector=data.x%3D1"))
            .is(400, "BadRequest", "\"data.x\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""),
        get("a version that is none", format!("{CONFIGS}?resourceVersion=abc"))
            .is(400, "BadRequest", "Invalid value: \"abc\": strconv.ParseUint: parsing \"abc\": invalid syntax"),
        get("a version that is not there yet", format!("{CONFIGS}?resourceVersion=999999"))
            .is(504, "Timeout", "Too large resource version: 999999, current: ...")
            .causes(&[("ResourceVersionTooLarge", "")]),
        get("a token that is none", format!("{CONFIGS}?continue=nonsense"))
            .is(400, "BadRequest", "continue key is not valid: ..."),
        post("a dry run that is none", format!("{CONFIGS}?dryRun=Some"), config("x"))
            .is(422, "Invalid", "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"Some\"]: supported values: \"All\"")
            .causes(&[("FieldValueNotSupported", "dryRun")]),
        post("a manager of too many letters", format!("{CONFIGS}?fieldManager={}", "m".repeat(129)), config("x"))
            .is(422, "Invalid", "CreateOptions.meta.k8s.io \"\" is invalid: fieldManager: Too long: may not be more than 128 bytes")
            .causes(&[("FieldValueTooLong", "fieldManager")]),
        Case { media: "application/apply-patch+yaml", ..patch("an apply by nobody", format!("{CONFIGS}/a"), config("a")) }
            .is(422, "Invalid", "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch")
            .causes(&[("FieldValueRequired", "fieldManager")]),
        Case { media: "application/apply-patch+yaml", ..patch("an apply of an unknown field", format!("{CONFIGS}/a?fieldManager=m"), with(config("a"), "/bogus", json!(1))) }
            .is(500, "", "failed to create typed patch object (default/a; /v1, Kind=ConfigMap): .bogus: field not declared in schema"),
        Case { media: "application/apply-patch+yaml", ..patch("an apply of managed fields", format!("{CONFIGS}/a?fieldManager=m"), with(config("a"), "/metadata/managedFields", json!([{"manager": "x"}]))) }
            .is(400, "BadRequest", "metadata.managedFields must be nil"),
        Case { media: "application/json-patch+json", ..patch("a test that fails", format!("{CONFIGS}/a"), json!([{"op": "test", "path": "/data/k", "value": "w"}])) }
            .is(422, "Invalid", "the server rejected our request due to an error in our request"),
        Case { media: "application/json", ..patch("a patch of no kind", format!("{CONFIGS}/a"), json!({})) }
            .is(415, "UnsupportedMediaType", "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml..."),
    ];
    run(&api, cases).await;
}

#[tokio::test]
async fn objects_that_their_kinds_do_not_allow() {
    let api = Api::new().await;
    api.post(DEPLOYMENTS, &deployment("d")).await.ok();
    api.post(PODS, &pod("p")).await.ok();
    bind(&api, "p", "n1").await.ok();
    let large = with(config("x"), "/data/k", json!("x".repeat((1 << 20) + 1)));
    let two = with(
        pod("x"),
        "/spec/containers",
        json!([{"name": "c", "image": "i"}, {"name": "c", "image": "i"}]),
    );
    let cases = vec![
        patch("a selector", format!("{DEPLOYMENTS}/d"), json!({"spec": {"selector": {"matchLabels": {"app": "e"}}}}))
            .is(422, "Invalid", "Deployment.apps \"d\" is invalid: ...")
            .causes(&[("FieldValueInvalid", "spec.template.metadata.labels"), ("FieldValueInvalid", "spec.selector")]),
        post("labels that do not fit the selector", DEPLOYMENTS, with(deployment("x"), "/spec/template/metadata/labels", json!({"app": "y"})))
            .is(422, "Invalid", "Deployment.apps \"x\" is invalid: spec.template.metadata.labels: Invalid value: {\"app\":\"y\"}: `selector` does not match template `labels`")
            .causes(&[("FieldValueInvalid", "spec.template.metadata.labels")]),
        post("no containers", PODS, with(pod("x"), "/spec/containers", json!([])))
            .is(422, "Invalid", "Pod \"x\" is invalid: spec.containers: Required value")
            .causes(&[("FieldValueRequired", "spec.containers")]),
        post("two of a name", PODS, two)
            .is(422, "Invalid", "Pod \"x\" is invalid: spec.containers[1].name: Duplicate value: \"c\"")
            .causes(&[("FieldValueDuplicate", "spec.containers[1].name")]),
        post("an unknown policy", PODS, with(pod("x"), "/spec/restartPolicy", json!("Sometimes")))
            .is(422, "Invalid", "Pod \"x\" is invalid: spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \"Never\"")
            .causes(&[("FieldValueNotSupported", "spec.restartPolicy")]),
        post("a negative number", DEPLOYMENTS, with(deployment("x"), "/spec/replicas", json!(-1)))
            .is(422, "Invalid", "Deployment.apps \"x\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0")
            .causes(&[("FieldValueInvalid", "spec.replicas")]),
        patch("a pod's node", format!("{PODS}/p"), json!({"spec": {"nodeName": "n2"}}))
            .is(422, "Invalid", "Pod \"p\" is invalid: spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,...")
            .causes(&[("FieldValueForbidden", "spec")]),
        post("too much data", CONFIGS, large)
            .is(422, "Invalid", "ConfigMap \"x\" is invalid: []: Too long: may not be more than 1048576 bytes")
            .causes(&[("FieldValueTooLong", "[]")]),
        post("an account that is not there", PODS, with(pod("x"), "/spec/serviceAccountName", json!("nobody")))
            .is(403, "Forbidden", "pods \"x\" is forbidden: error looking up service account default/nobody: serviceaccount \"nobody\" not found"),
        post("a type that does not fit", DEPLOYMENTS, with(deployment("x"), "/spec/replicas", json!("two")))
            .is(400, "BadRequest", "Deployment in version \"v1\" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"),
    ];
    run(&api, cases).await;
}
