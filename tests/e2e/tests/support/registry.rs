//! A registry that has one image and wants a password: what a Docker daemon asks of one to pull, and no more.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;

/// User and password, as they travel.
pub(crate) const AUTH: &str = "cmVhZGVyOmh1c2gtaHVzaA==";

/// The password.
pub(crate) const PASSWORD: &str = "hush-hush";

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// What is served: the manifest, and everything by digest.
struct Shelf {
    manifest: Vec<u8>,
    blobs: BTreeMap<String, Vec<u8>>,
}

/// Serves the image of an archive that `docker save` wrote, under every name with the tag `1`; gives the address.
pub(crate) async fn serve(archive: &std::path::Path) -> String {
    let shelf = Arc::new(read(archive));
    let router = Router::new()
        .route("/v2/{*path}", get(answer))
        .route("/v2/", get(answer_root))
        .with_state(shelf);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // Ends with the test's runtime.
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

fn read(archive: &std::path::Path) -> Shelf {
    let dir = tempfile::tempdir().unwrap();
    let untar = Command::new("tar")
        .arg("-xf")
        .arg(archive)
        .arg("-C")
        .arg(dir.path())
        .status();
    assert!(untar.unwrap().success());
    let file = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
    let index: Value = serde_json::from_slice(&file("manifest.json")).unwrap();
    let mut blobs = BTreeMap::new();
    let mut blob = |name: &Value, kind: &str| {
        let bytes = file(name.as_str().unwrap());
        let digest = digest(dir.path(), name.as_str().unwrap());
        let entry = json!({ "mediaType": kind, "size": bytes.len(), "digest": digest });
        blobs.insert(digest, bytes);
        entry
    };
    let config = blob(
        &index[0]["Config"],
        "application/vnd.docker.container.image.v1+json",
    );
    let layers = index[0]["Layers"].as_array().unwrap().iter();
    let layers: Vec<_> = layers
        .map(|l| blob(l, "application/vnd.docker.image.rootfs.diff.tar.gzip"))
        .collect();
    let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
    let manifest = manifest.to_string().into_bytes();
    std::fs::write(dir.path().join("manifest"), &manifest).unwrap();
    let digest = digest(dir.path(), "manifest");
    blobs.insert(digest, manifest.clone());
    Shelf { manifest, blobs }
}

fn digest(dir: &std::path::Path, name: &str) -> String {
    let out = Command::new("sha256sum").arg(dir.join(name)).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    format!("sha256:{}", text.split_whitespace().next().unwrap())
}

fn refused(headers: &HeaderMap) -> Option<Response> {
    let given = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    if given == Some(&format!("Basic {AUTH}")) {
        return None;
    }
    let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"test\"")];
    Some((StatusCode::UNAUTHORIZED, ask).into_response())
}

async fn answer_root(headers: HeaderMap) -> Response {
    refused(&headers).unwrap_or_else(|| "{}".into_response())
}

async fn answer(State(shelf): State<Arc<Shelf>>, Path(path): Path<String>, headers: HeaderMap) -> Response {
    if let Some(refusal) = refused(&headers) {
        return refusal;
    }
    let last = path.rsplit('/').next().unwrap_or_default();
    let (kind, bytes) = match (path.contains("/manifests/"), last) {
        (true, "1") => (MANIFEST, Some(&shelf.manifest)),
        (true, digest) => (MANIFEST, shelf.blobs.get(digest)),
        (false, digest) => ("application/octet-stream", shelf.blobs.get(digest)),
    };
    match bytes {
        Some(bytes) => ([(header::CONTENT_TYPE, kind)], bytes.clone()).into_response(),
        None => {
            let error = json!({ "errors": [{ "code": "MANIFEST_UNKNOWN", "message": "manifest unknown" }] });
            (StatusCode::NOT_FOUND, axum::Json(error)).into_response()
        }
    }
}
