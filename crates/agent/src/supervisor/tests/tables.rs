//! One rule each.

use super::world::*;
use crate::supervisor::*;
use plenum_contract::dispatcher::Assignments;
use plenum_contract::runtime::{ContainerKey, FoundState};
use plenum_model::claim::{Desired, PortAsk};
use plenum_model::ids::{Generation, Incarnation, LeaderEpoch};
use plenum_model::phase::Phase;
use plenum_model::spec::{Check, OnFailure, Probe, ProbePort, Restart, TaskSpec};
use plenum_model::task::ExitReason;
use plenum_model::template::{Placeholder, Template};
use std::sync::Arc;

const HELD: Desired = Desired::Held { deadline_ms: 60_000 };

fn probe(check: Check, on_failure: OnFailure) -> Probe {
    Probe {
        check,
        on_failure,
        delay_ms: 1000,
        period_ms: 500,
        timeout_ms: 100,
        failures: 3,
        successes: 2,
        grace_ms: 2000,
        told: false,
        once: false,
    }
}

/// A running task with one probe.
fn probed(on_failure: OnFailure, restart: Restart) -> World {
    let mut w = World::new();
    let mut spec = (*spec(restart)).clone();
    spec.containers[0]
        .probes
        .push(probe(Check::Exec(vec!["ok".into()]), on_failure));
    let mut a = assignment(1, &spec, 1, Desired::Running);
    let mut terms = (*a.terms).clone();
    terms.spec = spec.id();
    a.terms = Arc::new(terms);
    let spec = Arc::new(spec);
    w.wanted.insert(task_id(1), (a, spec));
    w.broker
        .insert(task_id(1), plenum_model::task::Status::pending(0));
    w.attach();
    while w.phase(1) != Phase::Running {
        w.work(0, Fate::Well);
    }
    w
}

/// Waits for the next probe and answers it.
fn answer(w: &mut World, passes: bool) {
    let mut due = w.supervisor.take_probes();
    while due.is_empty() {
        w.now = w.supervisor.next_wake().unwrap();
        w.input(Input::Wake);
        due = w.supervisor.take_probes();
    }
    assert_eq!(
        (due.len(), &due[0].check),
        (1, &PlannedCheck::Exec(vec!["ok".into()]))
    );
    let result = if passes { Ok(()) } else { Err("sick".to_owned()) };
    w.input(Input::Probed {
        key: due[0].key.clone(),
        index: 0,
        result,
    });
}

#[test]
fn readiness_follows_results_in_a_row() {
    let mut w = probed(OnFailure::Report, Restart::Never);
    let start = w.now;
    assert_eq!(w.status(1).ready, Some(false));
    for (passes, ready) in [
        (true, false),
        (false, false),
        (true, true),
        (true, true),
        (false, true),
        (false, true),
        (true, true),
        (false, true),
        (false, true),
        (false, false),
        (true, false),
        (true, true),
    ] {
        answer(&mut w, passes);
        assert_eq!(w.status(1).ready, Some(ready));
    }
    // The failure at 1,500 ms lies in the grace and does not even break the row.
    assert_eq!(w.now - start, 1000 + 11 * 500);
    assert_eq!(w.phase(1), Phase::Running);
    w.crash();
    answer(&mut w, false);
    assert_eq!(
        w.status(1).ready,
        Some(true),
        "what was ready when it was adopted stays so until it fails in a row"
    );
}

#[test]
fn an_unhealthy_task_is_restarted_or_fails_as_its_probe_says() {
    for (on_failure, restart, phase) in [
        (OnFailure::Restart, Restart::Always, Phase::Running),
        (OnFailure::Restart, Restart::Never, Phase::Failed),
        (OnFailure::Fail, Restart::Always, Phase::Failed),
    ] {
        let mut w = probed(on_failure, restart);
        let waits = (on_failure == OnFailure::Fail).then_some(false);
        assert_eq!(
            w.status(1).ready,
            waits,
            "what restarts says nothing of readiness"
        );
        for _ in 0..4 {
            answer(&mut w, false);
        }
        assert_eq!(w.phase(1), Phase::Running, "two of these lie in the grace");
        answer(&mut w, false);
        assert!(w.verbs().contains(&VerbKind::Stop), "{:?}", w.verbs());
        while w.runs(1) > 0 {
            w.work(0, Fate::Well);
        }
        while w.phase(1) == Phase::Prepared {
            w.now = w.supervisor.next_wake().unwrap();
            w.input(Input::Wake);
            while w.work.iter().any(|x| x.verb != Verb::Wait) {
                w.work(0, Fate::Well);
            }
        }
        let status = w.status(1);
        assert_eq!(status.phase(), phase, "{on_failure:?}");
        if phase == Phase::Failed {
            let exit = status.exit.clone().unwrap();
            assert_eq!((exit.reason, exit.code), (ExitReason::Unhealthy, Some(143)));
            assert_eq!(exit.message, "unhealthy: sick");
        } else {
            assert_eq!(status.progress.incarnation, Incarnation(1));
        }
    }
}

#[test]
fn what_a_probe_may_fail_is_ready_once_it_has_passed_and_until_it_fails() {
    let mut w = probed(OnFailure::Fail, Restart::Never);
    for (passes, ready) in [
        (true, false),
        (false, false),
        (true, true),
        (false, true),
        (true, true),
    ] {
        answer(&mut w, passes);
        assert_eq!(w.status(1).ready, Some(ready));
    }
    assert_eq!(w.phase(1), Phase::Running);
}

fn running(restart: Restart) -> World {
    let mut w = World::new();
    w.want(1, restart, Desired::Running);
    w.settle();
    assert_eq!((w.phase(1), w.runs(1)), (Phase::Running, 1));
    w
}

#[test]
fn the_way_of_a_task_is_one_verb_at_a_time() {
    let mut w = World::new();
    w.want(1, Restart::Never, Desired::Running);
    for verb in [
        VerbKind::MakeSandbox,
        VerbKind::Prepare,
        VerbKind::CheckPorts,
        VerbKind::Start,
    ] {
        assert_eq!(w.verbs(), [verb]);
        w.work(0, Fate::Well);
    }
    assert_eq!(w.verbs(), [VerbKind::Wait]);
    let phases: Vec<_> = w.received.iter().map(|o| o.progress.phase).collect();
    assert_eq!(phases, [Phase::Preparing, Phase::Running]);
}

#[test]
fn a_held_task_is_prepared_and_starts_when_it_is_wanted_running() {
    let mut w = World::new();
    w.want(1, Restart::Never, HELD);
    w.settle();
    assert_eq!((w.phase(1), w.runs(1)), (Phase::Prepared, 0));
    w.want(1, Restart::Never, Desired::Running);
    w.settle();
    assert_eq!((w.phase(1), w.runs(1)), (Phase::Running, 1));
}

#[test]
fn a_task_that_is_held_again_before_its_start_stays_prepared() {
    let mut w = World::new();
    w.want(1, Restart::Never, Desired::Running);
    w.work(0, Fate::Well);
    w.work(0, Fate::Well);
    assert_eq!(w.verbs(), [VerbKind::CheckPorts]);
    w.want(1, Restart::Never, HELD);
    w.settle();
    assert_eq!((w.phase(1), w.runs(1)), (Phase::Prepared, 0));
}

#[test]
fn an_end_by_itself_is_finished_or_failed_by_its_code() {
    for (code, phase) in [(0, Phase::Finished), (3, Phase::Failed)] {
        let mut w = running(Restart::Never);
        w.exit(1, code);
        w.settle();
        let exit = w.status(1).exit.clone().unwrap();
        assert_eq!(
            (w.phase(1), exit.code, exit.reason),
            (phase, Some(code), ExitReason::Exited)
        );
        assert!(!w.engine.is_empty(), "its log stays");
    }
}

#[test]
fn a_stop_is_the_signal_then_the_kill_after_the_grace() {
    let mut w = running(Restart::Always);
    w.want(1, Restart::Always, Desired::Stopped);
    assert_eq!(
        (w.phase(1), w.verbs()),
        (Phase::Stopping, vec![VerbKind::Wait, VerbKind::Stop])
    );
    // Deaf to the signal: it is delivered and nothing happens.
    w.work.retain(|x| x.verb.kind() == VerbKind::Wait);
    let key = w.work[0].key.clone();
    w.input(Input::Done(Done {
        key,
        verb: VerbKind::Stop,
        result: Ok(Answer::Done),
    }));
    w.pass(GRACE_MS - 1);
    assert_eq!(w.verbs(), [VerbKind::Wait]);
    w.pass(1);
    assert_eq!(w.verbs(), [VerbKind::Wait, VerbKind::Kill]);
    w.settle();
    let exit = w.status(1).exit.clone().unwrap();
    assert_eq!(
        (w.phase(1), exit.reason, exit.code),
        (Phase::Stopped, ExitReason::Asked, Some(137))
    );
}

#[test]
fn a_repeated_release_may_shorten_the_grace_but_not_lengthen_it() {
    for (grace, kill_after) in [(500, 500), (60_000, GRACE_MS)] {
        let mut w = running(Restart::Never);
        w.want(1, Restart::Never, Desired::Stopped);
        let mut again = w.wanted[&task_id(1)].0.clone();
        again.generation = Generation(9);
        again.grace_ms = Some(grace);
        let batch = Assignments {
            epoch: LeaderEpoch(1),
            assign: vec![again],
            ..Default::default()
        };
        w.input(Input::Assignments(batch));
        assert_eq!(w.supervisor.next_wake(), Some(w.now + kill_after));
    }
}

#[test]
fn a_task_that_was_never_started_stops_at_once_and_gives_its_prepare_up() {
    let mut w = World::new();
    w.want(1, Restart::Never, Desired::Running);
    w.work(0, Fate::Well);
    assert_eq!(w.verbs(), [VerbKind::Prepare]);
    w.want(1, Restart::Never, Desired::Stopped);
    assert_eq!(w.phase(1), Phase::Stopped);
    assert!(w.work.is_empty(), "{:?}", w.work);
}

#[test]
fn a_stopped_task_that_is_wanted_running_again_is_a_new_incarnation() {
    let mut w = running(Restart::Never);
    w.want(1, Restart::Never, Desired::Stopped);
    w.settle();
    assert_eq!(w.phase(1), Phase::Stopped);
    w.want(1, Restart::Never, Desired::Running);
    w.settle();
    let progress = w.status(1).progress;
    assert_eq!(
        (progress.incarnation, progress.phase),
        (Incarnation(1), Phase::Running)
    );
    // Also when it is wanted running while it is still stopping.
    w.want(1, Restart::Never, Desired::Stopped);
    w.want(1, Restart::Never, Desired::Running);
    w.settle();
    assert_eq!((w.status(1).progress.incarnation, w.runs(1)), (Incarnation(2), 1));
}

#[test]
fn an_incarnation_that_was_wanted_stopped_ends_whatever_comes_after() {
    let mut w = World::new();
    w.want(1, Restart::Never, Desired::Running);
    w.want(1, Restart::Never, Desired::Stopped);
    w.want(1, Restart::Never, Desired::Running);
    w.settle();
    assert_eq!(
        (w.phase(1), w.status(1).progress.incarnation),
        (Phase::Running, Incarnation(1))
    );
    w.exit(1, 0);
    w.settle();
    assert_eq!(
        (w.phase(1), w.status(1).progress.incarnation),
        (Phase::Finished, Incarnation(1))
    );
    // The agent dies while the stop is under way and running is wanted again.
    let mut w = running(Restart::Never);
    w.want(1, Restart::Never, Desired::Stopped);
    w.work.retain(|x| x.verb.kind() == VerbKind::Wait);
    w.want(1, Restart::Never, Desired::Running);
    w.crash();
    w.settle();
    assert_eq!(
        (w.phase(1), w.status(1).progress.incarnation),
        (Phase::Running, Incarnation(1))
    );
}

#[test]
fn a_finished_task_is_not_started_again_by_a_change_of_something_else() {
    let mut w = running(Restart::Never);
    w.exit(1, 0);
    w.want(1, Restart::Never, Desired::Running);
    w.settle();
    assert_eq!((w.phase(1), w.runs(1)), (Phase::Finished, 0));
}

#[test]
fn restarts_in_place_follow_the_policy_with_back_off() {
    for (restart, code, restarts) in [
        (Restart::Never, 1, 0),
        (Restart::OnFailure { max: 2 }, 1, 2),
        (Restart::OnFailure { max: 2 }, 0, 0),
        (Restart::OnFailure { max: 0 }, 1, 4),
        (Restart::Always, 0, 4),
    ] {
        let mut w = running(restart);
        let mut delays = vec![];
        for _ in 0..4 {
            w.exit(1, code);
            let before = w.now;
            w.settle();
            delays.push(w.now - before);
        }
        assert_eq!(
            w.status(1).progress.incarnation,
            Incarnation(restarts),
            "{restart:?}"
        );
        if restarts == 4 {
            assert_eq!(delays, [100, 200, 400, 800]);
            w.pass(10_000);
            w.exit(1, code);
            let before = w.now;
            w.settle();
            assert_eq!(w.now - before, 100, "a good run ends the row");
            let kept: Vec<_> = w.engine.keys().map(|k| k.incarnation.0).collect();
            assert_eq!(kept, [4, 5], "the one before stays with its log, older ones go");
        }
    }
}

#[test]
fn no_end_is_reported_while_a_restart_in_place_is_due() {
    let mut w = running(Restart::Always);
    w.exit(1, 7);
    let status = w.status(1);
    assert_eq!(
        (status.phase(), status.progress.incarnation),
        (Phase::Prepared, Incarnation(1))
    );
    assert_eq!(status.message, "restarts in 100 ms: exited with code 7");
    assert!(w.received.iter().all(|o| o.exit.is_none()));
}

#[test]
fn what_the_runtime_refuses_fails_with_its_reason() {
    for (verbs_before, reason) in [
        (1, ExitReason::Image),
        (2, ExitReason::Port),
        (3, ExitReason::Command),
    ] {
        let mut w = World::new();
        w.want(1, Restart::Always, Desired::Running);
        for _ in 0..verbs_before {
            w.work(0, Fate::Well);
        }
        w.work(0, Fate::Refused(reason));
        w.settle();
        let exit = w.status(1).exit.clone().unwrap();
        assert_eq!(
            (w.phase(1), exit.reason, exit.message.as_str()),
            (Phase::Failed, reason, "never")
        );
    }
}

#[test]
fn what_may_pass_is_tried_again_and_then_fails() {
    let mut w = World::new();
    w.want(1, Restart::Never, Desired::Running);
    w.work(0, Fate::Well);
    let mut attempts = 0;
    while w.phase(1) != Phase::Failed {
        assert_eq!(w.verbs(), [VerbKind::Prepare]);
        w.work(0, Fate::Fails { done_anyway: false });
        attempts += 1;
        w.pass(10_000);
    }
    assert_eq!(
        (attempts, w.status(1).exit.clone().unwrap().reason),
        (8, ExitReason::Runtime)
    );
}

#[test]
fn a_start_whose_outcome_is_unknown_is_never_reported_failed_while_it_may_run() {
    let mut w = World::new();
    w.want(1, Restart::Never, Desired::Running);
    for _ in 0..3 {
        w.work(0, Fate::Well);
    }
    while w.verbs() == [VerbKind::Start] {
        w.work(0, Fate::Fails { done_anyway: true });
        w.pass(10_000);
    }
    assert_eq!(
        (w.verbs(), w.runs(1), w.phase(1)),
        (vec![VerbKind::Remove], 1, Phase::Preparing)
    );
    w.settle();
    assert_eq!((w.runs(1), w.phase(1)), (0, Phase::Failed));
}

#[test]
fn an_engine_that_goes_away_under_a_running_container_is_no_exit() {
    let mut w = running(Restart::Never);
    for _ in 0..30 {
        let wait = w.work.remove(0);
        let gone = plenum_contract::runtime::RuntimeError::Failed {
            runtime: "fake",
            op: "wait",
            why: "gone".into(),
        };
        w.input(Input::Done(Done {
            key: wait.key,
            verb: VerbKind::Wait,
            result: Err(gone.into()),
        }));
        assert_eq!(w.phase(1), Phase::Running);
        w.pass(10_000);
        assert_eq!(w.verbs(), [VerbKind::Wait]);
    }
}

#[test]
fn older_generations_and_epochs_are_refused() {
    let mut w = running(Restart::Never);
    let (a, spec) = w.wanted[&task_id(1)].clone();
    let old = assignment(1, &spec, a.generation.0 - 1, Desired::Stopped);
    w.input(Input::Assignments(Assignments {
        epoch: LeaderEpoch(1),
        assign: vec![old],
        ..Default::default()
    }));
    let deposed = assignment(1, &spec, 99, Desired::Stopped);
    w.input(Input::Assignments(Assignments {
        epoch: LeaderEpoch(3),
        ..Default::default()
    }));
    w.input(Input::Assignments(Assignments {
        epoch: LeaderEpoch(2),
        full: true,
        assign: vec![deposed],
        ..Default::default()
    }));
    assert_eq!(w.refused.len(), 2, "{:?}", w.refused);
    assert_eq!((w.phase(1), w.verbs()), (Phase::Running, vec![VerbKind::Wait]));
    assert_eq!(w.supervisor.epoch(), LeaderEpoch(3));
}

#[test]
fn what_a_full_set_does_not_name_is_stopped_and_removed() {
    let mut w = running(Restart::Always);
    w.input(Input::Assignments(Assignments {
        epoch: LeaderEpoch(1),
        full: true,
        ..Default::default()
    }));
    w.settle();
    assert!(w.engine.is_empty() && w.supervisor.memory().tasks.is_empty());
    assert_eq!(w.phase(1), Phase::Stopped, "its end was told all the same");
}

#[test]
fn a_spec_that_was_not_sent_asks_for_the_full_set() {
    let mut w = World::new();
    let a = assignment(1, &spec(Restart::Never), 1, Desired::Running);
    w.input(Input::Assignments(Assignments {
        epoch: LeaderEpoch(1),
        assign: vec![a],
        ..Default::default()
    }));
    assert!(w.refused[0].contains("was not sent") && w.work.is_empty());
}

#[test]
fn after_a_crash_what_runs_is_adopted_and_what_ended_is_reported() {
    let mut w = running(Restart::Never);
    w.want(3, Restart::Never, Desired::Running);
    w.settle();
    let key = ContainerKey {
        task: task_id(3),
        container: "main".into(),
        incarnation: Incarnation(0),
    };
    w.engine.insert(key, FoundState::Ended(exited(5)));
    w.crash();
    assert_eq!(w.verbs(), [VerbKind::Wait], "adopted, not started");
    assert_eq!((w.phase(1), w.phase(3)), (Phase::Running, Phase::Failed));
    assert_eq!(w.status(3).exit.clone().unwrap().code, Some(5));
}

#[test]
fn after_a_reboot_what_ran_is_gone_and_is_restarted_only_by_its_policy() {
    let mut w = running(Restart::Never);
    w.want(3, Restart::Always, Desired::Running);
    w.settle();
    w.reboot();
    w.settle();
    assert_eq!(
        (w.phase(1), w.status(1).exit.clone().unwrap().reason),
        (Phase::Failed, ExitReason::Gone)
    );
    assert_eq!(
        (w.phase(3), w.status(3).progress.incarnation),
        (Phase::Running, Incarnation(1))
    );
}

#[test]
fn a_container_of_no_task_is_destroyed() {
    let mut w = World::new();
    let key = ContainerKey {
        task: task_id(9),
        container: "x".into(),
        incarnation: Incarnation(4),
    };
    w.engine.insert(key, FoundState::Running);
    w.crash();
    w.work(0, Fate::Fails { done_anyway: false });
    w.settle();
    assert!(w.engine.is_empty());
}

#[test]
fn what_this_agent_does_not_serve_is_rejected_by_name() {
    type Change = fn(&mut TaskSpec, &mut plenum_model::claim::Terms);
    let table: [(Change, &str); 4] = [
        (|s, _| s.containers[0].runtime = "oci".into(), "no runtime oci"),
        (|s, _| s.containers.clear(), "no container"),
        (
            |s, _| {
                s.containers[0].probes.push(probe(
                    Check::Tcp {
                        port: ProbePort::Claim(2),
                    },
                    OnFailure::Fail,
                ))
            },
            "probe 0 of container main: it asks for port 2 of 0",
        ),
        (
            |s, _| s.containers[0].args = Some(vec![Template::fill(Placeholder::HostPort(3))]),
            "HostPort(3)",
        ),
    ];
    for (change, words) in table {
        let mut w = World::new();
        let mut spec = (*spec(Restart::Never)).clone();
        let mut a = assignment(1, &spec, 1, Desired::Running);
        let mut terms = (*a.terms).clone();
        change(&mut spec, &mut terms);
        terms.spec = spec.id();
        a.terms = Arc::new(terms);
        w.broker
            .insert(task_id(1), plenum_model::task::Status::pending(0));
        let batch = Assignments {
            epoch: LeaderEpoch(1),
            specs: vec![Arc::new(spec)],
            assign: vec![a],
            ..Default::default()
        };
        w.input(Input::Assignments(batch));
        w.settle();
        let status = w.status(1);
        assert_eq!(status.phase(), Phase::Rejected, "{words}");
        assert!(status.message.contains(words), "{}", status.message);
    }
}

#[test]
fn placeholders_and_ports_come_from_the_assignment() {
    let mut w = World::new();
    let mut spec = (*spec(Restart::Never)).clone();
    let fill = |p| Template::fill(p);
    spec.containers[0].args = Some(vec![
        fill(Placeholder::HostPort(1)),
        fill(Placeholder::ContainerPort(1)),
        fill(Placeholder::NodeAddress),
    ]);
    spec.containers[0].env = vec![
        ("T".into(), fill(Placeholder::TaskName)),
        ("S".into(), fill(Placeholder::Sandbox)),
    ];
    let mut a = assignment(1, &spec, 1, Desired::Running);
    let mut terms = (*a.terms).clone();
    terms.spec = spec.id();
    terms.ports = vec![
        PortAsk::default(),
        PortAsk {
            container: Some(80),
            ..PortAsk::default()
        },
    ];
    a.terms = Arc::new(terms);
    a.ports = vec![31000, 31001];
    let batch = Assignments {
        epoch: LeaderEpoch(1),
        specs: vec![Arc::new(spec)],
        assign: vec![a],
        ..Default::default()
    };
    w.input(Input::Assignments(batch));
    w.work(0, Fate::Well);
    let Verb::Prepare(planned) = &w.work[0].verb else {
        panic!("{:?}", w.work)
    };
    let plan = &planned.plan;
    assert_eq!(plan.args.as_deref().unwrap(), ["31001", "80", "127.77.0.1"]);
    assert_eq!(plan.env[0].1, "app.1");
    assert_eq!(plan.env[1].1, format!("/sandboxes/{}", task_id(1)));
    let ports: Vec<_> = plan.ports.iter().map(|p| (p.host, p.container)).collect();
    assert_eq!(ports, [(31000, 31000), (31001, 80)]);
    let place = w.supervisor.locate(task_id(1), None).unwrap();
    assert_eq!(place.ports, [(31000, 31000), (80, 31001)]);
}

#[test]
fn an_end_that_was_not_acknowledged_is_sent_again_and_again() {
    let mut w = running(Restart::Never);
    w.exit(1, 1);
    w.settle();
    for _ in 0..2 {
        w.detach();
        w.received.clear();
        w.crash();
        assert_eq!(w.received.iter().filter(|o| o.exit.is_some()).count(), 1);
    }
    w.remove(1);
    w.settle();
    w.received.clear();
    w.crash();
    assert_eq!(w.received.len(), 1, "even after the task is gone");
    w.ack();
    w.received.clear();
    w.crash();
    assert!(w.received.is_empty());
}
