//! What is wrong with a task, in words: the first cause, not the name of a state.

use plenum_model::phase::Phase;
use plenum_model::task::{Exit, ExitReason, Task};

/// What is wrong with it; none: nothing, as far as anybody knows.
pub(crate) fn of(task: &Task) -> Option<String> {
    let status = &task.status;
    if status.unreachable && !status.phase().is_terminal() {
        let node = status.node.as_ref().map_or("its node", |n| n.as_str());
        return Some(format!("{node} is unreachable"));
    }
    match status.phase() {
        Phase::Pending => Some(
            status
                .why
                .as_ref()
                .map_or_else(|| "not yet considered".into(), ToString::to_string),
        ),
        Phase::Placed | Phase::Preparing | Phase::Prepared | Phase::Starting => {
            let again = task.restarts();
            (again > 0).then(|| format!("restarting ({again} so far){}", said(&status.message)))
        }
        Phase::Running if status.ready == Some(false) => Some(if status.message.is_empty() {
            "its checks fail".into()
        } else {
            status.message.clone()
        }),
        Phase::Running | Phase::Stopping | Phase::Finished | Phase::Stopped => None,
        Phase::Failed | Phase::Lost | Phase::Rejected => Some(match &status.exit {
            Some(exit) => ended(exit),
            None if status.message.is_empty() => status.phase().to_string(),
            None => status.message.clone(),
        }),
    }
}

fn ended(exit: &Exit) -> String {
    let what = match exit.reason {
        ExitReason::Exited => match (exit.code, exit.signal) {
            (_, Some(signal)) => format!("killed by signal {signal}"),
            (Some(code), None) => format!("exited with code {code}"),
            (None, None) => "exited".into(),
        },
        ExitReason::Asked => "stopped as asked".into(),
        ExitReason::OutOfMemory => "out of memory".into(),
        ExitReason::Image => "image cannot be had".into(),
        ExitReason::Command => "command cannot be started".into(),
        ExitReason::Port => "port is taken on its node".into(),
        ExitReason::Setup => "cannot be set up on its node".into(),
        ExitReason::Runtime => "runtime failed".into(),
        ExitReason::Unhealthy => "its checks failed".into(),
        ExitReason::Gone => "its container vanished".into(),
        ExitReason::NodeLost => "its node is lost".into(),
        ExitReason::HeldTooLong => "held too long".into(),
        ExitReason::Preempted => "stopped for another task".into(),
    };
    // A runtime that says it in the same words, and perhaps more, says all there is.
    if exit.message.starts_with(&what) {
        return exit.message.clone();
    }
    format!("{what}{}", said(&exit.message))
}

fn said(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(": {message}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_not_said_twice() {
        let exit = |message: &str| Exit {
            reason: ExitReason::OutOfMemory,
            code: Some(137),
            signal: None,
            message: message.to_owned(),
        };
        let whole = "out of memory: it went beyond its limit of 32 MiB";
        assert_eq!(ended(&exit(whole)), whole);
        assert_eq!(
            ended(&exit("the kernel said so")),
            "out of memory: the kernel said so"
        );
        assert_eq!(ended(&exit("")), "out of memory");
    }
}
