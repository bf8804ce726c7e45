//! The conditions of a pod. The time of a condition moves only with its answer; those of others are kept.

use super::phase::init_done;
use super::{Seen, time};
use crate::adapter::pod::{init_containers, is_sidecar};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition, PodSpec};
use plenum_model::phase::Phase;

/// The types that the adapter writes.
const OWN: [&str; 5] = [
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
];

/// What conditions follow from.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// Its spec.
    pub spec: &'a PodSpec,
    /// Its phase.
    pub phase: &'a str,
    /// What its init containers do.
    pub inits: &'a [ContainerStatus],
    /// What its containers do.
    pub mains: &'a [ContainerStatus],
    /// What the pool knows.
    pub seen: &'a Seen<'a>,
}

/// An answer: none: yes; else why not, and in words.
type Answer = Option<(&'static str, String)>;

/// All conditions of a bound pod.
#[must_use]
pub fn conditions(facts: &Facts<'_>) -> Vec<PodCondition> {
    let answers = [
        (OWN[0], sandbox(facts)),
        (OWN[1], initialized(facts)),
        (OWN[2], ready(facts)),
        (OWN[3], containers_ready(facts)),
        (OWN[4], None),
    ];
    let own = answers.map(|(kind, answer)| condition(facts.pod, kind, answer, facts.seen.now));
    own.into_iter().chain(foreign(facts.pod)).collect()
}

/// What is said of a pod that is bound and will not run.
#[must_use]
pub fn scheduled_only(pod: &Pod, now: u64) -> Vec<PodCondition> {
    let own = condition(pod, OWN[4], None, now);
    std::iter::once(own).chain(foreign(pod)).collect()
}

/// The conditions of a pod that waits for a node.
#[must_use]
pub fn unscheduled(pod: &Pod, reason: &'static str, message: String, now: u64) -> Vec<PodCondition> {
    let own = condition(pod, OWN[4], Some((reason, message)), now);
    std::iter::once(own).chain(foreign(pod)).collect()
}

/// Those that somebody else wrote.
pub fn foreign(pod: &Pod) -> impl Iterator<Item = PodCondition> {
    let all = pod.status.iter().flat_map(|s| s.conditions.iter().flatten());
    all.filter(|c| !OWN.contains(&c.type_.as_str())).cloned()
}

fn old<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    let mut all = pod.status.iter().flat_map(|s| s.conditions.iter().flatten());
    all.find(|c| c.type_ == kind)
}

fn condition(pod: &Pod, kind: &str, answer: Answer, now: u64) -> PodCondition {
    let status = if answer.is_none() { "True" } else { "False" };
    let old = old(pod, kind).filter(|c| c.status == status);
    let (reason, message) = answer.unzip();
    PodCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        last_transition_time: old
            .and_then(|c| c.last_transition_time.clone())
            .or_else(|| Some(time(now))),
        reason: reason.filter(|r| !r.is_empty()).map(str::to_owned),
        message: message.filter(|m| !m.is_empty()),
        ..PodCondition::default()
    }
}

/// Whether the pod's own address is there.
fn sandbox(facts: &Facts<'_>) -> Answer {
    let there = facts.seen.task.is_some_and(|task| match task.status.phase() {
        Phase::Pending | Phase::Placed | Phase::Preparing | Phase::Rejected | Phase::Lost => false,
        Phase::Finished | Phase::Failed | Phase::Stopped => false,
        Phase::Prepared | Phase::Starting | Phase::Running | Phase::Stopping => true,
    });
    (!there).then(|| ("", String::new()))
}

fn initialized(facts: &Facts<'_>) -> Answer {
    let said = init_containers(facts.spec);
    let open: Vec<&str> = said
        .iter()
        .zip(facts.inits)
        .filter(|(c, s)| !init_done(is_sidecar(c), s))
        .map(|(c, _)| c.name.as_str())
        .collect();
    if facts.phase == "Succeeded" {
        return None;
    }
    let message = || format!("containers with incomplete status: [{}]", open.join(" "));
    (!open.is_empty()).then(|| ("ContainersNotInitialized", message()))
}

fn containers_ready(facts: &Facts<'_>) -> Answer {
    match facts.phase {
        "Succeeded" => return Some(("PodCompleted", String::new())),
        "Failed" => return Some(("PodFailed", String::new())),
        _ => {}
    }
    let sidecars = init_containers(facts.spec).iter().zip(facts.inits);
    let sidecars = sidecars.filter(|(c, _)| is_sidecar(c)).map(|(_, s)| s);
    let unready: Vec<&str> = sidecars
        .chain(facts.mains)
        .filter(|s| !s.ready)
        .map(|s| s.name.as_str())
        .collect();
    let message = || format!("containers with unready status: [{}]", unready.join(" "));
    (!unready.is_empty()).then(|| ("ContainersNotReady", message()))
}

fn ready(facts: &Facts<'_>) -> Answer {
    if facts.seen.task.is_some_and(|t| t.status.unreachable) {
        return Some(("NodeNotReady", "the node of the pod is not heard of".to_owned()));
    }
    if let Some(answer) = containers_ready(facts) {
        return Some(answer);
    }
    let gates = facts
        .spec
        .readiness_gates
        .iter()
        .flatten()
        .map(|g| g.condition_type.as_str());
    let closed: Vec<String> = gates
        .filter(|gate| old(facts.pod, gate).is_none_or(|c| c.status != "True"))
        .map(|gate| match old(facts.pod, gate) {
            Some(_) => format!("the status of pod readiness gate \"{gate}\" is not \"True\", but False"),
            None => format!("corresponding condition of pod readiness gate \"{gate}\" does not exist."),
        })
        .collect();
    (!closed.is_empty()).then(|| ("ReadinessGatesNotReady", closed.join(", ")))
}
