//! A server that starts again on the same store.

use super::watches::Watch;
use super::{Api, CONFIGS, config, version};
use plenum_contract::state_store::Write;
use serde_json::json;
use std::sync::Arc;

#[tokio::test]
async fn objects_versions_and_watches_go_on_after_a_restart() {
    let first = Api::new().await;
    let made = first.post(CONFIGS, &config("a")).await.ok();
    first.post(CONFIGS, &config("b")).await.ok();
    first.delete(&format!("{CONFIGS}/b"), &json!({})).await.ok();
    let state = Arc::clone(&first.state);
    first.running.stop().await;
    let second = Api::on(state).await;
    assert_eq!(second.get(&format!("{CONFIGS}/a")).await.ok(), made);
    let mut watch = Watch::open(
        &second,
        &format!("{CONFIGS}?watch=1&resourceVersion={}", version(&made)),
    )
    .await;
    for kind in ["ADDED", "DELETED"] {
        assert_eq!(watch.seen().await, (kind.to_owned(), "b".to_owned()));
    }
    let later = second.post(CONFIGS, &config("c")).await.ok();
    assert!(version(&later) > version(&made));
    assert_eq!(watch.seen().await, ("ADDED".to_owned(), "c".to_owned()));
}

#[tokio::test]
async fn two_servers_on_one_store_see_each_others_writes_and_overwrite_nothing() {
    let first = Api::new().await;
    let second = Api::on(Arc::clone(&first.state)).await;
    first.post(CONFIGS, &config("a")).await.ok();
    let path = format!("{CONFIGS}/a");
    let mut watch = Watch::open(&second, &format!("{CONFIGS}?watch=1")).await;
    while watch.seen().await.1 != "a" {}
    let writes = (0..20).map(|i| {
        let api = if i % 2 == 0 { &first } else { &second };
        let patch = json!({ "data": { format!("k{i}"): "v" } });
        let path = &path;
        async move { api.merge(path, &patch).await.ok() }
    });
    futures::future::join_all(writes).await;
    let list = first.get(&path).await.ok();
    assert_eq!(list["data"].as_object().unwrap().len(), 21);
}

#[tokio::test]
async fn an_object_that_does_not_read_back_keeps_no_other_from_being_served() {
    let first = Api::new().await;
    first.post(CONFIGS, &config("a")).await.ok();
    let write = |name: &str, text: &str| {
        let (state, key) = (
            Arc::clone(&first.state),
            format!("api/objects/configmaps/default/{name}"),
        );
        let write = Write::Put(key, text.to_owned().into());
        async move { state.txn(Vec::new(), vec![write]).await.unwrap() }
    };
    write("broken", "{").await;
    write("parts", "{\"parts\":2}").await;
    first.post(CONFIGS, &config("b")).await.ok();
    let second = Api::on(Arc::clone(&first.state)).await;
    for api in [&first, &second] {
        let list = api.get(CONFIGS).await.ok();
        let names = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["metadata"]["name"].as_str().unwrap());
        assert_eq!(names.collect::<Vec<_>>(), ["a", "b", "kube-root-ca.crt"]);
    }
}
