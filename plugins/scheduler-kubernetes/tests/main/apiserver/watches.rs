//! Watches: from where, of what, until when.

use super::{Api, CONFIGS, PATIENCE, PODS, bind, config, pod, version};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use plenum_store::MemoryState;
use scheduler_kubernetes::apiserver::Config;
use serde_json::{Value, json};
use std::sync::Arc;

/// The events of one watch.
pub(super) struct Watch {
    bytes: BoxStream<'static, reqwest::Result<Bytes>>,
    buffer: Vec<u8>,
}

impl Watch {
    pub(super) async fn open(api: &Api, path: &str) -> Self {
        Self::with(api, path, "application/json").await
    }

    async fn with(api: &Api, path: &str, accept: &str) -> Self {
        let response = api
            .client
            .get(api.url(path))
            .header("accept", accept)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200, "{path}");
        Self {
            bytes: response.bytes_stream().boxed(),
            buffer: Vec::new(),
        }
    }

    /// The next event; none at the end.
    pub(super) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            match tokio::time::timeout(PATIENCE, self.bytes.next()).await.unwrap() {
                Some(Ok(bytes)) => self.buffer.extend_from_slice(&bytes),
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// Type and name of the next event.
    pub(super) async fn seen(&mut self) -> (String, String) {
        let event = self.next().await.unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&event["type"]), text(&event["object"]["metadata"]["name"]))
    }
}

fn pair(kind: &str, name: &str) -> (String, String) {
    (kind.to_owned(), name.to_owned())
}

#[tokio::test]
async fn a_watch_tells_what_changes_after_its_version_and_nothing_else() {
    let api = Api::new().await;
    let first = api.post(CONFIGS, &config("a")).await.ok();
    api.post(CONFIGS, &config("b")).await.ok();
    let mut watch = Watch::open(
        &api,
        &format!("{CONFIGS}?watch=true&resourceVersion={}", version(&first)),
    )
    .await;
    assert_eq!(watch.seen().await, pair("ADDED", "b"));
    let no_change = json!({ "data": { "k": "v" } });
    api.merge(&format!("{CONFIGS}/a"), &no_change).await.ok();
    api.post(PODS, &pod("p")).await.ok();
    api.merge(&format!("{CONFIGS}/a"), &json!({ "data": { "k": "w" } }))
        .await
        .ok();
    assert_eq!(watch.seen().await, pair("MODIFIED", "a"));
    let before = version(&api.get(CONFIGS).await.ok());
    api.delete(&format!("{CONFIGS}/a"), &json!({})).await.ok();
    let gone = watch.next().await.unwrap();
    assert_eq!(gone["type"], "DELETED");
    assert!(version(&gone["object"]) > before);
    assert_eq!(gone["object"]["data"]["k"], "w");
}

#[tokio::test]
async fn a_watch_without_a_version_begins_with_what_there_is() {
    let api = Api::new().await;
    api.post(PODS, &pod("a")).await.ok();
    for query in ["", "&resourceVersion=0"] {
        let mut watch = Watch::open(&api, &format!("{PODS}?watch=1{query}")).await;
        assert_eq!(watch.seen().await, pair("ADDED", "a"));
    }
}

#[tokio::test]
async fn an_object_comes_and_goes_as_the_selector_takes_it() {
    let api = Api::new().await;
    api.post(PODS, &pod("a")).await.ok();
    let at = version(&api.get(PODS).await.ok());
    let open = |query: &str| {
        let path = format!("{PODS}?watch=1&resourceVersion={at}&{query}");
        let api = &api;
        async move { Watch::open(api, &path).await }
    };
    let mut unbound = open("fieldSelector=spec.nodeName%3D").await;
    let mut bound = open("fieldSelector=spec.nodeName%3Dn1").await;
    let mut labelled = open("labelSelector=app%3Dweb").await;
    bind(&api, "a", "n1").await.ok();
    let left = unbound.next().await.unwrap();
    assert_eq!(
        (left["type"].as_str(), left["object"]["spec"].get("nodeName")),
        (Some("DELETED"), None)
    );
    let entered = bound.next().await.unwrap();
    assert_eq!(
        (entered["type"].as_str(), version(&entered["object"])),
        (Some("ADDED"), version(&left["object"]))
    );
    assert_eq!(labelled.seen().await, pair("MODIFIED", "a"));
    api.merge(
        &format!("{PODS}/a"),
        &json!({ "metadata": { "labels": { "app": "db" } } }),
    )
    .await
    .ok();
    assert_eq!(labelled.seen().await, pair("DELETED", "a"));
    assert_eq!(bound.seen().await, pair("MODIFIED", "a"));
}

#[tokio::test]
async fn a_forgotten_version_is_told_in_the_stream_which_ends() {
    let config = Config {
        recent_changes: 5,
        ..Config::default()
    };
    let api = Api::with(config, Arc::new(MemoryState::new())).await;
    for i in 0..10 {
        api.merge(
            &format!("{CONFIGS}/kube-root-ca.crt"),
            &json!({ "data": { "n": i.to_string() } }),
        )
        .await
        .ok();
    }
    let mut watch = Watch::open(&api, &format!("{CONFIGS}?watch=1&resourceVersion=1")).await;
    let event = watch.next().await.unwrap();
    assert_eq!(
        (event["type"].as_str(), &event["object"]["code"]),
        (Some("ERROR"), &json!(410))
    );
    assert_eq!(event["object"]["reason"], "Expired");
    assert!(
        event["object"]["message"]
            .as_str()
            .unwrap()
            .starts_with("too old resource version: 1 (")
    );
    assert_eq!(watch.next().await, None);
}

#[tokio::test]
async fn a_watch_ends_at_its_timeout_with_a_bookmark_for_those_who_asked() {
    let api = Api::new().await;
    let list = api.get(CONFIGS).await.ok();
    let query = format!("watch=1&resourceVersion={}&timeoutSeconds=3", version(&list));
    let (mut with, mut without) = (
        Watch::open(&api, &format!("{CONFIGS}?{query}&allowWatchBookmarks=true")).await,
        Watch::open(&api, &format!("{CONFIGS}?{query}")).await,
    );
    let other = api.post(PODS, &pod("p")).await.ok();
    let event = with.next().await.unwrap();
    assert_eq!(event["type"], "BOOKMARK");
    assert_eq!(event["object"]["kind"], "ConfigMap");
    assert!(version(&event["object"]) >= version(&other));
    assert_eq!(with.next().await, None);
    assert_eq!(without.next().await, None);
}

#[tokio::test]
async fn a_stream_of_the_first_state_ends_with_a_mark() {
    let api = Api::new().await;
    api.post(PODS, &pod("a")).await.ok();
    let query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watch = Watch::open(&api, &format!("{PODS}?{query}")).await;
    assert_eq!(watch.seen().await, pair("ADDED", "a"));
    let mark = watch.next().await.unwrap();
    assert_eq!(
        mark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"],
        "true"
    );
    api.post(PODS, &pod("b")).await.ok();
    assert_eq!(watch.seen().await, pair("ADDED", "b"));
}

#[tokio::test]
async fn a_watched_table_names_its_columns_once() {
    let api = Api::new().await;
    api.post(PODS, &pod("a")).await.ok();
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    let mut watch = Watch::with(&api, &format!("{PODS}?watch=1"), accept).await;
    let first = watch.next().await.unwrap();
    assert!(first["object"]["columnDefinitions"].is_array());
    bind(&api, "a", "n1").await.ok();
    let second = watch.next().await.unwrap();
    assert!(second["object"]["columnDefinitions"].is_null());
    assert_eq!(second["object"]["rows"][0]["object"]["metadata"]["name"], "a");
}

#[tokio::test]
async fn a_server_that_stops_ends_its_watches() {
    let api = Api::new().await;
    let mut watch = Watch::open(&api, &format!("{PODS}?watch=1")).await;
    let stopped = tokio::time::timeout(PATIENCE, api.running.stop());
    let (end, stopped) = tokio::join!(watch.next(), stopped);
    assert_eq!(end, None);
    stopped.unwrap();
}
