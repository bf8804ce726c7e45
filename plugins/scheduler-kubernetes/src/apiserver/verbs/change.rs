//! Changing an object: read, decide, write if nobody wrote in between, else again. What the server alone says of
//! an object is kept, whatever the client wrote.

use super::super::call::{Server, store_problem};
use super::super::kinds::{Generation, Resource, StatusMetadata};
use super::super::request::target::Name;
use super::super::storage::{Commit, CommitError, Expect, Object};
use super::create::preview;
use crate::object::apply::{Writer, track_update};
use crate::object::defaults;
use crate::object::problem::Problem;
use crate::object::validate::{self, FieldError};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// How often a decision is made anew before the client is told of the conflict.
const ATTEMPTS: usize = 64;

/// Which part of an object a write is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All but its status.
    Main,
    /// Its status.
    Status,
    /// Whatever the server decided: nothing is kept back and nothing is checked.
    Server,
}

/// A change that was decided on.
#[derive(Debug)]
pub struct Decision {
    /// The object as it shall be.
    pub new: Value,
    /// Whether its managed fields are up to date already.
    pub tracked: bool,
}

/// How a change is written.
#[derive(Debug, Clone, Copy)]
pub struct How<'a> {
    /// Which part is changed.
    pub part: Part,
    /// Whether it is only tried.
    pub dry_run: bool,
    /// Who changes it.
    pub by: Writer<'a>,
}

/// Changes one object as `decide` says.
///
/// # Errors
/// 404; those of `decide`; 409 for a resource version or uid that is not the object's; 422 for what its kind does
/// not allow.
pub async fn change(
    server: &Server,
    resource: &'static Resource,
    name: &Name,
    how: How<'_>,
    mut decide: impl FnMut(&Value) -> Result<Decision, Problem> + Send,
) -> Result<Arc<Object>, Problem> {
    let mut current = server.get(resource, name).await?;
    for _ in 0..ATTEMPTS {
        let old = current.value();
        let decision = decide(&old)?;
        let new = finish(resource, name, how, &old, decision)?;
        if new == old {
            return Ok(current);
        }
        if how.dry_run {
            return Ok(Arc::new(preview(resource, &new)));
        }
        let commit = if is_done(&new) {
            Commit::Delete(&new)
        } else {
            Commit::Put(&new)
        };
        let expect = Expect::At(current.revision());
        match server
            .storage
            .commit(resource.qualified, &name.key(), expect, commit)
            .await
        {
            Ok(object) => return Ok(Arc::new(object)),
            Err(CommitError::Store(error)) => return Err(store_problem(&error)),
            Err(CommitError::Conflict) => {
                let found = server.storage.read(resource.qualified, &name.key()).await;
                let found = found.map_err(|e| store_problem(&e))?;
                current = found.ok_or_else(|| resource.not_found(&name.name))?;
            }
        }
    }
    Err(Problem::stale(resource.group, resource.plural, &name.name))
}

/// Whether nothing holds an object that is being deleted any more.
#[must_use]
pub fn is_done(object: &Value) -> bool {
    let metadata = &object["metadata"];
    let none = |list: &Value| list.as_array().is_none_or(Vec::is_empty);
    let waits = metadata["deletionGracePeriodSeconds"]
        .as_i64()
        .is_some_and(|seconds| seconds > 0);
    let held = object["kind"] == "Namespace" && !none(&object["spec"]["finalizers"]);
    metadata["deletionTimestamp"].is_string() && none(&metadata["finalizers"]) && !waits && !held
}

fn finish(
    resource: &Resource,
    name: &Name,
    how: How<'_>,
    old: &Value,
    decision: Decision,
) -> Result<Value, Problem> {
    let mut new = decision.new;
    if how.part == Part::Server {
        if !decision.tracked {
            track_update(Some(old), &mut new, how.by, resource.schema());
        }
        return Ok(new);
    }
    preconditions(resource, name, old, &new)?;
    keep_metadata(old, &mut new);
    match how.part {
        Part::Main => {
            if resource.has_status() {
                take(old, &mut new, "status");
            }
            (resource.prepare_update)(old, &mut new);
        }
        Part::Status => with_status(resource.status_metadata, old, &mut new),
        Part::Server => {}
    }
    defaults::fill(resource.schema(), &mut new);
    let errors = match how.part {
        Part::Status if resource.kind == "Pod" => validate::pod_status(old, &new),
        Part::Main | Part::Status | Part::Server => validate::update(resource.schema(), old, &new),
    };
    if !errors.is_empty() {
        return Err(resource.invalid(&name.name, &errors));
    }
    finalizers(resource, name, old, &new)?;
    if how.part == Part::Main && generation_rises(resource.generation, old, &new) {
        new["metadata"]["generation"] = json!(old["metadata"]["generation"].as_i64().unwrap_or(0) + 1);
    }
    if !decision.tracked {
        track_update(Some(old), &mut new, how.by, resource.schema());
    }
    Ok(new)
}

/// A resource version or uid in what is written must be the object's.
fn preconditions(resource: &Resource, name: &Name, old: &Value, new: &Value) -> Result<(), Problem> {
    let text = |of: &Value, field: &str| of["metadata"][field].as_str().unwrap_or_default().to_owned();
    let (given, uid) = (text(new, "resourceVersion"), text(new, "uid"));
    if !uid.is_empty() && uid != text(old, "uid") {
        let why = format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            text(old, "uid")
        );
        return Err(Problem::conflict(
            resource.group,
            resource.plural,
            &name.name,
            &why,
        ));
    }
    if !given.is_empty() && given != text(old, "resourceVersion") {
        return Err(Problem::stale(resource.group, resource.plural, &name.name));
    }
    Ok(())
}

fn take(from: &Value, to: &mut Value, field: &str) {
    match from.get(field) {
        Some(value) if to.get(field) == Some(value) => {}
        Some(value) => to[field] = value.clone(),
        None => {
            to.as_object_mut().map(|map| map.remove(field));
        }
    }
}

/// What of the metadata the server alone says.
fn keep_metadata(old: &Value, new: &mut Value) {
    for field in [
        "name",
        "namespace",
        "generateName",
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "selfLink",
    ] {
        let (Some(from), to) = (old.get("metadata"), &mut new["metadata"]) else {
            continue;
        };
        take(from, to, field);
    }
}

/// The old object with the new status, and what of the metadata passes with it.
fn with_status(passes: StatusMetadata, old: &Value, new: &mut Value) {
    keep_all_but(&["metadata", "status"], old, new);
    let fields = [
        ("labels", passes.labels),
        ("annotations", passes.annotations),
        ("finalizers", passes.finalizers),
        ("managedFields", true),
    ];
    let passing: Vec<&str> = fields
        .iter()
        .filter(|(_, passes)| *passes)
        .map(|(field, _)| *field)
        .collect();
    keep_all_but(&passing, &old["metadata"], &mut new["metadata"]);
}

/// Makes every member but these what it was.
fn keep_all_but(passing: &[&str], old: &Value, new: &mut Value) {
    let Value::Object(old) = old else { return };
    if !new.is_object() {
        *new = Value::Object(Map::new());
    }
    let Value::Object(new) = new else { return };
    let passes = |name: &String| passing.contains(&name.as_str());
    new.retain(|name, _| passes(name) || old.contains_key(name));
    for (name, value) in old.iter().filter(|(name, _)| !passes(name)) {
        // Mostly it is the same.
        if new.get(name) != Some(value) {
            new.insert(name.clone(), value.clone());
        }
    }
}

fn finalizers(resource: &Resource, name: &Name, old: &Value, new: &Value) -> Result<(), Problem> {
    if !old["metadata"]["deletionTimestamp"].is_string() {
        return Ok(());
    }
    let list = |of: &Value| {
        of["metadata"]["finalizers"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    };
    let before = list(old);
    let added: Vec<Value> = list(new).into_iter().filter(|f| !before.contains(f)).collect();
    if added.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> = added
        .iter()
        .map(|f| format!("{:?}", f.as_str().unwrap_or_default()))
        .collect();
    let why = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        shown.join(", ")
    );
    Err(resource.invalid(&name.name, &[FieldError::forbidden("metadata.finalizers", why)]))
}

fn generation_rises(rule: Generation, old: &Value, new: &Value) -> bool {
    let spec = old.get("spec") != new.get("spec");
    match rule {
        Generation::None => false,
        Generation::Spec => spec,
        Generation::SpecAndAnnotations => {
            spec || old["metadata"].get("annotations") != new["metadata"].get("annotations")
        }
    }
}
