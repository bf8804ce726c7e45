//! Extractors whose refusals have the one shape of errors.

use crate::problem::Problem;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::{Json, RequestPartsExt};
use http::StatusCode;
use http::request::Parts;
use plenum_model::code;
use serde::de::DeserializeOwned;

/// The query of a request. A parameter that is not known is refused by its type.
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send + 'static> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match parts.extract::<Query<T>>().await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(QueryRejection::FailedToDeserializeQueryString(e)) => Err(bad_query(&e.body_text())),
            Err(e) => Err(bad_query(&e.body_text())),
        }
    }
}

fn bad_query(text: &str) -> Problem {
    let why = text
        .strip_prefix("Failed to deserialize query string: ")
        .unwrap_or(text);
    // `serde_path_to_error` puts the parameter in front of what is wrong with it.
    match why.split_once(": ") {
        Some((field, why)) if !field.contains(' ') => Problem::new(code::INVALID, why).at(field),
        _ => Problem::new(code::INVALID, why).at("query"),
    }
}

/// The one name in the path of a request, its escapes undone.
pub(crate) struct Name(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match parts.extract::<Path<String>>().await {
            Ok(Path(name)) => Ok(Self(name)),
            Err(e) => Err(Problem::new(code::INVALID, e.body_text())
                .with_status(e.status())
                .at("path")),
        }
    }
}

/// The body of a request as JSON.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(e @ JsonRejection::MissingJsonContentType(_)) => {
                Err(Problem::new(code::INVALID, e.body_text())
                    .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
                    .at("Content-Type"))
            }
            Err(JsonRejection::JsonDataError(e)) => Err(bad_json(&e.body_text())),
            Err(e) => Err(Problem::new(code::INVALID, e.body_text())
                .with_status(e.status())
                .at("body")),
        }
    }
}

fn bad_json(text: &str) -> Problem {
    let why = text
        .strip_prefix("Failed to deserialize the JSON body into the target type: ")
        .unwrap_or(text);
    match why.split_once(": ") {
        Some((field, why)) if !field.contains(' ') => Problem::new(code::INVALID, why).at(field),
        _ => Problem::new(code::INVALID, why).at("body"),
    }
}
