//! Tasks of several containers: order, restarts one by one, what is told of each, and the end.

use super::world::*;
use crate::supervisor::*;
use plenum_model::claim::Desired;
use plenum_model::ids::Incarnation;
use plenum_model::phase::Phase;
use plenum_model::spec::{
    Backoff, Check, OnFailure, PreStop, Probe, Restart, RestartUnit, Role, TaskSpec, Volume, VolumeSource,
};
use plenum_model::task::{ContainerState, ContainerStatus, ExitReason, WaitReason};
use std::sync::Arc;

fn of(w: &World, name: &str) -> ContainerStatus {
    let mut all = w.status(SEVERAL).containers.iter();
    all.find(|c| c.name == name).expect("it is told of").clone()
}

/// What the containers do, in short.
fn states(w: &World) -> Vec<String> {
    let short = |c: &ContainerStatus| match &c.state {
        ContainerState::Waiting { reason, .. } => format!("{} {reason:?}", c.name),
        ContainerState::Running { .. } => format!("{} runs", c.name),
        ContainerState::Ended(end) => format!("{} {:?}", c.name, end.exit.code),
    };
    w.status(SEVERAL).containers.iter().map(short).collect()
}

/// Does all that is asked until only waits and time are left.
fn work(w: &mut World) {
    while w.work.iter().any(|x| x.verb != Verb::Wait) {
        w.work(0, Fate::Well);
    }
}

/// A task whose main containers run.
fn running(restart: Restart) -> World {
    let mut w = World::new();
    w.want(SEVERAL, restart, Desired::Running);
    work(&mut w);
    w.exit_of(SEVERAL, "setup", 0);
    work(&mut w);
    w
}

fn tick(w: &mut World) {
    w.now = w.supervisor.next_wake().expect("something is due");
    w.input(Input::Wake);
    work(w);
}

#[test]
fn containers_start_in_their_order_and_share_an_address() {
    let mut w = World::new();
    w.want(SEVERAL, Restart::Always, Desired::Running);
    work(&mut w);
    assert_eq!(states(&w), ["setup runs", "proxy Turn", "web Turn", "log Turn"]);
    assert_eq!(
        (w.phase(SEVERAL), w.status(SEVERAL).address.as_deref()),
        (Phase::Starting, Some(ADDRESS))
    );
    w.exit_of(SEVERAL, "setup", 1);
    assert_eq!(
        states(&w)[0],
        "setup BackOff",
        "it is started again until it succeeds"
    );
    tick(&mut w);
    w.exit_of(SEVERAL, "setup", 0);
    work(&mut w);
    assert_eq!(
        states(&w),
        ["setup Some(0)", "proxy runs", "web runs", "log runs"]
    );
    assert_eq!(
        (w.phase(SEVERAL), w.status(SEVERAL).ready),
        (Phase::Running, Some(true))
    );
    let setup = of(&w, "setup");
    assert_eq!((setup.restarts, setup.ready), (1, true));
    assert_eq!(of(&w, "web").id.as_deref(), Some("id-of-web-0"));
    assert_eq!(w.volumes.len(), 1);
}

#[test]
fn one_container_is_restarted_while_the_others_run_on_and_the_task_stays_running() {
    let mut w = running(Restart::Always);
    for restart in 1..4_u32 {
        w.exit_of(SEVERAL, "web", 7);
        let web = of(&w, "web");
        assert_eq!(web.last.as_ref().unwrap().exit.code, Some(7));
        assert_eq!((web.restarts, web.ready, web.started), (restart, false, false));
        let ContainerState::Waiting { reason, message } = &web.state else {
            panic!("{web:?}")
        };
        assert_eq!(*reason, WaitReason::BackOff);
        assert!(message.contains("exited with code 7"), "{message}");
        assert_eq!(
            (w.phase(SEVERAL), w.status(SEVERAL).ready),
            (Phase::Running, Some(false))
        );
        let before = w.now;
        tick(&mut w);
        assert_eq!(w.now - before, 100 << (restart - 1), "the back-off doubles");
        assert_eq!(states(&w)[2], "web runs");
    }
    assert_eq!(w.status(SEVERAL).progress.incarnation, Incarnation(0));
    let kept: Vec<u32> = w
        .engine
        .keys()
        .filter(|k| k.container == "web")
        .map(|k| k.incarnation.0)
        .collect();
    assert_eq!(
        kept,
        [2, 3],
        "of the runs before this one the last stays, with its log"
    );
    let place = w.supervisor.locate(task_id(SEVERAL), None).unwrap();
    assert_eq!(place.key.incarnation, Incarnation(3));
    assert_eq!(place.previous.unwrap().incarnation, Incarnation(2));
    assert_eq!(place.own_address.as_deref(), Some(ADDRESS));
}

#[test]
fn while_a_container_waits_its_last_run_is_the_one_that_is_read() {
    let mut w = running(Restart::Always);
    w.exit_of(SEVERAL, "web", 1);
    let place = w.supervisor.locate(task_id(SEVERAL), Some("web")).unwrap();
    assert_eq!(
        (place.key.incarnation, place.previous.map(|p| p.incarnation)),
        (Incarnation(0), Some(Incarnation(0)))
    );
    let other = w.supervisor.locate(task_id(SEVERAL), Some("log")).unwrap();
    assert_eq!((other.key.incarnation, other.previous), (Incarnation(0), None));
}

#[test]
fn the_back_off_is_the_specs_and_a_good_run_ends_the_row() {
    let mut spec = (*several(Restart::Always)).clone();
    spec.backoff = Backoff {
        base_ms: 10_000,
        cap_ms: 300_000,
        good_run_ms: 600_000,
        immediate: 1,
    };
    let spec = Arc::new(spec);
    let mut w = World::new();
    w.want_spec(SEVERAL, &spec, Desired::Running);
    work(&mut w);
    w.exit_of(SEVERAL, "setup", 0);
    work(&mut w);
    w.exit_of(SEVERAL, "web", 1);
    work(&mut w);
    assert_eq!(states(&w)[2], "web runs", "the first restart is made at once");
    for wait in [10_000, 20_000, 40_000] {
        w.exit_of(SEVERAL, "web", 1);
        let before = w.now;
        tick(&mut w);
        assert_eq!(w.now - before, wait);
    }
    w.now += 600_000;
    w.exit_of(SEVERAL, "web", 1);
    work(&mut w);
    assert_eq!((states(&w)[2].as_str(), of(&w, "web").restarts), ("web runs", 5));
}

#[test]
fn the_task_ends_with_its_main_containers_as_the_first_that_failed() {
    for (web, log, phase) in [
        (0, 0, Phase::Finished),
        (0, 4, Phase::Failed),
        (3, 0, Phase::Failed),
    ] {
        let mut w = running(Restart::Never);
        w.exit_of(SEVERAL, "log", log);
        work(&mut w);
        assert_eq!(w.phase(SEVERAL), Phase::Running, "the other one runs on");
        w.exit_of(SEVERAL, "web", web);
        assert!(w.verbs().contains(&VerbKind::Stop), "the sidecar is stopped");
        work(&mut w);
        let status = w.status(SEVERAL);
        assert_eq!(status.phase(), phase);
        assert_eq!(status.exit.as_ref().unwrap().code, Some(web.max(log)));
        assert_eq!(status.ready, Some(false));
        assert_eq!(w.runs(SEVERAL), 0, "nothing is left running, the sandbox neither");
        let codes = [
            "setup Some(0)".to_owned(),
            "proxy Some(143)".into(),
            format!("web Some({web})"),
            format!("log Some({log})"),
        ];
        assert_eq!(states(&w), codes);
    }
}

#[test]
fn a_policy_on_failure_starts_again_only_what_failed() {
    let mut w = running(Restart::OnFailure { max: 2 });
    w.exit_of(SEVERAL, "log", 0);
    for _ in 0..2 {
        w.exit_of(SEVERAL, "web", 1);
        tick(&mut w);
    }
    assert_eq!(w.phase(SEVERAL), Phase::Running);
    w.exit_of(SEVERAL, "web", 1);
    work(&mut w);
    assert_eq!(
        (w.phase(SEVERAL), of(&w, "web").restarts, of(&w, "log").restarts),
        (Phase::Failed, 2, 0)
    );
}

#[test]
fn an_init_container_that_fails_for_good_fails_the_task_by_name() {
    let mut w = World::new();
    w.want(SEVERAL, Restart::Never, Desired::Running);
    work(&mut w);
    w.exit_of(SEVERAL, "setup", 9);
    work(&mut w);
    let status = w.status(SEVERAL);
    assert_eq!(
        (status.phase(), status.exit.as_ref().unwrap().code),
        (Phase::Failed, Some(9))
    );
    assert_eq!(status.message, "init container setup: exited with code 9");
    assert_eq!(states(&w)[1..], ["proxy Turn", "web Turn", "log Turn"]);
}

#[test]
fn a_sidecar_that_ends_is_started_again_whatever_the_policy() {
    let mut w = running(Restart::Never);
    w.exit_of(SEVERAL, "proxy", 0);
    tick(&mut w);
    assert_eq!(
        (states(&w)[1].as_str(), w.phase(SEVERAL)),
        ("proxy runs", Phase::Running)
    );
}

#[test]
fn a_held_task_is_prepared_whole_and_starts_when_it_may() {
    let mut w = World::new();
    w.want(SEVERAL, Restart::Always, Desired::Held { deadline_ms: 1000 });
    work(&mut w);
    assert_eq!(w.phase(SEVERAL), Phase::Prepared);
    assert_eq!(states(&w), ["setup Held", "proxy Held", "web Held", "log Held"]);
    assert_eq!(w.runs(SEVERAL), 1, "its sandbox alone");
    w.crash();
    work(&mut w);
    assert_eq!(w.phase(SEVERAL), Phase::Prepared);
    w.want(SEVERAL, Restart::Always, Desired::Running);
    work(&mut w);
    w.exit_of(SEVERAL, "setup", 0);
    work(&mut w);
    assert_eq!(w.phase(SEVERAL), Phase::Running);

    let mut w = World::new();
    w.want(SEVERAL, Restart::Always, Desired::Held { deadline_ms: 1000 });
    work(&mut w);
    // What the broker does when the deadline of a held task passes.
    w.want(SEVERAL, Restart::Always, Desired::Stopped);
    work(&mut w);
    assert_eq!((w.phase(SEVERAL), w.runs(SEVERAL)), (Phase::Stopped, 0));
}

#[test]
fn a_stop_asks_all_at_once_then_the_sidecars_and_kills_at_the_grace() {
    let mut w = running(Restart::Always);
    w.want(SEVERAL, Restart::Always, Desired::Stopped);
    assert_eq!(w.phase(SEVERAL), Phase::Stopping);
    let asked: Vec<String> = w
        .work
        .iter()
        .filter(|x| x.verb.kind() == VerbKind::Stop)
        .map(|x| x.key.container.clone())
        .collect();
    assert_eq!(
        asked,
        ["web", "log"],
        "the sidecar serves them until they are gone"
    );
    w.stubborn = true;
    work(&mut w);
    w.pass(GRACE_MS);
    let killed = w.work.iter().filter(|x| x.verb == Verb::Kill);
    assert_eq!(killed.count(), 3, "{:?}", w.work);
    work(&mut w);
    assert_eq!(
        (w.phase(SEVERAL), states(&w)[2].as_str()),
        (Phase::Stopped, "web Some(137)")
    );

    let mut w = running(Restart::Always);
    w.want(SEVERAL, Restart::Always, Desired::Stopped);
    work(&mut w);
    let status = w.status(SEVERAL);
    assert_eq!(
        (status.phase(), status.exit.as_ref().unwrap().reason),
        (Phase::Stopped, ExitReason::Asked)
    );
    assert_eq!(
        states(&w),
        [
            "setup Some(0)",
            "proxy Some(143)",
            "web Some(143)",
            "log Some(143)"
        ]
    );
    let ContainerState::Ended(end) = of(&w, "web").state else {
        panic!()
    };
    assert_eq!(
        (end.exit.reason, end.id.as_deref()),
        (ExitReason::Asked, Some("id-of-web-0"))
    );
}

#[test]
fn a_task_that_was_stopped_runs_again_anew() {
    let mut w = running(Restart::Always);
    w.want(SEVERAL, Restart::Always, Desired::Stopped);
    work(&mut w);
    w.run_again(SEVERAL);
    work(&mut w);
    assert_eq!(states(&w), ["setup runs", "proxy Turn", "web Turn", "log Turn"]);
    assert_eq!(w.status(SEVERAL).progress.incarnation, Incarnation(1));
    w.exit_of(SEVERAL, "setup", 0);
    work(&mut w);
    assert_eq!((w.phase(SEVERAL), of(&w, "web").restarts), (Phase::Running, 0));
    w.remove(SEVERAL);
    w.settle();
    assert!(w.engine.is_empty() && w.volumes.is_empty(), "{:?}", w.engine);
}

#[test]
fn what_is_done_before_the_stop_comes_before_the_signal_and_counts_against_the_grace() {
    let mut spec = (*several(Restart::Always)).clone();
    spec.containers[2].pre_stop = Some(PreStop::Exec(vec!["drain".into()]));
    spec.containers[3].pre_stop = Some(PreStop::SleepMs(500));
    let spec = Arc::new(spec);
    let mut w = World::new();
    w.want_spec(SEVERAL, &spec, Desired::Running);
    work(&mut w);
    w.exit_of(SEVERAL, "setup", 0);
    work(&mut w);
    w.want_spec(SEVERAL, &spec, Desired::Stopped);
    let asked = |w: &World| {
        w.verbs()
            .into_iter()
            .filter(|v| *v != VerbKind::Wait)
            .collect::<Vec<_>>()
    };
    assert_eq!(asked(&w), [VerbKind::Hook]);
    work(&mut w);
    assert_eq!(w.hooks, [("web".to_owned(), vec!["drain".to_owned()])]);
    assert_eq!(
        (states(&w)[2].as_str(), states(&w)[3].as_str()),
        ("web Some(143)", "log runs")
    );
    let before = w.now;
    tick(&mut w);
    assert_eq!((w.now - before, w.phase(SEVERAL)), (500, Phase::Stopped));
}

#[test]
fn a_hook_that_never_ends_is_cut_off_at_the_grace() {
    let mut spec = (*several(Restart::Always)).clone();
    spec.containers[2].pre_stop = Some(PreStop::Exec(vec!["hang".into()]));
    let spec = Arc::new(spec);
    let mut w = World::new();
    w.want_spec(SEVERAL, &spec, Desired::Running);
    work(&mut w);
    w.exit_of(SEVERAL, "setup", 0);
    work(&mut w);
    w.want_spec(SEVERAL, &spec, Desired::Stopped);
    w.pass(GRACE_MS);
    let killed = |x: &&Work| x.verb == Verb::Kill;
    assert!(
        w.work.iter().any(|x| killed(&x) && x.key.container == "web"),
        "{:?}",
        w.work
    );
}

#[test]
fn a_lost_sandbox_fails_the_task() {
    let mut w = running(Restart::Always);
    w.exit_of(SEVERAL, "", 137);
    work(&mut w);
    let status = w.status(SEVERAL);
    assert_eq!(
        (status.phase(), status.exit.as_ref().unwrap().reason),
        (Phase::Failed, ExitReason::Gone)
    );
    assert_eq!(w.runs(SEVERAL), 0);
}

#[test]
fn after_a_reboot_a_task_with_an_address_is_gone_and_says_so() {
    let mut w = running(Restart::Always);
    w.reboot();
    work(&mut w);
    assert_eq!((w.phase(SEVERAL), w.runs(SEVERAL)), (Phase::Failed, 0));
    assert_eq!(w.status(SEVERAL).exit.as_ref().unwrap().reason, ExitReason::Gone);
}

#[test]
fn an_agent_that_comes_back_adopts_every_container_where_it_stands() {
    let mut w = running(Restart::Always);
    w.exit_of(SEVERAL, "web", 1);
    tick(&mut w);
    let before = w.status(SEVERAL).clone();
    w.detach();
    w.exit_of(SEVERAL, "log", 5);
    w.crash();
    work(&mut w);
    assert_eq!(states(&w)[..3], ["setup Some(0)", "proxy runs", "web runs"]);
    assert_eq!(
        of(&w, "web"),
        before.containers[2].clone(),
        "nothing of it was lost"
    );
    tick(&mut w);
    let log = of(&w, "log");
    assert_eq!(
        (log.restarts, log.last.unwrap().exit.code),
        (1, Some(5)),
        "the end in between is known"
    );
    assert_eq!(w.phase(SEVERAL), Phase::Running);
}

#[test]
fn an_image_that_cannot_be_had_is_asked_for_again_and_the_others_run() {
    let mut w = World::new();
    w.want(SEVERAL, Restart::Always, Desired::Running);
    work(&mut w);
    w.exit_of(SEVERAL, "setup", 0);
    let web = |x: &Work| x.key.container == "web" && x.verb.kind() == VerbKind::Prepare;
    while !w.work.iter().any(web) {
        w.work(0, Fate::Well);
    }
    let doable = w
        .work
        .iter()
        .filter(|x| x.verb != Verb::Wait)
        .position(web)
        .unwrap();
    w.work(doable, Fate::Refused(ExitReason::Image));
    work(&mut w);
    assert_eq!(
        states(&w),
        ["setup Some(0)", "proxy runs", "web Image", "log runs"]
    );
    assert_eq!(w.status(SEVERAL).message, "container web: never");
    assert_eq!(
        w.phase(SEVERAL),
        Phase::Starting,
        "not all main ones have come to run"
    );
    tick(&mut w);
    assert_eq!(
        (states(&w)[2].as_str(), w.phase(SEVERAL)),
        ("web runs", Phase::Running)
    );
}

#[test]
fn a_command_that_cannot_be_started_counts_as_an_end() {
    for (restart, phase) in [(Restart::Never, Phase::Failed), (Restart::Always, Phase::Running)] {
        let mut w = running(restart);
        w.exit_of(SEVERAL, "log", 0);
        w.exit_of(SEVERAL, "web", 0);
        if restart == Restart::Never {
            continue;
        }
        w.now = w.supervisor.next_wake().unwrap();
        w.input(Input::Wake);
        while let Some(at) = w
            .work
            .iter()
            .filter(|x| x.verb != Verb::Wait)
            .position(|x| x.verb == Verb::Start)
        {
            w.work(at, Fate::Refused(ExitReason::Command));
        }
        while w.work.iter().any(|x| x.verb.kind() == VerbKind::Prepare) {
            let at = w
                .work
                .iter()
                .filter(|x| x.verb != Verb::Wait)
                .position(|x| x.verb.kind() == VerbKind::Prepare)
                .unwrap();
            w.work(at, Fate::Well);
        }
        let at = w
            .work
            .iter()
            .filter(|x| x.verb != Verb::Wait)
            .position(|x| x.verb == Verb::Start && x.key.container == "web")
            .unwrap();
        w.work(at, Fate::Refused(ExitReason::Command));
        let web = of(&w, "web");
        let end = web.last.unwrap();
        assert_eq!(
            (end.exit.reason, end.started_at, web.restarts),
            (ExitReason::Command, None, 2)
        );
        work(&mut w);
        assert_eq!(w.phase(SEVERAL), phase);
    }
}

fn probe(on_failure: OnFailure) -> Probe {
    Probe {
        check: Check::Exec(vec!["ok".into()]),
        on_failure,
        delay_ms: 0,
        period_ms: 1000,
        timeout_ms: 100,
        failures: 2,
        successes: 1,
        grace_ms: 0,
        told: false,
        once: false,
    }
}

/// One main container with a startup check, a readiness and a liveness probe.
fn probed() -> World {
    let mut c = member("web", Role::Main, Restart::Always);
    c.startup = Some(probe(OnFailure::Restart));
    c.probes = vec![probe(OnFailure::Report), probe(OnFailure::Restart)];
    let spec = TaskSpec {
        containers: vec![c],
        restart_unit: RestartUnit::Container,
        ..TaskSpec::default()
    };
    let mut w = World::new();
    w.want_spec(SEVERAL, &Arc::new(spec), Desired::Running);
    work(&mut w);
    w
}

/// Answers what is due now, by the index of the probe, and goes on to the next tick.
fn answer(w: &mut World, passes: impl Fn(usize) -> bool) -> Vec<usize> {
    let due = w.supervisor.take_probes();
    for probe in &due {
        let result = if passes(probe.index) {
            Ok(())
        } else {
            Err("sick".to_owned())
        };
        w.input(Input::Probed {
            key: probe.key.clone(),
            index: probe.index,
            result,
        });
    }
    due.iter().map(|p| p.index).collect()
}

#[test]
fn probes_begin_when_the_startup_check_has_passed() {
    let mut w = probed();
    let facts = |w: &World| (of(w, "web").started, of(w, "web").ready, w.status(SEVERAL).ready);
    assert_eq!(answer(&mut w, |_| false), [2], "the startup check alone");
    assert_eq!(facts(&w), (false, false, Some(false)));
    w.pass(1000);
    assert_eq!(answer(&mut w, |_| true), [2]);
    assert_eq!(facts(&w), (true, false, Some(false)));
    assert_eq!(answer(&mut w, |_| true), [0, 1]);
    assert_eq!(facts(&w), (true, true, Some(true)));
    w.crash();
    work(&mut w);
    assert_eq!(facts(&w), (true, true, Some(true)), "adopted as it was");
    w.pass(1000);
    assert_eq!(answer(&mut w, |i| i == 1), [0, 1]);
    w.pass(1000);
    answer(&mut w, |i| i == 1);
    assert_eq!(facts(&w), (true, false, Some(false)), "two failures in a row");
}

#[test]
fn a_liveness_probe_that_fails_restarts_its_container_alone() {
    let mut w = probed();
    answer(&mut w, |_| true);
    answer(&mut w, |_| true);
    for _ in 0..2 {
        w.pass(1000);
        answer(&mut w, |i| i == 0);
    }
    assert!(w.verbs().contains(&VerbKind::Stop), "{:?}", w.verbs());
    assert!(!of(&w, "web").ready);
    work(&mut w);
    let web = of(&w, "web");
    let end = web.last.clone().unwrap();
    assert_eq!(
        (end.exit.reason, end.exit.code),
        (ExitReason::Unhealthy, Some(143))
    );
    assert_eq!((w.phase(SEVERAL), web.restarts), (Phase::Running, 1));
    tick(&mut w);
    assert_eq!(states(&w), ["web runs"]);
    assert!(!of(&w, "web").started, "it has to pass its startup check again");
}

#[test]
fn a_startup_check_that_never_passes_restarts_the_container() {
    let mut w = probed();
    for _ in 0..2 {
        assert_eq!(answer(&mut w, |_| false), [2]);
        w.pass(1000);
    }
    work(&mut w);
    assert_eq!(of(&w, "web").restarts, 1);
}

#[test]
fn a_spec_that_does_not_fit_together_is_rejected_by_name() {
    let wrong = |change: fn(&mut TaskSpec)| {
        let mut spec = (*several(Restart::Never)).clone();
        change(&mut spec);
        let mut w = World::new();
        w.want_spec(SEVERAL, &Arc::new(spec), Desired::Running);
        assert_eq!(w.phase(SEVERAL), Phase::Rejected);
        w.status(SEVERAL).message.clone()
    };
    assert!(wrong(|s| s.restart_unit = RestartUnit::Task).contains("several containers"));
    assert!(wrong(|s| s.containers[1].name = "setup".into()).contains("two containers setup"));
    assert!(wrong(|s| s.containers.truncate(2)).contains("at least one main container"));
    assert!(wrong(|s| s.volumes.clear()).contains("no such volume"));
    assert!(wrong(|s| s.containers[2].volumes[0].sub_path = Some("a/../..".into())).contains("sub path"));
    assert!(
        wrong(|s| s.volumes.push(Volume {
            name: "../x".into(),
            source: VolumeSource::Disk
        }))
        .contains("volume name")
    );
    assert!(wrong(|s| s.containers[0].name = String::new()).contains("container name"));
}
