//! How a command says that it failed: one shape, with a stable code and what to try, and an exit code by kind.

use crate::output::Format;
use plenum_client::ClientError;
use plenum_client::v1::error::ErrorBody;
use plenum_model::code::{self, Code};
use serde::Serialize;
use std::fmt;
use std::process::ExitCode;

/// What the process says to whoever started it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    Conflict = 4,
    NotAllowed = 5,
    StillGoing = 6,
    NotPlaced = 7,
    Partial = 8,
}

/// A command that failed, as a user reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) body: ErrorBody,
    pub(crate) exit: Exit,
}

/// What a command gives back: an exit code, or why it failed.
pub(crate) type Done = Result<ExitCode, Failure>;

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            body: ErrorBody::new(code, message),
            exit: exit(&code.to_string()),
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(code::USAGE, message)
    }

    pub(crate) fn exit(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    pub(crate) fn at(self, field: impl Into<String>) -> Self {
        Self {
            body: self.body.at(field),
            ..self
        }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            body: self.body.hint(hint),
            ..self
        }
    }

    /// Prints it to standard error, in the shape that was asked for.
    pub(crate) fn print(&self, format: Format) {
        match format {
            Format::Json | Format::Yaml => {
                let shown = Shown { error: &self.body };
                let text =
                    serde_json::to_string(&shown).expect("plain data with text keys always serialises");
                eprintln!("{text}");
            }
            Format::Table | Format::Wide | Format::Name => eprintln!("{self}"),
        }
    }

    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(self.exit as u8)
    }
}

/// The outcomes of the same change of several things: one that fails keeps no other from being tried.
#[derive(Default)]
pub(crate) struct Several {
    done: usize,
    failures: Vec<Failure>,
}

impl Several {
    /// Notes one outcome.
    pub(crate) fn note(&mut self, outcome: Result<(), Failure>) {
        match outcome {
            Ok(()) => self.done += 1,
            Err(failure) => self.failures.push(failure),
        }
    }

    /// All went well; or the last failure, once the others are printed.
    pub(crate) fn end(mut self, format: Format) -> Done {
        let Some(last) = self.failures.pop() else {
            return Ok(ExitCode::SUCCESS);
        };
        self.failures.iter().for_each(|f| f.print(format));
        Err(if self.done > 0 {
            last.exit(Exit::Partial)
        } else {
            last
        })
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    error: &'a ErrorBody,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.body.code, self.body.message)?;
        if let Some(field) = &self.body.field {
            write!(f, "\n  where   {field}")?;
        }
        for (i, line) in self.body.hint.iter().flat_map(|h| h.lines()).enumerate() {
            write!(f, "\n  {}   {line}", if i == 0 { "try  " } else { "     " })?;
        }
        Ok(())
    }
}

/// The exit code that goes with a code.
fn exit(code: &str) -> Exit {
    match code::find(code) {
        Some(code::USAGE) => Exit::Usage,
        Some(code::NOT_FOUND) => Exit::NotFound,
        Some(code::AMBIGUOUS | code::CONFLICT | code::FENCED) => Exit::Conflict,
        Some(code::FORBIDDEN) => Exit::NotAllowed,
        Some(code::NO_ROOM | code::LIMIT) => Exit::NotPlaced,
        Some(_) | None => Exit::Failed,
    }
}

impl From<ClientError> for Failure {
    fn from(e: ClientError) -> Self {
        let body = e.body();
        Self {
            exit: exit(&body.code),
            body,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_one_shape() {
        let failure = Failure::new(code::NOT_FOUND, "there is no task `x`")
            .at("task")
            .hint("plenum task list\nplenum ps");
        assert_eq!(
            failure.to_string(),
            "error[PLN-2003]: there is no task `x`\n  where   task\n  try     plenum task list\n          plenum ps"
        );
        assert_eq!(failure.exit, Exit::NotFound);
    }

    #[test]
    fn a_server_that_does_not_answer_is_named_with_what_to_do() {
        let failure = Failure::from(ClientError::Unreachable {
            address: "http://127.0.0.1:7717".into(),
            why: "connection refused".into(),
        });
        let text = failure.to_string();
        assert!(
            text.starts_with("error[PLN-1002]: cannot reach http://127.0.0.1:7717: connection refused\n"),
            "{text}"
        );
        assert!(text.contains("plenum up"), "{text}");
        assert_eq!(failure.exit, Exit::Failed);
    }
}
