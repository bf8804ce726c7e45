//! The few calls of a Marathon door that `run`, `apply` and `delete` need.

use crate::failure::Failure;
use plenum_model::code::{self, Code};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;
use std::error::Error;
use std::time::Duration;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(60);

/// A Marathon door.
#[derive(Debug, Clone)]
pub(crate) struct Marathon {
    base: reqwest::Url,
    http: reqwest::Client,
}

impl Marathon {
    pub(crate) fn new(url: &str) -> Result<Self, Failure> {
        let bad = |why: String| Failure::new(code::CONFIG, format!("the marathon door `{url}`: {why}"));
        let base: reqwest::Url = url.parse().map_err(|e| bad(format!("{e}")))?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(ANSWER)
            .build()
            .map_err(|e| bad(e.to_string()))?;
        Ok(Self { base, http })
    }

    /// Creates an app; gives the deployments it starts.
    pub(crate) async fn create(&self, app: &Value) -> Result<Vec<String>, Failure> {
        let answer = self
            .send(self.request(Method::POST, ["v2", "apps"]).json(app))
            .await?;
        let deployments = answer.get("deployments").and_then(Value::as_array);
        Ok(deployments
            .into_iter()
            .flatten()
            .filter_map(|d| text(d, "id"))
            .collect())
    }

    /// Creates or replaces apps; gives the deployments it starts.
    pub(crate) async fn put(&self, apps: &[Value]) -> Result<Vec<String>, Failure> {
        let answer = self
            .send(self.request(Method::PUT, ["v2", "apps"]).json(apps))
            .await?;
        Ok(text(&answer, "deploymentId").into_iter().collect())
    }

    /// Deletes an app; gives the deployments it starts.
    pub(crate) async fn delete(&self, app: &str) -> Result<Vec<String>, Failure> {
        let path = ["v2", "apps"]
            .into_iter()
            .chain(app.trim_start_matches('/').split('/'));
        let answer = self.send(self.request(Method::DELETE, path)).await?;
        Ok(text(&answer, "deploymentId").into_iter().collect())
    }

    /// The ids of the deployments that go on.
    pub(crate) async fn deployments(&self) -> Result<Vec<String>, Failure> {
        let answer = self
            .send(self.request(Method::GET, ["v2", "deployments"]))
            .await?;
        Ok(answer
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|d| text(d, "id"))
            .collect())
    }

    fn request<'a>(&self, method: Method, path: impl IntoIterator<Item = &'a str>) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        self.http.request(method, url)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Value, Failure> {
        let response = request.send().await.map_err(|e| self.unreachable(&e))?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(|e| self.unreachable(&e))?;
        let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(body);
        }
        Err(refused(status, &body))
    }

    fn unreachable(&self, e: &reqwest::Error) -> Failure {
        let mut cause: &dyn Error = e;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        Failure::new(
            code::UNREACHABLE,
            format!("cannot reach the marathon door {}: {cause}", self.base),
        )
        .hint("is `plenum up` running here? `plenum context list` shows the addresses known")
    }
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(str::to_owned)
}

/// What the door said, with each place of the request that it names.
fn refused(status: StatusCode, body: &Value) -> Failure {
    let mut message = text(body, "message").unwrap_or_else(|| format!("the door answered {status}"));
    let mut field = None;
    for detail in body
        .get("details")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let path = text(detail, "path").unwrap_or_default();
        let errors = detail.get("errors").and_then(Value::as_array);
        for error in errors.into_iter().flatten().filter_map(Value::as_str) {
            message = format!("{message}\n          {path}: {error}");
        }
        field.get_or_insert(path);
    }
    let failure = Failure::new(code_of(status), message);
    match field {
        Some(field) => failure.at(field),
        None => failure,
    }
}

fn code_of(status: StatusCode) -> Code {
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
