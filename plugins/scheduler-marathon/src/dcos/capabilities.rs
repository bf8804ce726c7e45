//! What of DC/OS's parts is there: the logs of its second kind. Neither packages nor jobs.

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;

/// The only type in which clients take the answer.
const TYPE: &str = "application/vnd.dcos.capabilities+json;charset=utf-8;version=v1";
const THERE: &str = r#"{"capabilities":[{"name":"LOGGING_V2"}]}"#;

/// `GET /capabilities`
pub(super) async fn capabilities() -> Response {
    ([(CONTENT_TYPE, TYPE)], THERE).into_response()
}
