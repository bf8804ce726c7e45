//! The check that an image names: whether there is one is known once the runtime was asked.

use super::world::*;
use crate::supervisor::*;
use plenum_contract::streams::CheckResult;
use plenum_model::claim::Desired;
use plenum_model::phase::Phase;
use plenum_model::spec::{OnFailure, Probe, Restart};
use std::sync::Arc;

/// A running task whose image may name a check.
fn running(on_failure: OnFailure) -> World {
    let mut w = World::new();
    let mut spec = (*spec(Restart::Never)).clone();
    let check = Probe::of_image(on_failure);
    spec.containers[0].probes.push(check);
    let mut a = assignment(1, &spec, 1, Desired::Running);
    let mut terms = (*a.terms).clone();
    terms.spec = spec.id();
    a.terms = Arc::new(terms);
    w.wanted.insert(task_id(1), (a, Arc::new(spec)));
    w.broker
        .insert(task_id(1), plenum_model::task::Status::pending(0));
    w.attach();
    while w.phase(1) != Phase::Running {
        w.work(0, Fate::Well);
    }
    w
}

/// Waits until the runtime is to be asked, and answers for it.
fn answer(w: &mut World, saw: Saw, result: Option<Result<(), String>>) {
    let mut due = w.supervisor.take_probes();
    while due.is_empty() {
        w.now = w.supervisor.next_wake().unwrap();
        w.input(Input::Wake);
        due = w.supervisor.take_probes();
    }
    assert_eq!((due.len(), &due[0].check), (1, &PlannedCheck::Image));
    let key = due[0].key.clone();
    w.input(Input::Checked {
        key: key.clone(),
        index: 0,
        saw,
    });
    if let Some(result) = result {
        w.input(Input::Probed {
            key,
            index: 0,
            result,
        });
    }
}

fn saw(code: i32) -> Saw {
    Saw::Result(CheckResult {
        code,
        ..CheckResult::default()
    })
}

#[test]
fn a_task_whose_image_names_no_check_has_no_readiness_and_is_asked_once() {
    let mut w = running(OnFailure::Report);
    assert_eq!(w.status(1).ready, None);
    answer(&mut w, Saw::NoCheck, None);
    assert_eq!(w.status(1).ready, None);
    assert!(w.supervisor.next_wake().is_none() && w.supervisor.take_probes().is_empty());
}

#[test]
fn a_check_of_the_image_counts_from_when_it_is_known_and_its_verdict_is_the_runtimes() {
    let mut w = running(OnFailure::Report);
    answer(&mut w, Saw::Unsettled, None);
    assert_eq!((w.status(1).ready, &w.status(1).message[..]), (Some(false), ""));
    answer(&mut w, saw(1), Some(Err("sick".to_owned())));
    assert_eq!(
        (w.status(1).ready, &w.status(1).message[..]),
        (Some(false), "not ready: sick"),
        "that it failed is told though it never passed"
    );
    assert_eq!(w.supervisor.locate(task_id(1), None).unwrap().health.failing, 1);
    answer(&mut w, saw(0), Some(Ok(())));
    assert_eq!((w.status(1).ready, &w.status(1).message[..]), (Some(true), ""));
    let place = w.supervisor.locate(task_id(1), None).unwrap();
    assert!(place.image_check && place.health.failing == 0);
    assert_eq!(place.health.results.len(), 2);
    assert_eq!(w.phase(1), Phase::Running);
}

#[test]
fn what_fails_by_the_check_of_its_image_is_not_ready_until_it_is_known_that_there_is_none() {
    let mut w = running(OnFailure::Fail);
    assert_eq!(w.status(1).ready, Some(false));
    answer(&mut w, Saw::NoCheck, None);
    assert_eq!(w.status(1).ready, None);
    w.crash();
    assert_eq!(w.status(1).ready, None);
    answer(&mut w, Saw::NoCheck, None);
    assert_eq!(w.status(1).ready, None, "what was not waiting does not begin to");

    let mut w = running(OnFailure::Fail);
    answer(&mut w, saw(0), Some(Ok(())));
    assert_eq!(w.status(1).ready, Some(true));
}
