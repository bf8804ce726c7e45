//! Listing objects: all of them, those selected, or a page at a time as of one revision.

use super::super::answer as answers;
use super::super::call::{Call, Server, store_problem};
use super::super::kinds::Resource;
use super::super::request::accept::View;
use super::super::request::query::{ListOptions, Match};
use super::super::storage::{Key, Object};
use super::super::tables;
use super::token::Token;
use crate::object::problem::Problem;
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use plenum_contract::state_store::StateError;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// How long a list of a revision that is not there yet waits for it.
const FUTURE_WAIT: Duration = Duration::from_secs(3);

const TOO_OLD: &str = "The provided continue parameter is too old to display a consistent list result. You can start \
                       a new list without the continue parameter, or use the continue token in this response to \
                       retrieve the remainder of the results. Continuing with the provided token results in an \
                       inconsistent list - objects that were created, modified, or deleted between the time the first \
                       chunk was returned and now may show up in the list.";

struct Snapshot {
    objects: Vec<(Key, Arc<Object>)>,
    revision: u64,
}

/// Lists the objects of a namespace (empty: all).
///
/// # Errors
/// 400 for options that are none, 410 for a revision that is forgotten, 504 for one that is not there yet.
pub async fn list(
    server: &Server,
    call: &Call,
    resource: &'static Resource,
    namespace: &str,
    options: &ListOptions,
) -> Result<Response, Problem> {
    let token = match options.token.as_str() {
        "" => None,
        text => Some(Token::parse(text)?),
    };
    let snapshot = snapshot(server, resource, namespace, options, token.as_ref()).await?;
    // As the real server does: "any revision" comes from memory, whole.
    let from_memory = options.revision == Some(0) && token.is_none() && options.matching == Match::Unset;
    let limit = if from_memory { 0 } else { options.limit };
    let all_selected = options.labels.is_empty() && options.fields.is_empty();
    let mut rest = snapshot.objects.iter();
    let mut page: Vec<&Object> = Vec::new();
    let mut last = None;
    for (key, object) in rest.by_ref() {
        if !selected(options, object) {
            continue;
        }
        page.push(object);
        last = Some(key);
        if limit > 0 && page.len() >= limit {
            break;
        }
    }
    let remaining = rest.filter(|(_, object)| selected(options, object)).count();
    let next = last.filter(|_| remaining > 0).map(|last| Token {
        revision: Some(snapshot.revision),
        after: last.as_str().to_owned(),
    });
    let remaining = (next.is_some() && all_selected).then_some(remaining);
    answer(call, resource, &page, snapshot.revision, next, remaining)
}

/// Whether an object is selected.
#[must_use]
pub fn selected(options: &ListOptions, object: &Object) -> bool {
    let object = object.selectable();
    options.labels.matches_with(|key| object.label(key)) && options.fields.matches(object)
}

async fn snapshot(
    server: &Server,
    resource: &'static Resource,
    namespace: &str,
    options: &ListOptions,
    token: Option<&Token>,
) -> Result<Snapshot, Problem> {
    let exact = match (token, options.matching, options.revision) {
        (Some(token), _, _) => token.revision,
        (None, Match::Exact, Some(revision)) => Some(revision),
        // A page of an older revision is of that revision, since what follows must fit it.
        (None, Match::Unset, Some(revision)) if options.limit > 0 && revision > 0 => Some(revision),
        (None, _, _) => None,
    };
    if options.revision != Some(0) {
        server.storage.settled().await.map_err(|e| store_problem(&e))?;
    }
    let wanted = exact.or(options.revision).unwrap_or(0);
    let newest = reach(server, wanted).await?;
    let cache = server.storage.cache(resource.qualified);
    let mut snapshot = match exact {
        Some(revision) if !unchanged_since(cache, revision) => {
            let objects = server.storage.past(resource.qualified, namespace, revision).await;
            let objects = objects.map_err(|error| gone(&error, token, newest))?;
            Snapshot { objects, revision }
        }
        Some(_) | None => {
            let listing = cache.list(namespace);
            Snapshot {
                objects: listing.objects,
                revision: exact.unwrap_or(listing.revision),
            }
        }
    };
    if let Some(token) = token {
        let after = Key::from_text(&token.after);
        snapshot.objects.retain(|(key, _)| *key > after);
    }
    Ok(snapshot)
}

/// Whether what is in memory is what there was at `revision`.
fn unchanged_since(cache: &super::super::storage::Cache, revision: u64) -> bool {
    cache
        .after(revision)
        .is_ok_and(|recent| recent.changes.is_empty())
}

async fn reach(server: &Server, wanted: u64) -> Result<u64, Problem> {
    let newest = server.storage.revision();
    if wanted <= newest {
        return Ok(newest);
    }
    let reached = tokio::time::timeout(FUTURE_WAIT, server.storage.reached(wanted)).await;
    let newest = server.storage.revision();
    match reached {
        Ok(Ok(())) => Ok(newest),
        Ok(Err(_)) | Err(_) => Err(Problem::future_revision(wanted, newest)),
    }
}

fn gone(error: &StateError, token: Option<&Token>, newest: u64) -> Problem {
    let StateError::Compacted { oldest, .. } = error else {
        return store_problem(error);
    };
    let Some(token) = token else {
        return Problem::expired(format!(
            "The resourceVersion for the provided list is too old: {oldest} ({newest})"
        ));
    };
    let mut problem = Problem::expired(TOO_OLD);
    let usable = Token {
        revision: None,
        after: token.after.clone(),
    };
    problem.continue_token = Some(usable.text());
    problem
}

/// A list as an answer.
///
/// # Errors
/// When it cannot be shown in the form that was asked for.
pub fn answer(
    call: &Call,
    resource: &Resource,
    objects: &[&Object],
    revision: u64,
    next: Option<Token>,
    remaining: Option<usize>,
) -> Result<Response, Problem> {
    let mut metadata = json!({ "resourceVersion": revision.to_string() });
    if let Some(next) = next {
        metadata["continue"] = json!(next.text());
    }
    if let Some(remaining) = remaining {
        metadata["remainingItemCount"] = json!(remaining);
    }
    let bytes = match call.accept.view {
        View::Whole => {
            let kind = format!("{}List", resource.kind);
            joined(&kind, resource.api_version, &metadata, objects, |object, to| {
                object.write_bare(to);
            })
        }
        View::Table(version) => {
            let form = tables::Form {
                resource,
                version,
                include: tables::Include::of(&call.query)?,
                now: call.now,
                heads: true,
            };
            let mut bytes = Vec::with_capacity(room(objects));
            tables::write(form, &metadata, objects.iter().copied(), &mut bytes);
            bytes
        }
        View::Metadata(version) => joined(
            "PartialObjectMetadataList",
            version,
            &metadata,
            objects,
            |object, to| object.write_metadata(version, to),
        ),
    };
    answers::of_json(call.accept, StatusCode::OK, Bytes::from(bytes))
}

/// About as many bytes as these objects have in a list.
fn room(objects: &[&Object]) -> usize {
    const HEAD: usize = 1024;
    const OF_EACH: usize = 64;
    HEAD + objects
        .iter()
        .map(|object| object.size() + OF_EACH)
        .sum::<usize>()
}

/// The list's bytes, made of the objects' own.
fn joined(
    kind: &str,
    api_version: &str,
    metadata: &Value,
    objects: &[&Object],
    write: impl Fn(&Object, &mut Vec<u8>),
) -> Vec<u8> {
    let head =
        format!("{{\"kind\":\"{kind}\",\"apiVersion\":\"{api_version}\",\"metadata\":{metadata},\"items\":[");
    let mut bytes = Vec::with_capacity(room(objects));
    bytes.extend_from_slice(head.as_bytes());
    for (i, object) in objects.iter().enumerate() {
        if i > 0 {
            bytes.push(b',');
        }
        write(object, &mut bytes);
    }
    bytes.extend_from_slice(b"]}");
    bytes
}
