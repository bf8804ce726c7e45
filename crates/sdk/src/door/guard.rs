//! The guards in front of a door's routes: who may ask, how much at once, how big, how long.

use super::hosts::Hosts;
use super::refuse::Refuse;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::StatusCode;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// What a door allows.
#[derive(Debug, Clone)]
pub struct Guards {
    /// Names under which it answers.
    pub hosts: Hosts,
    /// The longest request body, in bytes.
    pub body_limit: usize,
    /// Requests worked on at once; a stream counts until its first byte.
    pub in_flight: usize,
    /// How long a request may take until its answer begins.
    pub timeout: Duration,
    /// Requests that may take as long as they like (`wait`, watches).
    pub is_long: fn(&Parts) -> bool,
    /// Requests whose body is a stream of any length (uploads).
    pub is_big: fn(&Parts) -> bool,
    /// How it says no.
    pub refuse: Refuse,
}

impl Guards {
    /// 2 MiB a body, 512 requests at once, 60 s a request; no long and no big ones.
    #[must_use]
    pub fn new(hosts: Hosts, refuse: Refuse) -> Self {
        Self {
            hosts,
            body_limit: 2 << 20,
            in_flight: 512,
            timeout: Duration::from_secs(60),
            is_long: |_| false,
            is_big: |_| false,
            refuse,
        }
    }
}

struct Guard {
    rules: Guards,
    permits: Semaphore,
}

/// Puts the guards in front of every route and of the fallback.
pub fn guard(router: Router, rules: Guards) -> Router {
    let permits = Semaphore::new(rules.in_flight);
    let limit = rules.body_limit;
    let guard = Arc::new(Guard { rules, permits });
    router
        .layer(DefaultBodyLimit::max(limit))
        .layer(from_fn_with_state(guard, check))
}

async fn check(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let rules = &guard.rules;
    let (parts, body) = request.into_parts();
    if let Err(foreign) = rules.hosts.check(&parts) {
        return (rules.refuse)(StatusCode::FORBIDDEN, &foreign.to_string());
    }
    let length = parts
        .headers
        .get(CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.parse::<u64>().ok());
    if length.is_some_and(|n| n > rules.body_limit as u64) && !(rules.is_big)(&parts) {
        let text = format!("the request body is larger than {} bytes", rules.body_limit);
        return (rules.refuse)(StatusCode::PAYLOAD_TOO_LARGE, &text);
    }
    let Ok(_permit) = guard.permits.try_acquire() else {
        return (rules.refuse)(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many requests at once; repeat later",
        );
    };
    let long = (rules.is_long)(&parts);
    let answer = next.run(Request::from_parts(parts, body));
    if long {
        return answer.await;
    }
    tokio::time::timeout(rules.timeout, answer)
        .await
        .unwrap_or_else(|_| (rules.refuse)(StatusCode::GATEWAY_TIMEOUT, "the request took too long"))
}
