//! The containers of services' tasks, wherever they are: seen, read and entered like single ones by the id that
//! their task tells. What is wanted of them is their service's to say.

use super::record::{Container, Record, Run, Wanted};
use super::shelf::Kept;
use crate::ids;
use crate::service::planner::WORKLOAD;
use crate::service::record::ServiceRecord;
use crate::service::spec::ContainerSpec;
use crate::store::{Desired, Stored};
use plenum_model::claim::Terms;
use plenum_model::phase::Phase;
use plenum_model::task::Task;
use plenum_sdk::observed::Observed;
use serde_json::{Value, json};
use std::sync::Arc;

/// All that there are.
pub(super) fn all(desired: &Desired, observed: &Observed) -> Vec<Kept> {
    let tasks = observed.tasks().filter(|t| is_made(t));
    tasks.filter_map(|task| container(desired, task)).collect()
}

/// The one of this id, or whose id begins so, or of this name; none if it is not one and only one.
pub(super) fn find(desired: &Desired, observed: &Observed, reference: &str) -> ids::Found<Kept> {
    let tasks = observed.tasks().filter(|t| is_made(t));
    let named = tasks.map(|t| (ids::container(t.id()), name(t), Arc::clone(t)));
    match ids::resolve(reference, named) {
        ids::Found::One(task) => match container(desired, &task) {
            Some(container) => ids::Found::One(container),
            None => ids::Found::None,
        },
        ids::Found::None => ids::Found::None,
        ids::Found::Ambiguous(n) => ids::Found::Ambiguous(n),
    }
}

/// Whether a node has made it.
fn is_made(task: &Task) -> bool {
    let made = match task.status.phase() {
        Phase::Pending | Phase::Placed | Phase::Preparing | Phase::Rejected | Phase::Lost => false,
        Phase::Prepared | Phase::Starting | Phase::Running | Phase::Stopping => true,
        Phase::Finished | Phase::Failed | Phase::Stopped => task.status.started_at.is_some(),
    };
    made && task.terms.workload.kind == WORKLOAD
}

/// `web.1.` and the task's id.
fn name(task: &Task) -> String {
    format!("{}.{}", task.seat.name, ids::task(task.id()))
}

fn container(desired: &Desired, task: &Task) -> Option<Kept> {
    let service = desired.services.get(&task.terms.workload.uid)?;
    let template = service.template(&task.terms.workload.version)?;
    let asked = template.container.clone().unwrap_or_default();
    let record = Record {
        id: ids::container(task.id()),
        name: name(task),
        created_nanos: task.status.claimed_at.saturating_mul(1_000_000),
        tenant: task.terms.tenant.clone(),
        body: body(&asked, service, task),
        wanted: Wanted::Running(Run::default()),
        removing: false,
    };
    // It runs, so whatever of it a single container could not have it has.
    let mut container = Container::try_from(record).ok()?;
    let mut lowered = (*container.lowered).clone();
    lowered.terms = Arc::new(Terms {
        labels: labels(&asked, service, task),
        ..(*task.terms).clone()
    });
    container.lowered = Arc::new(lowered);
    container.of_service = Some(task.id());
    let index = 0; // of no record of its own
    Some(Arc::new(Stored {
        record: container,
        index,
    }))
}

/// What a request for such a container would say.
fn body(asked: &ContainerSpec, service: &ServiceRecord, task: &Task) -> Value {
    json!({
        "Image": asked.image, "Entrypoint": asked.command, "Cmd": asked.args, "Env": asked.env,
        "WorkingDir": asked.dir, "User": asked.user, "Hostname": asked.hostname,
        "Tty": asked.tty, "OpenStdin": asked.stdin, "StopSignal": asked.stop_signal,
        "Labels": labels(asked, service, task),
    })
}

fn labels(
    asked: &ContainerSpec,
    service: &ServiceRecord,
    task: &Task,
) -> std::collections::BTreeMap<String, String> {
    let node = task.status.node.as_ref().map(ids::node).unwrap_or_default();
    let own = [
        ("com.docker.swarm.node.id", node),
        ("com.docker.swarm.service.id", service.id.clone()),
        ("com.docker.swarm.service.name", service.spec.name().to_owned()),
        ("com.docker.swarm.task", String::new()),
        ("com.docker.swarm.task.id", ids::task(task.id())),
        ("com.docker.swarm.task.name", name(task)),
    ];
    let mut labels = asked.labels.clone().unwrap_or_default();
    labels.extend(own.map(|(k, v)| (k.to_owned(), v)));
    labels
}
