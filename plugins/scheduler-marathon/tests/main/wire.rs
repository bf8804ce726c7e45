//! How requests and answers look on the wire: quirks of clients, shapes of refusals, headers.

use crate::fake::Fake;
use crate::field::{Field, start};
use crate::state::MemoryState;
use serde_json::json;
use std::sync::Arc;

#[tokio::test]
async fn refusals_have_marathons_status_and_body() {
    let f = Field::with_room(1).await;
    for (method, path, body, status, text) in [
        ("POST", "/v2/apps", Some("{"), 400, None),
        ("POST", "/v2/apps", Some(""), 400, None),
        (
            "POST",
            "/v2/apps/",
            Some(r#"{"id":"/a","cmd":"xx","container":{"docker":{"image":"i","network":"X"}}}"#),
            422,
            Some(
                r#"{"message":"Invalid JSON","details":[{"path":"/container/docker/network","errors":["error.unknown.enum.literal"]}]}"#,
            ),
        ),
        (
            "POST",
            "/v2/apps",
            Some(r#"{"id":"/a","cmd":"xx","cpus":-1}"#),
            422,
            Some(r#"{"message":"Invalid JSON","details":[{"path":"/cpus","errors":["error.min"]}]}"#),
        ),
        (
            "POST",
            "/v2/apps",
            Some(r#"{"id":"/a","cmd":"xx","fetch":[{"uri":"http://h/x"}]}"#),
            422,
            Some(
                r#"{"message":"Object is not valid","details":[{"path":"/fetch","errors":["is not supported by this version of Plenum"]}]}"#,
            ),
        ),
        (
            "GET",
            "/v2/apps/none",
            None,
            404,
            Some(r#"{"message":"App '/none' does not exist"}"#),
        ),
        (
            "GET",
            "/v2/nothing",
            None,
            500,
            Some(r#"{"message":"URI not found"}"#),
        ),
        ("HEAD", "/v2/pods", None, 404, Some("")),
        ("POST", "/ping", None, 405, None),
    ] {
        let reply = f.call(method, path, body).await;
        assert_eq!(reply.status, status, "{method} {path} {body:?}: {}", reply.text);
        if let Some(text) = text {
            assert_eq!(reply.text, text, "{method} {path}");
        }
    }
    let brace = f.call("PUT", "/v2/apps/%7B", Some("{}")).await;
    assert_eq!(brace.status, 400);
    assert!(serde_json::from_str::<serde_json::Value>(&brace.text).is_err());
}

#[tokio::test]
async fn paths_flags_and_accept_headers_are_taken_as_clients_send_them() {
    let f = Field::with_room(3).await;
    f.create("/a", 1).await;
    for path in ["/v2/apps//a", "/v2/apps/a/", "//v2/apps///a"] {
        assert_eq!(f.get(path).await["app"]["id"], "/a", "{path}");
    }
    assert_eq!(f.call("GET", "/ping", None).await.text, "pong");
    let json = f
        .http
        .get(format!("{}/ping", f.url))
        .header("Accept", "application/json")
        .send()
        .await
        .unwrap();
    assert_eq!(json.text().await.unwrap(), "\"pong\"");
    let shown = f.call("GET", "/v2/info", None).await;
    assert_eq!(shown.json()["name"], "marathon");
    for (name, value) in [
        ("cache-control", "no-cache, no-store, must-revalidate"),
        ("pragma", "no-cache"),
        ("expires", "0"),
        ("x-marathon-leader", f.url.as_str()),
        ("content-type", "application/json"),
    ] {
        assert_eq!(shown.header(name), value, "{name}");
    }
    assert_eq!(
        format!("http://{}", f.get("/v2/leader").await["leader"].as_str().unwrap()),
        f.url
    );
    assert_eq!(f.get("/v2/plugins").await, json!({"plugins": []}));
}

#[tokio::test]
async fn a_page_of_another_site_is_not_answered() {
    let f = Field::with_room(1).await;
    for (header, value) in [("Host", "evil.example"), ("Origin", "http://evil.example")] {
        let reply = f
            .http
            .get(format!("{}/v2/apps", f.url))
            .header(header, value)
            .send()
            .await
            .unwrap();
        assert_eq!(reply.status(), 403, "{header}");
    }
}

#[tokio::test]
async fn an_address_that_others_can_reach_needs_the_insecure_key() {
    let start = async |config| {
        let (pool, state) = (Fake::with_room(1), Arc::new(MemoryState::default()));
        start(&pool, &state, &config)
            .await
            .map(|running| running.endpoints())
    };
    let refused = start(json!({"listen": "0.0.0.0:0"}))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("key `listen`") && refused.contains("insecure_listen"),
        "{refused}"
    );
    assert!(start(json!({"insecure_listen": "0.0.0.0:0"})).await.is_ok());
    for (config, says) in [
        (json!({"listen": "nonsense"}), "`nonsense` is no address"),
        (json!({"lisen": "127.0.0.1:0"}), "lisen"),
        (
            json!({"listen": "127.0.0.1:0", "max_versions": 0}),
            "max_versions",
        ),
    ] {
        let refused = start(config).await.unwrap_err().to_string();
        assert!(refused.contains(says), "{refused}");
    }
}

#[tokio::test]
async fn a_leader_that_abdicates_is_none_for_a_while_and_leads_again_if_nobody_else_does() {
    let f = Field::with_room(1).await;
    f.create("/web", 1).await;
    let tasks = f.task_ids("/web").await;
    assert_eq!(
        f.call("DELETE", "/v2/leader?backup=file:///x", None).await.status,
        400
    );
    let gone = f.call("DELETE", "/v2/leader", None).await;
    assert_eq!(
        (gone.status, gone.text.as_str()),
        (200, r#"{"message":"Leadership abdicated"}"#)
    );
    let away = f.call("GET", "/v2/apps", None).await;
    assert_eq!(
        (away.status, away.text.as_str()),
        (503, r#"{"message":"Could not determine the current leader"}"#)
    );
    f.until("it leads again", async || {
        f.call("GET", "/v2/apps", None).await.status == 200
    })
    .await;
    f.create("/other", 0).await;
    assert_eq!(f.task_ids("/web").await, tasks, "the tasks ran on");
}
