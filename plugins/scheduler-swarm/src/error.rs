//! How this door says no: a status and the sentence that clients print.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use plenum_contract::error::{Class, Classified};
use plenum_contract::pool::PoolError;
use plenum_contract::state_store::StateError;
use plenum_contract::streams::StreamError;

/// A refusal: `{"message": ...}` with a status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// The status of the answer.
    pub status: StatusCode,
    /// What clients print after `Error response from daemon: `.
    pub message: String,
}

/// What handlers give.
pub type ApiResult<T = Response> = Result<T, ApiError>;

impl ApiError {
    /// With this status.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    /// 400: the request makes no sense, or a thing is in use.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 404: there is no such thing; `docker inspect` asks for the next kind then.
    pub fn missing(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 409: the name is taken, or the state does not allow it.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    /// 500.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// 501: Docker knows it and Plenum does not serve it.
    pub fn not_served(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, message)
    }

    /// 503: try again.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// The refusal of an update that was decided on an older version. Tools look for this very text.
    #[must_use]
    pub fn out_of_sequence() -> Self {
        Self::internal("update out of sequence")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        plenum_sdk::door::refuse::message(self.status, &self.message)
    }
}

impl From<StateError> for ApiError {
    fn from(error: StateError) -> Self {
        match error.class() {
            Class::Conflict => Self::out_of_sequence(),
            Class::Retry => Self::unavailable(error.to_string()),
            Class::Fatal => Self::internal(error.to_string()),
        }
    }
}

impl From<PoolError> for ApiError {
    fn from(error: PoolError) -> Self {
        let message = error.to_string();
        match error {
            PoolError::NotFound { .. } => Self::missing(message),
            PoolError::Refused { .. } => Self::bad(message),
            PoolError::Conflict { .. } | PoolError::Compacted { .. } => Self::conflict(message),
            PoolError::Full | PoolError::Unavailable { .. } => Self::unavailable(message),
        }
    }
}

impl From<StreamError> for ApiError {
    fn from(error: StreamError) -> Self {
        let message = error.to_string();
        match error {
            StreamError::NotFound { .. } => Self::missing(message),
            StreamError::State { .. } => Self::conflict(message),
            StreamError::NotSupported { .. } => Self::not_served(message),
            StreamError::Unavailable { .. } => Self::unavailable(message),
            StreamError::Failed { .. } => Self::internal(message),
        }
    }
}
