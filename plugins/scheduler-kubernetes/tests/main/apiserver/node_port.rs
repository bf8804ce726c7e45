//! What goes on to the node that runs a pod, which here is a small server with the nodes' key.

use super::{Api, PATIENCE, PODS, bind, pod};
use scheduler_kubernetes::node_key::NodeKey;
use serde_json::json;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Reads the head of a request; answers it and echoes what follows.
async fn one(acceptor: TlsAcceptor, tcp: TcpStream, answer: String) -> String {
    let mut tls = acceptor.accept(tcp).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tls.read_u8().await.unwrap());
    }
    tls.write_all(answer.as_bytes()).await.unwrap();
    if answer.starts_with("HTTP/1.1 101") {
        let mut bytes = [0; 5];
        tls.read_exact(&mut bytes).await.unwrap();
        tls.write_all(&bytes).await.unwrap();
    }
    tls.shutdown().await.unwrap();
    String::from_utf8(head).unwrap()
}

/// A node whose port answers once.
async fn node(api: &Api, answer: &str) -> tokio::task::JoinHandle<String> {
    let key = NodeKey::of(&*api.state).await.unwrap();
    let certificate = CertificateDer::from_pem_slice(key.certificate_pem.as_bytes()).unwrap();
    let private = PrivateKeyDer::from_pem_slice(key.key_pem.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], private)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let object = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": { "name": "n1" },
        "status": {
            "addresses": [{ "type": "InternalIP", "address": "127.0.0.1" }],
            "daemonEndpoints": { "kubeletEndpoint": { "Port": port } },
        },
    });
    api.post("/api/v1/nodes", &object).await.ok();
    api.post(PODS, &pod("p")).await.ok();
    bind(api, "p", "n1").await.ok();
    let (acceptor, answer) = (TlsAcceptor::from(Arc::new(config)), answer.to_owned());
    tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        one(acceptor, tcp, answer).await
    })
}

#[tokio::test]
async fn logs_come_from_the_node_with_its_own_words_for_a_refusal() {
    let api = Api::new().await;
    let asked = node(&api, "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhello\n").await;
    let log = api.get(&format!("{PODS}/p/log?container=c&tailLines=3")).await;
    assert_eq!((log.code, log.text.as_str()), (200, "hello\n"));
    let head = asked.await.unwrap();
    assert!(
        head.starts_with("GET /containerLogs/default/p/c?tailLines=3 HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(
        head.to_ascii_lowercase().contains("authorization: bearer "),
        "{head}"
    );
    let refused = api.get(&format!("{PODS}/p/log?container=x")).await;
    assert_eq!(
        refused.refusal(),
        (400, "BadRequest", "container x is not valid for pod p")
    );
    let down = api.get(&format!("{PODS}/p/log?container=c")).await;
    assert_eq!(down.code, 500);
    assert!(
        down.refusal().2.ends_with("connect: connection refused"),
        "{}",
        down.text
    );
}

#[tokio::test]
async fn a_node_that_says_no_is_quoted() {
    let api = Api::new().await;
    let _asked = node(
        &api,
        "HTTP/1.1 400 Bad Request\r\ncontent-length: 9\r\n\r\nno log x\n",
    )
    .await;
    let log = api.get(&format!("{PODS}/p/log?container=c")).await;
    assert_eq!(log.refusal(), (400, "BadRequest", "no log x"));
}

#[tokio::test]
async fn an_upgrade_is_piped_through_as_the_client_speaks_it() {
    let api = Api::new().await;
    let answer = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                  sec-websocket-protocol: v5.channel.k8s.io\r\n\r\n";
    let asked = node(&api, answer).await;
    let mut client = TcpStream::connect(api.running.address).await.unwrap();
    let request = format!(
        "GET {PODS}/p/exec?command=ls&command=-l%20x&container=c&stdout=true&stderr=true&tty=false HTTP/1.1\r\n\
         host: localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nsec-websocket-protocol: v5.channel.k8s.io\r\n\r\n"
    );
    client.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    assert!(
        head.starts_with("http/1.1 101") && head.contains("v5.channel.k8s.io"),
        "{head}"
    );
    client.write_all(b"echo!").await.unwrap();
    let mut back = Vec::new();
    tokio::time::timeout(PATIENCE, client.read_to_end(&mut back))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(back, b"echo!");
    let asked = asked.await.unwrap();
    assert!(
        asked.starts_with("GET /exec/default/p/c?command=ls&command=-l%20x&output=1&error=1 HTTP/1.1"),
        "{asked}"
    );
}

#[tokio::test]
async fn a_pod_that_is_nowhere_has_an_empty_log_and_takes_no_connection() {
    let api = Api::new().await;
    api.post(PODS, &pod("p")).await.ok();
    let log = api.get(&format!("{PODS}/p/log?container=c")).await;
    assert_eq!((log.code, log.text.as_str()), (200, ""));
    let exec = api.get(&format!("{PODS}/p/exec?container=c&command=ls")).await;
    assert_eq!(
        exec.refusal(),
        (400, "BadRequest", "pod p does not have a host assigned")
    );
}
