//! Events of the controllers. They are the least of all: those for which there is no room are dropped.

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client, Resource};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Events that may wait.
const QUEUE: usize = 1024;
/// Requests at once.
const AT_ONCE: usize = 8;

/// Whether something went as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    Warning,
}

/// Takes what is to be told.
#[derive(Clone)]
pub(super) struct Teller(mpsc::Sender<Event>);

impl Teller {
    /// Tells something of an object.
    pub(super) fn tell<K: Resource<DynamicType = ()>>(
        &self,
        of: &K,
        by: &str,
        kind: Kind,
        reason: &str,
        message: String,
    ) {
        let (metadata, now) = (of.meta(), Timestamp::now());
        let name = metadata.name.clone().unwrap_or_default();
        let event = Event {
            metadata: ObjectMeta {
                name: Some(format!("{name}.{}", uuid::Uuid::new_v4().simple())),
                namespace: metadata.namespace.clone(),
                ..ObjectMeta::default()
            },
            involved_object: ObjectReference {
                api_version: Some(K::api_version(&()).into_owned()),
                kind: Some(K::kind(&()).into_owned()),
                name: Some(name),
                namespace: metadata.namespace.clone(),
                uid: metadata.uid.clone(),
                resource_version: metadata.resource_version.clone(),
                field_path: None,
            },
            type_: Some(match kind {
                Kind::Normal => "Normal".to_owned(),
                Kind::Warning => "Warning".to_owned(),
            }),
            reason: Some(reason.to_owned()),
            message: Some(message),
            count: Some(1),
            first_timestamp: Some(Time(now)),
            last_timestamp: Some(Time(now)),
            source: Some(EventSource {
                component: Some(by.to_owned()),
                host: None,
            }),
            reporting_component: Some(by.to_owned()),
            ..Event::default()
        };
        if self.0.try_send(event).is_err() {
            tracing::debug!(reason, "an event is dropped");
        }
    }
}

/// Starts telling.
pub(super) fn start(client: Client, tasks: &TaskTracker, stop: &CancellationToken) -> Teller {
    let (teller, events) = mpsc::channel::<Event>(QUEUE);
    let stop = stop.clone();
    tasks.spawn(async move {
        let all = ReceiverStream::new(events).for_each_concurrent(AT_ONCE, |event| {
            let namespace = event
                .metadata
                .namespace
                .clone()
                .unwrap_or_else(|| "default".to_owned());
            let api: Api<Event> = Api::namespaced(client.clone(), &namespace);
            async move {
                if let Err(error) = api.create(&PostParams::default(), &event).await {
                    tracing::debug!(%error, "an event is not told");
                }
            }
        });
        stop.run_until_cancelled(all).await;
    });
    Teller(teller)
}
