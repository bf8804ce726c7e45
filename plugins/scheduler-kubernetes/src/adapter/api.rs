//! Calls to the API server, each one request. What they answer is told apart only as far as the desk acts on it.

use super::names::MANAGER;
use super::pod::sources::TokenAsk;
use super::pod::{name, namespace, uid};
use super::status::events::Note;
use crate::lean::LeanMeta;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Event, Pod, PodStatus, Secret, ServiceAccount};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::Request;
use kube::{Api, Client, Resource};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Why a call did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum ApiFailure {
    /// There is no such thing.
    #[error("it is not there")]
    Missing,
    /// It is not as it was when this was decided; look again.
    #[error("it has changed: {0}")]
    Changed(String),
    /// The server says no, or cannot be reached; try again later.
    #[error("{0}")]
    Failed(String),
}

impl From<kube::Error> for ApiFailure {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => match status.code {
                404 => Self::Missing,
                409 | 422 => Self::Changed(status.message.clone()),
                _ => Self::Failed(format!("{} ({})", status.message, status.code)),
            },
            other => Self::Failed(other.to_string()),
        }
    }
}

/// The calls the desk makes.
#[derive(Clone)]
pub struct PodApi {
    client: Client,
}

impl PodApi {
    /// Over this client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    fn pods(&self, pod: &Pod) -> Api<Pod> {
        Api::namespaced(self.client.clone(), namespace(pod))
    }

    /// Gives a pod its node.
    ///
    /// # Errors
    /// `Changed` when it has one.
    pub async fn bind(&self, pod: &Pod, node: &str) -> Result<(), ApiFailure> {
        let binding = json!({
            "apiVersion": "v1", "kind": "Binding",
            "metadata": {"name": name(pod), "namespace": namespace(pod), "uid": uid(pod)},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        });
        let params = PostParams::default();
        let _: Value = self
            .pods(pod)
            .create_subresource("binding", name(pod), &params, &binding)
            .await?;
        Ok(())
    }

    /// Writes what a pod's object says of it; the resource version that the object has now.
    ///
    /// # Errors
    /// `Changed` when the pod of this name is another one.
    pub async fn status(&self, pod: &Pod, status: &PodStatus) -> Result<String, ApiFailure> {
        let patch = json!({"metadata": {"uid": uid(pod)}, "status": whole(status)});
        let params = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let pods = Request::new(Pod::url_path(&(), Some(namespace(pod))));
        let patch = Patch::Merge(patch);
        let request = pods.patch_subresource("status", name(pod), &params, &patch);
        let LeanMeta(metadata) = self.send(request).await?;
        Ok(metadata.resource_version.unwrap_or_default())
    }

    /// Sends a request of whose answer little matters: it is as large as the object.
    async fn send<T: DeserializeOwned>(
        &self,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<T, ApiFailure> {
        let request = request.map_err(kube::Error::BuildRequest)?;
        Ok(self.client.request(request).await?)
    }

    /// Lets a pod's object go, now that nothing of it runs.
    ///
    /// # Errors
    /// `Changed` when the pod of this name is another one.
    pub async fn delete(&self, pod: &Pod) -> Result<(), ApiFailure> {
        let params = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions {
                uid: Some(uid(pod).to_owned()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        self.pods(pod).delete(name(pod), &params).await?;
        Ok(())
    }

    /// The entries of a config map; none: it is not there.
    ///
    /// # Errors
    /// When that cannot be known now.
    pub async fn config_map(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<BTreeMap<String, Vec<u8>>>, ApiFailure> {
        let found = Api::<ConfigMap>::namespaced(self.client.clone(), namespace)
            .get_opt(name)
            .await?;
        Ok(found.map(|map| {
            let text = map.data.into_iter().flatten().map(|(k, v)| (k, v.into_bytes()));
            let binary = map.binary_data.into_iter().flatten().map(|(k, v)| (k, v.0));
            text.chain(binary).collect()
        }))
    }

    /// The entries of a secret; none: it is not there.
    ///
    /// # Errors
    /// When that cannot be known now.
    pub async fn secret(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<BTreeMap<String, Vec<u8>>>, ApiFailure> {
        let found = Api::<Secret>::namespaced(self.client.clone(), namespace)
            .get_opt(name)
            .await?;
        Ok(found.map(|secret| secret.data.into_iter().flatten().map(|(k, v)| (k, v.0)).collect()))
    }

    /// A token of the pod's service account, bound to the pod.
    ///
    /// # Errors
    /// `Missing` when there is no such account.
    pub async fn token(&self, pod: &Pod, ask: &TokenAsk) -> Result<String, ApiFailure> {
        let account = pod
            .spec
            .as_ref()
            .and_then(|s| s.service_account_name.as_deref())
            .unwrap_or("default");
        let bound = k8s_openapi::api::authentication::v1::BoundObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: Some(name(pod).to_owned()),
            uid: Some(uid(pod).to_owned()),
        };
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences: if ask.audience.is_empty() {
                    Vec::new()
                } else {
                    vec![ask.audience.clone()]
                },
                bound_object_ref: Some(bound),
                expiration_seconds: Some(ask.expiration_seconds),
            },
            ..TokenRequest::default()
        };
        let accounts = Api::<ServiceAccount>::namespaced(self.client.clone(), namespace(pod));
        let params = PostParams::default();
        let given: TokenRequest = accounts
            .create_subresource("token", account, &params, &request)
            .await?;
        let token = given.status.map(|s| s.token).filter(|t| !t.is_empty());
        token.ok_or_else(|| ApiFailure::Failed("the server gave no token".to_owned()))
    }

    /// Tells an event; `again` names the one that it repeats, and how often it was told with this time.
    ///
    /// # Errors
    /// `Missing` when the one that it repeats is gone.
    pub async fn event(
        &self,
        pod: &Pod,
        note: &Note,
        at: &str,
        told: &str,
        count: u32,
    ) -> Result<(), ApiFailure> {
        if count > 1 {
            let events = Api::<Event>::namespaced(self.client.clone(), namespace(pod));
            let patch = json!({"count": count, "lastTimestamp": at});
            events
                .patch(told, &PatchParams::default(), &Patch::Merge(patch))
                .await?;
            return Ok(());
        }
        let component = if note.reason == "Scheduled" || note.reason == "FailedScheduling" {
            "default-scheduler"
        } else {
            "kubelet"
        };
        let host = super::pod::bound_to(pod);
        let event = json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": {"name": told, "namespace": namespace(pod)},
            "involvedObject": {
                "apiVersion": "v1", "kind": "Pod", "name": name(pod), "namespace": namespace(pod),
                "uid": uid(pod), "fieldPath": note.field,
            },
            "type": note.tone.as_str(), "reason": note.reason, "message": note.message,
            "source": {"component": component, "host": host.filter(|_| component == "kubelet")},
            "firstTimestamp": at, "lastTimestamp": at, "count": 1,
            "reportingComponent": component, "reportingInstance": host.unwrap_or_default(),
        });
        let body =
            serde_json::to_vec(&without_nulls(event)).map_err(|e| ApiFailure::Failed(e.to_string()))?;
        let events = Request::new(Event::url_path(&(), Some(namespace(pod))));
        let IgnoredAny = self.send(events.create(&PostParams::default(), body)).await?;
        Ok(())
    }
}

/// A status with every field that it lacks said to be gone.
fn whole(status: &PodStatus) -> Value {
    let mut value = serde_json::to_value(status).unwrap_or_default();
    if let Some(map) = value.as_object_mut() {
        for field in [
            "reason",
            "message",
            "nominatedNodeName",
            "podIP",
            "podIPs",
            "initContainerStatuses",
        ] {
            map.entry(field).or_insert(Value::Null);
        }
    }
    value
}

fn without_nulls(mut value: Value) -> Value {
    if let Some(map) = value.as_object_mut() {
        map.retain(|_, v| !v.is_null());
        for v in map.values_mut() {
            let taken = v.take();
            *v = without_nulls(taken);
        }
    }
    value
}
