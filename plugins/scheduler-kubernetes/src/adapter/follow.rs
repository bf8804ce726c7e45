//! Listens to the API: all pods and all nodes, into the book. A watch that breaks is begun again, from a list if
//! need be.

use super::book::Book;
use super::names::OWN_LABEL;
use crate::lean::LeanPod;
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Node;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use plenum_model::ids::SchedulerId;
use plenum_sdk::driver::Waker;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Follows all pods until cancelled.
pub async fn pods(client: Client, book: Arc<Book>, waker: Waker, cancelled: CancellationToken) {
    let all = watcher(Api::<LeanPod>::all(client), watcher::Config::default()).default_backoff();
    each("pods", all, cancelled, |event| {
        match LeanPod::event(event, |pod| pod) {
            Event::Init => book.begin_pods(),
            Event::InitApply(pod) => book.put_pod(pod, true),
            Event::InitDone => book.end_pods(),
            Event::Apply(pod) => book.put_pod(pod, false),
            Event::Delete(pod) => book.drop_pod(&pod),
        }
        waker.wake();
    })
    .await;
}

/// Follows all nodes until cancelled.
pub async fn nodes(client: Client, book: Arc<Book>, scheduler: SchedulerId, cancelled: CancellationToken) {
    let all = watcher(Api::<Node>::all(client), watcher::Config::default()).default_backoff();
    let ours = |node: &Node| {
        let label = node.metadata.labels.as_ref().and_then(|l| l.get(OWN_LABEL));
        label.is_some_and(|l| l == scheduler.as_str())
    };
    let lean = |mut node: Node| {
        node.metadata.managed_fields = None;
        node
    };
    each("nodes", all, cancelled, |event| match event {
        Event::Init => book.begin_nodes(),
        Event::InitApply(node) => book.put_node(lean(node.clone()), ours(&node), true),
        Event::InitDone => book.end_nodes(),
        Event::Apply(node) => book.put_node(lean(node.clone()), ours(&node), false),
        Event::Delete(node) => book.drop_node(node.metadata.name.as_deref().unwrap_or_default()),
    })
    .await;
}

async fn each<K>(
    what: &'static str,
    events: impl Stream<Item = Result<Event<K>, watcher::Error>> + Send,
    cancelled: CancellationToken,
    mut take: impl FnMut(Event<K>),
) {
    let mut events = std::pin::pin!(events);
    loop {
        let event = tokio::select! {
            () = cancelled.cancelled() => return,
            event = events.next() => event,
        };
        match event {
            Some(Ok(event)) => take(event),
            Some(Err(error)) => tracing::debug!(what, %error, "a watch is begun again"),
            None => return,
        }
    }
}
