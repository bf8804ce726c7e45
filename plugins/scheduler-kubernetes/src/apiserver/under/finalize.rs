//! `namespaces/finalize`: whoever emptied a namespace takes its finalizer away.

use super::super::answer;
use super::super::call::{Call, Server};
use super::super::kinds::Resource;
use super::super::request::target::Name;
use super::super::verbs::admit;
use super::super::verbs::change::{Decision, How, Part, change};
use crate::object::apply::Writer;
use crate::object::decode;
use crate::object::problem::Problem;
use axum::response::Response;
use http::StatusCode;
use serde_json::json;

/// Takes over the finalizers of the body.
///
/// # Errors
/// As a change.
pub async fn update(
    server: &Server,
    call: &Call,
    resource: &'static Resource,
    name: &Name,
) -> Result<Response, Problem> {
    let mode = call.field_validation("UpdateOptions")?;
    let decoded = decode::body(call.content_type(), &call.body, resource.schema(), mode)?;
    admit::named_as(name, &decoded.object)?;
    let manager = call.manager();
    let how = How {
        part: Part::Server,
        dry_run: call.dry_run("UpdateOptions")?,
        by: Writer {
            manager: &manager,
            subresource: "finalize",
            now: call.now,
        },
    };
    let given = decoded.object["metadata"]["resourceVersion"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let object = change(server, resource, name, how, |old| {
        if !given.is_empty() && old["metadata"]["resourceVersion"] != given {
            return Err(Problem::stale(resource.group, resource.plural, &name.name));
        }
        let mut new = old.clone();
        let finalizers = decoded.object["spec"]["finalizers"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        new["spec"] = if finalizers.is_empty() {
            json!({})
        } else {
            json!({ "finalizers": finalizers })
        };
        Ok(Decision { new, tracked: false })
    });
    answer::object(call, resource, StatusCode::OK, &*object.await?)
}
