//! Watching objects: a stream of what changes, read from the cache's recent changes by revision. A client that
//! reads too slowly finds its place forgotten and is told `410 Expired`; nothing is queued for it.

use super::super::call::{Call, Server, store_problem};
use super::super::kinds::Resource;
use super::super::request::accept::View;
use super::super::request::query::ListOptions;
use super::super::storage::{Change, Object};
use super::super::tables::{self, Include};
use super::list::selected;
use crate::object::problem::Problem;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A watch without an end of its own ends after so long, like those of the real server: between half an hour and
/// an hour.
const LONGEST: Duration = Duration::from_secs(1800);
/// Bookmarks come about so often.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// And so long before the end.
const BOOKMARK_BEFORE_END: Duration = Duration::from_secs(2);

/// Watches the objects of a namespace (empty: all).
///
/// # Errors
/// 400 for options that are none; a revision that is forgotten is told in the stream.
pub async fn watch(
    server: &Arc<Server>,
    call: &Call,
    resource: &'static Resource,
    namespace: &str,
    options: ListOptions,
) -> Result<Response, Problem> {
    let include = Include::of(&call.query)?;
    let lasts = options.timeout_seconds.map_or_else(longest, Duration::from_secs);
    let mut watcher = Watcher {
        server: Arc::clone(server),
        stop: server.stop.clone(),
        resource,
        namespace: namespace.to_owned(),
        view: call.accept.view,
        include,
        heads: true,
        told: 0,
        from: 0,
        until: Instant::now() + lasts,
        bookmark_at: Instant::now() + first_bookmark(lasts),
        bookmarks: options.bookmarks,
        options,
        ready: VecDeque::new(),
        over: false,
    };
    watcher.begin().await?;
    let frames = futures::stream::unfold(watcher, |mut watcher| async move {
        let frame = watcher.next().await?;
        Some((Ok::<_, std::convert::Infallible>(frame), watcher))
    });
    let mut response = (StatusCode::OK, Body::from_stream(frames)).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.remove(TRANSFER_ENCODING);
    Ok(response)
}

fn longest() -> Duration {
    // A different end for each watch, so that they do not all come back at once.
    let spread = u64::from(uuid::Uuid::new_v4().as_bytes()[0]);
    LONGEST + Duration::from_secs(spread * LONGEST.as_secs() / 256)
}

fn first_bookmark(lasts: Duration) -> Duration {
    lasts.saturating_sub(BOOKMARK_BEFORE_END).min(BOOKMARK_EVERY)
}

struct Watcher {
    server: Arc<Server>,
    stop: CancellationToken,
    resource: &'static Resource,
    namespace: String,
    view: View,
    include: Include,
    /// Whether the next table names its columns.
    heads: bool,
    options: ListOptions,
    /// The newest revision that the client knows.
    told: u64,
    /// The newest revision that was looked at.
    from: u64,
    until: Instant,
    bookmark_at: Instant,
    bookmarks: bool,
    ready: VecDeque<Bytes>,
    over: bool,
}

impl Watcher {
    /// Finds the place to begin at; what is there already comes first where the client did not say a place.
    async fn begin(&mut self) -> Result<(), Problem> {
        let asked = self.options.revision.unwrap_or(0);
        let initial = self.options.initial_events;
        if asked > 0 && initial != Some(true) {
            self.from = asked;
            self.told = asked;
            return Ok(());
        }
        if asked == 0 && self.options.revision.is_none() || initial.is_some() {
            self.server
                .storage
                .settled()
                .await
                .map_err(|e| store_problem(&e))?;
        }
        if asked > 0 {
            self.server
                .storage
                .reached(asked)
                .await
                .map_err(|e| store_problem(&e))?;
        }
        let listing = self
            .server
            .storage
            .cache(self.resource.qualified)
            .list(&self.namespace);
        self.from = listing.revision;
        if initial == Some(false) {
            return Ok(());
        }
        for (_, object) in &listing.objects {
            if selected(&self.options, object) {
                let frame = self.event("ADDED", object);
                self.ready.push_back(frame);
            }
        }
        if initial == Some(true) && self.bookmarks {
            let frame = self.bookmark(true);
            self.ready.push_back(frame);
        }
        Ok(())
    }

    /// The next event; none at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some(frame);
            }
            if self.over {
                return None;
            }
            self.more().await;
        }
    }

    /// Reads on, or waits until there is something to read or to say.
    async fn more(&mut self) {
        let server = Arc::clone(&self.server);
        let cache = server.storage.cache(self.resource.qualified);
        let mut changed = cache.subscribe();
        changed.mark_unchanged();
        match cache.after(self.from) {
            Err(missed) => {
                let text = format!("too old resource version: {} ({})", self.from, missed.oldest);
                let status = Problem::expired(text).to_json();
                self.ready
                    .push_back(line(&json!({ "type": "ERROR", "object": status })));
                self.over = true;
                return;
            }
            Ok(recent) => {
                self.from = recent.upto;
                for change in &recent.changes {
                    self.tell(change);
                }
                if !recent.changes.is_empty() {
                    return;
                }
            }
        }
        let bookmark_at = if self.bookmarks {
            self.bookmark_at
        } else {
            self.until
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => self.over = true,
            // The cache lives as long as the server, which this holds.
            _ = changed.changed() => {}
            () = tokio::time::sleep_until(self.until) => self.over = true,
            () = tokio::time::sleep_until(bookmark_at) => self.mark(),
        }
    }

    fn mark(&mut self) {
        let now = Instant::now();
        let left = self.until.saturating_duration_since(now);
        let pause = if left <= BOOKMARK_BEFORE_END {
            Duration::from_secs(1)
        } else {
            first_bookmark(left)
        };
        self.bookmark_at = now + pause;
        if self.from > self.told {
            let frame = self.bookmark(false);
            self.ready.push_back(frame);
        }
    }

    fn tell(&mut self, change: &Change) {
        if !change.key.is_in(&self.namespace) {
            return;
        }
        let was = change
            .old
            .as_ref()
            .is_some_and(|old| selected(&self.options, old));
        let is = change
            .new
            .as_ref()
            .is_some_and(|new| selected(&self.options, new));
        let (kind, object) = match (was, is) {
            (false, false) => return,
            (true, false) => ("DELETED", change.gone()),
            (false, true) => ("ADDED", change.new.as_ref()),
            (true, true) => ("MODIFIED", change.new.as_ref()),
        };
        if let Some(object) = object {
            let frame = self.event(kind, object);
            self.ready.push_back(frame);
            self.told = change.revision;
        }
    }

    fn event(&mut self, kind: &str, object: &Object) -> Bytes {
        let before = format!("{{\"type\":\"{kind}\",\"object\":");
        match self.view {
            View::Whole => object.full_between(&before, "}\n"),
            View::Table(version) => {
                let form = tables::Form {
                    resource: self.resource,
                    version,
                    include: self.include,
                    now: Timestamp::now(),
                    heads: std::mem::take(&mut self.heads),
                };
                tables::of_one(form, object, &before, "}\n")
            }
            View::Metadata(version) => object.metadata_between(&before, version, "}\n"),
        }
    }

    fn bookmark(&mut self, ends_initial: bool) -> Bytes {
        self.told = self.from;
        let mut metadata = json!({ "resourceVersion": self.from.to_string() });
        if ends_initial {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        let (api_version, kind) = match self.view {
            View::Whole => (self.resource.api_version, self.resource.kind),
            View::Table(version) => (version, "Table"),
            View::Metadata(version) => (version, "PartialObjectMetadata"),
        };
        let mut object = json!({ "kind": kind, "apiVersion": api_version, "metadata": metadata });
        if self.resource.kind == "Pod" && self.view == View::Whole {
            // Typed clients of every kind read a pod's containers as a list.
            object["spec"] = json!({ "containers": null });
            object["status"] = json!({});
        }
        line(&json!({ "type": "BOOKMARK", "object": object }))
    }
}

fn line(value: &Value) -> Bytes {
    let mut bytes = serde_json::to_vec(value).unwrap_or_default();
    bytes.push(b'\n');
    Bytes::from(bytes)
}
