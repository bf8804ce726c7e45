//! How a part of Plenum says that it cannot go on: one shape, with a stable code, the chain of causes and what
//! to try.

use crate::config::ConfigError;
use crate::listen::ListenError;
use plenum_contract::ledger_log::LogError;
use plenum_contract::scheduler::SchedulerError;
use plenum_model::code::{self, Code};
use std::error::Error;
use std::fmt;

/// Why a command failed, as a user reads it.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// From an error with all its causes.
    pub(crate) fn new(code: Code, error: &dyn Error) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        Self {
            code,
            message,
            hint: None,
        }
    }

    /// From words.
    pub(crate) fn say(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
        }
    }

    /// Adds what to try.
    #[must_use]
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.code, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  try     {hint}"),
            None => Ok(()),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(e: ConfigError) -> Self {
        Self::new(code::CONFIG, &e).hint("plenum config show      (every key, with its value)")
    }
}

impl From<ListenError> for Failure {
    fn from(e: ListenError) -> Self {
        match &e {
            ListenError::Taken { .. } => Self::new(code::PORT_TAKEN, &e)
                .hint("plenum up --free-ports      (or stop the other process, or set another port)"),
            ListenError::Address { .. } | ListenError::NotLoopback { .. } | ListenError::Io { .. } => {
                Self::new(code::CONFIG, &e)
            }
        }
    }
}

impl From<LogError> for Failure {
    fn from(e: LogError) -> Self {
        let code = match &e {
            LogError::Locked { .. } => code::DATA_LOCKED,
            LogError::Full { .. } => code::DISK_FULL,
            LogError::Damaged { .. } | LogError::Schema { .. } => code::DAMAGED,
            LogError::Fenced { .. } => code::FENCED,
            LogError::Io { .. } => code::INTERNAL,
        };
        let failure = Self::new(code, &e);
        match e {
            LogError::Locked { .. } => {
                failure.hint("plenum down      (stops it), or --data DIR for another pool")
            }
            LogError::Damaged { .. } => {
                failure.hint("plenum store check      (looks at all of it, changes nothing)")
            }
            LogError::Full { .. }
            | LogError::Schema { .. }
            | LogError::Fenced { .. }
            | LogError::Io { .. } => failure,
        }
    }
}

impl From<SchedulerError> for Failure {
    fn from(e: SchedulerError) -> Self {
        match &e {
            SchedulerError::Config { .. } => Self::new(code::CONFIG, &e),
            SchedulerError::Listen { address, source, .. }
                if source.kind() == std::io::ErrorKind::AddrInUse =>
            {
                let port = address
                    .rsplit(':')
                    .next()
                    .and_then(|p| p.parse().ok())
                    .unwrap_or(0);
                let holder = crate::listen::holder(port);
                Self::say(code::PORT_TAKEN, format!("{e}: in use by {holder}"))
                    .hint("plenum up --free-ports      (or stop the other process, or set another port)")
            }
            SchedulerError::Listen { .. } => Self::new(code::CONFIG, &e),
            SchedulerError::Start { .. } => Self::new(code::UNAVAILABLE, &e),
        }
    }
}

impl From<crate::endpoints::WriteError> for Failure {
    fn from(e: crate::endpoints::WriteError) -> Self {
        Self::new(code::INTERNAL, &e)
    }
}

impl From<plenum_agent::StartError> for Failure {
    fn from(e: plenum_agent::StartError) -> Self {
        match &e {
            plenum_agent::StartError::Locked { .. } => Self::new(code::DATA_LOCKED, &e)
                .hint("plenum down      (stops it), or --data DIR for another pool"),
            plenum_agent::StartError::DataDir { .. } => Self::new(code::CONFIG, &e),
            plenum_agent::StartError::Journal(_) => Self::new(code::DAMAGED, &e),
        }
    }
}

impl From<plenum_broker::StartError> for Failure {
    fn from(e: plenum_broker::StartError) -> Self {
        match e {
            plenum_broker::StartError::Log(e) => e.into(),
            plenum_broker::StartError::Restore(_) => Self::new(code::DAMAGED, &e),
            plenum_broker::StartError::Thread(_) => Self::new(code::INTERNAL, &e),
        }
    }
}
