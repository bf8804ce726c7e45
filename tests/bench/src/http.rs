//! An HTTP API with JSON bodies, over a unix socket or TCP: one client for whoever is measured.

use crate::report::Failed;
use bytes::Bytes;
use reqwest::header::ACCEPT;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// No request takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// One API.
#[derive(Clone)]
pub(crate) struct Api {
    client: reqwest::Client,
    /// In front of every path.
    base: String,
    /// Where that is, for messages.
    place: String,
}

impl Api {
    /// That behind a socket, all paths below `base`; connects when first used, and keeps the connection.
    pub(crate) fn on_socket(socket: &Path, base: &str) -> Result<Self, Failed> {
        let client = reqwest::Client::builder().unix_socket(socket);
        Ok(Self {
            client: client.build().map_err(Failed::in_("the client"))?,
            base: format!("http://localhost{base}"),
            place: socket.display().to_string(),
        })
    }

    /// That at a URL.
    pub(crate) fn at(url: &str) -> Result<Self, Failed> {
        let client = reqwest::Client::builder().no_proxy().tcp_nodelay(true);
        Ok(Self {
            client: client.build().map_err(Failed::in_("the client"))?,
            base: url.to_owned(),
            place: url.to_owned(),
        })
    }

    fn request(&self, method: &Method, path: &str) -> RequestBuilder {
        self.client
            .request(method.clone(), format!("{}{path}", self.base))
    }

    /// Sends a request; the good answer, whose body may still be coming.
    async fn answer(&self, what: &str, request: RequestBuilder) -> Result<Response, Failed> {
        let what = || format!("{what} at {}", self.place);
        let answer = request.send().await.map_err(|e| Failed::in_(what())(chain(&e)))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let bytes = answer.bytes().await.map_err(|e| Failed::in_(what())(chain(&e)))?;
        Err(Failed::Measured {
            what: what(),
            why: format!("{status} {}", String::from_utf8_lossy(&bytes)),
        })
    }

    async fn body(&self, what: &str, request: RequestBuilder) -> Result<Bytes, Failed> {
        let answer = self.answer(what, request.timeout(PATIENCE)).await?;
        answer.bytes().await.map_err(|e| Failed::in_(what)(chain(&e)))
    }

    /// One request; the body of a good answer.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Bytes, Failed> {
        let mut request = self.request(&method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        self.body(&format!("{method} {path}"), request).await
    }

    /// A `GET` in another form; the body of a good answer.
    pub(crate) async fn get_as(&self, path: &str, accept: &str) -> Result<Bytes, Failed> {
        let request = self.request(&Method::GET, path).header(ACCEPT, accept);
        self.body(&format!("GET {path}"), request).await
    }

    /// A `GET` whose answer has no end of its own.
    pub(crate) async fn stream(&self, path: &str) -> Result<Response, Failed> {
        self.answer(&format!("GET {path}"), self.request(&Method::GET, path))
            .await
    }

    /// A `GET` with a JSON answer.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failed> {
        let bytes = self.call(Method::GET, path, None).await?;
        serde_json::from_slice(&bytes).map_err(Failed::in_(path))
    }

    /// A `POST` with a JSON answer, or null.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Failed> {
        let bytes = self.call(Method::POST, path, Some(body)).await?;
        Ok(serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// How many items a list has.
    pub(crate) async fn count(&self, path: &str) -> Result<usize, Failed> {
        Ok(self.get(path).await?.as_array().map_or(0, Vec::len))
    }
}

/// The client's errors say what went wrong only in their causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
