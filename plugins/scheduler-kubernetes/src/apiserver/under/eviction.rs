//! `pods/eviction`: a deletion that a disruption budget may hold up. Budgets are no kind that is served, so that
//! nothing holds one up here.

use super::super::answer;
use super::super::call::{Call, Server};
use super::super::kinds::Resource;
use super::super::request::target::Name;
use super::super::verbs::delete::remove;
use super::super::verbs::delete_options::DeleteOptions;
use crate::object::decode;
use crate::object::problem::Problem;
use crate::object::schema;
use axum::response::Response;
use http::StatusCode;
use serde_json::json;

/// Evicts a pod.
///
/// # Errors
/// 404; 400 for another pod's eviction; 409 where another pod is meant.
pub async fn create(
    server: &Server,
    call: &Call,
    resource: &'static Resource,
    name: &Name,
) -> Result<Response, Problem> {
    let kind = schema::lookup("policy", "v1", "Eviction").ok_or_else(Problem::no_such_resource)?;
    let mode = call.field_validation("CreateOptions")?;
    let decoded = decode::body(call.content_type(), &call.body, kind, mode)?;
    let given = decoded.object["metadata"]["name"].as_str().unwrap_or_default();
    if !given.is_empty() && given != name.name {
        let why = format!(
            "name in URL does not match name in Eviction object: {} != {given}",
            name.name
        );
        return Err(Problem::bad_request(why));
    }
    let mut options = DeleteOptions::read(&decoded.object["deleteOptions"])?;
    options.dry_run |= call.dry_run("CreateOptions")?;
    remove(server, resource, name, &options, call.now).await?;
    let status =
        json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 });
    answer::value(call, StatusCode::CREATED, &status)
}
