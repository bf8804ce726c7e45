//! What each container of a pod does, in Kubernetes' words.

use super::{Seen, time};
use crate::adapter::pod::sources::NeededBy;
use crate::adapter::pod::{init_containers, name, namespace, uid};
use k8s_openapi::api::core::v1::{
    Container, ContainerState as KubeState, ContainerStateRunning, ContainerStateTerminated,
    ContainerStateWaiting, ContainerStatus as KubeStatus, Pod,
};
use plenum_model::phase::Phase;
use plenum_model::task::{ContainerEnd, ContainerState, ContainerStatus, Exit, ExitReason, Task, WaitReason};

/// The statuses of these containers of the pod.
#[must_use]
pub fn statuses(pod: &Pod, said: &[Container], seen: &Seen<'_>) -> Vec<KubeStatus> {
    said.iter().map(|c| one(pod, c, seen)).collect()
}

fn one(pod: &Pod, said: &Container, seen: &Seen<'_>) -> KubeStatus {
    let known = seen
        .task
        .and_then(|t| t.status.containers.iter().find(|s| s.name == said.name));
    let runtime = seen.runtime;
    let state = match (known, seen.task) {
        (_, task) if !seen.missing.is_empty() && !has_run(task) => missing(pod, said, seen),
        (Some(status), Some(task)) => state(pod, said, status, task, runtime),
        (None, Some(task)) if task.status.phase().is_terminal() => ended_unseen(task),
        (None, _) | (Some(_), None) => waiting(first_reason(pod), ""),
    };
    let last = known.and_then(|s| s.last.as_ref());
    let id = known
        .and_then(|s| s.id.as_deref())
        .map(|id| format!("{runtime}://{id}"));
    let image_id = known.and_then(|s| s.image_id.clone());
    let alive = seen.task.is_some_and(|t| !t.status.phase().is_terminal());
    KubeStatus {
        name: said.name.clone(),
        image: said.image.clone().unwrap_or_default(),
        image_id: image_id.unwrap_or_default(),
        container_id: id,
        ready: known.is_some_and(|s| s.ready && (alive || is_ended(s))),
        started: Some(known.is_some_and(|s| s.started && alive)),
        restart_count: known.map_or(0, |s| i32::try_from(s.restarts).unwrap_or(i32::MAX)),
        last_state: Some(last.map_or_else(KubeState::default, |end| terminated(end, runtime))),
        state: Some(state),
        ..KubeStatus::default()
    }
}

fn is_ended(status: &ContainerStatus) -> bool {
    matches!(status.state, ContainerState::Ended(_))
}

fn has_run(task: Option<&Task>) -> bool {
    task.is_some_and(|t| t.status.started_at.is_some() || t.status.phase().is_terminal())
}

/// What is said of a container of which nothing is known yet.
fn first_reason(pod: &Pod) -> &'static str {
    let inits = pod.spec.as_ref().is_some_and(|s| !init_containers(s).is_empty());
    if inits {
        "PodInitializing"
    } else {
        "ContainerCreating"
    }
}

fn waiting(reason: &str, message: &str) -> KubeState {
    KubeState {
        waiting: Some(ContainerStateWaiting {
            reason: Some(reason.to_owned()),
            message: (!message.is_empty()).then(|| message.to_owned()),
        }),
        ..KubeState::default()
    }
}

fn missing(pod: &Pod, said: &Container, seen: &Seen<'_>) -> KubeState {
    let own = seen
        .missing
        .iter()
        .find(|m| m.needed_by == NeededBy::Container(said.name.clone()));
    match own {
        Some(missing) => waiting("CreateContainerConfigError", &missing.message),
        None => waiting(first_reason(pod), ""),
    }
}

fn state(pod: &Pod, said: &Container, status: &ContainerStatus, task: &Task, runtime: &str) -> KubeState {
    match &status.state {
        ContainerState::Running { started_at } => KubeState {
            running: Some(ContainerStateRunning {
                started_at: Some(time(*started_at)),
            }),
            ..KubeState::default()
        },
        ContainerState::Ended(end) => terminated(end, runtime),
        // what was never started when its pod ended has ended with it
        ContainerState::Waiting { .. } if task.status.phase().is_terminal() => match &status.last {
            Some(end) => terminated(end, runtime),
            None => ended_unseen(task),
        },
        ContainerState::Waiting { reason, message } => wait(pod, said, *reason, message),
    }
}

fn wait(pod: &Pod, said: &Container, reason: WaitReason, message: &str) -> KubeState {
    let image = said.image.as_deref().unwrap_or_default();
    match reason {
        WaitReason::Turn => waiting("PodInitializing", ""),
        WaitReason::Creating | WaitReason::Held => waiting(first_reason(pod), ""),
        WaitReason::BackOff => waiting("CrashLoopBackOff", &back_off(pod, said)),
        WaitReason::Image if said.image_pull_policy.as_deref() == Some("Never") => {
            let text = format!("Container image \"{image}\" is not present with pull policy of Never");
            waiting("ErrImageNeverPull", &text)
        }
        WaitReason::Image => waiting(
            "ImagePullBackOff",
            &format!("Back-off pulling image \"{image}\": ErrImagePull: {message}"),
        ),
        WaitReason::Setup => waiting("CreateContainerError", message),
    }
}

/// What Kubernetes says of a container that waits before it is started again.
#[must_use]
pub fn back_off(pod: &Pod, said: &Container) -> String {
    let (name, namespace, uid) = (name(pod), namespace(pod), uid(pod));
    format!(
        "back-off restarting failed container={} pod={name}_{namespace}({uid})",
        said.name
    )
}

/// The exit code as Kubernetes has it.
#[must_use]
pub fn exit_code(exit: &Exit) -> i32 {
    exit.code
        .or_else(|| exit.signal.map(|s| 128 + s))
        .unwrap_or(match exit.reason {
            ExitReason::Command => 127,
            _ => 128,
        })
}

fn reason(exit: &Exit) -> &'static str {
    match exit.reason {
        ExitReason::OutOfMemory => "OOMKilled",
        ExitReason::Command => "StartError",
        ExitReason::Image | ExitReason::Setup | ExitReason::Port => "ContainerCannotRun",
        ExitReason::Gone | ExitReason::NodeLost | ExitReason::HeldTooLong => "ContainerStatusUnknown",
        ExitReason::Exited
        | ExitReason::Asked
        | ExitReason::Preempted
        | ExitReason::Runtime
        | ExitReason::Unhealthy => {
            if exit_code(exit) == 0 {
                "Completed"
            } else {
                "Error"
            }
        }
    }
}

fn terminated(end: &ContainerEnd, runtime: &str) -> KubeState {
    let plain = matches!(end.exit.reason, ExitReason::Exited | ExitReason::Asked);
    let message = Some(end.exit.message.clone()).filter(|m| !plain && !m.is_empty());
    KubeState {
        terminated: Some(ContainerStateTerminated {
            exit_code: exit_code(&end.exit),
            reason: Some(reason(&end.exit).to_owned()),
            message,
            started_at: end.started_at.map(time),
            finished_at: Some(time(end.ended_at)),
            container_id: end.id.as_ref().map(|id| format!("{runtime}://{id}")),
            signal: None,
        }),
        ..KubeState::default()
    }
}

/// The end of a container of which its node has told nothing.
fn ended_unseen(task: &Task) -> KubeState {
    if matches!(task.status.phase(), Phase::Rejected) {
        return KubeState::default();
    }
    let code = match task.status.phase() {
        Phase::Finished => 0,
        _ => 137,
    };
    KubeState {
        terminated: Some(ContainerStateTerminated {
            exit_code: code,
            reason: Some("ContainerStatusUnknown".to_owned()),
            message: Some("The container could not be located when the pod was terminated".to_owned()),
            finished_at: task.status.ended_at.map(time),
            ..ContainerStateTerminated::default()
        }),
        ..KubeState::default()
    }
}
