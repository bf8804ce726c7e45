//! OpenAPI v3, as much as tools need: which kinds there are and that the server checks their fields, so that
//! clients leave the checking to it. Of OpenAPI v2 only the cover: some clients want it for a `List`, find no kind in
//! it and leave the checking to the server again.

use super::super::kinds::Resource;
use super::{group_version, group_versions, hash, kinds_of};
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value, json};

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

/// Where the documents are.
#[must_use]
pub fn index() -> Value {
    let mut paths = Map::new();
    for (group, version) in group_versions() {
        let path = path(group, version);
        let document = document(group, version)
            .map(|d| d.to_string())
            .unwrap_or_default();
        let url = format!("/openapi/v3/{path}?hash={}", hash(document.as_bytes()));
        paths.insert(path, json!({ "serverRelativeURL": url }));
    }
    json!({ "paths": paths })
}

fn path(group: &str, version: &str) -> String {
    let prefix = if group.is_empty() { "api" } else { "apis" };
    format!("{prefix}/{}", group_version(group, version))
}

/// The document of a group's version.
#[must_use]
pub fn document(group: &str, version: &str) -> Option<Value> {
    if !group_versions().contains(&(group, version)) {
        return None;
    }
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
    Some(json!({
        "openapi": "3.0.0",
        "info": { "title": "Kubernetes", "version": super::VERSION.2 },
        "paths": paths,
        "components": { "schemas": {} },
    }))
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
