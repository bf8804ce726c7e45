//! Bodies that are almost right: whatever stands at whatever place, the server answers, and does not take the
//! blame.

use super::{Api, CONFIGS, DEPLOYMENTS, PODS, bind, config, deployment, pod};
use futures::{StreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};

/// Every place in a value, as pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(map) => map
            .iter()
            .for_each(|(key, inner)| places(inner, &format!("{at}/{key}"), found)),
        Value::Array(list) => {
            list.iter()
                .enumerate()
                .for_each(|(i, inner)| places(inner, &format!("{at}/{i}"), found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The value with each place replaced by each of a few odd things.
fn variants(value: &Value) -> Vec<Value> {
    let odd = [
        Value::Null,
        json!(true),
        json!(-1),
        json!(1e300),
        json!(""),
        json!("x\u{0}y"),
        json!([]),
        json!([null]),
        json!({}),
        json!({ "x": null }),
    ];
    let mut found = Vec::new();
    places(value, "", &mut found);
    let mut out = Vec::new();
    for place in found {
        for odd in &odd {
            let mut one = value.clone();
            *one.pointer_mut(&place).unwrap() = odd.clone();
            out.push(one);
        }
    }
    out
}

async fn ask(api: &Api, method: Method, path: &str, media: &str, bodies: Vec<String>) {
    let asked = bodies.into_iter().map(|body| {
        let method = method.clone();
        async move {
            let answer = api.ask(method, path, media, body.clone()).await;
            // What the real server, too, takes for its own fault.
            let message = answer.refusal().2;
            let known = message.starts_with("failed to create typed patch object")
                || message.starts_with("resourceVersion should not be set")
                || message.contains("does not contain declared merge key");
            assert!(
                answer.code < 500 || known,
                "{path} {media}\n{body}\n{} {}",
                answer.code,
                answer.text
            );
            assert_eq!(answer.headers["content-type"], "application/json", "{body}");
        }
    });
    stream::iter(asked)
        .buffer_unordered(16)
        .collect::<Vec<()>>()
        .await;
}

fn full_pod() -> Value {
    let mut full = pod("p");
    full["metadata"]["annotations"] = json!({ "a": "b" });
    full["metadata"]["ownerReferences"] =
        json!([{ "apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "u", "controller": true }]);
    full["spec"]["tolerations"] = json!([{ "key": "k", "operator": "Exists" }]);
    full["spec"]["volumes"] =
        json!([{ "name": "v", "projected": { "sources": [{ "configMap": { "name": "c" } }] } }]);
    full["spec"]["initContainers"] =
        json!([{ "name": "i", "image": "x", "env": [{ "name": "A", "value": "1" }] }]);
    full["spec"]["containers"][0]["ports"] = json!([{ "containerPort": 80 }]);
    full["spec"]["containers"][0]["resources"] = json!({ "limits": { "cpu": "1", "memory": "1Gi" } });
    full["spec"]["containers"][0]["volumeMounts"] = json!([{ "name": "v", "mountPath": "/v" }]);
    full["spec"]["containers"][0]["readinessProbe"] = json!({ "httpGet": { "port": 80 } });
    full["status"] = json!({ "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] });
    full
}

#[tokio::test]
async fn nothing_that_is_created_is_the_servers_fault() {
    let api = Api::new().await;
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "j" },
        "spec": { "template": { "spec": { "restartPolicy": "Never", "containers": [{ "name": "c", "image": "i" }] } } },
    });
    let event = json!({
        "apiVersion": "v1", "kind": "Event", "metadata": { "name": "e" }, "reason": "r", "message": "m",
        "involvedObject": { "kind": "Pod", "namespace": "default", "name": "p" }, "source": { "component": "c" },
    });
    let node = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": { "name": "n", "labels": { "a": "b" } },
        "spec": { "taints": [{ "key": "k", "effect": "NoSchedule" }] }, "status": { "capacity": { "cpu": "1" } },
    });
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "s" }, "stringData": { "a": "b" } });
    let namespace =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "n" }, "spec": {} });
    let table = [
        (PODS, full_pod()),
        (DEPLOYMENTS, deployment("d")),
        (CONFIGS, config("c")),
        ("/apis/batch/v1/namespaces/default/jobs", job),
        ("/api/v1/namespaces/default/events", event),
        ("/api/v1/nodes", node),
        ("/api/v1/namespaces/default/secrets", secret),
        ("/api/v1/namespaces", namespace),
    ];
    for (path, object) in table {
        let bodies = variants(&object).iter().map(Value::to_string).collect();
        ask(
            &api,
            Method::POST,
            &format!("{path}?dryRun=All&fieldValidation=Ignore"),
            "application/json",
            bodies,
        )
        .await;
    }
}

#[tokio::test]
async fn nothing_that_is_patched_is_the_servers_fault() {
    let api = Api::new().await;
    api.post(PODS, &full_pod()).await.ok();
    bind(&api, "p", "n").await.ok();
    api.post(DEPLOYMENTS, &deployment("d")).await.ok();
    let kept = api.get(&format!("{PODS}/p")).await.ok();
    let path = format!("{PODS}/p?dryRun=All&fieldManager=m&force=true");
    let plain = format!("{PODS}/p?dryRun=All");
    let status = format!("{PODS}/p/status?dryRun=All");
    let bodies: Vec<String> = variants(&full_pod()).iter().map(Value::to_string).collect();
    for media in [
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
    ] {
        ask(&api, Method::PATCH, &plain, media, bodies.clone()).await;
        ask(&api, Method::PATCH, &status, media, bodies.clone()).await;
    }
    ask(
        &api,
        Method::PATCH,
        &path,
        "application/apply-patch+yaml",
        bodies.clone(),
    )
    .await;
    ask(&api, Method::PUT, &plain, "application/json", bodies).await;
    let steps = json!([{ "op": "add", "path": "/metadata/labels/x", "value": "y" }, { "op": "test", "path": "/spec" }]);
    let steps = variants(&steps).iter().map(Value::to_string).collect();
    ask(&api, Method::PATCH, &plain, "application/json-patch+json", steps).await;
    let scale = json!({ "metadata": { "name": "d" }, "spec": { "replicas": 1 } });
    let scale: Vec<String> = variants(&scale).iter().map(Value::to_string).collect();
    let of_scale = format!("{DEPLOYMENTS}/d/scale?dryRun=All");
    ask(
        &api,
        Method::PATCH,
        &of_scale,
        "application/merge-patch+json",
        scale.clone(),
    )
    .await;
    ask(&api, Method::PUT, &of_scale, "application/json", scale).await;
    assert_eq!(api.get(&format!("{PODS}/p")).await.ok(), kept);
}

#[tokio::test]
async fn nothing_that_is_asked_under_an_object_is_the_servers_fault() {
    let api = Api::new().await;
    api.post(PODS, &pod("p")).await.ok();
    let token = json!({
        "spec": { "audiences": ["a"], "expirationSeconds": 600, "boundObjectRef": { "kind": "Pod", "apiVersion": "v1", "name": "p" } },
    });
    let review = json!({
        "spec": { "resourceAttributes": { "verb": "get", "resource": "pods" }, "groups": ["a"], "user": "b", "token": "c" },
    });
    let binding = json!({ "metadata": { "name": "p", "labels": { "a": "b" } }, "target": { "kind": "Node", "name": "n" } });
    let eviction = json!({ "metadata": { "name": "p" }, "deleteOptions": { "gracePeriodSeconds": 1, "dryRun": ["All"] } });
    let options =
        json!({ "gracePeriodSeconds": 1, "preconditions": { "uid": "u" }, "propagationPolicy": "Orphan" });
    let table = [
        (
            Method::POST,
            "/api/v1/namespaces/default/serviceaccounts/default/token".to_owned(),
            token,
        ),
        (
            Method::POST,
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews".to_owned(),
            review.clone(),
        ),
        (
            Method::POST,
            "/apis/authorization.k8s.io/v1/subjectaccessreviews".to_owned(),
            review.clone(),
        ),
        (
            Method::POST,
            "/apis/authentication.k8s.io/v1/tokenreviews".to_owned(),
            review,
        ),
        (Method::POST, format!("{PODS}/p/binding?dryRun=All"), binding),
        (Method::POST, format!("{PODS}/p/eviction?dryRun=All"), eviction),
        (Method::DELETE, format!("{PODS}/p?dryRun=All"), options),
    ];
    for (method, path, body) in table {
        let bodies = variants(&body).iter().map(Value::to_string).collect();
        ask(&api, method, &path, "application/json", bodies).await;
    }
    assert_eq!(api.get(&format!("{PODS}/p")).await.code, 200);
}
