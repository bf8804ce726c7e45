//! Errors as people get them: one shape, a stable code, and the HTTP status that goes with it.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use plenum_client::v1::error::ErrorBody;
use plenum_contract::pool::PoolError;
use plenum_contract::streams::StreamError;
use plenum_model::code::{self, Code};

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) body: ErrorBody,
}

impl Problem {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            status: status(code),
            body: ErrorBody::new(code, message),
        }
    }

    pub(crate) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    pub(crate) fn at(self, field: impl Into<String>) -> Self {
        Self {
            body: self.body.at(field),
            ..self
        }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            body: self.body.hint(hint),
            ..self
        }
    }
}

fn status(code: Code) -> StatusCode {
    match code {
        code::INVALID => StatusCode::BAD_REQUEST,
        code::FORBIDDEN => StatusCode::FORBIDDEN,
        code::NOT_FOUND => StatusCode::NOT_FOUND,
        code::AMBIGUOUS | code::CONFLICT | code::FENCED => StatusCode::CONFLICT,
        code::COMPACTED => StatusCode::GONE,
        code::NOT_SUPPORTED => StatusCode::NOT_IMPLEMENTED,
        code::OVERLOADED | code::UNAVAILABLE => StatusCode::SERVICE_UNAVAILABLE,
        code::DISK_FULL => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<PoolError> for Problem {
    fn from(e: PoolError) -> Self {
        let message = e.to_string();
        match e {
            PoolError::NotFound { .. } => Self::new(code::NOT_FOUND, message),
            PoolError::Refused { field, why } => Self::new(code::INVALID, why).at(field),
            PoolError::Compacted { oldest } => Self::new(code::COMPACTED, message)
                .at("after")
                .hint(format!("ask again with after={}, or without `after`", oldest)),
            PoolError::Conflict { .. } => Self::new(code::CONFLICT, message),
            PoolError::Full => Self::new(code::DISK_FULL, message)
                .hint("make room on the disk of the data directory; nothing was changed"),
            PoolError::Unavailable { .. } => Self::new(code::UNAVAILABLE, message),
        }
    }
}

impl From<StreamError> for Problem {
    fn from(e: StreamError) -> Self {
        let message = e.to_string();
        match e {
            StreamError::NotFound { .. } => Self::new(code::NOT_FOUND, message),
            StreamError::State { .. } => Self::new(code::CONFLICT, message),
            StreamError::NotSupported { .. } => Self::new(code::NOT_SUPPORTED, message),
            StreamError::Unavailable { .. } => Self::new(code::UNAVAILABLE, message),
            StreamError::Failed { .. } => Self::new(code::INTERNAL, message),
        }
    }
}
