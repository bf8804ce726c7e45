//! Answers: JSON as Marathon writes it, refusals, and the headers of changes.

use crate::answer::deployment::DeploymentResult;
use crate::desk::Done;
use crate::refusal::Refusal;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

/// A refusal as a handler's error.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) Refusal);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let kind = if self.0.is_json() {
            JSON
        } else {
            "text/plain; charset=utf-8"
        };
        (status, [(CONTENT_TYPE, kind)], self.0.body()).into_response()
    }
}

/// What handlers give.
pub(crate) type Answer = Result<Response, Refused>;

const JSON: &str = "application/json";
const DEPLOYMENT: HeaderName = HeaderName::from_static("marathon-deployment-id");

/// A JSON body.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let bytes = serde_json::to_vec(body).expect("plain data with text keys always serialises");
    (status, [(CONTENT_TYPE, JSON)], bytes).into_response()
}

/// 200 with a body that is JSON already.
pub(crate) fn raw_json(bytes: Bytes) -> Response {
    ([(CONTENT_TYPE, JSON)], bytes).into_response()
}

/// 200 with a JSON body.
pub(crate) fn ok(body: &impl Serialize) -> Answer {
    Ok(json(StatusCode::OK, body))
}

/// No body.
pub(crate) fn empty(status: StatusCode) -> Response {
    (status, Body::empty()).into_response()
}

/// The deployment that a change began, in body and header.
pub(crate) fn deployed(status: StatusCode, done: &Done) -> Response {
    with_deployment(json(status, &DeploymentResult::of(&done.plan)), done)
}

/// Adds the header of a change.
pub(crate) fn with_deployment(mut response: Response, done: &Done) -> Response {
    if let Ok(id) = HeaderValue::from_str(&done.plan.id) {
        response.headers_mut().insert(DEPLOYMENT, id);
    }
    response
}

/// Adds where the new thing is.
pub(crate) fn with_location(mut response: Response, path: &str) -> Response {
    if let Ok(path) = HeaderValue::from_str(path) {
        response.headers_mut().insert(LOCATION, path);
    }
    response
}
