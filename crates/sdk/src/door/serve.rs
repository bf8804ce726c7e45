//! Serving a router on a listener, with an end: stop accepting, let requests finish, then cut what is left.
//! One task accepts and owns every connection.

use super::path::PathRules;
use axum::Router;
use axum::serve::Listener;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use std::any::Any;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// A client has so long to send the head of a request: an idle connection is cheap, a held one is not.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// A peer that was cut off without a word is noticed within ten seconds: a session that nobody holds any more
/// must make room for its stand-by.
const PING_EVERY: Duration = Duration::from_secs(5);
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// Room for a batch of ten thousand tasks under way on one stream, and for several such streams.
const STREAM_WINDOW: u32 = 2 << 20;
const CONNECTION_WINDOW: u32 = 32 << 20;

/// How a door is served.
#[derive(Debug, Clone, Copy)]
pub struct ServeOptions {
    /// What is made equal in paths before routing.
    pub paths: PathRules,
    /// Connections at once; further ones wait to be accepted.
    pub connections: usize,
    /// How long requests may go on after the end was asked for.
    pub drain: Duration,
}

impl Default for ServeOptions {
    /// Lenient paths, 4,096 connections, 5 s to drain.
    fn default() -> Self {
        Self {
            paths: PathRules::LENIENT,
            connections: 4096,
            drain: Duration::from_secs(5),
        }
    }
}

/// The peer of a connection, as text; an extension of every request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer(pub Arc<str>);

/// A door that is being served. Dropping it ends it without waiting; [`Served::stop`] waits.
#[derive(Debug)]
pub struct Served {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Served {
    /// Cancelled when the door begins to end: streams that would go on for ever watch it.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Stops accepting, waits for requests as long as `drain` allows, and cuts what is left.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Err(e) = (&mut self.task).await {
            tracing::error!(error = %e, "a door died");
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Serves `router` until it is stopped. HTTP/1 with upgrades, and HTTP/2 by prior knowledge.
#[must_use]
pub fn serve<L>(listener: L, router: Router, options: ServeOptions) -> Served
where
    L: Listener,
    L::Addr: std::fmt::Debug,
{
    serve_until(listener, router, options, CancellationToken::new())
}

/// The same with a token made before, so that the router's own streams can watch it.
#[must_use]
pub fn serve_until<L>(
    mut listener: L,
    router: Router,
    options: ServeOptions,
    stop: CancellationToken,
) -> Served
where
    L: Listener,
    L::Addr: std::fmt::Debug,
{
    let token = stop.clone();
    let task = tokio::spawn(async move {
        let permits = Arc::new(Semaphore::new(options.connections));
        let mut connections = JoinSet::new();
        loop {
            let accept = async {
                let permit = Arc::clone(&permits).acquire_owned().await;
                (permit, listener.accept().await)
            };
            tokio::select! {
                biased;
                () = token.cancelled() => break,
                Some(_) = connections.join_next() => {}
                (permit, (io, addr)) = accept => {
                    answer_at_once(&io);
                    let peer = Peer(peer_text(&addr).into());
                    let one = connection(io, peer, router.clone(), options.paths, token.clone());
                    connections.spawn(async move {
                        one.await;
                        drop(permit);
                    });
                }
            }
        }
        drop(listener);
        drain(connections, options.drain).await;
    });
    Served { stop, task }
}

async fn drain(mut connections: JoinSet<()>, deadline: Duration) {
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(deadline, all).await.is_err() {
        tracing::debug!(left = connections.len(), "connections cut at the end of a door");
    }
    connections.shutdown().await;
}

async fn connection<I>(io: I, peer: Peer, router: Router, paths: PathRules, stop: CancellationToken)
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let service = router.map_request(move |mut request: Request<Incoming>| {
        let uri = std::mem::take(request.uri_mut());
        *request.uri_mut() = paths.apply_to(uri);
        request.extensions_mut().insert(peer.clone());
        request
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    let served = builder.serve_connection_with_upgrades(TokioIo::new(io), TowerToHyperService::new(service));
    let mut served = std::pin::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection of a door broke");
    }
}

/// Small answers must not wait for the acknowledgement of the one before (40 ms, with Nagle's algorithm).
fn answer_at_once<I: 'static>(io: &I) {
    if let Some(tcp) = (io as &dyn Any).downcast_ref::<TcpStream>()
        && let Err(error) = tcp.set_nodelay(true)
    {
        tracing::debug!(%error, "a connection keeps its answers together");
    }
}

fn peer_text(addr: &impl std::fmt::Debug) -> String {
    // The listener's address type is its own; `SocketAddr` debugs as it displays.
    format!("{addr:?}")
}
