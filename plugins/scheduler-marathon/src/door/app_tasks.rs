//! The tasks of one app.

use super::Door;
use super::kill::{self, Victims};
use super::reply::{Answer, deployed, ok};
use super::request::Query;
use super::view::tasks_of;
use crate::answer::task::{ServicePorts, TaskAnswer, host_of};
use crate::change::Wish;
use crate::desired::{AppRecord, Desired};
use crate::names;
use crate::path::AppId;
use crate::refusal::Refusal;
use crate::update;
use http::StatusCode;
use plenum_model::ids::TaskId;
use plenum_model::task::Task;
use plenum_sdk::observed::Observed;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Serialize)]
pub(super) struct Tasks {
    pub(super) tasks: Vec<TaskAnswer>,
}

#[derive(Serialize)]
struct OneTask {
    task: TaskAnswer,
}

/// The tasks of these apps.
pub(super) fn list(door: &Door, _desired: &Desired, records: &[&Arc<AppRecord>]) -> Answer {
    let tasks = door.mirror.read(|observed| {
        records
            .iter()
            .flat_map(|r| tasks_of(observed, r, ServicePorts::Left))
            .collect()
    });
    ok(&Tasks { tasks })
}

/// `DELETE /v2/apps/ID/tasks`
pub(super) async fn kill_all(door: &Door, id: &AppId, query: &Query) -> Answer {
    let (scale, wipe) = (query.0.flag("scale"), query.0.flag("wipe"));
    kill::check(scale, wipe)?;
    let desired = door.desk.desired();
    let record = desired.app(id).ok_or_else(|| Refusal::NoApp(id.clone(), None))?;
    let host = query.0.get("host").filter(|h| *h != "*");
    if scale && host.is_none() {
        // every instance, those that wait for their launch included
        let app = id.clone();
        let decide = move |desired: &Desired| {
            let record = desired
                .app(&app)
                .ok_or_else(|| Refusal::NoApp(app.clone(), None))?;
            let mut none = update::of_version(&record.app);
            none.instances = 0;
            Ok(vec![(app, Wish::Become(Box::new(none)))])
        };
        return Ok(deployed(
            StatusCode::OK,
            &door.desk.change(query.force(), Box::new(decide)).await?,
        ));
    }
    let on_host = |observed: &Observed, task: &Task| {
        let node = task.status.node.as_ref().and_then(|n| observed.node(n));
        host.is_none_or(|host| host_of(task, node.map(|n| &**n)) == host)
    };
    let ids: BTreeSet<TaskId> = door.mirror.read(|observed| {
        let alive = observed
            .workload(&record.uid)
            .filter(|t| is_alive(t) && t.status.node.is_some());
        alive.filter(|t| on_host(observed, t)).map(|t| t.id()).collect()
    });
    let victims: Victims = [(id.clone(), ids)].into();
    if scale {
        return Ok(deployed(
            StatusCode::OK,
            &kill::kill_and_scale(door, victims, query.force()).await?,
        ));
    }
    ok(&Tasks {
        tasks: kill::kill(door, &desired, &victims).await?,
    })
}

/// `DELETE /v2/apps/ID/tasks/TASK`
pub(super) async fn kill_one(door: &Door, id: &AppId, task: &str, query: &Query) -> Answer {
    let (scale, wipe) = (query.0.flag("scale"), query.0.flag("wipe"));
    kill::check(scale, wipe)?;
    let desired = door.desk.desired();
    let record = desired.app(id).ok_or_else(|| Refusal::NoApp(id.clone(), None))?;
    let found = door.mirror.read(|observed| find(observed, record, task));
    let Some(found) = found else {
        return Err(Refusal::NoTask(task.to_owned()).into());
    };
    let victims: Victims = [(id.clone(), [found].into())].into();
    if scale {
        return Ok(deployed(
            StatusCode::OK,
            &kill::kill_and_scale(door, victims, query.force()).await?,
        ));
    }
    match kill::kill(door, &desired, &victims).await?.pop() {
        Some(task) => ok(&OneTask { task }),
        None => Err(Refusal::NoTask(task.to_owned()).into()),
    }
}

/// The live task of an app that an id of any form names.
pub(super) fn find(observed: &Observed, record: &AppRecord, task: &str) -> Option<TaskId> {
    let instance = names::parse(task)?.instance;
    let mut alive = observed.workload(&record.uid).filter(|t| is_alive(t));
    alive
        .find(|t| names::instance(&record.app.id, t.id()) == instance)
        .map(|t| t.id())
}

fn is_alive(task: &Task) -> bool {
    !task.released && !task.status.phase().is_terminal()
}
