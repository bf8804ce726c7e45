//! `/secrets` and `/configs`: the same verbs for both.

use super::look::{found, query, version};
use super::reply::{empty, json, ok};
use crate::error::{ApiError, ApiResult};
use crate::filters::Filters;
use crate::go_json::Names;
use crate::ids;
use crate::service::blob::{Blob, BlobRecord, bytes_key};
use crate::service::spec::ServiceSpec;
use crate::state::{DoorState, Shared};
use crate::store::{Desired, Edits, Stored};
use crate::time::rfc3339;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{StatusCode, Uri};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const FILTERS: [&str; 4] = ["name", "names", "id", "label"];

/// The routes of one kind.
pub(super) fn routes<R: BlobRecord>() -> Router<Shared> {
    let noun = R::NOUN;
    Router::new()
        .route(&format!("/{noun}s"), get(list::<R>))
        .route(&format!("/{noun}s/create"), post(create::<R>))
        .route(&format!("/{noun}s/{{id}}"), get(inspect::<R>).delete(remove::<R>))
        .route(&format!("/{noun}s/{{id}}/update"), post(update::<R>))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct BlobSpec {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Labels")]
    labels: BTreeMap<String, String>,
    #[serde(rename = "Data")]
    data: String,
    #[serde(rename = "Driver")]
    driver: Option<Value>,
    #[serde(rename = "Templating")]
    templating: Option<Value>,
}

fn read(body: &[u8]) -> Result<BlobSpec, ApiError> {
    let names = Names::new(&["Name", "Data", "Driver", "Templating"], &["Labels", "Options"]);
    let spec: BlobSpec = names.read(body)?;
    let named = |v: &Option<Value>| {
        v.as_ref()
            .and_then(|v| v["Name"].as_str())
            .is_some_and(|n| !n.is_empty())
    };
    if named(&spec.driver) {
        return Err(ApiError::not_served(
            "Driver: secret drivers are not served by Plenum",
        ));
    }
    if named(&spec.templating) {
        return Err(ApiError::not_served("Templating is not served by Plenum yet"));
    }
    Ok(spec)
}

fn bytes<R: BlobRecord>(spec: &BlobSpec) -> Result<Vec<u8>, ApiError> {
    let noun = R::NOUN;
    let data = STANDARD
        .decode(spec.data.trim())
        .map_err(|e| ApiError::bad(format!("invalid {noun} data: {e}")))?;
    let least = usize::from(noun == "secret");
    if data.len() < least || data.len() > R::MAX_BYTES {
        return Err(ApiError::bad(format!(
            "{noun} data must be larger than 0 and less than {} bytes",
            R::MAX_BYTES
        )));
    }
    Ok(data)
}

fn check_name(noun: &str, name: &str) -> Result<(), ApiError> {
    let ok = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let good = edge(name.chars().next()) && edge(name.chars().last()) && name.chars().all(ok);
    if good && name.len() <= 64 {
        return Ok(());
    }
    Err(ApiError::bad(format!(
        "invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end character must be [a-zA-Z0-9]: {noun} '{name}'"
    )))
}

async fn create<R: BlobRecord>(State(state): State<Shared>, body: Bytes) -> ApiResult {
    let spec = read(&body)?;
    check_name(R::NOUN, &spec.name)?;
    let data = bytes::<R>(&spec)?;
    let (id, now) = (ids::random(), state.now_ms());
    let blob = Blob {
        id: id.clone(),
        name: spec.name.clone(),
        labels: spec.labels,
        digest: ids::digest(&data),
        created_at: now,
        updated_at: now,
    };
    state
        .desk
        .change(move |desired| {
            if R::all(desired).iter().any(|b| b.blob().name == blob.name) {
                return Err(ApiError::conflict(format!(
                    "name conflicts with an existing object: {} {} already exists",
                    R::NOUN,
                    blob.name
                )));
            }
            let mut edits = Edits::new();
            edits.put_bytes(bytes_key(R::NOUN, &blob.id), Bytes::from(data));
            edits.create(R::from_blob(blob));
            Ok(edits)
        })
        .await?;
    state
        .events
        .swarm(now, R::NOUN, "create", &id, [("name".to_owned(), spec.name)]);
    Ok(json(StatusCode::CREATED, &json!({"ID": id})))
}

/// A blob as clients read it; the bytes of a secret are never among it.
async fn object<R: BlobRecord>(state: &DoorState, stored: &Stored<R>) -> Result<Value, ApiError> {
    let blob = stored.blob();
    let mut spec = json!({"Name": blob.name, "Labels": blob.labels});
    if R::NOUN == "config"
        && let Some(fields) = spec.as_object_mut()
    {
        let entry = state.store.get(&bytes_key(R::NOUN, &blob.id)).await?;
        let data = entry.map(|e| STANDARD.encode(&e.value)).unwrap_or_default();
        fields.insert("Data".to_owned(), Value::String(data));
    }
    Ok(json!({
        "ID": blob.id,
        "Version": {"Index": stored.index},
        "CreatedAt": rfc3339(blob.created_at),
        "UpdatedAt": rfc3339(blob.updated_at),
        "Spec": spec,
    }))
}

async fn list<R: BlobRecord>(State(state): State<Shared>, uri: Uri) -> ApiResult {
    let filters = Filters::parse(query(&uri).get("filters"), &FILTERS)?;
    let desired = state.desk.desired();
    let mut out = Vec::new();
    for stored in R::all(&desired).iter() {
        let blob = stored.blob();
        let wanted = filters.prefix("id", &blob.id)
            && filters.prefix("name", &blob.name)
            && filters.any("names", |n| n == blob.name)
            && filters.labels("label", &blob.labels);
        if wanted {
            out.push(object(&state, stored).await?);
        }
    }
    ok(&out)
}

fn look<R: BlobRecord>(desired: &Desired, reference: &str) -> Result<Arc<Stored<R>>, ApiError> {
    let all = R::all(desired)
        .iter()
        .map(|s| (s.blob().id.clone(), s.blob().name.clone(), Arc::clone(s)));
    found(ids::resolve(reference, all), R::NOUN, reference)
}

async fn inspect<R: BlobRecord>(State(state): State<Shared>, Path(reference): Path<String>) -> ApiResult {
    let stored = look::<R>(&state.desk.desired(), &reference)?;
    ok(&object(&state, &stored).await?)
}

async fn update<R: BlobRecord>(
    State(state): State<Shared>,
    Path(reference): Path<String>,
    uri: Uri,
    body: Bytes,
) -> ApiResult {
    let version = version(&query(&uri), R::NOUN)?;
    let spec = read(&body)?;
    let stored = look::<R>(&state.desk.desired(), &reference)?;
    let before = stored.blob();
    let other_data = !spec.data.is_empty() && ids::digest(&bytes::<R>(&spec)?) != before.digest;
    if other_data || (!spec.name.is_empty() && spec.name != before.name) {
        return Err(ApiError::bad("only updates to Labels are allowed"));
    }
    let (id, now) = (before.id.clone(), state.now_ms());
    state
        .desk
        .change(move |desired| {
            let stored = R::all(desired).get(&id).filter(|s| s.index == version);
            let stored = stored.ok_or_else(ApiError::out_of_sequence)?;
            let mut blob = stored.blob().clone();
            blob.labels = spec.labels;
            blob.updated_at = now;
            let mut edits = Edits::new();
            edits.replace(stored, R::from_blob(blob));
            Ok(edits)
        })
        .await?;
    let name = [("name".to_owned(), before.name.clone())];
    state.events.swarm(now, R::NOUN, "update", &before.id, name);
    Ok(empty(StatusCode::OK))
}

async fn remove<R: BlobRecord>(State(state): State<Shared>, Path(reference): Path<String>) -> ApiResult {
    let stored = look::<R>(&state.desk.desired(), &reference)?;
    let (id, name) = (stored.blob().id.clone(), stored.blob().name.clone());
    let wanted = id.clone();
    state
        .desk
        .change(move |desired| {
            let stored = R::all(desired).get(&wanted);
            let stored =
                stored.ok_or_else(|| ApiError::missing(format!("{} {wanted} not found", R::NOUN)))?;
            in_use::<R>(desired, stored)?;
            let mut edits = Edits::new();
            edits.remove(stored);
            edits.remove_bytes(bytes_key(R::NOUN, &wanted));
            Ok(edits)
        })
        .await?;
    state.events.swarm(
        state.now_ms(),
        R::NOUN,
        "remove",
        &id,
        [("name".to_owned(), name)],
    );
    Ok(empty(StatusCode::NO_CONTENT))
}

fn in_use<R: BlobRecord>(desired: &Desired, stored: &Stored<R>) -> Result<(), ApiError> {
    let blob = stored.blob();
    let mut users: Vec<&str> = desired
        .services
        .iter()
        .filter(|s| {
            refers(&s.spec, R::NOUN, &blob.id)
                || s.previous.as_ref().is_some_and(|p| refers(p, R::NOUN, &blob.id))
        })
        .map(|s| s.spec.name())
        .collect();
    users.sort_unstable();
    if users.is_empty() {
        return Ok(());
    }
    let plural = if users.len() > 1 { "s" } else { "" };
    Err(ApiError::bad(format!(
        "{} '{}' is in use by the following service{plural}: {}",
        R::NOUN,
        blob.name,
        users.join(", ")
    )))
}

fn refers(spec: &ServiceSpec, noun: &str, id: &str) -> bool {
    spec.container().is_some_and(|c| {
        if noun == "secret" {
            c.secrets.iter().flatten().any(|r| r.id.as_deref() == Some(id))
        } else {
            c.configs.iter().flatten().any(|r| r.id.as_deref() == Some(id))
        }
    })
}
