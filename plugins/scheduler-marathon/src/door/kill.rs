//! Making tasks go. Without `scale` their app replaces them; with it, it is made smaller by them.

use super::Door;
use crate::answer::task::{ServicePorts, TaskAnswer};
use crate::change::{Force, Wish};
use crate::desired::Desired;
use crate::desk::Done;
use crate::path::AppId;
use crate::refusal::Refusal;
use plenum_model::ids::TaskId;
use plenum_sdk::observed::Observed;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long the broker may take to take note of a kill before the caller is told that it has not.
const PATIENCE: Duration = Duration::from_secs(10);

/// Tasks to kill, by app.
pub(super) type Victims = BTreeMap<AppId, BTreeSet<TaskId>>;

/// Asks for the tasks' end and answers with them as they were, once the broker has taken note of it.
pub(super) async fn kill(
    door: &Door,
    desired: &Desired,
    victims: &Victims,
) -> Result<Vec<TaskAnswer>, Refusal> {
    let answers = door.mirror.read(|observed| {
        let mut answers = Vec::new();
        for (app, ids) in victims {
            let Some(record) = desired.app(app) else { continue };
            let tasks = ids.iter().filter_map(|id| observed.task(*id));
            answers.extend(
                tasks.filter_map(|t| super::view::task_answer(observed, record, t, ServicePorts::Left)),
            );
        }
        answers
    });
    let ids: BTreeSet<TaskId> = victims.values().flatten().copied().collect();
    if ids.is_empty() {
        return Ok(answers);
    }
    door.launches.with(|l| l.kills.extend(&ids));
    door.waker.wake();
    let going = |observed: &Observed| ids.iter().all(|id| is_going(observed, *id)).then_some(());
    match tokio::time::timeout(PATIENCE, door.mirror.until(going)).await {
        Ok(Ok(())) => Ok(answers),
        Ok(Err(_)) | Err(_) => {
            door.launches.with(|l| l.kills.retain(|id| !ids.contains(id)));
            Err(Refusal::Unavailable(
                "the broker has not taken note of the kill; try again".to_owned(),
            ))
        }
    }
}

fn is_going(observed: &Observed, id: TaskId) -> bool {
    observed
        .task(id)
        .is_none_or(|t| t.released || t.status.phase().is_terminal())
}

/// Makes apps smaller by the tasks that go.
pub(super) async fn kill_and_scale(door: &Door, victims: Victims, force: Force) -> Result<Done, Refusal> {
    let decide = move |desired: &Desired| {
        let there = victims.into_iter().filter(|(app, _)| desired.app(app).is_some());
        Ok(there.map(|(app, ids)| (app, Wish::Shrink(ids))).collect())
    };
    door.desk.change(force, Box::new(decide)).await
}

/// `scale` and `wipe` exclude each other.
pub(super) fn check(scale: bool, wipe: bool) -> Result<(), Refusal> {
    if scale && wipe {
        return Err(Refusal::BadRequest(
            "You cannot use scale and wipe at the same time.".to_owned(),
        ));
    }
    Ok(())
}
