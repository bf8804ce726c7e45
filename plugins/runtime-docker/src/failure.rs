//! What the daemon's refusals mean. Its texts are the only place where it says why; those looked for here are
//! the same from 18.09 to 28.

use crate::NAME;
use bollard::errors::Error;
use plenum_contract::runtime::RuntimeError;
use plenum_model::task::ExitReason;

/// The HTTP status of an answer, if there was one.
pub(crate) fn status(e: &Error) -> Option<u16> {
    match e {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// What the daemon said, without the client's own words round it.
pub(crate) fn text(e: &Error) -> String {
    match e {
        Error::DockerResponseServerError { message, .. } => message.clone(),
        other => other.to_string(),
    }
}

/// Trying again may help.
pub(crate) fn failed(op: &'static str, e: &Error) -> RuntimeError {
    RuntimeError::Failed {
        runtime: NAME,
        op,
        why: text(e),
    }
}

/// The container can never be as asked.
pub(crate) fn refused(reason: ExitReason, why: impl Into<String>) -> RuntimeError {
    RuntimeError::Refused {
        reason,
        why: why.into(),
    }
}

/// A container that could not be created.
pub(crate) fn of_create(e: &Error) -> RuntimeError {
    match status(e) {
        Some(404) => refused(ExitReason::Image, text(e)),
        Some(400) => refused(ExitReason::Setup, text(e)),
        _ => failed("create", e),
    }
}

/// A container that could not be started.
pub(crate) fn of_start(e: &Error) -> RuntimeError {
    let Some(status) = status(e) else {
        return failed("start", e);
    };
    let why = text(e);
    match reason_of_start(&why) {
        Some(reason) => refused(reason, why),
        None if status < 500 => refused(ExitReason::Setup, why),
        None => failed("start", e),
    }
}

fn reason_of_start(why: &str) -> Option<ExitReason> {
    let has = |parts: &[&str]| parts.iter().any(|p| why.contains(p));
    if has(&["port is already allocated", "address already in use"]) {
        return Some(ExitReason::Port);
    }
    if has(&["exec: ", "executable file not found"]) {
        return Some(ExitReason::Command);
    }
    has(&[
        "unable to find user",
        "error mounting",
        "invalid mount",
        "not a directory",
    ])
    .then_some(ExitReason::Setup)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemons_texts_give_the_cause() {
        let table = [
            (
                "driver failed programming external connectivity: Bind for 127.0.0.1:80 failed: port is already allocated",
                Some(ExitReason::Port),
            ),
            (
                "OCI runtime create failed: exec: \"/x\": stat /x: no such file or directory: unknown",
                Some(ExitReason::Command),
            ),
            (
                "linux spec user: unable to find user bad: no matching entries in passwd file",
                Some(ExitReason::Setup),
            ),
            ("containerd is gone", None),
        ];
        for (why, reason) in table {
            assert_eq!(reason_of_start(why), reason, "{why}");
        }
    }
}
