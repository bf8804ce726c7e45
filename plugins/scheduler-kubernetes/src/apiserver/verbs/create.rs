//! Creating objects.

use super::super::answer;
use super::super::call::{Call, Server, store_problem};
use super::super::kinds::{Generation, Resource};
use super::super::request::target::Name;
use super::super::storage::{Commit, CommitError, Expect, Object};
use super::{admit, time};
use crate::object::apply::{Writer, track_update};
use crate::object::decode;
use crate::object::defaults;
use crate::object::problem::{Problem, Reason};
use crate::object::validate::{self, FieldError};
use axum::response::Response;
use http::StatusCode;
use serde_json::{Map, Value, json};

/// From what the ends of generated names are made: no vowels and nothing that looks like another, so that no word
/// comes out.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
/// How often a generated name that is taken is made anew.
const NAME_ATTEMPTS: usize = 8;
/// A generated name keeps so much of its prefix.
const MAX_PREFIX: usize = 58;

/// Creates the object in a request's body.
///
/// # Errors
/// 400 for a body that is none, 403 and 404 for a namespace that does not take it, 409 for a name that is taken,
/// 422 for what its kind does not allow.
pub async fn create(
    server: &Server,
    call: &Call,
    resource: &'static Resource,
    namespace: &str,
) -> Result<Response, Problem> {
    let mode = call.field_validation("CreateOptions")?;
    let dry_run = call.dry_run("CreateOptions")?;
    let decoded = decode::body(call.content_type(), &call.body, resource.schema(), mode)?;
    let manager = call.manager();
    let by = Writer {
        manager: &manager,
        subresource: "",
        now: call.now,
    };
    let object = new(
        server,
        call,
        resource,
        namespace,
        decoded.object,
        dry_run,
        Some(by),
    )
    .await?;
    let response = answer::object(call, resource, StatusCode::CREATED, &object)?;
    Ok(answer::warned(response, &decoded.warnings))
}

/// Creates an object; `by` none: its managed fields are known already.
///
/// # Errors
/// As [`create`].
pub async fn new(
    server: &Server,
    call: &Call,
    resource: &'static Resource,
    namespace: &str,
    mut object: Value,
    dry_run: bool,
    by: Option<Writer<'_>>,
) -> Result<Object, Problem> {
    place(resource, namespace, &mut object)?;
    let Some(name) = name_prefix(resource, &object)? else {
        return one(server, call, resource, namespace, object, dry_run, by).await;
    };
    for _ in 0..NAME_ATTEMPTS {
        let mut candidate = object.clone();
        candidate["metadata"]["name"] = json!(generated(&name));
        let made = one(server, call, resource, namespace, candidate, dry_run, by).await;
        let taken = made
            .as_ref()
            .is_err_and(|problem| problem.reason == Reason::AlreadyExists);
        if !taken {
            return made;
        }
    }
    let text = format!(
        "{} \"{name}\" already exists, the server was not able to generate a unique name for the object",
        resource.plural
    );
    Err(Problem::new(Reason::AlreadyExists, text).retry_after(1))
}

async fn one(
    server: &Server,
    call: &Call,
    resource: &'static Resource,
    namespace: &str,
    mut object: Value,
    dry_run: bool,
    by: Option<Writer<'_>>,
) -> Result<Object, Problem> {
    let name = Name {
        namespace: namespace.to_owned(),
        name: text(&object["metadata"]["name"]).to_owned(),
    };
    if resource.is_namespaced() {
        admit::namespace(server, resource, &name).await?;
    }
    prepare(call, resource, &mut object);
    defaults::fill(resource.schema(), &mut object);
    // What the server adds from here on is nobody's field.
    if let Some(by) = by {
        track_update(None, &mut object, by, resource.schema());
    }
    admit::create(server, resource, &name, &mut object)?;
    (resource.prepare_create)(&mut object);
    let errors = validate::create(resource.schema(), &object);
    if !errors.is_empty() {
        return Err(resource.invalid(&name.name, &errors));
    }
    if dry_run {
        if let Some(taken) = server.find(resource, &name).await? {
            return Err(already_there(resource, &name, &taken));
        }
        return Ok(preview(resource, &object));
    }
    let commit = Commit::Put(&object);
    match server
        .storage
        .commit(resource.qualified, &name.key(), Expect::Absent, commit)
        .await
    {
        Ok(object) => Ok(object),
        Err(CommitError::Store(error)) => Err(store_problem(&error)),
        Err(CommitError::Conflict) => {
            let found = server.storage.read(resource.qualified, &name.key()).await;
            Err(match found.map_err(|e| store_problem(&e))? {
                Some(taken) => already_there(resource, &name, &taken),
                None => Problem::already_exists(resource.group, resource.plural, &name.name),
            })
        }
    }
}

/// An object that was only tried: a new one has no resource version.
#[must_use]
pub fn preview(resource: &Resource, object: &Value) -> Object {
    Object::preview(resource.shape(), object, 0)
}

fn already_there(resource: &Resource, name: &Name, taken: &Object) -> Problem {
    let going = taken.value()["metadata"]["deletionTimestamp"].is_string();
    let problem = if going {
        Problem::being_deleted
    } else {
        Problem::already_exists
    };
    problem(resource.group, resource.plural, &name.name)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Puts the object into the namespace of the path.
fn place(resource: &Resource, namespace: &str, object: &mut Value) -> Result<(), Problem> {
    if !object["metadata"].is_object() {
        object["metadata"] = Value::Object(Map::new());
    }
    let metadata = &mut object["metadata"];
    let given = text(&metadata["namespace"]).to_owned();
    if !resource.is_namespaced() {
        if given.is_empty() {
            return Ok(());
        }
        // The real server takes what is no namespaced kind's and forgets it; so do tools rely on it.
        metadata.as_object_mut().map(|m| m.remove("namespace"));
        return Ok(());
    }
    if !given.is_empty() && given != namespace {
        let why = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(Problem::bad_request(why));
    }
    metadata["namespace"] = json!(namespace);
    if !text(&metadata["resourceVersion"]).is_empty() {
        let why = "resourceVersion should not be set on objects to be created";
        return Err(Problem::new(Reason::Unknown, why));
    }
    Ok(())
}

/// The prefix of a name to be made; none where the object has a name.
fn name_prefix(resource: &Resource, object: &Value) -> Result<Option<String>, Problem> {
    let metadata = &object["metadata"];
    if !text(&metadata["name"]).is_empty() {
        return Ok(None);
    }
    let prefix = text(&metadata["generateName"]);
    if prefix.is_empty() {
        let error = FieldError::required("metadata.name", "name or generateName is required");
        return Err(resource.invalid("", &[error]));
    }
    Ok(Some(prefix.chars().take(MAX_PREFIX).collect()))
}

fn generated(prefix: &str) -> String {
    format!("{prefix}{}", suffix())
}

/// Five letters and digits by chance.
#[must_use]
pub fn suffix() -> String {
    let random = uuid::Uuid::new_v4();
    let letters = random
        .as_bytes()
        .iter()
        .take(5)
        .map(|b| char::from(ALPHABET[usize::from(*b) % ALPHABET.len()]));
    letters.collect()
}

/// What only the server says of an object: its uid, when it was made, its generation, that nothing is known of it.
fn prepare(call: &Call, resource: &Resource, object: &mut Value) {
    object["metadata"]["uid"] = json!(uuid::Uuid::new_v4().to_string());
    object["metadata"]["creationTimestamp"] = json!(time(call.now));
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for of_the_server in [
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "selfLink",
            "resourceVersion",
            "generation",
        ] {
            metadata.remove(of_the_server);
        }
    }
    if resource.generation != Generation::None {
        object["metadata"]["generation"] = json!(1);
    }
    if resource.has_status() && resource.resets_status {
        object["status"] = json!({});
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_end_in_five_safe_letters() {
        let name = generated("web-");
        assert_eq!(name.len(), 9);
        assert!(name.bytes().skip(4).all(|b| ALPHABET.contains(&b)), "{name}");
    }
}
