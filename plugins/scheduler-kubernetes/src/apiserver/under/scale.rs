//! `scale`: the number of replicas of a workload, the same for every kind that has one.

use super::super::answer;
use super::super::call::{Call, Server};
use super::super::kinds::{Resource, cells};
use super::super::request::target::Name;
use super::super::storage::Object;
use super::super::verbs::admit;
use super::super::verbs::change::{Decision, How, Part, change};
use crate::object::apply::{self, Writer};
use crate::object::decode;
use crate::object::patch::{self as patches, PatchType};
use crate::object::problem::Problem;
use crate::object::schema;
use crate::object::validate;
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

/// The scale of an object.
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
    answer::value(call, StatusCode::OK, &scale(&object.value()))
}

/// Replaces the scale of an object.
///
/// # Errors
/// 400 for a body that is none, 409 for a stale resource version, 422 for a number that is none.
pub async fn update(
    server: &Server,
    call: &Call,
    resource: &'static Resource,
    name: &Name,
) -> Result<Response, Problem> {
    let mode = call.field_validation("UpdateOptions")?;
    let decoded = decode::body(call.content_type(), &call.body, kind()?, mode)?;
    admit::named_as(name, &decoded.object)?;
    let dry_run = call.dry_run("UpdateOptions")?;
    let object = write(server, call, resource, name, dry_run, |_| {
        Ok(decoded.object.clone())
    })
    .await?;
    let response = answer::value(call, StatusCode::OK, &scale(&object.value()))?;
    Ok(answer::warned(response, &decoded.warnings))
}

/// Patches the scale of an object.
///
/// # Errors
/// As [`update`]; 415 for another form of patch.
pub async fn patch(
    server: &Server,
    call: &Call,
    resource: &'static Resource,
    name: &Name,
) -> Result<Response, Problem> {
    let accepted = [
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
    ];
    let mode = call.field_validation("PatchOptions")?;
    let dry_run = call.dry_run("PatchOptions")?;
    let media = call.content_type().split(';').next().unwrap_or_default().trim();
    let of = kind()?;
    let applied = match media {
        "application/apply-patch+yaml" => Some(decode::applied(&call.body, of, &name.namespace)?),
        _ => None,
    };
    let form = PatchType::of(media);
    if applied.is_none() && form.is_none() {
        return Err(Problem::unsupported_media_type(&accepted));
    }
    let object = write(server, call, resource, name, dry_run, |current| {
        match (&applied, form) {
            (Some(applied), _) => {
                let mut new = current.clone();
                new["spec"] = applied["spec"].clone();
                Ok(new)
            }
            (None, Some(form)) => Ok(patches::apply(form, current, &call.body, of, mode)?.object),
            (None, None) => Err(Problem::unsupported_media_type(&accepted)),
        }
    });
    answer::value(call, StatusCode::OK, &scale(&object.await?.value()))
}

fn kind() -> Result<&'static schema::Kind, Problem> {
    schema::lookup("autoscaling", "v1", "Scale").ok_or_else(Problem::no_such_resource)
}

async fn write(
    server: &Server,
    call: &Call,
    resource: &'static Resource,
    name: &Name,
    dry_run: bool,
    mut decide: impl FnMut(&Value) -> Result<Value, Problem> + Send,
) -> Result<std::sync::Arc<Object>, Problem> {
    let manager = call.manager();
    let how = How {
        part: Part::Main,
        dry_run,
        by: Writer {
            manager: &manager,
            subresource: "scale",
            now: call.now,
        },
    };
    change(server, resource, name, how, |old| {
        let wanted = decide(&scale(old))?;
        let given = wanted["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        if !given.is_empty() && old["metadata"]["resourceVersion"] != given {
            return Err(Problem::stale(resource.group, resource.plural, &name.name));
        }
        let errors = validate::create(kind()?, &wanted);
        if !errors.is_empty() {
            return Err(Problem::invalid("autoscaling", "Scale", &name.name, &errors));
        }
        let replicas = wanted["spec"]["replicas"].as_i64().unwrap_or(0);
        let mut new = old.clone();
        new["spec"]["replicas"] = json!(replicas);
        apply::track_update(Some(old), &mut new, how.by, resource.schema());
        Ok(Decision { new, tracked: true })
    })
    .await
}

/// The scale that an object has.
fn scale(object: &Value) -> Value {
    let mut metadata = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object["metadata"].get(field) {
            metadata[field] = value.clone();
        }
    }
    let mut status = json!({ "replicas": cells::number(object, "/status/replicas") });
    let selector = cells::selector(object.pointer("/spec/selector"));
    if selector != "<none>" {
        status["selector"] = json!(selector);
    }
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": { "replicas": cells::number(object, "/spec/replicas") },
        "status": status,
    })
}
