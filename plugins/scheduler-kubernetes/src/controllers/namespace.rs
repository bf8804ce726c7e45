//! The controller of namespaces on their way out: deletes what is in them, and lets them go when nothing is left.

use super::Context;
use super::keeper::is_code;
use super::watched::Queue;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Pod, Secret, ServiceAccount};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::runtime::controller::Action;
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What is left is looked for again after this.
const AGAIN: Duration = Duration::from_millis(500);

/// Works until `stop`.
pub(super) async fn run(context: Arc<Context>, queue: Queue<Namespace>, stop: CancellationToken) {
    queue.work(context, stop, look).await;
}

async fn look(namespace: Arc<Namespace>, context: Arc<Context>) -> Result<Action, kube::Error> {
    if namespace.metadata.deletion_timestamp.is_none() {
        return Ok(Action::await_change());
    }
    let (client, name) = (&context.client, namespace.name_any());
    // owners first, so that nothing is made again meanwhile
    let left = empty::<Deployment>(client, &name).await?
        + empty::<Job>(client, &name).await?
        + empty::<ReplicaSet>(client, &name).await?
        + empty::<Pod>(client, &name).await?
        + empty::<ConfigMap>(client, &name).await?
        + empty::<Secret>(client, &name).await?
        + empty::<ServiceAccount>(client, &name).await?
        + empty::<Lease>(client, &name).await?
        + empty::<Event>(client, &name).await?;
    if left > 0 {
        return Ok(Action::requeue(AGAIN));
    }
    let mut next = (*namespace).clone();
    next.spec.get_or_insert_default().finalizers = None;
    let api: Api<Namespace> = Api::all(client.clone());
    match api
        .replace_subresource("finalize", &name, &PostParams::default(), &next)
        .await
    {
        Ok(_) => Ok(Action::await_change()),
        Err(error) if is_code(&error, 404) => Ok(Action::await_change()),
        Err(error) => Err(error),
    }
}

/// Deletes every object of the kind in the namespace; how many there still are.
async fn empty<K>(client: &Client, namespace: &str) -> Result<usize, kube::Error>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Debug,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let there = api.list_metadata(&ListParams::default()).await?.items;
    if there.iter().any(|it| it.metadata.deletion_timestamp.is_none()) {
        api.delete_collection(&DeleteParams::background(), &ListParams::default())
            .await?;
        return Ok(api.list_metadata(&ListParams::default()).await?.items.len());
    }
    Ok(there.len())
}
