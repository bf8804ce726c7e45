//! Images: they live on the nodes, which fetch what a container needs when it is created.

use super::pump::body;
use crate::error::{ApiError, ApiResult};
use axum::extract::RawQuery;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use plenum_sdk::door::lenient::Pairs;
use serde_json::json;

/// `GET /images/json`: the door has none of its own.
pub(super) async fn list() -> Response {
    axum::Json(json!([])).into_response()
}

/// `POST /images/create`: says who will fetch it, and when.
pub(super) async fn pull(RawQuery(query): RawQuery) -> ApiResult<Response> {
    let pairs = Pairs::parse(query.as_deref());
    let given = |key| pairs.get(key).unwrap_or_default();
    if !given("fromSrc").is_empty() {
        return Err(ApiError::not_served("docker import"));
    }
    let (name, tag) = (given("fromImage"), given("tag"));
    if name.is_empty() {
        return Err(ApiError::bad("invalid reference format: no image is given"));
    }
    let reference = match tag {
        "" => name.to_owned(),
        digest if digest.contains(':') => format!("{name}@{digest}"),
        tag => format!("{name}:{tag}"),
    };
    let lines = [
        json!({ "status": format!("{reference}: not fetched now") }),
        json!({ "status": "Each node of the pool fetches it when a container of it is created there" }),
    ];
    let lines = lines.map(|line| Bytes::from(format!("{line}\n")));
    Ok(body("application/json", futures::stream::iter(lines)))
}

/// `GET /images/{name}/json` and all else about one image.
pub(super) fn missing(name: &str) -> ApiError {
    ApiError::missing(format!("No such image: {name}"))
}
