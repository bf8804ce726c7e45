//! The few calls of a Marathon door that `run`, `apply` and `delete` need.

use crate::door::{Door, code_of, text};
use crate::failure::Failure;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;

/// A Marathon door.
#[derive(Debug, Clone)]
pub(crate) struct Marathon(Door);

impl Marathon {
    pub(crate) fn new(url: &str) -> Result<Self, Failure> {
        Door::new("marathon", url).map(Self)
    }

    /// Creates an app; gives the deployments it starts.
    pub(crate) async fn create(&self, app: &Value) -> Result<Vec<String>, Failure> {
        let answer = self
            .send(self.0.request(Method::POST, ["v2", "apps"]).json(app))
            .await?;
        let deployments = answer.get("deployments").and_then(Value::as_array);
        Ok(deployments
            .into_iter()
            .flatten()
            .filter_map(|d| text(d, "id"))
            .collect())
    }

    /// Creates or replaces apps; gives the deployments it starts.
    pub(crate) async fn put(&self, apps: &[&Value]) -> Result<Vec<String>, Failure> {
        let answer = self
            .send(self.0.request(Method::PUT, ["v2", "apps"]).json(apps))
            .await?;
        Ok(text(&answer, "deploymentId").into_iter().collect())
    }

    /// Creates or replaces a group; gives the deployments it starts.
    pub(crate) async fn put_group(&self, group: &Value) -> Result<Vec<String>, Failure> {
        let id = text(group, "id").unwrap_or_default();
        let segments = id.split('/').filter(|s| !s.is_empty());
        let path = ["v2", "groups"].into_iter().chain(segments);
        let answer = self.send(self.0.request(Method::PUT, path).json(group)).await?;
        Ok(text(&answer, "deploymentId").into_iter().collect())
    }

    /// Deletes an app; gives the deployments it starts.
    pub(crate) async fn delete(&self, app: &str) -> Result<Vec<String>, Failure> {
        let path = ["v2", "apps"]
            .into_iter()
            .chain(app.trim_start_matches('/').split('/'));
        let answer = self.send(self.0.request(Method::DELETE, path)).await?;
        Ok(text(&answer, "deploymentId").into_iter().collect())
    }

    /// The ids of the deployments that go on.
    pub(crate) async fn deployments(&self) -> Result<Vec<String>, Failure> {
        let answer = self
            .send(self.0.request(Method::GET, ["v2", "deployments"]))
            .await?;
        Ok(answer
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|d| text(d, "id"))
            .collect())
    }

    async fn send(&self, request: RequestBuilder) -> Result<Value, Failure> {
        let (status, body) = self.0.send(request).await?;
        if status.is_success() {
            return Ok(body);
        }
        Err(refused(status, &body))
    }
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
