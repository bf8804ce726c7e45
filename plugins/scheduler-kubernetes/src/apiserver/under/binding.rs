//! `pods/binding`: a scheduler says where a pod runs. Once, and for good.

use super::super::answer;
use super::super::call::{Call, Server};
use super::super::kinds::Resource;
use super::super::request::target::Name;
use super::super::verbs::change::{Decision, How, Part, change};
use super::super::verbs::time;
use crate::object::apply::Writer;
use crate::object::decode;
use crate::object::problem::Problem;
use crate::object::schema;
use crate::object::validate;
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Binds a pod.
///
/// # Errors
/// 404; 409 for a pod that is bound, waits at a gate, goes, or is another than meant; 422 for a target that is no
/// node.
pub async fn create(
    server: &Server,
    call: &Call,
    resource: &'static Resource,
    name: &Name,
) -> Result<Response, Problem> {
    let kind = schema::lookup("", "v1", "Binding").ok_or_else(Problem::no_such_resource)?;
    let mode = call.field_validation("CreateOptions")?;
    let decoded = decode::body(call.content_type(), &call.body, kind, mode)?;
    let binding = decoded.object;
    let errors = validate::create(kind, &binding);
    if !errors.is_empty() {
        return Err(Problem::invalid("", "Binding", &name.name, &errors));
    }
    let manager = call.manager();
    let how = How {
        part: Part::Server,
        dry_run: call.dry_run("CreateOptions")?,
        by: Writer {
            manager: &manager,
            subresource: "binding",
            now: call.now,
        },
    };
    change(server, resource, name, how, |old| {
        let new = bound(old, &binding, &name.name, call.now)?;
        Ok(Decision { new, tracked: false })
    })
    .await?;
    let status =
        json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 });
    answer::value(call, StatusCode::CREATED, &status)
}

fn bound(old: &Value, binding: &Value, name: &str, now: Timestamp) -> Result<Value, Problem> {
    let conflict = |why: String| Err(Problem::conflict("", "pods/binding", name, &why));
    let uid = binding["metadata"]["uid"].as_str().unwrap_or_default();
    let own = old["metadata"]["uid"].as_str().unwrap_or_default();
    if !uid.is_empty() && uid != own {
        return conflict(format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {own}"
        ));
    }
    if old["metadata"]["deletionTimestamp"].is_string() {
        return conflict(format!(
            "pod {name} is being deleted, cannot be assigned to a host"
        ));
    }
    let node = old["spec"]["nodeName"].as_str().unwrap_or_default();
    if !node.is_empty() {
        return conflict(format!("pod {name} is already assigned to node {node:?}"));
    }
    if old["spec"]["schedulingGates"]
        .as_array()
        .is_some_and(|gates| !gates.is_empty())
    {
        return conflict(format!("pod {name} has non-empty .spec.schedulingGates"));
    }
    let mut new = old.clone();
    new["spec"]["nodeName"] = binding["target"]["name"].clone();
    for field in ["annotations", "labels"] {
        for (key, value) in binding["metadata"][field].as_object().into_iter().flatten() {
            new["metadata"][field][key] = value.clone();
        }
    }
    scheduled(&mut new["status"], now);
    Ok(new)
}

fn scheduled(status: &mut Value, now: Timestamp) {
    let condition = json!({
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": null,
        "lastTransitionTime": time(now),
    });
    if !status["conditions"].is_array() {
        status["conditions"] = json!([]);
    }
    if let Some(conditions) = status["conditions"].as_array_mut() {
        conditions.retain(|c| c["type"] != "PodScheduled");
        conditions.push(condition);
    }
}
