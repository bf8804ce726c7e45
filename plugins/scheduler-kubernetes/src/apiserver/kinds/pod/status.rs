//! What a table says a pod is doing, worked out from its phase and the states of its containers.

use super::super::cells::{self, items, number, text};
use crate::apiserver::cell::Cell;
use jiff::Timestamp;
use serde_json::Value;

/// What a table shows.
pub(super) struct Shown {
    pub(super) ready: usize,
    pub(super) containers: usize,
    pub(super) status: String,
    pub(super) restarts: Cell,
}

#[derive(Default)]
struct Restarts {
    count: i64,
    last: Option<Timestamp>,
}

impl Restarts {
    fn add(&mut self, container: &Value) {
        self.count += number(container, "/restartCount");
        let ended = text(container, "/lastState/terminated/finishedAt").parse().ok();
        self.last = self.last.max(ended);
    }

    fn shown(&self) -> Cell {
        match self.last {
            Some(last) if self.count > 0 => Cell::Ago(format!("{} (", self.count).into(), last, " ago)"),
            _ => self.count.to_string().into(),
        }
    }
}

/// What a table shows of a pod.
pub(super) fn shown(pod: &Value) -> Shown {
    let sidecars: Vec<&str> = items(pod, "/spec/initContainers")
        .filter(|c| c["restartPolicy"] == "Always")
        .map(|c| text(c, "/name"))
        .collect();
    let containers = items(pod, "/spec/containers").count() + sidecars.len();
    let mut ready = 0;
    let mut status = base(pod);
    let (mut all, mut of_sidecars) = (Restarts::default(), Restarts::default());
    let waits = initializing(pod, &sidecars, &mut ready, &mut all, &mut of_sidecars);
    if let Some(waits) = &waits {
        status.clone_from(waits);
    }
    if waits.is_none() || cells::has_condition(pod, "Initialized") {
        all = of_sidecars;
        running(pod, &mut status, &mut ready, &mut all);
    }
    let phase = text(pod, "/status/phase");
    if !text(pod, "/metadata/deletionTimestamp").is_empty() {
        if text(pod, "/status/reason") == "NodeLost" {
            "Unknown".clone_into(&mut status);
        } else if !matches!(phase, "Succeeded" | "Failed") {
            "Terminating".clone_into(&mut status);
        }
    }
    Shown {
        ready,
        containers,
        status,
        restarts: all.shown(),
    }
}

fn base(pod: &Value) -> String {
    if cells::condition(pod, "PodScheduled").is_some_and(|c| c["reason"] == "SchedulingGated") {
        return "SchedulingGated".to_owned();
    }
    match text(pod, "/status/reason") {
        "" => text(pod, "/status/phase").to_owned(),
        reason => reason.to_owned(),
    }
}

/// Looks at the init containers; says what the pod waits for if it waits for one of them.
fn initializing(
    pod: &Value,
    sidecars: &[&str],
    ready: &mut usize,
    all: &mut Restarts,
    of_sidecars: &mut Restarts,
) -> Option<String> {
    let total = items(pod, "/spec/initContainers").count();
    for (i, container) in items(pod, "/status/initContainerStatuses").enumerate() {
        all.add(container);
        let sidecar = sidecars.contains(&text(container, "/name"));
        if sidecar {
            of_sidecars.add(container);
        }
        let ended = container.pointer("/state/terminated").filter(|t| t.is_object());
        if ended.is_some_and(|t| number(t, "/exitCode") == 0) {
            continue;
        }
        if sidecar && container["started"] == true {
            *ready += usize::from(container["ready"] == true);
            continue;
        }
        let waiting = text(container, "/state/waiting/reason");
        return Some(match ended {
            Some(ended) => format!("Init:{}", why_ended(ended)),
            None if !waiting.is_empty() && waiting != "PodInitializing" => format!("Init:{waiting}"),
            None => format!("Init:{i}/{total}"),
        });
    }
    None
}

fn why_ended(ended: &Value) -> String {
    match (text(ended, "/reason"), number(ended, "/signal")) {
        ("", 0) => format!("ExitCode:{}", number(ended, "/exitCode")),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

fn running(pod: &Value, status: &mut String, ready: &mut usize, restarts: &mut Restarts) {
    let mut runs = false;
    // From the last to the first: the first container has the last word.
    for container in items(pod, "/status/containerStatuses").rev() {
        restarts.add(container);
        let waiting = text(container, "/state/waiting/reason");
        let ended = container.pointer("/state/terminated").filter(|t| t.is_object());
        if !waiting.is_empty() {
            waiting.clone_into(status);
        } else if let Some(ended) = ended {
            *status = why_ended(ended);
        } else if container["ready"] == true
            && container.pointer("/state/running").is_some_and(Value::is_object)
        {
            runs = true;
            *ready += 1;
        }
    }
    if status == "Completed" && runs {
        let is_ready = cells::has_condition(pod, "Ready");
        if is_ready { "Running" } else { "NotReady" }.clone_into(status);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status_of(pod: &Value) -> String {
        shown(pod).status
    }

    #[test]
    fn the_status_is_what_holds_the_pod_up() {
        let init = |state: Value| {
            json!({
                "spec": {"initContainers": [{"name": "i"}], "containers": [{"name": "c"}]},
                "status": {"phase": "Pending", "initContainerStatuses": [{"name": "i", "state": state}],
                    "containerStatuses": [{"name": "c", "state": {"waiting": {"reason": "PodInitializing"}}}]},
            })
        };
        let main = |phase: &str, state: Value| {
            json!({
                "spec": {"containers": [{"name": "c"}]},
                "status": {"phase": phase, "containerStatuses": [{"name": "c", "state": state}]},
            })
        };
        let table = [
            (init(json!({"running": {}})), "Init:0/1"),
            (
                init(json!({"terminated": {"exitCode": 1, "reason": "Error"}})),
                "Init:Error",
            ),
            (init(json!({"terminated": {"exitCode": 1}})), "Init:ExitCode:1"),
            (
                init(json!({"waiting": {"reason": "CrashLoopBackOff"}})),
                "Init:CrashLoopBackOff",
            ),
            (
                main("Pending", json!({"waiting": {"reason": "ContainerCreating"}})),
                "ContainerCreating",
            ),
            (
                main("Failed", json!({"terminated": {"exitCode": 3}})),
                "ExitCode:3",
            ),
            (
                main("Failed", json!({"terminated": {"exitCode": 137, "signal": 9}})),
                "Signal:9",
            ),
            (
                main(
                    "Failed",
                    json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}}),
                ),
                "OOMKilled",
            ),
            (
                main(
                    "Succeeded",
                    json!({"terminated": {"exitCode": 0, "reason": "Completed"}}),
                ),
                "Completed",
            ),
            (
                json!({"status": {"phase": "Failed", "reason": "Evicted"}}),
                "Evicted",
            ),
            (
                json!({"metadata": {"deletionTimestamp": "x"}, "status": {"phase": "Running"}}),
                "Terminating",
            ),
            (
                json!({"metadata": {"deletionTimestamp": "x"}, "status": {"phase": "Running", "reason": "NodeLost"}}),
                "Unknown",
            ),
            (
                json!({"status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]}}),
                "SchedulingGated",
            ),
        ];
        for (pod, status) in table {
            assert_eq!(status_of(&pod), status, "{pod}");
        }
    }

    #[test]
    fn a_pod_of_which_one_container_is_done_is_not_ready_or_running() {
        let mut pod = json!({
            "spec": {"containers": [{"name": "a"}, {"name": "b"}]},
            "status": {"phase": "Running", "containerStatuses": [
                {"name": "a", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}},
                {"name": "b", "ready": true, "state": {"running": {}}, "restartCount": 2,
                 "lastState": {"terminated": {"finishedAt": "2026-01-01T00:00:30Z"}}},
            ]},
        });
        assert_eq!(status_of(&pod), "NotReady");
        let shown = shown(&pod);
        let restarts = shown.restarts.at("2026-01-01T00:01:00Z".parse().unwrap());
        assert_eq!((shown.ready, shown.containers), (1, 2));
        assert_eq!(restarts, "2 (30s ago)");
        pod["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}]);
        assert_eq!(status_of(&pod), "Running");
    }
}
