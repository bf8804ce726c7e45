//! About the server itself.

use crate::metrics::CONTENT_TYPE;
use crate::problem::Problem;
use crate::state::App;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::{Extension, Json};
use http::header;
use plenum_client::v1::error::ErrorBody;
use plenum_client::v1::list::Info;
use std::sync::Arc;

/// The document, as an extension of requests for it.
#[derive(Clone)]
pub(crate) struct Document(pub(crate) Arc<str>);

/// What answers.
#[utoipa::path(get, path = "/v1/info", tag = "server", responses((status = 200, body = Info)))]
pub(super) async fn info(State(app): State<App>) -> Json<Info> {
    Json(Info {
        version: app.version.to_string(),
        apis: vec!["v1".to_owned()],
    })
}

/// Whether the process lives.
#[utoipa::path(get, path = "/healthz", tag = "server", responses((status = 200, body = String)))]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether the pool answers.
#[utoipa::path(
    get, path = "/readyz", tag = "server",
    responses((status = 200, body = String), (status = 503, body = ErrorBody))
)]
pub(super) async fn readyz(State(app): State<App>) -> Result<&'static str, Problem> {
    app.pool.schedulers().await?;
    Ok("ready\n")
}

/// What the pool holds and what the server did, as OpenMetrics.
#[utoipa::path(
    get, path = "/metrics", tag = "server",
    responses((status = 200, body = String, content_type = "application/openmetrics-text"))
)]
pub(super) async fn metrics(State(app): State<App>) -> Result<impl IntoResponse, Problem> {
    let text = app.metrics.expose(app.pool.as_ref()).await?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text))
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "server",
    responses((status = 200, body = String, content_type = "application/json"))
)]
pub(super) async fn openapi(Extension(Document(text)): Extension<Document>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], text.to_string())
}
