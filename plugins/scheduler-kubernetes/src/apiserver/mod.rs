//! The embedded API server: the objects of a small set of kinds, read, written and watched over HTTP as those of a
//! real kube-apiserver are. It holds nothing but what is in the state store; it knows nothing of the pool.
//!
//! - `kinds`: one file a kind; `verbs`: what is done with them, written once; `under`: subresources
//! - `request`: what a request asks for; `routes`: from there to a verb; `answer`, `tables`, `cell`: the way back; `direct`:
//!   without a connection
//! - `bootstrap`, `expiry`: what the server does unasked
//! - `storage`: objects in the state store and in memory; `discovery`; `access`: who asks and what they may

pub mod access;
pub mod answer;
pub mod bootstrap;
pub mod call;
pub mod cell;
mod direct;
pub mod discovery;
pub mod expiry;
pub mod kinds;
pub mod request;
pub mod routes;
pub mod storage;
pub mod tables;
pub mod under;
pub mod verbs;

use crate::node_key::{NodeKey, NodeKeyError};
use crate::object::problem::Problem;
use access::tokens::Tokens;
use axum::Router;
use axum::response::Response;
use call::Server;
use http::StatusCode;
use plenum_contract::state_store::{StateError, StateStore};
use plenum_sdk::door::guard::{Guards, guard};
use plenum_sdk::door::hosts::Hosts;
use plenum_sdk::door::path::PathRules;
use plenum_sdk::door::serve::{ServeOptions, Served, serve_until};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use storage::{Keeper, LoadError, Storage};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Where the key of tokens is kept.
const TOKEN_KEY: &str = "keys/tokens";
/// Requests worked on at once, until their answers begin (watches do not count then): as many as connections, since
/// clients of this API take a refusal for a failure.
const IN_FLIGHT: usize = 4096;

/// How the server is served.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it listens: loopback, since whoever reaches it is the administrator.
    pub listen: SocketAddr,
    /// Further names under which it is asked, beside `localhost` and loopback addresses.
    pub hosts: Vec<String>,
    /// Changes of each kind that are kept for watches: a client that is away for a moment, or slow, goes on where
    /// it was if no more happened meanwhile. Fewer are kept where they are large: 64 MiB at most. A pool that starts
    /// 500 pods a second writes each about six times, so that this is five seconds of it.
    pub recent_changes: usize,
}

impl Default for Config {
    /// A free port of 127.0.0.1.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            hosts: Vec::new(),
            recent_changes: 16_384,
        }
    }
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It cannot listen.
    #[error("the Kubernetes API cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Its objects cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Its keys cannot be read or kept.
    #[error("the API server's keys cannot be read or kept")]
    Keys(#[source] StateError),
    /// The key of the nodes' port cannot be had.
    #[error(transparent)]
    NodeKey(#[from] NodeKeyError),
    /// The first namespaces cannot be made.
    #[error("the first namespaces cannot be made")]
    First(#[source] Problem),
}

/// The server, running. Dropping it ends it without waiting.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    server: Arc<Server>,
    served: Served,
    tasks: TaskTracker,
    stop: DropGuard,
}

impl Running {
    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A client for parts of this process: its requests are those of HTTP, without a connection.
    #[must_use]
    pub fn client(&self) -> kube::Client {
        direct::client(Arc::clone(&self.server))
    }

    /// Stops taking requests, ends watches, waits for what is under way.
    pub async fn stop(self) {
        drop(self.stop);
        self.served.stop().await;
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Starts the server on the objects in `state`; ends when `cancel` does.
///
/// # Errors
/// See [`StartError`].
pub async fn start(
    config: Config,
    state: Arc<dyn StateStore>,
    cancel: CancellationToken,
) -> Result<Running, StartError> {
    let listener = TcpListener::bind(config.listen).await;
    let listener = listener.map_err(|source| StartError::Listen {
        address: config.listen,
        source,
    })?;
    serve_with(listener, config, state, cancel).await
}

/// The same on a listener that is there already, which answers under these names too.
///
/// # Errors
/// See [`StartError`].
pub async fn serve(
    listener: TcpListener,
    hosts: Vec<String>,
    state: Arc<dyn StateStore>,
    cancel: CancellationToken,
) -> Result<Running, StartError> {
    let config = Config {
        hosts,
        ..Config::default()
    };
    serve_with(listener, config, state, cancel).await
}

async fn serve_with(
    listener: TcpListener,
    config: Config,
    state: Arc<dyn StateStore>,
    cancel: CancellationToken,
) -> Result<Running, StartError> {
    let address = listener.local_addr().map_err(|source| StartError::Listen {
        address: SocketAddr::from(([0, 0, 0, 0], 0)),
        source,
    })?;
    let resources = kinds::ALL
        .iter()
        .map(|resource| (resource.qualified, resource.shape()));
    let storage = Arc::new(Storage::new(Arc::clone(&state), resources, config.recent_changes));
    let keeper = Keeper::load(Arc::clone(&storage)).await?;
    let stop = cancel.child_token();
    let tasks = TaskTracker::new();
    tasks.spawn(keeper.run(stop.clone()));
    let server = Arc::new(Server {
        tokens: tokens(&storage).await.map_err(StartError::Keys)?,
        storage,
        node_key: Some(NodeKey::of(&*state).await?),
        stop: stop.clone(),
        tasks: tasks.clone(),
    });
    bootstrap::first(&server).await.map_err(StartError::First)?;
    tasks.spawn(bootstrap::keep(Arc::clone(&server)));
    tasks.spawn(expiry::keep(Arc::clone(&server)));
    let router = Router::new()
        .fallback(routes::serve)
        .with_state(Arc::clone(&server));
    let options = ServeOptions {
        paths: PathRules::LENIENT,
        drain: Duration::from_secs(2),
        ..ServeOptions::default()
    };
    let served = serve_until(
        listener,
        guard(router, guards(config.hosts)),
        options,
        stop.clone(),
    );
    Ok(Running {
        address,
        server,
        served,
        tasks,
        stop: stop.drop_guard(),
    })
}

fn guards(hosts: Vec<String>) -> Guards {
    Guards {
        body_limit: routes::BODY_LIMIT,
        in_flight: IN_FLIGHT,
        is_long: routes::is_long,
        ..Guards::new(Hosts::loopback_and(hosts), refuse)
    }
}

fn refuse(status: StatusCode, text: &str) -> Response {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return answer::problem(&Problem::too_large(routes::BODY_LIMIT));
    }
    plenum_sdk::door::refuse::status_object(status, text)
}

async fn tokens(storage: &Storage) -> Result<Tokens, StateError> {
    loop {
        if let Some(key) = storage.private(TOKEN_KEY).await? {
            return Ok(Tokens::new(&key));
        }
        storage.keep_private(TOKEN_KEY, Tokens::new_key()).await?;
    }
}

/// A kubeconfig for a server at this URL; who reaches it needs no credentials.
#[must_use]
pub fn kubeconfig(url: &str) -> String {
    let config = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "plenum", "cluster": { "server": url } }],
        "contexts": [{ "name": "plenum", "context": { "cluster": "plenum", "user": "plenum" } }],
        "current-context": "plenum",
        "users": [{ "name": "plenum", "user": {} }],
    });
    // Plain data with text keys always serialises.
    serde_yaml_ng::to_string(&config).unwrap_or_default()
}
