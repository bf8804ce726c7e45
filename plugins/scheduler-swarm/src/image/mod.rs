//! Images of the whole pool. Each node keeps its own; here they are shown as one store: what any node has can be
//! run on every node, which is brought it when a container needs it there.
//!
//! `fleet` asks the nodes; `door` answers requests; `show` and `news` put it as Docker does; `auth` reads what a
//! registry shall be told.

mod auth;
mod door;
mod fleet;
mod list;
mod news;
mod show;

pub(crate) use door::routes;

use crate::error::ApiError;
use http::StatusCode;
use plenum_contract::images::ImageError;

/// The runtime whose images these are.
const RUNTIME: &str = "docker";

impl From<ImageError> for ApiError {
    fn from(error: ImageError) -> Self {
        let status = match &error {
            ImageError::NotFound { .. } | ImageError::NotInRegistry { .. } => StatusCode::NOT_FOUND,
            ImageError::InUse { .. } => StatusCode::CONFLICT,
            ImageError::Refused { .. } => StatusCode::BAD_REQUEST,
            ImageError::NotSupported { .. } => StatusCode::NOT_IMPLEMENTED,
            ImageError::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            ImageError::Failed { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}
