//! `/v2/tasks`.

use super::Door;
use super::app_tasks::{Tasks, find};
use super::kill::{self, Victims};
use super::reply::{Answer, deployed, ok};
use super::request::Query;
use super::view::task_answer;
use crate::answer::task::ServicePorts;
use crate::desired::AppRecord;
use crate::instance::{Condition, State, condition};
use crate::names;
use crate::refusal::{Detail, Refusal};
use crate::request::app::parse_body;
use crate::request::names::{Shape, UnknownFields};
use crate::request::reader::{At, Reader};
use axum::extract::State as Of;
use bytes::Bytes;
use http::StatusCode;
use plenum_model::task::Task;
use plenum_sdk::observed::Observed;
use std::sync::Arc;

/// `GET /v2/tasks`
pub(super) async fn list(Of(door): Of<Arc<Door>>, query: Query) -> Answer {
    let states: Vec<State> = query
        .0
        .all("status")
        .chain(query.0.all("status[]"))
        .filter_map(|s| match s.to_lowercase().as_str() {
            "running" => Some(State::TaskRunning),
            "staging" => Some(State::TaskStaging),
            _ => None,
        })
        .collect();
    let meant = |task: &Task| match condition(task) {
        Condition::Active(state) => states.is_empty() || states.contains(&state),
        Condition::Scheduled | Condition::Ended(_) => false,
    };
    let desired = door.desk.desired();
    let of_app = |observed: &Observed, record: &AppRecord| {
        let shown = observed.workload(&record.uid).filter(|t| meant(t));
        shown
            .filter_map(|t| task_answer(observed, record, t, ServicePorts::Shown))
            .collect::<Vec<_>>()
    };
    let tasks = door
        .mirror
        .read(|observed| desired.apps.values().flat_map(|r| of_app(observed, r)).collect());
    ok(&Tasks { tasks })
}

/// `POST /v2/tasks/delete`
pub(super) async fn delete(Of(door): Of<Arc<Door>>, query: Query, body: Bytes) -> Answer {
    let (scale, wipe) = (query.0.flag("scale"), query.0.flag("wipe"));
    kill::check(scale, wipe)?;
    let ids = read_ids(&body)?;
    let desired = door.desk.desired();
    let mut victims = Victims::new();
    for id in &ids {
        let Some(parsed) = names::parse(id) else {
            return Err(
                Refusal::BadRequest(format!("Invalid task id '{id}'. [it has no known form]")).into(),
            );
        };
        // well-formed ids of nobody are skipped
        let Some(record) = desired.app(&parsed.app) else {
            continue;
        };
        if let Some(task) = door.mirror.read(|observed| find(observed, record, id)) {
            victims.entry(parsed.app).or_default().insert(task);
        }
    }
    if scale {
        return Ok(deployed(
            StatusCode::OK,
            &kill::kill_and_scale(&door, victims, query.force()).await?,
        ));
    }
    ok(&Tasks {
        tasks: kill::kill(&door, &desired, &victims).await?,
    })
}

fn read_ids(body: &[u8]) -> Result<Vec<String>, Refusal> {
    const BODY: Shape = Shape {
        served: &["ids"],
        output: &[],
        unserved: &[],
    };
    let json = parse_body(body)?;
    let mut reader = Reader::new(UnknownFields::Refuse);
    let object = reader.object(At::root(&json), &BODY);
    let ids = object.and_then(|o| reader.required(&o, "ids", |r, at| r.list(at, Reader::text)));
    let ids = reader.finish(ids)?;
    if ids.iter().any(String::is_empty) {
        return Err(Refusal::Fields(vec![Detail::new("/ids", "error.minLength")]));
    }
    Ok(ids)
}
