//! Who is answered at all, and what is refused before any resource is asked.

use crate::fake::{serve, serve_with, some};
use http::StatusCode;
use plenum_client::v1::error::ErrorBody;
use plenum_gateway::GatewayConfig;
use plenum_model::code;
use std::time::Duration;

async fn status_and_code(request: reqwest::RequestBuilder) -> (StatusCode, String) {
    let response = request.send().await.unwrap();
    let status = response.status();
    (status, response.json::<ErrorBody>().await.unwrap().code)
}

#[tokio::test]
async fn a_page_and_a_rebound_name_are_refused() {
    let server = serve(some()).await;
    let http = reqwest::Client::new();
    let url = format!("{}/v1/nodes", server.address);
    let forbidden = (StatusCode::FORBIDDEN, code::FORBIDDEN.to_string());
    assert_eq!(
        status_and_code(http.get(&url).header("origin", "http://localhost")).await,
        forbidden
    );
    assert_eq!(
        status_and_code(http.get(&url).header("host", "evil.example")).await,
        forbidden
    );
    assert!(http.get(&url).send().await.unwrap().status().is_success());
}

#[tokio::test]
async fn a_configured_host_is_answered() {
    let config = GatewayConfig {
        hosts: vec!["plenum.example".into()],
        ..GatewayConfig::default()
    };
    let server = serve_with(some(), config).await;
    let request = reqwest::Client::new()
        .get(format!("{}/v1/nodes", server.address))
        .header("host", "plenum.example")
        .header("origin", "https://plenum.example");
    assert!(request.send().await.unwrap().status().is_success());
}

#[tokio::test]
async fn what_is_not_there_and_what_is_too_big_have_the_shape_of_errors() {
    let config = GatewayConfig {
        max_body_bytes: 100,
        ..GatewayConfig::default()
    };
    let server = serve_with(some(), config).await;
    let http = reqwest::Client::new();
    let at = |path: &str| format!("{}{path}", server.address);
    let (invalid, not_found) = (code::INVALID.to_string(), code::NOT_FOUND.to_string());
    assert_eq!(
        status_and_code(http.get(at("/v2/x"))).await,
        (StatusCode::NOT_FOUND, not_found)
    );
    assert_eq!(
        status_and_code(http.put(at("/v1/nodes"))).await,
        (StatusCode::METHOD_NOT_ALLOWED, invalid.clone())
    );
    let big = http
        .put(at("/v1/tenants/a"))
        .header("content-type", "application/json")
        .body("x".repeat(101));
    assert_eq!(
        status_and_code(big).await,
        (StatusCode::PAYLOAD_TOO_LARGE, invalid.clone())
    );
    let form = http.put(at("/v1/tenants/a")).body("weight=1");
    assert_eq!(
        status_and_code(form).await,
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, invalid.clone())
    );
    assert_eq!(
        status_and_code(http.get(at("/v1/tasks/%FF"))).await,
        (StatusCode::BAD_REQUEST, invalid)
    );
}

#[tokio::test]
async fn too_many_requests_and_streams_are_refused_as_overload() {
    let config = GatewayConfig {
        max_requests: 0,
        ..GatewayConfig::default()
    };
    let server = serve_with(some(), config).await;
    let busy = (StatusCode::SERVICE_UNAVAILABLE, code::OVERLOADED.to_string());
    assert_eq!(
        status_and_code(reqwest::Client::new().get(format!("{}/v1/nodes", server.address))).await,
        busy
    );

    let config = GatewayConfig {
        max_streams: 1,
        ..GatewayConfig::default()
    };
    let server = serve_with(some(), config).await;
    let first = server.client.events(None).await.unwrap();
    let again = reqwest::Client::new().get(format!("{}/v1/events", server.address));
    assert_eq!(status_and_code(again).await, busy);
    drop(first);
    // The place is free as soon as the server has seen that the first one is gone.
    while server.client.events(None).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn it_is_ready_when_the_pool_answers_and_alive_before() {
    let server = serve(some()).await;
    let get = |path: &str| reqwest::get(format!("{}{path}", server.address));
    assert!(get("/readyz").await.unwrap().status().is_success());
    server.pool.state.lock().unwrap().down = true;
    assert!(get("/healthz").await.unwrap().status().is_success());
    let ready = get("/readyz").await.unwrap();
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(ready.headers().contains_key("retry-after"));
}
