//! Why a call failed.

use crate::v1::error::ErrorBody;
use plenum_model::code;

/// Why a call of the public API failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// The address makes no sense.
    #[error("`{given}` is not an address: {why}")]
    Address {
        /// What was given.
        given: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nothing answers at the address, or the connection broke.
    #[error("cannot reach {address}: {why}")]
    Unreachable {
        /// Where.
        address: String,
        /// What was observed.
        why: String,
    },
    /// The server refused.
    #[error("{body}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said.
        body: ErrorBody,
    },
    /// What answers does not speak this API.
    #[error("{address} does not answer as Plenum does: {why}")]
    Protocol {
        /// Where.
        address: String,
        /// What was unexpected.
        why: String,
    },
}

impl ClientError {
    /// The error in its one shape.
    #[must_use]
    pub fn body(&self) -> ErrorBody {
        match self {
            Self::Refused { body, .. } => body.clone(),
            Self::Unreachable { .. } => ErrorBody::new(code::UNREACHABLE, self.to_string())
                .hint("is `plenum up` running here? `plenum context list` shows the addresses known"),
            Self::Address { .. } => {
                ErrorBody::new(code::USAGE, self.to_string()).hint("an address is written http://HOST:PORT")
            }
            Self::Protocol { .. } => ErrorBody::new(code::UNREACHABLE, self.to_string())
                .hint("another program may listen there, or a Plenum of another version"),
        }
    }

    /// The HTTP status with which the server refused.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::Address { .. } | Self::Unreachable { .. } | Self::Protocol { .. } => None,
        }
    }
}
