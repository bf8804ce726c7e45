//! What is told of a pod: from how its task was and is, to events in Kubernetes' words.

use super::containers::exit_code;
use crate::adapter::pod::{init_containers, name, namespace, uid};
use k8s_openapi::api::core::v1::{Container, Pod};
use plenum_model::phase::Phase;
use plenum_model::task::{ContainerState, ContainerStatus, ExitReason, Task, WaitReason};

/// Whether something is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tone {
    /// It is.
    Normal,
    /// It is not.
    Warning,
}

impl Tone {
    /// The type of the event.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// An event of a pod, before it has a name and a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Note {
    /// Whether all is well.
    pub tone: Tone,
    /// The reason, one word.
    pub reason: &'static str,
    /// In words.
    pub message: String,
    /// Which part of the pod.
    pub field: Option<String>,
}

/// An event of the pod as a whole.
#[must_use]
pub fn note(tone: Tone, reason: &'static str, message: impl Into<String>) -> Note {
    Note {
        tone,
        reason,
        message: message.into(),
        field: None,
    }
}

/// What the change of a pod's task tells.
#[must_use]
pub fn events(pod: &Pod, before: Option<&Task>, after: &Task) -> Vec<Note> {
    let mut notes = Vec::new();
    let Some(spec) = &pod.spec else { return notes };
    let said = init_containers(spec).iter().map(|c| ("initContainers", c));
    for (list, container) in said.chain(spec.containers.iter().map(|c| ("containers", c))) {
        let find = |task: &Task| {
            let mut all = task.status.containers.iter();
            all.find(|s| s.name == container.name).cloned()
        };
        let (was, is) = (before.and_then(find), find(after));
        if let Some(is) = is {
            let field = format!("spec.{list}{{{}}}", container.name);
            let told = changes(pod, container, was.as_ref(), &is);
            let stops = stopping(before, after, &is).then(|| killing(container));
            notes.extend(told.into_iter().chain(stops).map(|n| Note {
                field: Some(field.clone()),
                ..n
            }));
        }
    }
    notes
}

fn stopping(before: Option<&Task>, after: &Task, is: &ContainerStatus) -> bool {
    let stops = |t: &Task| t.status.phase() == Phase::Stopping;
    stops(after) && !before.is_some_and(stops) && matches!(is.state, ContainerState::Running { .. })
}

fn killing(container: &Container) -> Note {
    note(
        Tone::Normal,
        "Killing",
        format!("Stopping container {}", container.name),
    )
}

fn changes(pod: &Pod, said: &Container, was: Option<&ContainerStatus>, is: &ContainerStatus) -> Vec<Note> {
    let mut notes = Vec::new();
    let image = said.image.as_deref().unwrap_or_default();
    let c = &said.name;
    if is.id.is_some() && was.and_then(|w| w.id.as_ref()) != is.id.as_ref() {
        let pulled = if is.restarts == 0 && said.image_pull_policy.as_deref() == Some("Always") {
            format!("Successfully pulled image \"{image}\"")
        } else {
            format!("Container image \"{image}\" already present on machine")
        };
        notes.push(note(Tone::Normal, "Pulled", pulled));
        notes.push(note(Tone::Normal, "Created", format!("Created container: {c}")));
    }
    if was.map(|w| &w.state) != Some(&is.state) {
        notes.extend(entered(pod, said, image, is));
    }
    let runs = |s: &ContainerStatus| matches!(s.state, ContainerState::Running { .. });
    if was.is_some_and(|w| w.ready && runs(w) && w.id == is.id) && runs(is) && !is.ready {
        notes.push(note(Tone::Warning, "Unhealthy", "Readiness probe failed"));
    }
    let ended = is
        .last
        .as_ref()
        .filter(|l| was.and_then(|w| w.last.as_ref()) != Some(*l));
    if ended.is_some_and(|end| end.exit.reason == ExitReason::Unhealthy) {
        let said = ended.map_or("", |e| e.exit.message.as_str());
        notes.push(note(
            Tone::Warning,
            "Unhealthy",
            format!("Liveness probe failed: {said}"),
        ));
        let text = format!("Container {c} failed liveness probe, will be restarted");
        notes.push(note(Tone::Normal, "Killing", text));
    }
    notes
}

fn entered(pod: &Pod, said: &Container, image: &str, is: &ContainerStatus) -> Vec<Note> {
    let c = &said.name;
    match &is.state {
        ContainerState::Running { .. } => {
            vec![note(Tone::Normal, "Started", format!("Started container {c}"))]
        }
        ContainerState::Waiting {
            reason: WaitReason::BackOff,
            ..
        } => {
            let text = format!(
                "Back-off restarting failed container {c} in pod {}_{}({})",
                name(pod),
                namespace(pod),
                uid(pod)
            );
            vec![note(Tone::Warning, "BackOff", text)]
        }
        ContainerState::Waiting {
            reason: WaitReason::Image,
            message,
        } => vec![
            note(
                Tone::Warning,
                "Failed",
                format!("Failed to pull image \"{image}\": {message}"),
            ),
            note(Tone::Warning, "Failed", "Error: ErrImagePull"),
            note(
                Tone::Normal,
                "BackOff",
                format!("Back-off pulling image \"{image}\""),
            ),
        ],
        ContainerState::Waiting {
            reason: WaitReason::Setup,
            message,
        } => {
            vec![note(Tone::Warning, "Failed", format!("Error: {message}"))]
        }
        ContainerState::Waiting {
            reason: WaitReason::Turn | WaitReason::Creating | WaitReason::Held,
            ..
        } => Vec::new(),
        ContainerState::Ended(end) if matches!(end.exit.reason, ExitReason::Command | ExitReason::Setup) => {
            let text = format!("Error: {} (exit code {})", end.exit.message, exit_code(&end.exit));
            vec![note(Tone::Warning, "Failed", text)]
        }
        ContainerState::Ended(_) => Vec::new(),
    }
}
