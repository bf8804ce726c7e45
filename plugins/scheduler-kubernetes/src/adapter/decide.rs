//! What the desk does next for one pod. Pure: from the pod, what has been made of it and its task, to one step.

use super::book::{Entry, Pages, Work};
use super::charter::Charter;
use super::pod::place::Bar;
use super::pod::sources::Missing;
use super::pod::{bound_to, is_over};
use super::status::events::{Note, Tone, note};
use super::status::{Seen, conditions, status};
use super::step::was_seat_only;
use super::why;
use k8s_openapi::api::core::v1::{Pod, PodSpec, PodStatus};
use plenum_model::claim::Desired;
use plenum_model::ids::NodeId;
use plenum_model::task::Task;
use plenum_sdk::holders::Holders;
use std::time::Duration;

/// A pod that has just been bound gets so long to start before its object says that its containers are being made:
/// most are made meanwhile, and one status tells all.
const STARTS_SOON_MS: u64 = 100;
/// How long the watch may take to show what was written from here. What is decided before on what was there before
/// it is written again.
const SHOWN_BY_MS: u64 = 1000;

/// What is done next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Nothing.
    Rest,
    /// Nothing until something changes, or until then.
    Wait(Duration),
    /// Read what it refers to and lower it.
    Prepare,
    /// Give it this node.
    Bind(NodeId),
    /// Write its status, and tell this.
    Write(Box<PodStatus>, Option<Note>),
    /// Let its object go.
    Delete,
}

/// What is known of a pod beside the book's entry.
#[derive(Debug, Clone)]
pub struct Known<'a> {
    /// Its newest task.
    pub task: Option<&'a Task>,
    /// The address of its node, if that is one of ours.
    pub host: Option<&'a str>,
    /// The runtime that runs pods.
    pub runtime: &'a str,
    /// Who holds what, where it waits for room.
    pub holders: Holders,
    /// Whether what was missing may have come.
    pub look_again: bool,
    /// Unix milliseconds.
    pub now: u64,
}

/// The next step for a pod.
#[must_use]
pub fn next(pages: &Pages, charter: &Charter, entry: &Entry, known: &Known<'_>) -> Step {
    let pod = &entry.pod;
    let Some(spec) = &pod.spec else { return Step::Rest };
    let written = entry.written.as_ref().map(|w| w.at);
    if let Some(left) = left(written, SHOWN_BY_MS, known.now) {
        return Step::Wait(left);
    }
    let goes = pod.metadata.deletion_timestamp.is_some();
    match bound_to(pod) {
        Some(_) => {
            let Some(host) = known.host else { return Step::Rest };
            if !goes && !is_over(pod) && to_prepare(entry, known) {
                return Step::Prepare;
            }
            bound(entry, known, host, goes)
        }
        None if goes || is_over(pod) => Step::Rest,
        None if charter.schedules(spec) => {
            if to_prepare(entry, known) {
                return Step::Prepare;
            }
            waiting(pages, entry, spec, known)
        }
        None => gated(pod, spec, known.now),
    }
}

/// What is left of a span that began then.
fn left(since: Option<u64>, span_ms: u64, now: u64) -> Option<Duration> {
    let end = since?.saturating_add(span_ms);
    (now < end).then(|| Duration::from_millis(end - now))
}

/// Whether it has to be lowered, again if something was missing.
fn to_prepare(entry: &Entry, known: &Known<'_>) -> bool {
    let runs = known
        .task
        .is_some_and(|t| !was_seat_only(t) && !matches!(t.desired, Desired::Held { .. }));
    !runs
        && match &entry.work {
            Work::Unread => true,
            Work::Refused(_) => false,
            Work::Ready(lowered) => !lowered.missing.is_empty() && known.look_again,
        }
}

fn bound(entry: &Entry, known: &Known<'_>, host: &str, goes: bool) -> Step {
    let pod = &entry.pod;
    let task = known.task.filter(|t| !was_seat_only(t));
    let (missing, refused): (&[Missing], Option<&str>) = match &entry.work {
        Work::Ready(lowered) if task.is_none_or(|t| t.status.started_at.is_none()) => {
            (&lowered.missing, None)
        }
        Work::Refused(why) if task.is_none() => (&[], Some(why)),
        Work::Unread | Work::Ready(_) | Work::Refused(_) => (&[], None),
    };
    let stopped = task.is_none_or(|t| t.status.phase().is_terminal());
    // one that never ran has no status worth a last word
    if goes && stopped && task.is_none() {
        return Step::Delete;
    }
    let seen = Seen {
        task,
        missing,
        refused,
        runtime: known.runtime,
        host,
        now: known.now,
    };
    let wanted = status(pod, &seen);
    if differs(pod, &wanted) {
        let says_little = wanted.phase.as_deref() == Some("Pending") && missing.is_empty() && !goes;
        let soon = left(entry.bound_at, STARTS_SOON_MS, known.now);
        if let Some(left) = soon.filter(|_| says_little) {
            return Step::Wait(left);
        }
        let told = refused
            .map(|why| note(Tone::Warning, "UnsupportedPodSpec", why))
            .or_else(|| lacks(pod, missing));
        return Step::Write(Box::new(wanted), told);
    }
    if goes && stopped { Step::Delete } else { Step::Rest }
}

/// What is told of something that is missing, once: when the status that says so is written.
fn lacks(pod: &Pod, missing: &[Missing]) -> Option<Note> {
    use super::pod::sources::NeededBy;
    let first = missing.first()?;
    let told = match &first.needed_by {
        NeededBy::Container(_) => note(Tone::Warning, "Failed", format!("Error: {}", first.message)),
        NeededBy::Volume(volume) => {
            let text = format!(
                "MountVolume.SetUp failed for volume \"{volume}\" : {}",
                first.message
            );
            note(Tone::Warning, "FailedMount", text)
        }
    };
    pod.spec.is_some().then_some(told)
}

/// Whether a status says anything that the pod's own does not.
fn differs(pod: &Pod, wanted: &PodStatus) -> bool {
    let old = pod.status.clone().unwrap_or_default();
    let comparable = PodStatus {
        ephemeral_container_statuses: None,
        resize: None,
        resource_claim_statuses: None,
        ..old
    };
    let wanted = PodStatus {
        ephemeral_container_statuses: None,
        resize: None,
        resource_claim_statuses: None,
        ..wanted.clone()
    };
    comparable != wanted
}

fn waiting(pages: &Pages, entry: &Entry, spec: &PodSpec, known: &Known<'_>) -> Step {
    let pod = &entry.pod;
    if let Work::Refused(why) = &entry.work {
        return unschedulable(pod, why.clone(), known.now);
    }
    let task = known.task.filter(|t| !was_seat_only(t) && !t.released);
    if let Some(node) = task.and_then(|t| t.status.node.as_ref()) {
        return Step::Bind(node.clone());
    }
    let pool_why = task.and_then(|t| t.status.why.as_ref());
    if pool_why.is_none() && pages.places.values().any(|place| place.bar(spec).is_none()) {
        return Step::Rest; // not decided yet
    }
    let barred: Vec<Bar> = pages.places.values().filter_map(|p| p.bar(spec)).collect();
    let nodes = pages.places.len();
    let text = why::text(nodes, &barred, pool_why, &known.holders);
    unschedulable(pod, text, known.now)
}

fn unschedulable(pod: &Pod, message: String, now: u64) -> Step {
    let told = note(Tone::Warning, "FailedScheduling", message.clone());
    not_scheduled(pod, "Unschedulable", message, Some(told), now)
}

/// A pod that is held back by its own gates.
fn gated(pod: &Pod, spec: &PodSpec, now: u64) -> Step {
    if spec.scheduling_gates.as_ref().is_none_or(Vec::is_empty) {
        return Step::Rest; // another scheduler's
    }
    let message = "Scheduling is blocked due to non-empty scheduling gates".to_owned();
    not_scheduled(pod, "SchedulingGated", message, None, now)
}

fn not_scheduled(pod: &Pod, reason: &'static str, message: String, told: Option<Note>, now: u64) -> Step {
    let old = pod.status.clone().unwrap_or_default();
    let wanted = PodStatus {
        phase: old.phase.clone().or_else(|| Some("Pending".to_owned())),
        conditions: Some(conditions::unscheduled(pod, reason, message, now)),
        ..old
    };
    if differs(pod, &wanted) {
        Step::Write(Box::new(wanted), told)
    } else {
        Step::Rest
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
