//! The public API: HTTP/JSON resources over the `Pool` and `Streams` contracts, their OpenAPI document, events and
//! metrics. It decides nothing: it names, filters and shows. The composition root serves the [`router`], on loopback
//! unless told otherwise. Start with `routes`.

mod config;
mod extract;
mod guard;
mod limits;
mod metrics;
mod problem;
mod resolve;
mod routes;
mod state;
mod view;

pub use config::GatewayConfig;
pub use prometheus_client::registry::Registry;

use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::{Extension, Router};
use plenum_contract::pool::Pool;
use plenum_contract::streams::Streams;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The whole public API. `registry` holds what other parts of the process count; it is shown in `/metrics` after the
/// pool's own gauges. Cancel `config.stop` before waiting for open connections to end.
pub fn router(
    config: &GatewayConfig,
    pool: Arc<dyn Pool>,
    streams: Arc<dyn Streams>,
    registry: Registry,
) -> Router {
    let metrics = Arc::new(metrics::Metrics::new(registry));
    let limits = limits::Limits {
        timeout: config.timeout,
        requests: Arc::new(Semaphore::new(config.max_requests)),
        metrics: Arc::clone(&metrics),
    };
    let app = state::App {
        pool,
        streams,
        metrics,
        version: config.version.as_str().into(),
        stop: config.stop.clone(),
        open_streams: Arc::new(Semaphore::new(config.max_streams)),
    };
    let (routes, document) = routes::all(&config.version);
    routes
        .layer(Extension(routes::Document(document)))
        .layer(DefaultBodyLimit::max(config.max_body_bytes))
        .layer(from_fn_with_state(
            guard::Hosts::new(&config.hosts),
            guard::check_host,
        ))
        .layer(from_fn_with_state(limits, limits::bound))
        .with_state(app)
}

/// The routes, answered only for requests whose `Host` is this machine (`localhost`, a loopback address) or one of
/// `hosts`, and whose `Origin`, if they have one, is one of `hosts`; others get 403. [`router`] is guarded already: this
/// is for what else is served on its port.
pub fn guarded<S: Clone + Send + Sync + 'static>(routes: Router<S>, hosts: &[String]) -> Router<S> {
    routes.layer(from_fn_with_state(guard::Hosts::new(hosts), guard::check_host))
}
