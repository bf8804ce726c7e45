//! The `kube` client, whose watcher the adapter and the controllers stand on: over HTTP and within the process.

use super::{Api as Server, PATIENCE, PODS, pod};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{Config, Event, InitialListStrategy, watcher};
use kube::{Api, Client};
use scheduler_kubernetes::apiserver;
use serde_json::json;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

async fn client(address: SocketAddr) -> Client {
    let uri = format!("http://{address}").parse().unwrap();
    Client::try_from(kube::Config::new(uri)).unwrap()
}

/// Clients of both ways.
async fn clients(server: &Server) -> [Client; 2] {
    [client(server.running.address).await, server.running.client()]
}

fn name(pod: &Pod) -> String {
    pod.metadata.name.clone().unwrap()
}

#[tokio::test]
async fn typed_objects_are_written_patched_listed_and_deleted() {
    let server = Server::new().await;
    for client in clients(&server).await {
        written_patched_listed_and_deleted(Api::default_namespaced(client)).await;
    }
}

async fn written_patched_listed_and_deleted(api: Api<ConfigMap>) {
    let given: ConfigMap = serde_json::from_value(super::config("a")).unwrap();
    let made = api.create(&PostParams::default(), &given).await.unwrap();
    assert!(made.metadata.uid.is_some());
    let apply = json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": { "x": "y" } });
    let applied = api
        .patch("a", &PatchParams::apply("test").force(), &Patch::Apply(&apply))
        .await
        .unwrap();
    assert_eq!(applied.data.unwrap().len(), 2);
    let listed = api
        .list(&ListParams::default().fields("metadata.name=a"))
        .await
        .unwrap();
    assert_eq!(listed.items.len(), 1);
    assert!(
        api.delete("a", &DeleteParams::default())
            .await
            .unwrap()
            .is_right()
    );
    assert_eq!(api.get_opt("a").await.unwrap(), None);
}

#[tokio::test]
async fn a_watcher_of_either_kind_sees_each_change() {
    let server = Server::new().await;
    server.post(PODS, &pod("a")).await.ok();
    let strategies = [InitialListStrategy::ListWatch, InitialListStrategy::StreamingList];
    let clients = clients(&server).await;
    let each = strategies.iter().flat_map(|strategy| {
        clients
            .iter()
            .map(move |client| (strategy.clone(), client.clone()))
    });
    for (strategy, client) in each {
        let api: Api<Pod> = Api::default_namespaced(client);
        let config = Config {
            initial_list_strategy: strategy,
            ..Config::default()
        };
        let mut events = watcher(api, config).boxed();
        let mut next = async || {
            tokio::time::timeout(PATIENCE, events.try_next())
                .await
                .unwrap()
                .unwrap()
                .unwrap()
        };
        assert!(matches!(next().await, Event::Init));
        assert!(matches!(next().await, Event::InitApply(pod) if name(&pod) == "a"));
        assert!(matches!(next().await, Event::InitDone));
        server.post(PODS, &pod("b")).await.ok();
        assert!(matches!(next().await, Event::Apply(pod) if name(&pod) == "b"));
        server.delete(&format!("{PODS}/b"), &json!({})).await.ok();
        assert!(matches!(next().await, Event::Delete(pod) if name(&pod) == "b"));
    }
}

#[tokio::test]
async fn a_watcher_goes_on_through_a_restart_of_the_server() {
    let first = Server::new().await;
    let (address, state) = (first.running.address, Arc::clone(&first.state));
    let api: Api<Pod> = Api::default_namespaced(client(address).await);
    let mut events = watcher(api, Config::default()).default_backoff().boxed();
    let mut seen = BTreeSet::new();
    let mut until = async |wanted: &str| loop {
        let event = tokio::time::timeout(PATIENCE, events.next())
            .await
            .unwrap()
            .unwrap();
        // What breaks off in between is an error that the watcher itself gets over.
        if let Ok(Event::Apply(pod) | Event::InitApply(pod)) = event {
            seen.insert(name(&pod));
            if name(&pod) == wanted {
                break;
            }
        }
    };
    first.post(PODS, &pod("a")).await.ok();
    until("a").await;
    first.running.stop().await;
    let config = apiserver::Config {
        listen: address,
        ..apiserver::Config::default()
    };
    let second = Server::with(config, state).await;
    second.post(PODS, &pod("b")).await.ok();
    until("b").await;
    assert_eq!(seen, BTreeSet::from(["a".to_owned(), "b".to_owned()]));
}

#[tokio::test]
async fn within_the_process_a_server_that_has_stopped_answers_no_more_and_its_watches_end() {
    let server = Server::new().await;
    let client = server.running.client();
    let api: Api<Pod> = Api::default_namespaced(client);
    let changes = api.watch(&WatchParams::default(), "0").await.unwrap();
    server.running.stop().await;
    let rest = tokio::time::timeout(PATIENCE, changes.try_collect::<Vec<_>>());
    assert!(rest.await.unwrap().unwrap().is_empty());
    let refused = api.list(&ListParams::default()).await.unwrap_err();
    assert!(matches!(refused, kube::Error::Service(_)), "{refused}");
}
