//! A guarded door, served on a real socket and spoken to byte by byte.

use super::guard::{Guards, guard};
use super::hosts::Hosts;
use super::refuse::message;
use super::serve::{Peer, ServeOptions, Served, serve};
use axum::Router;
use axum::extract::Extension;
use axum::routing::{get, post};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};

struct Door {
    served: Served,
    addr: SocketAddr,
    entered: Arc<Semaphore>,
    go_on: Arc<Notify>,
}

async fn door(change: impl FnOnce(&mut Guards), drain: Duration) -> Door {
    let (entered, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Notify::new()));
    let (e, g) = (Arc::clone(&entered), Arc::clone(&go_on));
    let slow = move || async move {
        e.add_permits(1);
        g.notified().await;
        "slept"
    };
    let router = Router::new()
        .route(
            "/a/b",
            get(|Extension(Peer(peer)): Extension<Peer>| async move { format!("hello {peer}") }),
        )
        .route("/slow", get(slow))
        .route("/echo", post(|body: String| async move { body }));
    let mut rules = Guards::new(Hosts::loopback_and([]), message);
    rules.body_limit = 10;
    change(&mut rules);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let options = ServeOptions {
        drain,
        ..ServeOptions::default()
    };
    let served = serve(listener, guard(router, rules), options);
    Door {
        served,
        addr,
        entered,
        go_on,
    }
}

async fn ask(addr: SocketAddr, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let request = format!("{head} HTTP/1.1\r\nConnection: close\r\n");
    let request = request + &format!("Content-Length: {}\r\nHost: localhost\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn routes_are_reached_by_untidy_paths_and_know_their_peer() {
    let door = door(|_| {}, Duration::from_secs(5)).await;
    let answer = ask(door.addr, "GET //a//b/?x=1", "").await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("hello 127.0.0.1:"),
        "{answer}"
    );
    door.served.stop().await;
    assert!(
        TcpStream::connect(door.addr).await.is_err(),
        "nobody listens any more"
    );
}

#[tokio::test]
async fn a_long_body_is_refused_in_the_doors_own_shape() {
    let door = door(|r| r.hosts = Hosts::any(), Duration::from_secs(5)).await;
    let answer = ask(door.addr, "POST /echo", "0123456789").await;
    assert!(answer.ends_with("0123456789"), "{answer}");
    let answer = ask(door.addr, "POST /echo", "0123456789a").await;
    assert!(
        answer.starts_with("HTTP/1.1 413") && answer.contains(r#"{"message":"#),
        "{answer}"
    );
    door.served.stop().await;
}

#[tokio::test]
async fn a_page_of_another_site_is_refused_before_any_route() {
    let door = door(|_| {}, Duration::from_secs(5)).await;
    let answer = ask(
        door.addr,
        "GET /none HTTP/1.1\r\nOrigin: http://evil.example\r\nX:",
        "",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    door.served.stop().await;
}

#[tokio::test]
async fn too_many_requests_at_once_are_refused_and_one_that_takes_too_long_is_ended() {
    let rules = |r: &mut Guards| {
        r.in_flight = 1;
        r.timeout = Duration::from_secs(2);
    };
    let door = door(rules, Duration::from_secs(5)).await;
    let slow = tokio::spawn(ask(door.addr, "GET /slow", ""));
    door.entered.acquire().await.unwrap().forget();
    let answer = ask(door.addr, "GET /a/b", "").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    let answer = slow.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 504"), "{answer}");
    assert!(
        ask(door.addr, "GET /a/b", "").await.starts_with("HTTP/1.1 200"),
        "its place is free again"
    );
    door.served.stop().await;
}

#[tokio::test]
async fn a_request_under_way_is_finished_when_the_door_stops() {
    let door = door(|_| {}, Duration::from_secs(60)).await;
    let slow = tokio::spawn(ask(door.addr, "GET /slow", ""));
    door.entered.acquire().await.unwrap().forget();
    let stopping = door.served.stopping();
    let stop = tokio::spawn(door.served.stop());
    stopping.cancelled().await;
    door.go_on.notify_one();
    assert!(slow.await.unwrap().ends_with("slept"));
    stop.await.unwrap();
}

#[tokio::test]
async fn a_request_that_never_ends_is_cut_after_the_drain() {
    let door = door(|_| {}, Duration::from_millis(50)).await;
    let slow = tokio::spawn(ask(door.addr, "GET /slow", ""));
    door.entered.acquire().await.unwrap().forget();
    door.served.stop().await;
    let answer = slow.await;
    assert!(
        answer.is_err() || answer.is_ok_and(|a| a.is_empty()),
        "no answer, and the connection is gone"
    );
}
