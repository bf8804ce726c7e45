//! The HTTP of a door, whichever orchestrator's: a request, and its answer or why there is none.

use crate::failure::Failure;
use plenum_model::code::{self, Code};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;
use std::error::Error;
use std::time::Duration;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(60);

/// A door.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    kind: &'static str,
    base: reqwest::Url,
    http: reqwest::Client,
}

impl Door {
    pub(crate) fn new(kind: &'static str, url: &str) -> Result<Self, Failure> {
        let bad = |why: String| Failure::new(code::CONFIG, format!("the {kind} door `{url}`: {why}"));
        let base: reqwest::Url = url.parse().map_err(|e| bad(format!("{e}")))?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(ANSWER)
            .build()
            .map_err(|e| bad(e.to_string()))?;
        Ok(Self { kind, base, http })
    }

    pub(crate) fn request<'a>(
        &self,
        method: Method,
        path: impl IntoIterator<Item = &'a str>,
    ) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        self.http.request(method, url)
    }

    /// The answer's status and body; a body that is no JSON counts as none.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<(StatusCode, Value), Failure> {
        let response = request.send().await.map_err(|e| self.unreachable(&e))?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(|e| self.unreachable(&e))?;
        Ok((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
    }

    fn unreachable(&self, e: &reqwest::Error) -> Failure {
        let mut cause: &dyn Error = e;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        Failure::new(
            code::UNREACHABLE,
            format!("cannot reach the {} door {}: {cause}", self.kind, self.base),
        )
        .hint("is `plenum up` running here? `plenum context list` shows the addresses known")
    }
}

/// The text of a field.
pub(crate) fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(str::to_owned)
}

/// What a refusal with this status means.
pub(crate) fn code_of(status: StatusCode) -> Code {
    match status {
        StatusCode::NOT_FOUND => code::NOT_FOUND,
        StatusCode::CONFLICT => code::CONFLICT,
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => code::FORBIDDEN,
        StatusCode::NOT_IMPLEMENTED => code::NOT_SUPPORTED,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => code::UNAVAILABLE,
        StatusCode::INSUFFICIENT_STORAGE => code::DISK_FULL,
        s if s.is_client_error() => code::INVALID,
        _ => code::INTERNAL,
    }
}
