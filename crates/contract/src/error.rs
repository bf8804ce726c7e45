//! What every error that crosses a contract must say: whether asking again can help.

/// What the caller of a contract should do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Nothing was decided; the same call may succeed later.
    Retry,
    /// Another fact stands in the way; read again, decide again, then call.
    Conflict,
    /// The same call will never succeed.
    Fatal,
}

/// Implemented by every error of this crate; there is no default on purpose.
pub trait Classified {
    /// The class of this error.
    fn class(&self) -> Class;
}
