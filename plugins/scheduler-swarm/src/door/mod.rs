//! The HTTP side: thin. Each file is one resource; it reads the request, asks the desk or looks at what is
//! wanted and observed, and answers.

mod reply;
mod version;

pub(crate) use version::versioned;

use crate::container;
use crate::error::ApiError;
use crate::state::Shared;
use axum::Router;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

/// All routes, without a version in their paths.
pub(crate) fn router(state: Shared) -> Router {
    let own = Router::new().with_state(state.clone());
    own.merge(container::routes(state))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
}

async fn no_route() -> Response {
    ApiError::missing("page not found").into_response()
}

async fn no_method() -> Response {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed").into_response()
}
