//! How the front door says no: what the pool or a stream refuses, in a status that the clients understand, and
//! what is not served at all.

use crate::door::reply::Refused;
use crate::refusal::Refusal;
use axum::extract::OriginalUri;
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode};
use plenum_contract::pool::PoolError;
use plenum_contract::streams::StreamError;
use serde::Serialize;

/// What the pool said.
pub(super) fn by_pool(error: PoolError) -> Refused {
    Refused(match error {
        PoolError::NotFound { .. } => Refusal::NotFound(error.to_string()),
        PoolError::Refused { .. } | PoolError::Conflict { .. } => Refusal::BadRequest(error.to_string()),
        PoolError::Compacted { .. } | PoolError::Full | PoolError::Unavailable { .. } => {
            Refusal::Unavailable(error.to_string())
        }
    })
}

/// What a stream said.
pub(super) fn by_stream(error: StreamError) -> Refused {
    Refused(match error {
        StreamError::NotFound { .. } => Refusal::NotFound(error.to_string()),
        StreamError::State { .. } | StreamError::NotSupported { .. } | StreamError::Failed { .. } => {
            Refusal::Contradiction(error.to_string())
        }
        StreamError::Unavailable { .. } => Refusal::Unavailable(error.to_string()),
    })
}

/// There is no such thing.
pub(super) fn not_found(what: impl Into<String>) -> Refused {
    Refused(Refusal::NotFound(what.into()))
}

/// The request makes no sense.
pub(super) fn bad(why: impl Into<String>) -> Refused {
    Refused(Refusal::BadRequest(why.into()))
}

#[derive(Serialize)]
struct Message<'a> {
    message: &'a str,
}

/// What DC/OS serves and Plenum does not, and why.
pub(super) fn unsupported(why: &str) -> Response {
    crate::door::reply::json(StatusCode::NOT_IMPLEMENTED, &Message { message: why })
}

/// A path of DC/OS that is not served.
pub(super) async fn unserved(method: Method, OriginalUri(uri): OriginalUri) -> Response {
    let what = format!("{method} {} is not served by this version of Plenum", uri.path());
    not_found(what).into_response()
}
