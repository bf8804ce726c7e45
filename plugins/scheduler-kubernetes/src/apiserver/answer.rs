//! Answers: objects in the form that was asked for, problems as `Status` objects, warnings.

use super::call::Call;
use super::kinds::Resource;
use super::request::accept::{Accept, Format, View};
use super::storage::Object;
use super::tables;
use crate::object::problem::Problem;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER, WARNING};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const YAML: HeaderValue = HeaderValue::from_static("application/yaml");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// JSON bytes as an answer.
#[must_use]
pub fn json_bytes(status: StatusCode, bytes: Bytes) -> Response {
    let mut response = (status, Body::from(bytes)).into_response();
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// A value as an answer.
#[must_use]
pub fn json_value(status: StatusCode, value: &Value) -> Response {
    json_bytes(status, to_bytes(value))
}

/// A text as an answer.
#[must_use]
pub fn text(status: StatusCode, text: impl Into<String>) -> Response {
    let mut response = (status, text.into()).into_response();
    response.headers_mut().insert(CONTENT_TYPE, TEXT);
    response
}

/// A value as JSON.
#[must_use]
pub fn to_bytes(value: &Value) -> Bytes {
    Bytes::from(serde_json::to_vec(value).unwrap_or_default())
}

/// A problem as an answer.
#[must_use]
pub fn problem(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json_value(status, &problem.to_json());
    let seconds = problem
        .details
        .as_ref()
        .map_or(0, |details| details.retry_after_seconds);
    if seconds > 0 {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// An object as an answer, in the form that was asked for.
///
/// # Errors
/// When it cannot be shown in that form.
pub fn object(
    call: &Call,
    resource: &Resource,
    status: StatusCode,
    object: &Object,
) -> Result<Response, Problem> {
    match call.accept.view {
        View::Whole => of_json(call.accept, status, object.full()),
        View::Table(version) => {
            let form = tables::Form {
                resource,
                version,
                include: tables::Include::of(&call.query)?,
                now: call.now,
                heads: true,
            };
            of_json(call.accept, status, tables::of_one(form, object, "", ""))
        }
        View::Metadata(version) => of_json(call.accept, status, object.metadata_between("", version, "")),
    }
}

/// A value that is no stored object as an answer: a preview, a review.
///
/// # Errors
/// When it cannot be written.
pub fn value(call: &Call, status: StatusCode, value: &Value) -> Result<Response, Problem> {
    written(call.accept, status, value)
}

/// An answer that is there as JSON bytes, in the format that was asked for.
///
/// # Errors
/// When it cannot be written.
pub fn of_json(accept: Accept, status: StatusCode, bytes: Bytes) -> Result<Response, Problem> {
    match accept.format {
        Format::Json => Ok(json_bytes(status, bytes)),
        Format::Yaml => {
            let value: Value = serde_json::from_slice(&bytes).map_err(Problem::internal)?;
            written(accept, status, &value)
        }
    }
}

/// A value in the format that was asked for.
///
/// # Errors
/// When it cannot be written.
pub fn written(accept: Accept, status: StatusCode, value: &Value) -> Result<Response, Problem> {
    match accept.format {
        Format::Json => Ok(json_value(status, value)),
        Format::Yaml => {
            let text = serde_yaml_ng::to_string(value).map_err(Problem::internal)?;
            let mut response = (status, text).into_response();
            response.headers_mut().insert(CONTENT_TYPE, YAML);
            Ok(response)
        }
    }
}

/// The same answer with warnings, each a header.
#[must_use]
pub fn warned(mut response: Response, warnings: &[String]) -> Response {
    for warning in warnings {
        let quoted: String = warning
            .chars()
            .filter(|c| !c.is_control())
            .flat_map(|c| match c {
                '"' | '\\' => vec!['\\', c],
                _ => vec![c],
            })
            .collect();
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            response.headers_mut().append(WARNING, value);
        }
    }
    response
}

/// The answer to a deletion after which nothing is left.
#[must_use]
pub fn deleted(resource: &Resource, name: &str, uid: &str) -> Value {
    let mut details = json!({ "name": name, "kind": resource.plural, "uid": uid });
    if !resource.group.is_empty() {
        details["group"] = json!(resource.group);
    }
    json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details })
}
