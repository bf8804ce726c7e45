//! Deleting, in as many steps as it takes.

use super::watches::Watch;
use super::{Api, CONFIGS, PODS, bind, config, pod, version};
use serde_json::{Value, json};

#[tokio::test]
async fn what_nothing_holds_is_gone_and_told_so() {
    let api = Api::new().await;
    let made = api.post(CONFIGS, &config("a")).await.ok();
    let gone = api
        .delete(
            &format!("{CONFIGS}/a"),
            &json!({ "propagationPolicy": "Background" }),
        )
        .await
        .ok();
    assert_eq!(gone["status"], "Success");
    assert_eq!(
        gone["details"],
        json!({ "name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"] })
    );
    assert_eq!(api.delete(&format!("{CONFIGS}/a"), &json!({})).await.code, 404);
}

#[tokio::test]
async fn a_pod_that_runs_goes_in_two_steps() {
    let api = Api::new().await;
    let path = format!("{PODS}/p");
    let made = api.post(PODS, &pod("p")).await.ok();
    bind(&api, "p", "n").await.ok();
    let going = api.delete(&path, &json!({ "gracePeriodSeconds": 20 })).await.ok();
    assert_eq!(going["metadata"]["deletionGracePeriodSeconds"], 20);
    assert_eq!(going["metadata"]["generation"], 2);
    let longer = api.delete(&path, &json!({ "gracePeriodSeconds": 60 })).await.ok();
    assert_eq!(version(&longer), version(&going));
    let other = json!({ "gracePeriodSeconds": 0, "preconditions": { "uid": "other" } });
    assert_eq!(api.delete(&path, &other).await.refusal().1, "Conflict");
    let last = json!({ "gracePeriodSeconds": 0, "preconditions": { "uid": made["metadata"]["uid"] } });
    let gone = api.delete(&path, &last).await.ok();
    assert_eq!(
        (&gone["kind"], &gone["metadata"]["deletionGracePeriodSeconds"]),
        (&json!("Pod"), &json!(0))
    );
    assert_eq!(api.get(&path).await.code, 404);
}

#[tokio::test]
async fn finalizers_hold_an_object_until_the_last_is_taken_away() {
    let api = Api::new().await;
    let path = format!("{CONFIGS}/f");
    let mut given = config("f");
    given["metadata"]["finalizers"] = json!(["example.com/x"]);
    api.post(CONFIGS, &given).await.ok();
    let going = api.delete(&path, &json!({})).await.ok();
    assert_eq!(going["kind"], "ConfigMap");
    assert!(going["metadata"]["deletionTimestamp"].is_string());
    let taken = api.post(CONFIGS, &config("f")).await;
    assert_eq!(
        taken.refusal().2,
        "object is being deleted: configmaps \"f\" already exists"
    );
    let more = api
        .merge(
            &path,
            &json!({ "metadata": { "finalizers": ["example.com/x", "example.com/y"] } }),
        )
        .await;
    let why = "ConfigMap \"f\" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the object \
               is being deleted, found new finalizers []string{\"example.com/y\"}";
    assert_eq!(more.refusal(), (422, "Invalid", why));
    api.merge(&path, &json!({ "metadata": { "finalizers": null } }))
        .await
        .ok();
    assert_eq!(api.get(&path).await.code, 404);
}

#[tokio::test]
async fn a_namespace_takes_nothing_new_once_it_goes_and_goes_when_it_is_finalized() {
    let api = Api::new().await;
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "team" } });
    api.post("/api/v1/namespaces", &namespace).await.ok();
    let going = api.delete("/api/v1/namespaces/team", &json!({})).await.ok();
    assert_eq!(going["status"]["phase"], "Terminating");
    let refused = api.post("/api/v1/namespaces/team/configmaps", &config("a")).await;
    let why = "configmaps \"a\" is forbidden: unable to create new content in namespace team because it is being terminated";
    assert_eq!(refused.refusal(), (403, "Forbidden", why));
    assert_eq!(
        refused.body["details"]["causes"][0]["reason"],
        "NamespaceTerminating"
    );
    let mut emptied: Value = going;
    emptied["spec"]["finalizers"] = json!([]);
    api.put("/api/v1/namespaces/team/finalize", &emptied).await.ok();
    assert_eq!(api.get("/api/v1/namespaces/team").await.code, 404);
    assert_eq!(
        api.delete("/api/v1/namespaces/default", &json!({})).await.code,
        403
    );
}

#[tokio::test]
async fn a_collection_is_deleted_as_far_as_it_is_selected() {
    let api = Api::new().await;
    for name in ["a", "b", "c"] {
        let mut one = config(name);
        one["metadata"]["labels"] = json!({ "keep": (name == "c").to_string() });
        api.post(CONFIGS, &one).await.ok();
    }
    let gone = api
        .delete(&format!("{CONFIGS}?labelSelector=keep=false"), &json!({}))
        .await
        .ok();
    assert_eq!(gone["items"].as_array().unwrap().len(), 2);
    let left = api.get(&format!("{CONFIGS}?labelSelector=keep")).await.ok();
    assert_eq!(left["items"][0]["metadata"]["name"], "c");
    assert_eq!(api.delete("/api/v1/namespaces", &json!({})).await.code, 405);
}

#[tokio::test]
async fn an_eviction_deletes_and_names_its_pod() {
    let api = Api::new().await;
    api.post(PODS, &pod("p")).await.ok();
    let eviction =
        |name: &str| json!({ "apiVersion": "policy/v1", "kind": "Eviction", "metadata": { "name": name } });
    assert_eq!(
        api.post(&format!("{PODS}/p/eviction"), &eviction("q")).await.code,
        400
    );
    assert_eq!(
        api.post(&format!("{PODS}/p/eviction"), &eviction("p")).await.code,
        201
    );
    assert_eq!(api.get(&format!("{PODS}/p")).await.code, 404);
}

#[tokio::test]
async fn what_is_gone_is_shown_as_it_was_decided_last() {
    let api = Api::new().await;
    let mut watch = Watch::open(&api, &format!("{PODS}?watch=1")).await;
    for i in 0..20 {
        let path = format!("{PODS}/p{i}");
        api.post(PODS, &pod(&format!("p{i}"))).await.ok();
        let gone = api.delete(&path, &json!({})).await.ok();
        assert_eq!(watch.next().await.unwrap()["type"], "ADDED");
        let event = watch.next().await.unwrap();
        assert_eq!((&event["type"], &event["object"]), (&json!("DELETED"), &gone));
    }
}
