//! What the end of a container means. Pure; what the kernel and the log say is gathered by the caller.

use crate::signals;
use plenum_contract::runtime::RuntimeError;
use plenum_model::task::{Exit, ExitReason};
use plenum_shim::state::{Outcome, Stage, StartFailure};

/// As shells have it: the command of a script is not there.
const NOT_FOUND: i32 = 127;
/// As shells have it: ended by the signal that is added.
const SIGNALLED: i32 = 128;

/// What is known beside the outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// Processes of the container that the kernel killed for want of memory.
    pub(crate) oom_kills: u64,
    /// Its memory limit in bytes.
    pub(crate) memory_limit: Option<u64>,
    /// The last line it wrote to standard error.
    pub(crate) last_words: Option<String>,
}

/// The end as the agent reports it.
pub(crate) fn explain(outcome: &Outcome, evidence: &Evidence) -> Exit {
    let (code, signal) = match outcome {
        Outcome::Code { code } => (Some(*code), None),
        Outcome::Signal { signal, .. } => (None, Some(*signal)),
        Outcome::NotStarted { .. } | Outcome::Cancelled => (None, None),
    };
    let (reason, message) = match outcome {
        Outcome::Code { code: 0 } => (ExitReason::Exited, "exited with code 0".to_owned()),
        Outcome::Code { .. } | Outcome::Signal { .. } if evidence.oom_kills > 0 => {
            (ExitReason::OutOfMemory, out_of_memory(evidence.memory_limit))
        }
        Outcome::Code { code: NOT_FOUND } => match evidence.last_words.as_deref().and_then(missing_command) {
            Some(command) => (ExitReason::Command, format!("command not found: {command}")),
            None => (ExitReason::Exited, format!("exited with code {NOT_FOUND}")),
        },
        Outcome::Code { code } => (ExitReason::Exited, format!("exited with code {code}")),
        Outcome::Signal { signal, core } => {
            let core = if *core { ", core dumped" } else { "" };
            (
                ExitReason::Exited,
                format!("killed by {}{core}", signals::name(*signal)),
            )
        }
        Outcome::NotStarted { failure } => (reason(failure.stage), failure.message.clone()),
        Outcome::Cancelled => (ExitReason::Asked, "cancelled before it was started".to_owned()),
    };
    Exit {
        code,
        signal,
        reason,
        message,
    }
}

/// A container that cannot be started as asked.
pub(crate) fn refusal(failure: StartFailure) -> RuntimeError {
    RuntimeError::Refused {
        reason: reason(failure.stage),
        why: failure.message,
    }
}

/// A container of which nothing is left but its directory.
pub(crate) fn vanished(rebooted: bool) -> Exit {
    let message = if rebooted {
        "the machine was restarted while it ran"
    } else {
        "its parent process was killed; the exit code is not known"
    };
    Exit {
        code: None,
        signal: None,
        reason: ExitReason::Gone,
        message: message.to_owned(),
    }
}

/// One number for an end, as shells have it.
pub(crate) fn shell_code(outcome: &Outcome) -> i32 {
    match outcome {
        Outcome::Code { code } => *code,
        Outcome::Signal { signal, .. } => SIGNALLED + signal,
        Outcome::NotStarted { .. } => NOT_FOUND,
        Outcome::Cancelled => SIGNALLED + 9,
    }
}

fn reason(stage: Stage) -> ExitReason {
    match stage {
        Stage::Exec => ExitReason::Command,
        Stage::Mount | Stage::Limit | Stage::User | Stage::Directory => ExitReason::Setup,
        Stage::Prepare | Stage::Stdio | Stage::Namespace | Stage::Cgroup => ExitReason::Runtime,
    }
}

fn out_of_memory(limit: Option<u64>) -> String {
    match limit {
        Some(limit) => format!("out of memory: it went beyond its limit of {}", size(limit)),
        None => "out of memory: the kernel killed a process of it".to_owned(),
    }
}

fn size(bytes: u64) -> String {
    if bytes.is_multiple_of(1 << 20) {
        format!("{} MiB", bytes >> 20)
    } else {
        format!("{bytes} bytes")
    }
}

/// The name in a shell's complaint: `sh: 1: foo: not found`, `bash: line 1: foo: command not found`.
fn missing_command(complaint: &str) -> Option<&str> {
    let rest = complaint
        .trim_end()
        .strip_suffix(": not found")
        .or_else(|| complaint.trim_end().strip_suffix(": command not found"))?;
    rest.rsplit(": ")
        .next()
        .filter(|name| !name.is_empty() && *name != rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(outcome: Outcome, evidence: Evidence) -> (ExitReason, String) {
        let exit = explain(&outcome, &evidence);
        (exit.reason, exit.message)
    }

    fn said(text: &str) -> Evidence {
        Evidence {
            last_words: Some(text.to_owned()),
            ..Evidence::default()
        }
    }

    #[test]
    fn a_missing_command_is_named_whoever_looked_for_it() {
        let expected = (ExitReason::Command, "command not found: foo".to_owned());
        let code = Outcome::Code { code: 127 };
        assert_eq!(of(code.clone(), said("sh: 1: foo: not found\n")), expected);
        assert_eq!(
            of(code.clone(), said("bash: line 1: foo: command not found")),
            expected
        );
        assert_eq!(of(code.clone(), said("file not found")).0, ExitReason::Exited);
        assert_eq!(of(code, Evidence::default()).1, "exited with code 127");
        let failure = StartFailure {
            stage: Stage::Exec,
            errno: Some(2),
            message: "command not found: foo".into(),
        };
        assert_eq!(of(Outcome::NotStarted { failure }, Evidence::default()), expected);
    }

    #[test]
    fn out_of_memory_counts_only_if_it_failed() {
        let killed = Evidence {
            oom_kills: 1,
            memory_limit: Some(64 << 20),
            last_words: None,
        };
        let (reason, message) = of(
            Outcome::Signal {
                signal: 9,
                core: false,
            },
            killed.clone(),
        );
        assert_eq!(reason, ExitReason::OutOfMemory);
        assert_eq!(message, "out of memory: it went beyond its limit of 64 MiB");
        assert_eq!(
            of(Outcome::Code { code: 137 }, killed.clone()).0,
            ExitReason::OutOfMemory
        );
        assert_eq!(of(Outcome::Code { code: 0 }, killed).0, ExitReason::Exited);
        let alone = of(
            Outcome::Signal {
                signal: 9,
                core: false,
            },
            Evidence::default(),
        );
        assert_eq!(alone, (ExitReason::Exited, "killed by SIGKILL".to_owned()));
    }
}
