//! A task's state in a swarm's words.

use super::record::ServiceRecord;
use super::restart::was_evicted;
use plenum_model::phase::Phase;
use plenum_model::task::{Exit, ExitReason, Task};
use plenum_model::why::{Cause, Why};
use plenum_sdk::holders::Holders;

/// State, message and error as clients read them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskState {
    /// `running` and the like.
    pub state: &'static str,
    /// What goes on.
    pub message: String,
    /// What went wrong, or why it waits.
    pub error: Option<String>,
}

/// Where a task stands.
#[must_use]
pub fn of(task: &Task, record: &ServiceRecord, holders: &Holders) -> TaskState {
    let state = |state, message: &str| TaskState {
        state,
        message: message.to_owned(),
        error: None,
    };
    let status = &task.status;
    if task.released && was_evicted(task) {
        return TaskState {
            error: Some("assigned node no longer meets constraints".to_owned()),
            ..state("rejected", "task rejected by constraint enforcer")
        };
    }
    match status.phase() {
        Phase::Pending => TaskState {
            error: status.why.as_ref().map(|why| no_suitable_node(why, holders)),
            ..state("pending", "pending task scheduling")
        },
        Phase::Placed => state("assigned", "scheduler assigned task to node"),
        Phase::Preparing => state("preparing", "preparing"),
        Phase::Prepared => state("ready", "prepared"),
        Phase::Starting => state("starting", "starting"),
        Phase::Running if status.ready == Some(false) => state("starting", "starting"),
        Phase::Running | Phase::Stopping => state("running", "started"),
        Phase::Finished => state("complete", "finished"),
        Phase::Stopped => state("shutdown", "shutdown"),
        Phase::Lost => TaskState {
            error: Some("node is down".to_owned()),
            ..state("orphaned", "heartbeat failure")
        },
        Phase::Rejected => TaskState {
            error: Some(words(task, record)),
            ..state("rejected", "preparing")
        },
        Phase::Failed => {
            let never_ran = status.started_at.is_none();
            TaskState {
                error: Some(words(task, record)),
                ..if never_ran && status.exit.as_ref().is_some_and(is_setup) {
                    state("rejected", "preparing")
                } else if never_ran {
                    state("failed", "starting")
                } else {
                    state("failed", "started")
                }
            }
        }
    }
}

/// What shall be true of a task.
#[must_use]
pub fn desired(task: &Task) -> &'static str {
    if task.released || task.status.phase().is_terminal() {
        "shutdown"
    } else {
        "running"
    }
}

fn is_setup(exit: &Exit) -> bool {
    matches!(exit.reason, ExitReason::Image | ExitReason::Setup)
}

fn words(task: &Task, record: &ServiceRecord) -> String {
    let Some(exit) = &task.status.exit else {
        return task.status.message.clone();
    };
    let code = exit.code.or(exit.signal.map(|s| 128 + s));
    match (exit.reason, code) {
        (ExitReason::Image, _) => {
            let template = record.template(&task.terms.workload.version);
            let image = template.and_then(|t| t.container.as_ref()?.image.clone());
            let image = image.unwrap_or_default();
            if exit.message.contains(&image) {
                exit.message.clone()
            } else {
                format!("No such image: {image}")
            }
        }
        (ExitReason::Unhealthy, code) => {
            format!(
                "task: non-zero exit ({}): dockerexec: unhealthy container",
                code.unwrap_or(137)
            )
        }
        (ExitReason::Exited | ExitReason::OutOfMemory, Some(code)) => format!("task: non-zero exit ({code})"),
        (
            ExitReason::Exited
            | ExitReason::OutOfMemory
            | ExitReason::Asked
            | ExitReason::Command
            | ExitReason::Port
            | ExitReason::Setup
            | ExitReason::Runtime
            | ExitReason::Gone
            | ExitReason::NodeLost
            | ExitReason::HeldTooLong
            | ExitReason::Preempted,
            _,
        ) => exit.message.clone(),
    }
}

/// Why a task waits, as a swarm says it: counts by cause, the most frequent first; then who holds what is short.
#[must_use]
pub fn no_suitable_node(why: &Why, holders: &Holders) -> String {
    if let Some(limit) = &why.limit {
        return format!(
            "no suitable node (tenant {} has {} of its {} {})",
            limit.tenant, limit.used, limit.limit, limit.resource
        );
    }
    let mut kinds: Vec<(Kind, u32)> = Vec::new();
    for (cause, count) in &why.by {
        let kind = Kind::of(cause);
        match kinds.iter_mut().find(|(k, _)| *k == kind) {
            Some((_, n)) => *n += count,
            None => kinds.push((kind, *count)),
        }
    }
    if kinds.is_empty() {
        return "no suitable node".to_owned();
    }
    kinds.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let mut parts: Vec<String> = kinds.iter().map(|(kind, n)| kind.words(*n)).collect();
    parts.extend(holders.of_what_is_short(why));
    format!("no suitable node ({})", parts.join("; "))
}

/// The causes that a swarm tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    NotAvailable,
    Resources,
    Plugin,
    Constraint,
    Port,
    MaxReplicas,
}

impl Kind {
    fn of(cause: &Cause) -> Self {
        match cause {
            Cause::Unreachable | Cause::Cordoned => Self::NotAvailable,
            Cause::Short(_) | Cause::Device(_) => Self::Resources,
            Cause::Runtime(_) | Cause::Capability(_) => Self::Plugin,
            Cause::NotPinned
            | Cause::Attribute(_)
            | Cause::Taint(_)
            | Cause::Spread(_)
            | Cause::Near(_)
            | Cause::Away(_)
            | Cause::KeptAway(_) => Self::Constraint,
            Cause::Port(_) | Cause::DynamicPorts => Self::Port,
            Cause::LimitPerKey(_) => Self::MaxReplicas,
        }
    }

    fn words(self, n: u32) -> String {
        let nodes = if n == 1 {
            "1 node".to_owned()
        } else {
            format!("{n} nodes")
        };
        match self {
            Self::NotAvailable => format!("{nodes} not available for new tasks"),
            Self::Resources => format!("insufficient resources on {nodes}"),
            Self::Plugin => format!("missing plugin on {nodes}"),
            Self::Constraint => format!("scheduling constraints not satisfied on {nodes}"),
            Self::Port => format!("host-mode port already in use on {nodes}"),
            Self::MaxReplicas => "max replicas per node limit exceed".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_model::amounts::Resource;

    #[test]
    fn reasons_are_worded_as_a_swarm_words_them_and_the_most_frequent_comes_first() {
        let why = |by: &[(Cause, u32)]| Why {
            nodes: 3,
            by: by.to_vec(),
            limit: None,
            ..Why::default()
        };
        let table: [(&[(Cause, u32)], &str); 4] = [
            (
                &[(Cause::Attribute("@node".into()), 3)],
                "no suitable node (scheduling constraints not satisfied on 3 nodes)",
            ),
            (
                &[
                    (Cause::Cordoned, 1),
                    (Cause::Short(Resource::Cpu), 1),
                    (Cause::Short(Resource::Memory), 1),
                ],
                "no suitable node (insufficient resources on 2 nodes; 1 node not available for new tasks)",
            ),
            (
                &[(Cause::Port(80), 3)],
                "no suitable node (host-mode port already in use on 3 nodes)",
            ),
            (&[], "no suitable node"),
        ];
        for (by, text) in table {
            assert_eq!(no_suitable_node(&why(by), &Holders::default()), text);
        }
    }
}
