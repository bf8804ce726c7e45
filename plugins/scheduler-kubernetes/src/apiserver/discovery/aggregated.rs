//! Discovery in one piece.

use super::super::kinds::Resource;
use super::{group_versions, hash, kinds_of, questions_of, under, verbs};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

/// What `/api` (`core`) or `/apis` says, in this version of the discovery group.
#[must_use]
pub fn answer(headers: &HeaderMap, core: bool, version: &str) -> Response {
    let groups = document(core, version);
    let bytes = serde_json::to_vec(&groups).unwrap_or_default();
    let tag = format!("\"{}\"", hash(&bytes));
    let media = format!("application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList");
    let known = headers
        .get(IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        bytes.into_response()
    };
    let out = response.headers_mut();
    out.insert(VARY, HeaderValue::from_static("Accept"));
    for (name, text) in [(ETAG, tag), (CONTENT_TYPE, media)] {
        if let Ok(value) = HeaderValue::from_str(&text) {
            out.insert(name, value);
        }
    }
    response
}

fn document(core: bool, discovery: &str) -> Value {
    let of_kind = |(group, _): &(&str, &str)| group.is_empty() == core;
    let items: Vec<Value> = group_versions()
        .into_iter()
        .filter(of_kind)
        .map(|(group, version)| {
            let mut resources: Vec<Value> = kinds_of(group, version).map(resource).collect();
            resources.extend(questions_of(group, version).map(|question| {
                json!({
                    "resource": question.plural(),
                    "responseKind": { "group": "", "version": "", "kind": question.kind() },
                    "scope": "Cluster",
                    "singularResource": question.kind().to_ascii_lowercase(),
                    "verbs": ["create"],
                })
            }));
            let metadata = if group.is_empty() {
                json!({ "creationTimestamp": null })
            } else {
                json!({ "name": group, "creationTimestamp": null })
            };
            json!({
                "metadata": metadata,
                "versions": [{ "version": version, "resources": resources, "freshness": "Current" }],
            })
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": format!("apidiscovery.k8s.io/{discovery}"),
        "metadata": {},
        "items": items,
    })
}

fn resource(kind: &Resource) -> Value {
    let subresources: Vec<Value> = kind
        .subresources
        .iter()
        .map(|subresource| {
            let (verbs, other) = under(*subresource);
            // What is of the parent's own group and version is not repeated.
            let response = match other {
                Some((group, version, named)) if group != kind.group => {
                    json!({ "group": group, "version": version, "kind": named })
                }
                Some((_, _, named)) => json!({ "group": "", "version": "", "kind": named }),
                None => json!({ "group": "", "version": "", "kind": kind.kind }),
            };
            json!({ "subresource": subresource.name(), "responseKind": response, "verbs": verbs })
        })
        .collect();
    let mut one = json!({
        "resource": kind.plural,
        "responseKind": { "group": "", "version": "", "kind": kind.kind },
        "scope": if kind.is_namespaced() { "Namespaced" } else { "Cluster" },
        "singularResource": kind.singular,
        "verbs": verbs(kind),
    });
    if !kind.short_names.is_empty() {
        one["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        one["categories"] = json!(kind.categories);
    }
    if !subresources.is_empty() {
        one["subresources"] = Value::Array(subresources);
    }
    one
}
