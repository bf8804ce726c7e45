//! The routes of the nodes' port. The path says which pod is meant, whichever node's port was dialled.

use super::channels::{self, Ask};
use super::doors::VERIFIED;
use super::target::{Refusal, started, task};
use super::upgrade::{self, Carrier};
use super::{forward, logs};
use crate::adapter::book::Book;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use http::{HeaderMap, StatusCode, header};
use plenum_contract::streams::{ExecRequest, StreamRequest, Streams, WindowSize};
use plenum_sdk::door::serve::Peer;
use plenum_sdk::mirror::Mirror;
use std::sync::Arc;
use tokio_util::task::TaskTracker;

/// What all routes share.
pub struct Shared {
    /// What the API has told.
    pub book: Arc<Book>,
    /// What the pool has told.
    pub mirror: Mirror,
    /// Bytes of containers.
    pub streams: Arc<dyn Streams>,
    /// What opens the port.
    pub token: String,
    /// Connections that were taken over.
    pub taken: TaskTracker,
}

/// All routes, closed to strangers.
pub fn router(state: Arc<Shared>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok"))
        .route(
            "/containerLogs/{namespace}/{pod}/{container}",
            get(container_logs),
        )
        .route("/exec/{namespace}/{pod}/{container}", any(exec))
        .route("/attach/{namespace}/{pod}/{container}", any(attach))
        .route("/portForward/{namespace}/{pod}", any(port_forward))
        .fallback(async || Refusal(StatusCode::NOT_FOUND, "404 page not found\n".to_owned()))
        .layer(from_fn_with_state(Arc::clone(&state), admit))
        .with_state(state)
}

async fn admit(State(state): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let verified = request
        .extensions()
        .get::<Peer>()
        .is_some_and(|p| p.0.ends_with(VERIFIED));
    if verified || bears(request.headers(), &state.token) {
        return next.run(request).await;
    }
    Refusal(StatusCode::UNAUTHORIZED, "Unauthorized".to_owned()).into_response()
}

/// Compares in a time that does not depend on where the texts differ.
fn bears(headers: &HeaderMap, token: &str) -> bool {
    let given = headers
        .get(header::AUTHORIZATION)
        .map(http::HeaderValue::as_bytes);
    let Some(given) = given.and_then(|g| g.strip_prefix(b"Bearer ")) else {
        return false;
    };
    let differ = given
        .iter()
        .zip(token.as_bytes())
        .fold(0, |d, (a, b)| d | (a ^ b));
    given.len() == token.len() && differ == 0
}

type Names = Path<(String, String, String)>;

async fn container_logs(
    State(state): State<Arc<Shared>>,
    Path((namespace, pod, container)): Names,
    request: Request,
) -> Result<Response, Refusal> {
    let task = task(&state.book, &state.mirror, &namespace, &pod)?;
    let id = started(&state.book, &task, &namespace, &pod, &container)?;
    let options = logs::Options::read(request.uri(), &container)?;
    let opened = state
        .streams
        .open(id, StreamRequest::Logs(options.query.clone()))
        .await;
    let previous = options.query.previous;
    let ends = opened.map_err(|e| logs::refusal(e, previous, &pod, &container))?;
    logs::answer(ends, options, previous, &pod, &container).await
}

async fn exec(
    State(state): State<Arc<Shared>>,
    Path((namespace, pod, container)): Names,
    request: Request,
) -> Result<Response, Refusal> {
    let ask = Ask::read(request.uri());
    let request_to = StreamRequest::Exec(ExecRequest {
        container: Some(container.clone()),
        argv: ask.command.clone(),
        tty: ask.tty.then_some(WindowSize { rows: 24, cols: 80 }),
        stdin: ask.stdin,
        ..ExecRequest::default()
    });
    if ask.command.is_empty() {
        return Err(Refusal(
            StatusCode::BAD_REQUEST,
            "you must specify at least 1 command".to_owned(),
        ));
    }
    remote_command(&state, (&namespace, &pod, &container), ask, request_to, request).await
}

async fn attach(
    State(state): State<Arc<Shared>>,
    Path((namespace, pod, container)): Names,
    request: Request,
) -> Result<Response, Refusal> {
    let ask = Ask::read(request.uri());
    let request_to = StreamRequest::Attach {
        container: Some(container.clone()),
    };
    remote_command(&state, (&namespace, &pod, &container), ask, request_to, request).await
}

async fn remote_command(
    state: &Arc<Shared>,
    (namespace, pod, container): (&str, &str, &str),
    ask: Ask,
    request_to: StreamRequest,
    request: Request,
) -> Result<Response, Refusal> {
    let task = task(&state.book, &state.mirror, namespace, pod)?;
    let id = started(&state.book, &task, namespace, pod, container)?;
    let (response, carrier) = upgrade::take(request, upgrade::COMMAND)?;
    // opened before the connection is taken over: what is refused is refused as an answer
    let ends = state.streams.open(id, request_to).await?;
    state.taken.spawn(async move {
        match carrier.ready().await {
            Ok(io) => channels::carry(io, ends, ask).await,
            Err(error) => tracing::debug!(%error, "a connection is not taken over"),
        }
    });
    Ok(response.map(|()| Body::empty()))
}

async fn port_forward(
    State(state): State<Arc<Shared>>,
    Path((namespace, pod)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    let task = task(&state.book, &state.mirror, &namespace, &pod)?;
    let ports = forward::ports(request.uri())?;
    let (response, carrier): (_, Carrier) = upgrade::take(request, upgrade::FORWARD)?;
    let (streams, id) = (Arc::clone(&state.streams), task.id());
    state.taken.spawn(async move {
        match carrier.ready().await {
            Ok(io) => forward::carry(io, streams, id, ports).await,
            Err(error) => tracing::debug!(%error, "a connection is not taken over"),
        }
    });
    Ok(response.map(|()| Body::empty()))
}
