//! The embedded API server, asked as its clients ask.

mod access;
mod bad_input;
mod deletion;
mod discovery;
mod kube_client;
mod lists;
mod node_port;
mod odd_input;
mod restarts;
mod watches;
mod writes;

use plenum_contract::state_store::StateStore;
use plenum_store::MemoryState;
use reqwest::{Client, Method};
use scheduler_kubernetes::apiserver::{Config, Running, start};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A server and a client.
pub(crate) struct Api {
    pub(crate) running: Running,
    pub(crate) client: Client,
    pub(crate) state: Arc<dyn StateStore>,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Answer {
    /// The object, which must be there.
    pub(crate) fn ok(self) -> Value {
        assert!((200..300).contains(&self.code), "{} {}", self.code, self.text);
        self.body
    }

    /// Code, reason and message of a refusal.
    pub(crate) fn refusal(&self) -> (u16, &str, &str) {
        let text = |field: &str| self.body[field].as_str().unwrap_or_default();
        (self.code, text("reason"), text("message"))
    }
}

impl Api {
    pub(crate) async fn new() -> Self {
        Self::on(Arc::new(MemoryState::new())).await
    }

    pub(crate) async fn on(state: Arc<dyn StateStore>) -> Self {
        Self::with(Config::default(), state).await
    }

    pub(crate) async fn with(config: Config, state: Arc<dyn StateStore>) -> Self {
        let running = start(config, Arc::clone(&state), CancellationToken::new())
            .await
            .unwrap();
        let client = Client::builder().no_proxy().build().unwrap();
        Self {
            running,
            client,
            state,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.running.url())
    }

    /// Asks with a body of this media type.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        media: &str,
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let request = self
            .client
            .request(method, self.url(path))
            .header("content-type", media)
            .body(body);
        answer(request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        answer(self.client.get(self.url(path))).await
    }

    pub(crate) async fn accept(&self, path: &str, accept: &str) -> Answer {
        answer(self.client.get(self.url(path)).header("accept", accept)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::POST, path, "application/json", body.to_string())
            .await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::PUT, path, "application/json", body.to_string())
            .await
    }

    pub(crate) async fn merge(&self, path: &str, body: &Value) -> Answer {
        self.ask(
            Method::PATCH,
            path,
            "application/merge-patch+json",
            body.to_string(),
        )
        .await
    }

    pub(crate) async fn delete(&self, path: &str, options: &Value) -> Answer {
        self.ask(Method::DELETE, path, "application/json", options.to_string())
            .await
    }
}

pub(crate) async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.timeout(PATIENCE).send().await.unwrap();
    let (code, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Answer {
        code,
        headers,
        body,
        text,
    }
}

pub(crate) const CONFIGS: &str = "/api/v1/namespaces/default/configmaps";
pub(crate) const PODS: &str = "/api/v1/namespaces/default/pods";
pub(crate) const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

pub(crate) fn config(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": { "k": "v" } })
}

pub(crate) fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "labels": { "app": "web" } },
        "spec": { "containers": [{ "name": "c", "image": "busybox" }] },
    })
}

pub(crate) fn deployment(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name },
        "spec": {
            "replicas": 2,
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "containers": [{ "name": "c", "image": "busybox" }] },
            },
        },
    })
}

pub(crate) async fn bind(api: &Api, pod: &str, node: &str) -> Answer {
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": { "name": pod },
        "target": { "apiVersion": "v1", "kind": "Node", "name": node },
    });
    api.post(&format!("{PODS}/{pod}/binding"), &binding).await
}

pub(crate) fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap()
}
