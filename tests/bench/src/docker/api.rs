//! Docker's API over a unix socket: one client for the engines, the swarm and Plenum's door alike.

use crate::report::Failed;
use bytes::Bytes;
use reqwest::Method;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The version that both sides speak.
const BASE: &str = "http://localhost/v1.41";

/// No request takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// One API.
#[derive(Clone)]
pub(super) struct Api {
    client: reqwest::Client,
    socket: PathBuf,
}

impl Api {
    /// That behind a socket; connects when first used, and keeps the connection.
    pub(super) fn new(socket: &Path) -> Result<Self, Failed> {
        let client = reqwest::Client::builder()
            .unix_socket(socket)
            .timeout(PATIENCE)
            .build()
            .map_err(Failed::in_("the client"))?;
        Ok(Self {
            client,
            socket: socket.to_owned(),
        })
    }

    /// One request; the body of a good answer.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Bytes, Failed> {
        let what = || format!("{method} {path} at {}", self.socket.display());
        let mut request = self.client.request(method.clone(), format!("{BASE}{path}"));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|e| Failed::in_(what())(chain(&e)))?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(|e| Failed::in_(what())(chain(&e)))?;
        if status.is_success() {
            return Ok(bytes);
        }
        Err(Failed::Measured {
            what: what(),
            why: format!("{status} {}", String::from_utf8_lossy(&bytes)),
        })
    }

    /// A `GET` with a JSON answer.
    pub(super) async fn get(&self, path: &str) -> Result<Value, Failed> {
        let bytes = self.call(Method::GET, path, None).await?;
        serde_json::from_slice(&bytes).map_err(Failed::in_(path))
    }

    /// A `POST` with a JSON answer, or null.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, Failed> {
        let bytes = self.call(Method::POST, path, Some(body)).await?;
        Ok(serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// How many items a list has.
    pub(super) async fn count(&self, path: &str) -> Result<usize, Failed> {
        Ok(self.get(path).await?.as_array().map_or(0, Vec::len))
    }
}

/// The client's errors say what went wrong only in their causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
