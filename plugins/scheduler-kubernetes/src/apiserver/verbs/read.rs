//! Reading one object.

use super::super::answer;
use super::super::call::{Call, Server};
use super::super::kinds::Resource;
use super::super::request::target::Name;
use crate::object::problem::Problem;
use axum::response::Response;
use http::StatusCode;

/// Reads one object.
///
/// # Errors
/// 404.
pub async fn get(
    server: &Server,
    call: &Call,
    resource: &'static Resource,
    name: &Name,
) -> Result<Response, Problem> {
    let object = server.get(resource, name).await?;
    answer::object(call, resource, StatusCode::OK, &object)
}
