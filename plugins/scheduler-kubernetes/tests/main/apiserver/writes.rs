//! Creating, replacing and patching.

use super::{Api, CONFIGS, DEPLOYMENTS, PODS, bind, config, deployment, pod, version};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_new_object_gets_what_only_the_server_says() {
    let api = Api::new().await;
    let mut given = deployment("web");
    given["metadata"]["creationTimestamp"] = Value::Null;
    given["metadata"]["uid"] = json!("mine");
    given["metadata"]["generation"] = json!(7);
    given["status"] = json!({ "replicas": 9 });
    let made = api.post(DEPLOYMENTS, &given).await;
    assert_eq!(made.code, 201);
    let made = made.ok();
    let metadata = &made["metadata"];
    assert_eq!(metadata["generation"], 1);
    assert_ne!(metadata["uid"], "mine");
    assert!(metadata["creationTimestamp"].as_str().unwrap().ends_with('Z'));
    assert_eq!(made["status"], json!({}));
    assert_eq!(api.get(&format!("{DEPLOYMENTS}/web")).await.ok(), made);
}

#[tokio::test]
async fn a_generated_name_ends_in_five_letters_of_its_own() {
    let api = Api::new().await;
    let mut given = config("x");
    given["metadata"] = json!({ "generateName": "c-" });
    let (a, b) = (
        api.post(CONFIGS, &given).await.ok(),
        api.post(CONFIGS, &given).await.ok(),
    );
    let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
    assert!(name(&a).starts_with("c-") && name(&a).len() == 7 && name(&a) != name(&b));
}

#[tokio::test]
async fn the_generation_rises_with_the_spec_and_the_version_with_every_change_only() {
    let api = Api::new().await;
    let path = format!("{DEPLOYMENTS}/web");
    let first = api.post(DEPLOYMENTS, &deployment("web")).await.ok();
    let steps = [
        (json!({ "metadata": { "labels": { "a": "b" } } }), 1, true),
        (json!({ "metadata": { "labels": { "a": "b" } } }), 1, false),
        (json!({ "metadata": { "annotations": { "a": "b" } } }), 2, true),
        (json!({ "spec": { "replicas": 5 } }), 3, true),
        (json!({ "status": { "replicas": 5 } }), 3, false),
    ];
    let mut last = version(&first);
    for (patch, generation, changes) in steps {
        let object = api.merge(&path, &patch).await.ok();
        assert_eq!(object["metadata"]["generation"], generation, "{patch}");
        assert_eq!(version(&object) > last, changes, "{patch}");
        last = version(&object);
    }
    let both = json!({ "spec": { "replicas": 8 }, "status": { "replicas": 5 } });
    let object = api.merge(&format!("{path}/status"), &both).await.ok();
    assert_eq!(object["status"]["replicas"], 5);
    assert_eq!(object["spec"]["replicas"], 5);
    assert_eq!(object["metadata"]["generation"], 3);
}

#[tokio::test]
async fn a_replacement_must_be_of_the_version_that_it_names() {
    let api = Api::new().await;
    let path = format!("{CONFIGS}/a");
    let mut first = api.post(CONFIGS, &config("a")).await.ok();
    first["data"]["k"] = json!("w");
    let second = api.put(&path, &first).await.ok();
    assert_eq!(second["data"]["k"], "w");
    first["data"]["k"] = json!("x");
    assert_eq!(api.put(&path, &first).await.refusal().1, "Conflict");
    let unconditional = api.put(&path, &config("a")).await.ok();
    assert_eq!(unconditional["data"]["k"], "v");
    assert_eq!(unconditional["metadata"]["uid"], second["metadata"]["uid"]);
}

#[tokio::test]
async fn what_is_only_tried_is_not_kept() {
    let api = Api::new().await;
    let tried = api
        .post(&format!("{CONFIGS}?dryRun=All"), &config("a"))
        .await
        .ok();
    assert!(tried["metadata"]["uid"].is_string() && tried["metadata"].get("resourceVersion").is_none());
    assert_eq!(api.get(&format!("{CONFIGS}/a")).await.code, 404);
    let made = api.post(CONFIGS, &config("a")).await.ok();
    let change = json!({ "data": { "k": "w" } });
    let tried = api.merge(&format!("{CONFIGS}/a?dryRun=All"), &change).await.ok();
    assert_eq!(tried["data"]["k"], "w");
    let tried = api
        .delete(&format!("{CONFIGS}/a"), &json!({ "dryRun": ["All"] }))
        .await;
    assert_eq!(tried.code, 200);
    assert_eq!(api.get(&format!("{CONFIGS}/a")).await.ok(), made);
}

#[tokio::test]
async fn a_pod_is_given_its_account_and_is_bound_once() {
    let api = Api::new().await;
    let made = api.post(PODS, &pod("p")).await.ok();
    assert_eq!(made["spec"]["serviceAccountName"], "default");
    let volume = made["spec"]["volumes"][0]["name"].as_str().unwrap();
    assert!(volume.starts_with("kube-api-access-"));
    let mount = &made["spec"]["containers"][0]["volumeMounts"][0];
    assert_eq!(
        mount["mountPath"],
        "/var/run/secrets/kubernetes.io/serviceaccount"
    );
    assert_eq!(made["status"]["phase"], "Pending");
    assert_eq!(bind(&api, "p", "n1").await.code, 201);
    let bound = api.get(&format!("{PODS}/p")).await.ok();
    assert_eq!(bound["spec"]["nodeName"], "n1");
    assert_eq!(bound["metadata"]["generation"], 1);
    assert_eq!(bound["status"]["conditions"][0]["type"], "PodScheduled");
    let again = bind(&api, "p", "n1").await;
    let why = "Operation cannot be fulfilled on pods/binding \"p\": pod p is already assigned to node \"n1\"";
    assert_eq!(again.refusal(), (409, "Conflict", why));
    let mut other = pod("q");
    other["spec"]["serviceAccountName"] = json!("nobody");
    assert_eq!(api.post(PODS, &other).await.code, 403);
}

#[tokio::test]
async fn replicas_are_set_through_scale() {
    let api = Api::new().await;
    api.post(DEPLOYMENTS, &deployment("web")).await.ok();
    let path = format!("{DEPLOYMENTS}/web/scale");
    let scale = api.get(&path).await.ok();
    assert_eq!(
        (&scale["kind"], &scale["spec"]["replicas"]),
        (&json!("Scale"), &json!(2))
    );
    assert_eq!(scale["status"]["selector"], "app=web");
    let set = api.merge(&path, &json!({ "spec": { "replicas": 4 } })).await.ok();
    assert_eq!(set["spec"]["replicas"], 4);
    let object = api.get(&format!("{DEPLOYMENTS}/web")).await.ok();
    assert_eq!(
        (&object["spec"]["replicas"], &object["metadata"]["generation"]),
        (&json!(4), &json!(2))
    );
    let mut stale = scale.clone();
    stale["spec"]["replicas"] = json!(6);
    assert_eq!(api.put(&path, &stale).await.refusal().1, "Conflict");
    assert_eq!(
        api.merge(&path, &json!({ "spec": { "replicas": -1 } }))
            .await
            .code,
        422
    );
}

#[tokio::test]
async fn yaml_is_read_and_written() {
    let api = Api::new().await;
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: y}\ndata: {a: b}\n";
    let made = api
        .ask(Method::POST, CONFIGS, "application/yaml", text)
        .await
        .ok();
    assert_eq!(made["data"]["a"], "b");
    let shown = api.accept(&format!("{CONFIGS}/y"), "application/yaml").await;
    assert!(shown.text.contains("kind: ConfigMap\n"), "{}", shown.text);
}

#[tokio::test]
async fn many_who_change_one_object_at_once_lose_nothing() {
    let api = Api::new().await;
    api.post(CONFIGS, &config("a")).await.ok();
    let path = format!("{CONFIGS}/a");
    let patches = (0..40).map(|i| {
        let patch = json!({ "data": { format!("k{i}"): "v" } });
        let (api, path) = (&api, &path);
        async move { api.merge(path, &patch).await.ok() }
    });
    futures::future::join_all(patches).await;
    let object = api.get(&path).await.ok();
    assert_eq!(object["data"].as_object().unwrap().len(), 41);
}

#[tokio::test]
async fn an_object_of_a_mebibyte_is_kept_whole() {
    let api = Api::new().await;
    let mut large = config("large");
    // Every byte takes two in JSON, so that it does not fit one value of the store.
    large["data"] = json!({ "x": "\"".repeat(1_000_000) });
    let made = api.post(CONFIGS, &large).await.ok();
    let read = api.get(&format!("{CONFIGS}/large")).await.ok();
    assert_eq!(read, made);
    let again = Api::on(std::sync::Arc::clone(&api.state)).await;
    assert_eq!(again.get(&format!("{CONFIGS}/large")).await.ok(), made);
    api.delete(&format!("{CONFIGS}/large"), &json!({})).await.ok();
    assert!(
        api.state
            .list("api/parts/", None, None, 0)
            .await
            .unwrap()
            .entries
            .is_empty()
    );
}

#[tokio::test]
async fn a_replacement_by_the_same_changes_nothing_and_fields_keep_their_managers() {
    let api = Api::new().await;
    let path = format!("{CONFIGS}/a");
    let made = api
        .post(&format!("{CONFIGS}?fieldManager=m"), &config("a"))
        .await
        .ok();
    let same = api
        .put(&format!("{path}?fieldManager=m"), &config("a"))
        .await
        .ok();
    assert_eq!(same, made);
    assert_eq!(made["metadata"]["managedFields"][0]["manager"], "m");
    let mut other = config("a");
    other["data"]["z"] = json!("1");
    let changed = api.put(&format!("{path}?fieldManager=n"), &other).await.ok();
    let managers: Vec<&str> = changed["metadata"]["managedFields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["manager"].as_str().unwrap())
        .collect();
    assert_eq!(managers, ["m", "n"]);
    let mut cleared = changed.clone();
    cleared["metadata"]["managedFields"] = json!([{}]);
    let cleared = api.put(&format!("{path}?fieldManager=n"), &cleared).await.ok();
    assert!(cleared["metadata"].get("managedFields").is_none(), "{cleared}");
}
