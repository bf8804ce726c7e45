//! What comes of reading a document along the schema.

use serde_json::Value;

/// Why a value is no object of its kind: the real server's words, without whom they are about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Mismatch(pub(crate) String);

/// An object, and what is to be said about its unknown and duplicate fields, in the order of the document.
pub(crate) type Typed = Result<(Value, Vec<String>), Mismatch>;

/// The complaints as one.
pub(crate) fn strict(complaints: &[String]) -> Mismatch {
    Mismatch(format!("strict decoding error: {}", complaints.join(", ")))
}
