//! How many pods a job has to make or delete, when, and what its status is. Pure.
//!
//! What has succeeded or failed never becomes less: pods that somebody deletes after their end still count.

use super::super::pods;
use k8s_openapi::api::batch::v1::{Job, JobCondition, JobSpec, JobStatus};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// Waits before a pod is made again: so long after the first failure, twice as long after each other.
const FIRST_WAIT: Duration = Duration::from_secs(10);
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// Pods made at one look, as Kubernetes has it.
const BURST: i32 = 500;

/// What is to be done.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// How many pods to make.
    pub(super) make: usize,
    /// Names of pods to delete.
    pub(super) delete: Vec<String>,
    /// What it is now.
    pub(super) status: JobStatus,
    /// When something happens by time alone.
    pub(super) look_again: Option<Duration>,
    /// Whether the job itself has been over for long enough.
    pub(super) expired: bool,
    /// The reason and the sentence with which it has just ended.
    pub(super) ended: Option<(&'static str, String)>,
}

/// Counts of a job's own pods.
struct Seen<'a> {
    active: Vec<&'a Pod>,
    terminating: i32,
    succeeded: i32,
    failed: i32,
    /// When the newest failure was.
    failed_at: Option<Timestamp>,
}

/// What `job` needs, of whose own pods these are all.
pub(super) fn plan(job: &Job, own: &[&Pod], now: Timestamp) -> Plan {
    let spec = job.spec.clone().unwrap_or_default();
    let before = job.status.clone().unwrap_or_default();
    if let Some(at) = over_since(&before) {
        return over(&spec, before, own, at, now);
    }
    let seen = Seen::of(own, &before);
    let suspended = spec.suspend == Some(true);
    let mut status = counted(&seen, &before, suspended, now);
    let all = |pods: &[&Pod]| {
        pods.iter()
            .filter_map(|p| p.metadata.name.clone())
            .collect::<Vec<_>>()
    };
    if let Some((reason, message)) = failure(job, &spec, &status, &seen, now) {
        status.active = Some(0);
        end(&mut status, "Failed", reason, &message, now);
        return Plan {
            delete: all(&seen.active),
            status,
            ended: Some((reason, message)),
            ..Plan::default()
        };
    }
    if suspended {
        status.active = Some(0);
        status.start_time = None;
        say(
            &mut status,
            "Suspended",
            "True",
            "JobSuspended",
            "Job suspended",
            now,
        );
        return Plan {
            delete: all(&seen.active),
            status,
            ..Plan::default()
        };
    }
    if has(&before, "Suspended") {
        say(
            &mut status,
            "Suspended",
            "False",
            "JobResumed",
            "Job resumed",
            now,
        );
    }
    if is_complete(&spec, &seen) {
        status.completion_time = Some(Time(now));
        let (reason, message) = ("CompletionsReached", "Reached expected number of succeeded pods");
        end(&mut status, "SuccessCriteriaMet", reason, message, now);
        end(&mut status, "Complete", reason, message, now);
        let message = "Job completed".to_owned();
        return Plan {
            delete: all(&seen.active),
            status,
            ended: Some(("Completed", message)),
            ..Plan::default()
        };
    }
    let mut plan = size(&spec, &seen, now);
    let until_deadline = deadline(&spec, &status, now);
    plan.look_again = [plan.look_again, until_deadline].into_iter().flatten().min();
    plan.status = status;
    plan
}

/// The status of a job that is not over, before anything is decided.
fn counted(seen: &Seen<'_>, before: &JobStatus, suspended: bool, now: Timestamp) -> JobStatus {
    JobStatus {
        active: Some(len(&seen.active)),
        ready: Some(len(&seen
            .active
            .iter()
            .filter(|p| pods::ready_since(p).is_some())
            .collect::<Vec<_>>())),
        terminating: Some(seen.terminating),
        succeeded: Some(seen.succeeded),
        failed: Some(seen.failed),
        start_time: before
            .start_time
            .clone()
            .or_else(|| (!suspended).then_some(Time(now))),
        conditions: before.conditions.clone(),
        uncounted_terminated_pods: before
            .uncounted_terminated_pods
            .clone()
            .or_else(|| Some(Default::default())),
        ..JobStatus::default()
    }
}

impl<'a> Seen<'a> {
    fn of(own: &[&'a Pod], before: &JobStatus) -> Self {
        let with = |phase: &str| len(&own.iter().filter(|p| pods::phase(p) == phase).collect::<Vec<_>>());
        let mut active: Vec<&Pod> = own.iter().copied().filter(|pod| pods::is_active(pod)).collect();
        active.sort_by_cached_key(|pod| pods::worth(pod));
        let ends = own
            .iter()
            .filter(|p| pods::phase(p) == "Failed")
            .filter_map(|p| ended_at(p));
        let going = own
            .iter()
            .filter(|p| !pods::is_over(p) && p.metadata.deletion_timestamp.is_some());
        Self {
            terminating: len(&going.collect::<Vec<_>>()),
            active,
            succeeded: with("Succeeded").max(before.succeeded.unwrap_or(0)),
            failed: with("Failed").max(before.failed.unwrap_or(0)),
            failed_at: ends.max(),
        }
    }
}

fn len<T>(list: &[T]) -> i32 {
    i32::try_from(list.len()).unwrap_or(i32::MAX)
}

fn ended_at(pod: &Pod) -> Option<Timestamp> {
    let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
    let ends = containers
        .iter()
        .filter_map(|c| c.state.as_ref()?.terminated.as_ref()?.finished_at.as_ref());
    ends.map(|t| t.0).max()
}

/// How many more pods, or fewer.
fn size(spec: &JobSpec, seen: &Seen<'_>, now: Timestamp) -> Plan {
    let parallelism = spec.parallelism.unwrap_or(1).max(0);
    let active = len(&seen.active);
    let wanted = match spec.completions {
        Some(completions) => (completions - seen.succeeded).clamp(0, parallelism),
        // a work queue: once one has succeeded, those that run finish and no other is begun
        None if seen.succeeded > 0 => active.min(parallelism),
        None => parallelism,
    };
    if active > wanted {
        let too_many = usize::try_from(active - wanted).unwrap_or(0);
        let names = seen
            .active
            .iter()
            .take(too_many)
            .filter_map(|p| p.metadata.name.clone());
        return Plan {
            delete: names.collect(),
            ..Plan::default()
        };
    }
    // one that is going still takes its place, so that never more run than wanted
    let missing = (wanted - active - seen.terminating).clamp(0, BURST);
    let wait = wait(seen, now).filter(|_| missing > 0);
    Plan {
        make: if wait.is_some() {
            0
        } else {
            usize::try_from(missing).unwrap_or(0)
        },
        look_again: wait,
        ..Plan::default()
    }
}

/// How long no pod is made after a failure; none: no longer.
fn wait(seen: &Seen<'_>, now: Timestamp) -> Option<Duration> {
    let failed_at = seen.failed_at?;
    let times = u32::try_from(seen.failed - 1).unwrap_or(0).min(16);
    let wait = FIRST_WAIT.saturating_mul(1 << times).min(LONGEST_WAIT);
    let been = Duration::try_from(now.duration_since(failed_at)).unwrap_or_default();
    Some(wait.saturating_sub(been)).filter(|left| !left.is_zero())
}

fn is_complete(spec: &JobSpec, seen: &Seen<'_>) -> bool {
    match spec.completions {
        Some(completions) => seen.succeeded >= completions,
        None => seen.succeeded > 0 && seen.active.is_empty() && seen.terminating == 0,
    }
}

/// Why it has failed for good.
fn failure(
    job: &Job,
    spec: &JobSpec,
    status: &JobStatus,
    seen: &Seen<'_>,
    now: Timestamp,
) -> Option<(&'static str, String)> {
    let limit = spec.backoff_limit.unwrap_or(6);
    let in_place: i32 = seen.active.iter().map(|pod| pods::restarts(pod)).sum();
    let restarts = if restarts_in_place(job) { in_place } else { 0 };
    if seen.failed > limit || (restarts > 0 && restarts + seen.failed > limit) {
        let message = "Job has reached the specified backoff limit".to_owned();
        return Some(("BackoffLimitExceeded", message));
    }
    if deadline(spec, status, now) == Some(Duration::ZERO) {
        let message = "Job was active longer than specified deadline".to_owned();
        return Some(("DeadlineExceeded", message));
    }
    None
}

fn restarts_in_place(job: &Job) -> bool {
    let pod = job.spec.as_ref().and_then(|s| s.template.spec.as_ref());
    pod.and_then(|p| p.restart_policy.as_deref()) == Some("OnFailure")
}

/// How long until its time is up; none: it has no bound, or has not begun.
fn deadline(spec: &JobSpec, status: &JobStatus, now: Timestamp) -> Option<Duration> {
    let seconds = spec.active_deadline_seconds?;
    let start = status.start_time.as_ref()?.0;
    let until = start.saturating_add(SignedDuration::from_secs(seconds)).ok()?;
    Some(Duration::try_from(until.duration_since(now)).unwrap_or_default())
}

/// A job that is over changes no more, but its time on the list may be bounded.
fn over(spec: &JobSpec, mut status: JobStatus, own: &[&Pod], at: Timestamp, now: Timestamp) -> Plan {
    let left: Vec<&&Pod> = own.iter().filter(|pod| !pods::is_over(pod)).collect();
    let active: Vec<&&&Pod> = left.iter().filter(|pod| pods::is_active(pod)).collect();
    status.active = Some(len(&active));
    status.ready = Some(0);
    status.terminating = Some(len(&left) - len(&active));
    let ttl = spec
        .ttl_seconds_after_finished
        .map(|s| SignedDuration::from_secs(i64::from(s)));
    let until = ttl.and_then(|ttl| at.saturating_add(ttl).ok());
    Plan {
        delete: active.iter().filter_map(|p| p.metadata.name.clone()).collect(),
        status,
        look_again: until
            .and_then(|u| Duration::try_from(u.duration_since(now)).ok())
            .filter(|d| !d.is_zero()),
        expired: until.is_some_and(|until| until <= now),
        ..Plan::default()
    }
}

fn over_since(status: &JobStatus) -> Option<Timestamp> {
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let over = |c: &&JobCondition| matches!(c.type_.as_str(), "Complete" | "Failed") && c.status == "True";
    let condition = conditions.iter().find(over)?;
    let at = condition.last_transition_time.as_ref().map(|t| t.0);
    Some(at.unwrap_or(Timestamp::UNIX_EPOCH))
}

fn has(status: &JobStatus, kind: &str) -> bool {
    let conditions = status.conditions.as_deref().unwrap_or_default();
    conditions.iter().any(|c| c.type_ == kind)
}

fn end(status: &mut JobStatus, kind: &str, reason: &str, message: &str, now: Timestamp) {
    if kind == "Failed" {
        say(status, "FailureTarget", "True", reason, message, now);
    }
    say(status, kind, "True", reason, message, now);
}

fn say(status: &mut JobStatus, kind: &str, is: &str, reason: &str, message: &str, now: Timestamp) {
    let conditions = status.conditions.get_or_insert_default();
    let next = JobCondition {
        type_: kind.to_owned(),
        status: is.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_probe_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    };
    match conditions.iter_mut().find(|c| c.type_ == kind) {
        None => conditions.push(next),
        Some(c) if c.status != is => *c = next,
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).expect("a time")
    }

    fn job(spec: Value, status: &JobStatus) -> Job {
        let mut text = json!({"metadata": {"name": "j"}, "spec": spec});
        text["spec"]["template"] = json!({"spec": {"containers": [], "restartPolicy": "Never"}});
        let mut job: Job = serde_json::from_value(text).expect("a job");
        job.status = Some(status.clone());
        job
    }

    fn pod(name: &str, phase: &str, ended: i64) -> Pod {
        let ended = json!([{
            "name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": 1, "finishedAt": at(ended).to_string()}},
        }]);
        let text = json!({
            "metadata": {"name": name}, "spec": {"containers": []},
            "status": {"phase": phase, "containerStatuses": ended},
        });
        serde_json::from_value(text).expect("a pod")
    }

    fn look(spec: Value, status: &JobStatus, own: &[Pod], second: i64) -> Plan {
        plan(&job(spec, status), &own.iter().collect::<Vec<_>>(), at(second))
    }

    fn has_true(plan: &Plan, kind: &str) -> bool {
        let conditions = plan.status.conditions.as_deref().unwrap_or_default();
        conditions.iter().any(|c| c.type_ == kind && c.status == "True")
    }

    #[test]
    fn it_runs_as_many_at_once_as_it_may_until_enough_have_succeeded() {
        let spec = || json!({"completions": 3, "parallelism": 2});
        let first = look(spec(), &JobStatus::default(), &[], 0);
        assert_eq!((first.make, first.status.start_time.is_some()), (2, true));
        let run = [pod("a", "Succeeded", 1), pod("b", "Running", 0)];
        assert_eq!(look(spec(), &first.status, &run, 2).make, 1);
        let last = [
            pod("a", "Succeeded", 1),
            pod("b", "Succeeded", 2),
            pod("c", "Running", 0),
        ];
        assert_eq!(look(spec(), &first.status, &last, 3).make, 0);
        let all = [
            pod("a", "Succeeded", 1),
            pod("b", "Succeeded", 2),
            pod("c", "Succeeded", 3),
        ];
        let done = look(spec(), &first.status, &all, 4);
        assert!(has_true(&done, "Complete") && done.status.completion_time.is_some());
        assert_eq!((done.make, done.status.succeeded), (0, Some(3)));
        let gone = look(spec(), &done.status, &[], 5);
        assert_eq!((gone.make, gone.status.succeeded, gone.ended), (0, Some(3), None));
    }

    #[test]
    fn failures_are_waited_out_longer_each_time_and_end_it_past_the_limit() {
        let spec = || json!({"completions": 1, "parallelism": 1, "backoffLimit": 2});
        let none = JobStatus::default();
        let one = [pod("a", "Failed", 0)];
        let soon = look(spec(), &none, &one, 1);
        assert_eq!((soon.make, soon.look_again), (0, Some(Duration::from_secs(9))));
        assert_eq!(look(spec(), &none, &one, 10).make, 1);
        let two = [pod("a", "Failed", 0), pod("b", "Failed", 12)];
        assert_eq!(
            look(spec(), &none, &two, 13).look_again,
            Some(Duration::from_secs(19))
        );
        let three = [
            pod("a", "Failed", 0),
            pod("b", "Failed", 12),
            pod("c", "Failed", 33),
        ];
        let failed = look(spec(), &none, &three, 34);
        assert!(has_true(&failed, "Failed"));
        assert_eq!(
            failed.ended.map(|(reason, _)| reason),
            Some("BackoffLimitExceeded")
        );
        assert_eq!((failed.make, failed.status.failed), (0, Some(3)));
    }

    #[test]
    fn its_time_and_its_time_on_the_list_are_bounded() {
        let spec = || json!({"completions": 1, "parallelism": 1, "activeDeadlineSeconds": 5, "ttlSecondsAfterFinished": 7});
        let first = look(spec(), &JobStatus::default(), &[], 0);
        assert_eq!(first.look_again, Some(Duration::from_secs(5)));
        let late = look(spec(), &first.status, &[pod("a", "Running", 0)], 5);
        assert_eq!(
            late.ended.as_ref().map(|(reason, _)| *reason),
            Some("DeadlineExceeded")
        );
        assert_eq!(late.delete, ["a"]);
        let after = look(spec(), &late.status, &[], 6);
        assert_eq!(
            (after.expired, after.look_again),
            (false, Some(Duration::from_secs(6)))
        );
        assert!(look(spec(), &late.status, &[], 12).expired);
    }

    #[test]
    fn a_suspended_job_has_no_pods() {
        let spec = json!({"completions": 1, "parallelism": 1, "suspend": true});
        let plan = look(spec, &JobStatus::default(), &[pod("a", "Running", 0)], 0);
        assert_eq!(
            (plan.make, plan.delete, plan.status.start_time),
            (0, vec!["a".to_owned()], None)
        );
    }
}
