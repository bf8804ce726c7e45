//! Bounds of all requests together: how many at once, how long one may take, and what was answered how fast.

use crate::metrics::Metrics;
use crate::problem::Problem;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use plenum_model::code;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// The bounds.
#[derive(Clone)]
pub(crate) struct Limits {
    pub(crate) timeout: Duration,
    pub(crate) requests: Arc<Semaphore>,
    pub(crate) metrics: Arc<Metrics>,
}

/// Counts a request, refuses it when there are too many, and answers for it when it takes too long. A stream counts
/// until its answer begins.
pub(crate) async fn bound(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(|p| p.as_str().to_owned());
    let response = match limits.requests.try_acquire() {
        Err(_) => Problem::new(code::OVERLOADED, "too many requests at once").into_response(),
        Ok(_permit) => match tokio::time::timeout(limits.timeout, next.run(request)).await {
            Ok(response) => response,
            Err(_) => Problem::new(code::UNAVAILABLE, "no answer in time")
                .with_status(StatusCode::GATEWAY_TIMEOUT)
                .into_response(),
        },
    };
    limits
        .metrics
        .answered(&method, route, response.status(), started.elapsed());
    response
}
