//! The controller of jobs: pods until enough of them have succeeded, or too many have failed.

mod plan;

use super::Context;
use super::keeper::{FORGET, PodKeeper, is_code};
use super::tell::Kind;
use super::watched::Queue;
use k8s_openapi::api::batch::v1::{Job, JobStatus};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, PostParams};
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const NAME: &str = "job-controller";

/// Works until `stop`.
pub(super) async fn run(context: Arc<Context>, queue: Queue<Job>, stop: CancellationToken) {
    let keeper = Arc::new(PodKeeper::new(context, NAME));
    queue.work(keeper, stop, look).await;
}

async fn look(job: Arc<Job>, keeper: Arc<PodKeeper>) -> Result<Action, kube::Error> {
    let Some(spec) = job
        .spec
        .as_ref()
        .filter(|_| job.metadata.deletion_timestamp.is_none())
    else {
        return Ok(Action::await_change());
    };
    let selector = spec.selector.clone().unwrap_or_default();
    let own = keeper.gather(&*job, &selector).await?;
    if !keeper.has_seen(&job.metadata, &own) {
        return Ok(Action::requeue(FORGET));
    }
    let own: Vec<&Pod> = own.iter().map(AsRef::as_ref).collect();
    let plan = plan::plan(&job, &own, Timestamp::now());
    if plan.expired {
        expire(&job, &keeper).await?;
        return Ok(Action::await_change());
    }
    // what has been counted is told before the pods it was counted from may go
    report(&job, plan.status, &keeper).await?;
    if let Some((reason, message)) = plan.ended {
        let kind = if reason == "Completed" {
            Kind::Normal
        } else {
            Kind::Warning
        };
        keeper.tell(&*job, kind, reason, message);
    }
    keeper.delete(&*job, &plan.delete, &own).await?;
    keeper.make(&*job, &spec.template, plan.make).await?;
    Ok(plan.look_again.map_or_else(Action::await_change, Action::requeue))
}

fn api(job: &Job, keeper: &PodKeeper) -> Api<Job> {
    Api::namespaced(
        keeper.context.client.clone(),
        &job.namespace().unwrap_or_default(),
    )
}

async fn report(job: &Job, status: JobStatus, keeper: &PodKeeper) -> Result<(), kube::Error> {
    if job.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let next = Job {
        status: Some(status),
        ..job.clone()
    };
    match api(job, keeper)
        .replace_status(&job.name_any(), &PostParams::default(), &next)
        .await
    {
        Ok(_) => Ok(()),
        Err(error) if is_code(&error, 404) => Ok(()),
        Err(error) => Err(error),
    }
}

async fn expire(job: &Job, keeper: &PodKeeper) -> Result<(), kube::Error> {
    match api(job, keeper)
        .delete(&job.name_any(), &DeleteParams::foreground())
        .await
    {
        Ok(_) => Ok(()),
        Err(error) if is_code(&error, 404) => Ok(()),
        Err(error) => Err(error),
    }
}
