//! OpenAPI v3: which kinds there are, what their fields mean, and that the server checks them, so that clients leave
//! the checking to it. Each document is made once, when somebody first asks. Of OpenAPI v2 only the cover: some clients want it for a `List`, find no kind in
//! it and leave the checking to the server again.

use super::super::answer::to_bytes;
use super::super::kinds::Resource;
use super::{group_version, group_versions, hash, kinds_of, schemas};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// The forms of OpenAPI v2 in which clients ask for it; the first is also a media type that parses.
const V2: [&str; 2] = [
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
];

/// OpenAPI v2 without any kind, for who asks for it in its protobuf form; nothing for others, who could not use it.
#[must_use]
pub fn second(headers: &HeaderMap) -> Option<Response> {
    let asked = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|text| V2.iter().any(|form| text.contains(form)));
    asked.then(|| {
        let info = [field(1, b"Kubernetes"), field(2, super::VERSION.2.as_bytes())].concat();
        let document = [field(1, b"2.0"), field(2, &info), field(8, b"")].concat();
        ([(CONTENT_TYPE, HeaderValue::from_static(V2[0]))], document).into_response()
    })
}

/// A field of a protobuf message that holds fewer than 128 bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).expect("only constants are written");
    let mut bytes = vec![number << 3 | 2, length];
    bytes.extend_from_slice(content);
    bytes
}

/// One document as it is sent.
struct Document {
    group: &'static str,
    version: &'static str,
    hash: String,
    bytes: Bytes,
}

static DOCUMENTS: LazyLock<Vec<Document>> = LazyLock::new(|| {
    let made = group_versions().into_iter().map(|(group, version)| {
        let bytes = to_bytes(&whole(group, version));
        Document {
            group,
            version,
            hash: hash(&bytes),
            bytes,
        }
    });
    made.collect()
});

/// Where the documents are.
#[must_use]
pub fn index() -> Value {
    let mut paths = Map::new();
    for document in DOCUMENTS.iter() {
        let path = path(document.group, document.version);
        let url = format!("/openapi/v3/{path}?hash={}", document.hash);
        paths.insert(path, json!({ "serverRelativeURL": url }));
    }
    json!({ "paths": paths })
}

fn path(group: &str, version: &str) -> String {
    let prefix = if group.is_empty() { "api" } else { "apis" };
    format!("{prefix}/{}", group_version(group, version))
}

/// The document of a group's version, in JSON.
#[must_use]
pub fn document(group: &str, version: &str) -> Option<Bytes> {
    let found = DOCUMENTS
        .iter()
        .find(|d| (d.group, d.version) == (group, version));
    found.map(|document| document.bytes.clone())
}

fn whole(group: &str, version: &str) -> Value {
    let mut paths = Map::new();
    for kind in kinds_of(group, version) {
        let root = path(group, version);
        let place = if kind.is_namespaced() {
            "namespaces/{namespace}/"
        } else {
            ""
        };
        let collection = format!("/{root}/{place}{}", kind.plural);
        paths.insert(format!("{collection}/{{name}}"), one(kind));
        paths.insert(
            collection,
            json!({
                "get": operation(kind, "list", &[]),
                "post": operation(kind, "post", &["dryRun", "fieldManager", "fieldValidation"]),
            }),
        );
    }
    json!({
        "openapi": "3.0.0",
        "info": { "title": "Kubernetes", "version": super::VERSION.2 },
        "paths": paths,
        "components": { "schemas": schemas::of(kinds_of(group, version)) },
    })
}

fn one(kind: &Resource) -> Value {
    let written = ["dryRun", "fieldManager", "fieldValidation"];
    json!({
        "get": operation(kind, "get", &[]),
        "put": operation(kind, "put", &written),
        "patch": operation(kind, "patch", &["dryRun", "fieldManager", "fieldValidation", "force"]),
        "delete": operation(kind, "delete", &["dryRun", "gracePeriodSeconds", "propagationPolicy"]),
    })
}

fn operation(kind: &Resource, action: &str, parameters: &[&str]) -> Value {
    let parameters: Vec<Value> = parameters
        .iter()
        .map(|name| json!({ "name": name, "in": "query", "schema": { "type": "string", "uniqueItems": true } }))
        .collect();
    json!({
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": { "group": kind.group, "version": kind.version, "kind": kind.kind },
        "parameters": parameters,
        "responses": { "200": { "description": "OK" } },
    })
}
