//! The controller of replica sets: as many pods as wanted, no more.

mod plan;

use super::Context;
use super::keeper::{FORGET, PodKeeper, is_code};
use super::specs::of_set;
use super::watched::Queue;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetStatus};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const NAME: &str = "replicaset-controller";

/// Works until `stop`.
pub(super) async fn run(context: Arc<Context>, queue: Queue<ReplicaSet>, stop: CancellationToken) {
    let keeper = Arc::new(PodKeeper::new(context, NAME));
    queue.work(keeper, stop, look).await;
}

async fn look(set: Arc<ReplicaSet>, keeper: Arc<PodKeeper>) -> Result<Action, kube::Error> {
    let own = keeper.gather(&*set, &of_set(&set).selector).await?;
    if !keeper.has_seen(&set.metadata, &own) {
        return Ok(Action::requeue(FORGET));
    }
    let now = Timestamp::now();
    let own: Vec<&Pod> = own.iter().map(AsRef::as_ref).collect();
    let plan = plan::plan(&set, &own, now);
    let made = match &of_set(&set).template {
        Some(template) => keeper.make(&*set, template, plan.make).await,
        None => Ok(()),
    };
    let deleted = keeper.delete(&*set, &plan.delete, &own).await;
    let failure = match (&made, &deleted) {
        (Err(error), _) => Some(("FailedCreate", error.to_string())),
        (_, Err(error)) => Some(("FailedDelete", error.to_string())),
        (Ok(()), Ok(())) => None,
    };
    report(&set, plan::with_failure(plan.status, failure, now), &keeper).await?;
    made.and(deleted)?;
    Ok(plan.look_again.map_or_else(Action::await_change, Action::requeue))
}

async fn report(set: &ReplicaSet, status: ReplicaSetStatus, keeper: &PodKeeper) -> Result<(), kube::Error> {
    if set.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let next = ReplicaSet {
        status: Some(status),
        ..set.clone()
    };
    let client = keeper.context.client.clone();
    let api: Api<ReplicaSet> = Api::namespaced(client, &set.namespace().unwrap_or_default());
    match api
        .replace_status(&set.name_any(), &PostParams::default(), &next)
        .await
    {
        Ok(_) => Ok(()),
        // it has changed or gone, and is looked at again when that is seen
        Err(error) if is_code(&error, 404) || is_code(&error, 409) => Ok(()),
        Err(error) => Err(error),
    }
}
