//! Replacing an object, or its status, with the one in the body.

use super::super::answer;
use super::super::call::{Call, Server};
use super::super::kinds::Resource;
use super::super::request::target::Name;
use super::admit;
use super::change::{Decision, How, Part, change};
use crate::object::apply::Writer;
use crate::object::decode;
use crate::object::problem::Problem;
use crate::object::validate::FieldError;
use axum::response::Response;
use http::StatusCode;

/// Replaces an object or its status.
///
/// # Errors
/// 400 for a body that is none or another's, else as a change.
pub async fn update(
    server: &Server,
    call: &Call,
    resource: &'static Resource,
    name: &Name,
    part: Part,
) -> Result<Response, Problem> {
    let mode = call.field_validation("UpdateOptions")?;
    let dry_run = call.dry_run("UpdateOptions")?;
    let decoded = decode::body(call.content_type(), &call.body, resource.schema(), mode)?;
    admit::named_as(name, &decoded.object)?;
    let manager = call.manager();
    let how = How {
        part,
        dry_run,
        by: Writer {
            manager: &manager,
            subresource: if part == Part::Status { "status" } else { "" },
            now: call.now,
        },
    };
    let object = change(server, resource, name, how, |_| {
        must_have_version(resource, name, &decoded.object)?;
        Ok(Decision {
            new: decoded.object.clone(),
            tracked: false,
        })
    });
    let object = object.await?;
    let response = answer::object(call, resource, StatusCode::OK, &object)?;
    Ok(answer::warned(response, &decoded.warnings))
}

/// Two kinds cannot be replaced without saying which version is replaced.
fn must_have_version(resource: &Resource, name: &Name, object: &serde_json::Value) -> Result<(), Problem> {
    let given = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    if !given.is_empty() || resource.kind != "Lease" {
        return Ok(());
    }
    let error = FieldError::invalid("metadata.resourceVersion", 0, "must be specified for an update");
    Err(resource.invalid(&name.name, &[error]))
}
