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
        Error::DockerStreamError { error } => error.clone(),
        other => with_causes(other),
    }
}

fn with_causes(e: &Error) -> String {
    let mut text = e.to_string();
    let mut next = std::error::Error::source(e);
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = cause.source();
    }
    text
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
    match (status(e), reason(&text(e))) {
        (Some(_), Some(reason)) => refused(reason, text(e)),
        (Some(404), None) => refused(ExitReason::Image, text(e)),
        (Some(400), None) => refused(ExitReason::Setup, text(e)),
        _ => failed("create", e),
    }
}

/// A container that could not be started.
pub(crate) fn of_start(e: &Error) -> RuntimeError {
    let Some(status) = status(e) else {
        return failed("start", e);
    };
    let why = text(e);
    match reason(&why) {
        Some(reason) => refused(reason, why),
        None if status < 500 && status != 409 => refused(ExitReason::Setup, why),
        None => failed("start", e),
    }
}

/// Why a container can never be as asked, by the daemon's words whatever status it gives them; none: it may
/// work later.
fn reason(why: &str) -> Option<ExitReason> {
    let has = |parts: &[&str]| parts.iter().any(|p| why.contains(p));
    if has(&["No such image", "invalid reference format"]) {
        Some(ExitReason::Image)
    } else if has(&["port is already allocated", "address already in use"]) {
        Some(ExitReason::Port)
    } else if has(&["No command specified", "executable file not found"]) || why.contains("exec: \"") {
        Some(ExitReason::Command)
    } else {
        has(SETUP).then_some(ExitReason::Setup)
    }
}

const SETUP: &[&str] = &[
    "OCI runtime create failed",
    "error while creating mount source path",
    "error mounting",
    "invalid mount",
    "unable to find user",
    "unable to find group",
    "no matching entries",
    "Cannot mkdir",
    "not a directory",
];

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_contract::error::{Class, Classified as _};

    /// Word for word from 20.10 and 28.
    #[test]
    fn the_daemons_texts_give_the_cause() {
        const OCI: &str = "failed to create shim task: OCI runtime create failed: runc create failed: unable to start \
             container process: ";
        let table = [
            (404, "No such image: nope:latest".to_owned(), Some(ExitReason::Image)),
            (400, format!("{OCI}exec: \"nope\": executable file not found in $PATH: unknown"), Some(ExitReason::Command)),
            (500, format!("{OCI}exec: \"/x\": stat /x: no such file or directory: unknown"), Some(ExitReason::Command)),
            (400, format!("{OCI}exec: \"/etc/passwd\": permission denied: unknown"), Some(ExitReason::Command)),
            (500, format!("{OCI}error during container init: error mounting \"/x\""), Some(ExitReason::Setup)),
            (400, "No command specified".to_owned(), Some(ExitReason::Command)),
            (500, "driver failed programming external connectivity on endpoint x: Bind for 127.0.0.1:80 failed: \
                   port is already allocated".to_owned(), Some(ExitReason::Port)),
            (500, "driver failed programming external connectivity on endpoint x: Error starting userland proxy: \
                   listen tcp4 127.0.0.1:80: bind: address already in use".to_owned(), Some(ExitReason::Port)),
            (500, "error while creating mount source path '/proc/x/y': mkdir /proc/x: no such file or directory".to_owned(),
                Some(ExitReason::Setup)),
            (400, "unable to find user nobodyx: no matching entries in passwd file".to_owned(), Some(ExitReason::Setup)),
            (400, "Minimum memory limit allowed is 6MB".to_owned(), Some(ExitReason::Setup)),
            (500, "context deadline exceeded".to_owned(), None),
            (503, "daemon is shutting down".to_owned(), None),
        ];
        for (status_code, message, reason) in table {
            let e = Error::DockerResponseServerError {
                status_code,
                message: message.clone(),
            };
            for error in [of_start(&e), of_create(&e)] {
                match (error, reason) {
                    (RuntimeError::Refused { reason, why }, Some(wanted)) => {
                        assert_eq!((reason, why), (wanted, message.clone()));
                    }
                    (e @ RuntimeError::Failed { .. }, None) => assert_eq!(e.class(), Class::Retry),
                    (other, _) => panic!("{message}: {other:?}"),
                }
            }
        }
    }
}
