//! Errors across the wire: a status code that every gRPC client understands, and the contract's own error message
//! in the metadata `plenum-error-bin`, so that class and fields arrive as they left.

use crate::malformed::Malformed;
use bytes::Bytes;
use prost::Message;
use std::error::Error as _;
use std::fmt::Display;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};

/// Where the error message stands.
const KEY: &str = "plenum-error-bin";

/// A longer error message is left out and only its code and the start of its text arrive: HTTP/2 peers take 16 KiB
/// of headers by default, and base64 makes 4/3 of it.
const LONGEST: usize = 6_000;

/// The start of a text that goes into the status as it is; percent encoding makes up to 3 times as much of it.
const TEXT: usize = 1_000;

/// An error of a contract that can cross the wire.
pub(crate) trait WireError: Display + Sized {
    /// Its message.
    type Message: Message + Default;

    /// The status code for clients that do not know the message.
    fn code(&self) -> Code;

    /// As a message.
    fn message(&self) -> Self::Message;

    /// From a message.
    fn read(message: Self::Message) -> Result<Self, Malformed>;

    /// What stands for a peer that cannot be reached or does not make sense; may be repeated.
    fn unavailable(why: String) -> Self;

    /// What stands for a request that makes no sense; never repeated.
    fn refused(field: &str, why: String) -> Self;
}

/// As a status.
pub(crate) fn status<E: WireError>(error: &E) -> Status {
    let mut text = error.to_string();
    text.truncate(text.floor_char_boundary(TEXT));
    let message = error.message().encode_to_vec();
    let mut metadata = MetadataMap::new();
    if message.len() <= LONGEST {
        metadata.insert_bin(KEY, MetadataValue::from_bytes(&message));
    }
    Status::with_metadata(error.code(), text, metadata)
}

/// A request that does not decode.
pub(crate) fn malformed<E: WireError>(bad: &Malformed) -> Status {
    status(&E::refused(bad.field, bad.fault.to_string()))
}

/// A request without a first message, or with a wrong one.
pub(crate) fn protocol<E: WireError>(what: &str) -> Status {
    status(&E::refused("stream", what.to_owned()))
}

/// What a status says.
pub(crate) fn read<E: WireError>(status: &Status) -> E {
    let message = status
        .metadata()
        .get_bin(KEY)
        .and_then(|value| value.to_bytes().ok());
    let message = message.and_then(|bytes: Bytes| E::Message::decode(bytes).ok());
    message
        .and_then(|m| E::read(m).ok())
        .unwrap_or_else(|| by_code(status))
}

fn by_code<E: WireError>(status: &Status) -> E {
    let mut why = status.message().to_owned();
    let mut cause = status.source();
    while let Some(source) = cause {
        cause = source.source();
        if cause.is_none() {
            why = format!("{why}: {source}");
        }
    }
    match status.code() {
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Unauthenticated
        | Code::DataLoss => E::refused("request", why),
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable => E::unavailable(why),
    }
}

/// An answer that does not decode: the peer is newer or broken, and what became of the call is unknown.
pub(crate) fn unreadable<E: WireError>(bad: &Malformed) -> E {
    E::unavailable(format!("the answer does not read: {bad}"))
}
