use super::events::{Tone, events};
use super::*;
use crate::adapter::pod::sources::NeededBy;
use crate::adapter::testing::{container, pod, task};
use k8s_openapi::api::core::v1::{ContainerState as KubeState, PodCondition};
use plenum_model::claim::Desired;
use plenum_model::task::{ContainerEnd, ContainerState, Exit, WaitReason};
use serde_json::{Value, json};

const NOW: u64 = 1_700_000_000_000;

fn seen(task: Option<&Task>) -> Seen<'_> {
    Seen {
        task,
        missing: &[],
        refused: None,
        runtime: "docker",
        host: "127.77.0.1",
        now: NOW,
    }
}

fn end(code: i32, reason: ExitReason) -> ContainerEnd {
    ContainerEnd {
        exit: Exit {
            code: Some(code),
            signal: None,
            reason,
            message: String::new(),
        },
        started_at: Some(NOW - 5000),
        ended_at: NOW - 1000,
        id: Some("old".to_owned()),
    }
}

fn of(spec: Value, task: Option<&Task>) -> PodStatus {
    status(&pod(json!({}), spec), &seen(task))
}

fn answer(status: &PodStatus, kind: &str) -> String {
    let find = |c: &&PodCondition| c.type_ == kind;
    status
        .conditions
        .iter()
        .flatten()
        .find(find)
        .unwrap()
        .status
        .clone()
}

fn first(status: &PodStatus) -> KubeState {
    status.container_statuses.as_ref().unwrap()[0]
        .state
        .clone()
        .unwrap()
}

#[test]
fn a_bound_pod_that_has_not_begun_is_being_created() {
    let status = of(json!({}), None);
    assert_eq!(status.phase.as_deref(), Some("Pending"));
    assert_eq!(
        first(&status).waiting.unwrap().reason.as_deref(),
        Some("ContainerCreating")
    );
    assert_eq!(
        (answer(&status, "PodScheduled"), answer(&status, "Ready")),
        ("True".into(), "False".into())
    );
    assert_eq!(status.qos_class.as_deref(), Some("BestEffort"));
}

#[test]
fn a_running_pod_is_ready_with_its_addresses() {
    let mut t = task(Phase::Running, Desired::Running, Some(1));
    t.status.address = Some("10.1.2.3".to_owned());
    t.status.started_at = Some(NOW);
    t.status.containers = vec![container("c", ContainerState::Running { started_at: NOW })];
    let status = of(json!({}), Some(&t));
    assert_eq!(status.phase.as_deref(), Some("Running"));
    for kind in [
        "PodReadyToStartContainers",
        "Initialized",
        "ContainersReady",
        "Ready",
    ] {
        assert_eq!(answer(&status, kind), "True", "{kind}");
    }
    assert_eq!(
        (status.pod_ip.as_deref(), status.host_ip.as_deref()),
        (Some("10.1.2.3"), Some("127.77.0.1"))
    );
    let c = &status.container_statuses.as_ref().unwrap()[0];
    assert_eq!(
        (c.container_id.as_deref(), c.started),
        (Some("docker://0123"), Some(true))
    );
    // written and read again it is the same: nothing more is to be written
    let mut again = pod(json!({}), json!({}));
    again.status = Some(status.clone());
    let later = Seen {
        now: NOW + 60_000,
        ..seen(Some(&t))
    };
    assert_eq!(super::status(&again, &later), status);
}

#[test]
fn a_crash_loop_shows_what_happened_and_how_often() {
    let mut t = task(Phase::Running, Desired::Running, Some(1));
    t.status.started_at = Some(NOW);
    let waits = ContainerState::Waiting {
        reason: WaitReason::BackOff,
        message: String::new(),
    };
    let mut c = container("c", waits);
    c.restarts = 3;
    c.last = Some(end(137, ExitReason::OutOfMemory));
    t.status.containers = vec![c];
    let status = of(json!({}), Some(&t));
    assert_eq!(status.phase.as_deref(), Some("Running"));
    assert_eq!(
        first(&status).waiting.unwrap().reason.as_deref(),
        Some("CrashLoopBackOff")
    );
    let c = &status.container_statuses.as_ref().unwrap()[0];
    let last = c.last_state.clone().unwrap().terminated.unwrap();
    assert_eq!(
        (c.restart_count, last.exit_code, last.reason.as_deref()),
        (3, 137, Some("OOMKilled"))
    );
}

#[test]
fn the_end_of_a_pod_is_what_its_containers_made_of_it() {
    for (phase, code, wanted, reason) in [
        (Phase::Finished, 0, "Succeeded", "Completed"),
        (Phase::Failed, 3, "Failed", "Error"),
        (Phase::Stopped, 0, "Succeeded", "Completed"),
        (Phase::Stopped, 143, "Failed", "Error"),
    ] {
        let mut t = task(phase, Desired::Running, Some(1));
        t.status.containers = vec![container(
            "c",
            ContainerState::Ended(end(code, ExitReason::Exited)),
        )];
        let status = of(json!({"restartPolicy": "Never"}), Some(&t));
        assert_eq!(status.phase.as_deref(), Some(wanted), "{phase} {code}");
        let ended = first(&status).terminated.unwrap();
        assert_eq!((ended.exit_code, ended.reason.as_deref()), (code, Some(reason)));
        assert_eq!(answer(&status, "Ready"), "False");
    }
}

#[test]
fn init_containers_hold_the_others_back() {
    let spec = json!({"initContainers": [{"name": "i", "image": "i"}]});
    let mut t = task(Phase::Running, Desired::Running, Some(1));
    let turn = ContainerState::Waiting {
        reason: WaitReason::Turn,
        message: String::new(),
    };
    t.status.containers = vec![
        container("i", ContainerState::Running { started_at: NOW }),
        container("c", turn),
    ];
    let status = of(spec, Some(&t));
    assert_eq!(status.phase.as_deref(), Some("Pending"));
    assert_eq!(answer(&status, "Initialized"), "False");
    assert_eq!(
        first(&status).waiting.unwrap().reason.as_deref(),
        Some("PodInitializing")
    );
}

#[test]
fn what_is_missing_is_said_where_it_is_needed() {
    let missing = [Missing {
        needed_by: NeededBy::Container("c".to_owned()),
        message: "configmap \"x\" not found".to_owned(),
    }];
    let held = task(Phase::Prepared, Desired::Held { deadline_ms: 1 }, Some(1));
    let seen = Seen {
        missing: &missing,
        ..seen(Some(&held))
    };
    let status = super::status(&pod(json!({}), json!({})), &seen);
    let waiting = first(&status).waiting.unwrap();
    assert_eq!(waiting.reason.as_deref(), Some("CreateContainerConfigError"));
    assert_eq!(waiting.message.as_deref(), Some("configmap \"x\" not found"));
}

#[test]
fn a_pod_whose_readiness_gate_is_closed_is_not_ready() {
    let mut t = task(Phase::Running, Desired::Running, Some(1));
    t.status.containers = vec![container("c", ContainerState::Running { started_at: NOW })];
    let status = of(json!({"readinessGates": [{"conditionType": "lb"}]}), Some(&t));
    assert_eq!(
        (answer(&status, "ContainersReady"), answer(&status, "Ready")),
        ("True".into(), "False".into())
    );
}

#[test]
fn changes_are_told_once_in_kubernetes_words() {
    let object = pod(json!({}), json!({}));
    let before = task(Phase::Starting, Desired::Running, Some(1));
    let mut after = task(Phase::Running, Desired::Running, Some(1));
    after.status.containers = vec![container("c", ContainerState::Running { started_at: NOW })];
    let told = |b: &Task, a: &Task| {
        let notes = events(&object, Some(b), a);
        notes.into_iter().map(|n| (n.tone, n.reason)).collect::<Vec<_>>()
    };
    assert_eq!(
        told(&before, &after),
        [
            (Tone::Normal, "Pulled"),
            (Tone::Normal, "Created"),
            (Tone::Normal, "Started")
        ]
    );
    assert!(told(&after, &after).is_empty());
    let mut stopping = after.clone();
    stopping.status.progress.phase = Phase::Stopping;
    assert_eq!(told(&after, &stopping), [(Tone::Normal, "Killing")]);
    let mut crashed = after.clone();
    let waits = ContainerState::Waiting {
        reason: WaitReason::BackOff,
        message: String::new(),
    };
    crashed.status.containers[0].state = waits;
    assert_eq!(told(&after, &crashed), [(Tone::Warning, "BackOff")]);
}
