//! The server as parts of its own process reach it: the same requests and answers as over HTTP, handed over as they
//! are. On a busy server half the work of a request is its connection.

use super::call::Server;
use super::routes;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::Request;
use kube::Client;
use std::sync::Arc;

/// Where clients are that do not say.
const DEFAULT_NAMESPACE: &str = "default";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    /// The server takes no more requests.
    #[error("the API server has stopped")]
    Stopped,
    /// What worked on the request is no more.
    #[error("the API server gave the request up")]
    GivenUp(#[source] tokio::task::JoinError),
}

/// A client that may do everything, as whoever reaches the server over HTTP without credentials.
pub(super) fn client(server: Arc<Server>) -> Client {
    let service = tower::service_fn(move |request| answer(Arc::clone(&server), request));
    Client::new(service, DEFAULT_NAMESPACE)
}

async fn answer(
    server: Arc<Server>,
    request: Request<kube::client::Body>,
) -> Result<Response<Body>, NoAnswer> {
    if server.stop.is_cancelled() {
        return Err(NoAnswer::Stopped);
    }
    let serve = routes::serve(State(Arc::clone(&server)), request.map(Body::new));
    // A task of its own: what is wrong with one request is nothing to whoever asked for several.
    let served = server.tasks.spawn(serve).await;
    served.map_err(NoAnswer::GivenUp)
}
