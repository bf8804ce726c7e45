//! Deleting an object, in as many steps as it takes: one that somebody runs waits for them, one with finalizers
//! for whoever put them there, a namespace for its contents.

use super::super::answer;
use super::super::call::{Call, Server, store_problem};
use super::super::kinds::{DeleteAnswer, Propagation, Resource};
use super::super::request::query::ListOptions;
use super::super::request::target::Name;
use super::super::storage::{Commit, CommitError, Expect, Object};
use super::change::is_done;
use super::delete_options::DeleteOptions;
use super::{list, time};
use crate::object::problem::{Problem, Reason};
use axum::response::Response;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const ATTEMPTS: usize = 64;
const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";
/// Namespaces without which nothing works.
const KEPT_NAMESPACES: [&str; 3] = ["default", "kube-system", "kube-public"];

/// What became of an object that was to be deleted.
#[derive(Debug)]
pub enum Deleted {
    /// It is gone; this is what it was last.
    Gone(Object),
    /// It is on its way out.
    Going(Object),
}

impl Deleted {
    /// The object as it was last.
    #[must_use]
    pub fn object(&self) -> &Object {
        match self {
            Self::Gone(object) | Self::Going(object) => object,
        }
    }
}

/// Deletes an object.
///
/// # Errors
/// 404; 409 where another one is meant.
pub async fn delete(
    server: &Server,
    call: &Call,
    resource: &'static Resource,
    name: &Name,
) -> Result<Response, Problem> {
    let options = DeleteOptions::of(call)?;
    let deleted = remove(server, resource, name, &options, call.now).await?;
    let object = match &deleted {
        Deleted::Gone(object) if resource.deleted == DeleteAnswer::Status => {
            let value = object.value();
            let uid = value["metadata"]["uid"].as_str().unwrap_or_default();
            return answer::value(call, StatusCode::OK, &answer::deleted(resource, &name.name, uid));
        }
        Deleted::Gone(object) | Deleted::Going(object) => object,
    };
    answer::object(call, resource, StatusCode::OK, object)
}

/// Deletes every object of a collection that is selected.
///
/// # Errors
/// The first one that cannot be deleted.
pub async fn delete_collection(
    server: &Server,
    call: &Call,
    resource: &'static Resource,
    namespace: &str,
) -> Result<Response, Problem> {
    let options = DeleteOptions::of(call)?;
    let wanted = ListOptions::parse(&call.query, resource.schema())?;
    server.storage.settled().await.map_err(|e| store_problem(&e))?;
    let listing = server.storage.cache(resource.qualified).list(namespace);
    let mut objects = Vec::new();
    for (_, object) in listing.objects {
        if !list::selected(&wanted, &object) {
            continue;
        }
        let name = Name {
            namespace: object.selectable().namespace().to_owned(),
            name: object.selectable().name().to_owned(),
        };
        match remove(server, resource, &name, &options, call.now).await {
            Ok(deleted) => objects.push(deleted),
            Err(problem) if problem.reason == Reason::NotFound => {}
            Err(problem) => return Err(problem),
        }
    }
    let items: Vec<&Object> = objects.iter().map(Deleted::object).collect();
    list::answer(call, resource, &items, listing.revision, None, None)
}

/// Deletes an object, or takes the next step of it.
///
/// # Errors
/// 404; 409 where another one is meant.
pub async fn remove(
    server: &Server,
    resource: &'static Resource,
    name: &Name,
    options: &DeleteOptions,
    now: Timestamp,
) -> Result<Deleted, Problem> {
    if resource.kind == "Namespace" && KEPT_NAMESPACES.contains(&name.name.as_str()) {
        return Err(Problem::forbidden(
            "",
            "namespaces",
            &name.name,
            "this namespace may not be deleted",
        ));
    }
    let mut current = server.get(resource, name).await?;
    for _ in 0..ATTEMPTS {
        let old = current.value();
        options.check(resource, name, &old)?;
        let new = step(resource, &old, options, now);
        let gone = is_done(&new);
        let object = |revision: u64| Object::new(resource.shape(), &new, revision);
        if new == old && !gone {
            return Ok(Deleted::Going(object(current.revision())));
        }
        if options.dry_run {
            let tried = object(current.revision());
            return Ok(if gone {
                Deleted::Gone(tried)
            } else {
                Deleted::Going(tried)
            });
        }
        let commit = if gone {
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
            Ok(object) if gone => return Ok(Deleted::Gone(object)),
            Ok(object) => return Ok(Deleted::Going(object)),
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

/// The object after this deletion was asked for.
fn step(resource: &Resource, old: &Value, options: &DeleteOptions, now: Timestamp) -> Value {
    let mut new = old.clone();
    if old["metadata"]["deletionTimestamp"].is_string() {
        shorten(&mut new, options.grace);
    } else {
        let asked = options.grace.map(|seconds| if seconds < 0 { 1 } else { seconds });
        let grace = (resource.grace)(old, asked);
        begin(&mut new, grace.unwrap_or(0), now);
        if resource.kind == "Namespace" {
            new["status"]["phase"] = json!("Terminating");
        }
    }
    owned(resource, &mut new, options.propagation);
    new
}

fn begin(object: &mut Value, seconds: i64, now: Timestamp) {
    let until = now
        .saturating_add(SignedDuration::from_secs(seconds))
        .unwrap_or(now);
    let metadata = &mut object["metadata"];
    metadata["deletionTimestamp"] = json!(time(until));
    metadata["deletionGracePeriodSeconds"] = json!(seconds);
    if let Some(generation) = metadata["generation"]
        .as_i64()
        .filter(|generation| *generation > 0)
    {
        metadata["generation"] = json!(generation + 1);
    }
}

/// A grace that runs can only become shorter.
fn shorten(object: &mut Value, asked: Option<i64>) {
    let metadata = &mut object["metadata"];
    let running = metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
    let Some(asked) = asked
        .map(|seconds| seconds.max(0))
        .filter(|seconds| *seconds < running)
    else {
        return;
    };
    let text = metadata["deletionTimestamp"].as_str().unwrap_or_default();
    if let Ok(until) = text.parse::<Timestamp>() {
        let sooner = until
            .saturating_sub(SignedDuration::from_secs(running - asked))
            .unwrap_or(until);
        metadata["deletionTimestamp"] = json!(time(sooner));
    }
    metadata["deletionGracePeriodSeconds"] = json!(asked);
}

/// The finalizers by which the collector of dependents knows what to do with them.
fn owned(resource: &Resource, object: &mut Value, asked: Option<Propagation>) {
    let list = object["metadata"]["finalizers"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let has = |name: &str| list.iter().any(|f| f == name);
    let meant = match asked {
        Some(asked) => asked,
        None if has(ORPHAN) => Propagation::Orphan,
        None if has(FOREGROUND) => Propagation::Foreground,
        None => resource.propagation,
    };
    let mut kept: Vec<Value> = list
        .iter()
        .filter(|f| **f != ORPHAN && **f != FOREGROUND)
        .cloned()
        .collect();
    match meant {
        Propagation::Orphan => kept.push(json!(ORPHAN)),
        Propagation::Foreground => kept.push(json!(FOREGROUND)),
        Propagation::Background => {}
    }
    if kept.is_empty() {
        object["metadata"]
            .as_object_mut()
            .map(|metadata| metadata.remove("finalizers"));
    } else if kept != list {
        object["metadata"]["finalizers"] = Value::Array(kept);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::kinds;
    use super::*;

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn pod() -> Value {
        json!({
            "metadata": {"name": "p", "generation": 1},
            "spec": {"nodeName": "n", "terminationGracePeriodSeconds": 20},
            "status": {"phase": "Running"},
        })
    }

    fn asked(grace: Option<i64>) -> DeleteOptions {
        DeleteOptions {
            grace,
            ..DeleteOptions::default()
        }
    }

    #[test]
    fn a_pod_that_runs_waits_and_its_grace_only_becomes_shorter() {
        let pods = kinds::find("", "v1", "pods").unwrap();
        let first = step(pods, &pod(), &asked(None), now());
        assert_eq!(first["metadata"]["deletionTimestamp"], "2026-01-01T00:00:20Z");
        assert_eq!(first["metadata"]["deletionGracePeriodSeconds"], 20);
        assert_eq!(first["metadata"]["generation"], 2);
        assert!(!is_done(&first));
        assert_eq!(step(pods, &first, &asked(Some(60)), now()), first);
        let shorter = step(pods, &first, &asked(Some(5)), now());
        assert_eq!(shorter["metadata"]["deletionTimestamp"], "2026-01-01T00:00:05Z");
        assert!(is_done(&step(pods, &shorter, &asked(Some(0)), now())));
        let mut unbound = pod();
        unbound["spec"]["nodeName"] = json!("");
        assert!(is_done(&step(pods, &unbound, &asked(Some(60)), now())));
    }

    #[test]
    fn what_an_object_owns_is_dealt_with_through_finalizers() {
        let jobs = kinds::find("batch", "v1", "jobs").unwrap();
        let configs = kinds::find("", "v1", "configmaps").unwrap();
        let object = json!({"metadata": {"name": "x", "finalizers": ["mine"]}});
        let finalizers = |resource, asked| {
            let options = DeleteOptions {
                propagation: asked,
                ..DeleteOptions::default()
            };
            step(resource, &object, &options, now())["metadata"]["finalizers"].clone()
        };
        assert_eq!(finalizers(jobs, None), json!(["mine", "orphan"]));
        assert_eq!(finalizers(jobs, Some(Propagation::Background)), json!(["mine"]));
        assert_eq!(
            finalizers(configs, Some(Propagation::Foreground)),
            json!(["mine", "foregroundDeletion"])
        );
    }
}
