//! What is told of probes.

use super::world::*;
use crate::supervisor::*;
use plenum_model::claim::Desired;
use plenum_model::phase::Phase;
use plenum_model::spec::{Check, OnFailure, Probe, Restart};
use plenum_model::task::CheckStatus;
use std::sync::Arc;

/// A told probe, asked every second, that one result settles.
fn told(once: bool) -> Probe {
    Probe {
        check: Check::Exec(vec!["ok".into()]),
        on_failure: OnFailure::Report,
        delay_ms: 1000,
        period_ms: 1000,
        timeout_ms: 100,
        failures: 1,
        successes: 1,
        grace_ms: 3500,
        told: true,
        once,
    }
}

/// A running task with these probes.
fn running(probes: Vec<Probe>) -> World {
    let mut w = World::new();
    let mut spec = (*spec(Restart::Never)).clone();
    spec.containers[0].probes = probes;
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

/// Waits for the probes that are due next and answers each by its index.
fn answer(w: &mut World, passes: &[bool]) {
    let mut due = w.supervisor.take_probes();
    while due.is_empty() {
        w.now = w.supervisor.next_wake().unwrap();
        w.input(Input::Wake);
        due = w.supervisor.take_probes();
    }
    for work in due {
        let result = if passes[work.index] {
            Ok(())
        } else {
            Err("sick".to_owned())
        };
        w.input(Input::Probed {
            key: work.key,
            index: work.index,
            result,
        });
    }
}

fn checks(w: &World) -> Vec<CheckStatus> {
    w.status(1).checks.clone()
}

#[test]
fn failures_in_the_grace_are_not_told_until_it_has_passed_once() {
    let mut w = running(vec![told(false)]);
    answer(&mut w, &[false]);
    assert_eq!(checks(&w), []);
    answer(&mut w, &[true]);
    let first = checks(&w)[0].first_success;
    assert_eq!(
        (checks(&w)[0].passes, w.status(1).ready),
        (Some(true), Some(true))
    );
    answer(&mut w, &[false]);
    let now = checks(&w).remove(0);
    assert_eq!(
        (now.passes, now.failures, now.cause.as_str()),
        (Some(false), 1, "sick")
    );
    assert!(
        first.is_some() && now.first_success == first && now.last_failure > first,
        "{now:?}"
    );
    assert_eq!(w.status(1).message, "not ready: sick");
}

#[test]
fn each_failure_of_a_short_row_is_told_and_of_a_long_one_ever_fewer() {
    let mut w = running(vec![told(false)]);
    answer(&mut w, &[true]);
    let mut tellings = 0;
    for n in 1..=200_u32 {
        let before = checks(&w);
        answer(&mut w, &[false]);
        tellings += u32::from(checks(&w) != before);
        if n <= 32 || n.is_power_of_two() {
            assert_eq!(checks(&w)[0].failures, n);
        }
    }
    assert_eq!(tellings, 32 + 2, "64 and 128");
    answer(&mut w, &[true]);
    assert_eq!((checks(&w)[0].failures, checks(&w)[0].passes), (0, Some(true)));
}

#[test]
fn a_success_that_follows_a_success_is_no_news() {
    let mut w = running(vec![told(false)]);
    answer(&mut w, &[true]);
    let (seq, told) = (w.status(1).seq, checks(&w));
    answer(&mut w, &[true]);
    assert_eq!((w.status(1).seq, checks(&w)), (seq, told));
}

#[test]
fn several_are_told_in_order_and_the_task_is_ready_when_all_pass() {
    let mut w = running(vec![told(false), told(true)]);
    answer(&mut w, &[true, false]);
    assert_eq!(w.status(1).ready, Some(false));
    assert_eq!(
        checks(&w).iter().map(|c| c.passes).collect::<Vec<_>>(),
        [Some(true), None]
    );
    answer(&mut w, &[true, true]);
    assert_eq!(w.status(1).ready, Some(true));
    // The second one is asked no more, so its answer would not be taken.
    answer(&mut w, &[false, false]);
    assert_eq!(
        checks(&w).iter().map(|c| c.passes).collect::<Vec<_>>(),
        [Some(false), Some(true)]
    );
}

#[test]
fn what_was_told_is_gone_on_with_by_an_agent_that_comes_back() {
    let mut w = running(vec![told(false), told(true)]);
    answer(&mut w, &[true, true]);
    answer(&mut w, &[false, true]);
    let before = checks(&w);
    w.crash();
    answer(&mut w, &[false, false]);
    let after = checks(&w);
    assert_eq!(
        (after[0].failures, after[0].first_success),
        (2, before[0].first_success)
    );
    assert_eq!(after[1], before[1], "it is asked no more");
}
