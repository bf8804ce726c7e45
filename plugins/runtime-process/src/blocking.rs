//! The bridge to calls that block for milliseconds (files, cgroups, a shim's socket).

use plenum_contract::runtime::RuntimeError;
use plenum_contract::streams::StreamError;

/// Its name in specs and errors.
pub(crate) const NAME: &str = "process";

/// Runs `work` where it may block. Cancelled, it runs to its end unseen; every verb may be repeated.
pub(crate) async fn blocking<T, E, F>(op: &'static str, work: F) -> Result<T, E>
where
    T: Send + 'static,
    E: From<Interrupted> + Send + 'static,
    F: FnOnce() -> Result<T, E> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(E::from(Interrupted {
            op,
            why: error.to_string(),
        })),
    }
}

/// The work did not come to its end.
#[derive(Debug)]
pub(crate) struct Interrupted {
    op: &'static str,
    why: String,
}

/// An error of this crate before it is known to which contract it goes.
#[derive(Debug)]
pub(crate) struct RunError(pub(crate) RuntimeError);

/// As [`RunError`], for streams.
#[derive(Debug)]
pub(crate) struct FlowError(pub(crate) StreamError);

impl From<Interrupted> for RunError {
    fn from(interrupted: Interrupted) -> Self {
        Self(failed(interrupted.op, &interrupted.why))
    }
}

impl From<RuntimeError> for RunError {
    fn from(error: RuntimeError) -> Self {
        Self(error)
    }
}

impl From<Interrupted> for FlowError {
    fn from(interrupted: Interrupted) -> Self {
        Self(StreamError::Failed {
            why: format!("cannot {}: {}", interrupted.op, interrupted.why),
        })
    }
}

impl From<StreamError> for FlowError {
    fn from(error: StreamError) -> Self {
        Self(error)
    }
}

/// The machine failed; trying again may help.
pub(crate) fn failed(op: &'static str, why: &(impl ToString + ?Sized)) -> RuntimeError {
    RuntimeError::Failed {
        runtime: NAME,
        op,
        why: why.to_string(),
    }
}

/// An error and all that caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
