//! Patching an object or its status: by JSON patch, merge patch, strategic merge patch, or by server-side apply.

use super::super::answer;
use super::super::call::{Call, Server};
use super::super::kinds::Resource;
use super::super::request::query::wrong_options;
use super::super::request::target::Name;
use super::admit;
use super::change::{Decision, How, Part, change};
use super::create;
use crate::object::apply::{self, Writer};
use crate::object::decode;
use crate::object::patch::{self, PatchType};
use crate::object::problem::{Problem, Reason};
use crate::object::validate::FieldError;
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

const APPLY: &str = "application/apply-patch+yaml";
const ACCEPTED: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    APPLY,
];

/// Patches an object or its status.
///
/// # Errors
/// 415 for another form of patch, else as a change.
pub async fn patch(
    server: &Server,
    call: &Call,
    resource: &'static Resource,
    name: &Name,
    part: Part,
) -> Result<Response, Problem> {
    let media = call.content_type().split(';').next().unwrap_or_default().trim();
    if media == APPLY {
        return server_side(server, call, resource, name, part).await;
    }
    let kind = PatchType::of(media).ok_or_else(|| Problem::unsupported_media_type(&ACCEPTED))?;
    if call.query.flag("force") {
        let error = FieldError::forbidden("force", "may not be specified for non-apply patch");
        return Err(wrong_options("PatchOptions", error));
    }
    let mode = call.field_validation("PatchOptions")?;
    let manager = call.manager();
    let how = how(call, part, &manager)?;
    let mut warnings = Vec::new();
    let object = change(server, resource, name, how, |old| {
        let decoded = patch::apply(kind, old, &call.body, resource.schema(), mode)?;
        warnings = decoded.warnings;
        admit::named_as(name, &decoded.object)?;
        Ok(Decision {
            new: decoded.object,
            tracked: false,
        })
    });
    let object = object.await?;
    let response = answer::object(call, resource, StatusCode::OK, &object)?;
    Ok(answer::warned(response, &warnings))
}

fn how<'a>(call: &Call, part: Part, manager: &'a str) -> Result<How<'a>, Problem> {
    Ok(How {
        part,
        dry_run: call.dry_run("PatchOptions")?,
        by: Writer {
            manager,
            subresource: if part == Part::Status { "status" } else { "" },
            now: call.now,
        },
    })
}

async fn server_side(
    server: &Server,
    call: &Call,
    resource: &'static Resource,
    name: &Name,
    part: Part,
) -> Result<Response, Problem> {
    call.field_validation("PatchOptions")?;
    if call.query.get("fieldManager").is_empty() {
        let error = FieldError::required("fieldManager", "is required for apply patch");
        return Err(wrong_options("PatchOptions", error));
    }
    let manager = call.manager();
    let how = how(call, part, &manager)?;
    let mut applied = decode::applied(&call.body, resource.schema(), &name.namespace)?;
    if applied["metadata"]["name"].is_null() {
        applied["metadata"]["name"] = Value::String(name.name.clone());
    }
    admit::named_as(name, &applied)?;
    let force = call.query.flag("force");
    if server.find(resource, name).await?.is_none() {
        if part == Part::Status {
            return Err(resource.not_found(&name.name));
        }
        let made = apply::apply(None, &applied, how.by, force, resource.schema())?;
        let object = create::new(server, call, resource, &name.namespace, made, how.dry_run, None).await;
        match object {
            Err(problem) if problem.reason == Reason::AlreadyExists => {}
            made => return answer::object(call, resource, StatusCode::CREATED, &made?),
        }
    }
    let object = change(server, resource, name, how, |old| {
        Ok(Decision {
            new: apply::apply(Some(old), &applied, how.by, force, resource.schema())?,
            tracked: true,
        })
    });
    answer::object(call, resource, StatusCode::OK, &*object.await?)
}
