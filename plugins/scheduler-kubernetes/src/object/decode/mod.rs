//! Reads request bodies.

use serde_json::Value;

use super::problem::Problem;
use super::schema::Kind;

/// What is done about fields that the kind does not have and about duplicate ones. No parameter means `Warn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FieldValidation {
    Ignore,
    #[default]
    Warn,
    Strict,
}

/// An object as it was understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The object, its `apiVersion` and `kind` set, without what the kind does not know.
    pub object: Value,
    /// What the answer's `Warning` headers say, one each.
    pub warnings: Vec<String>,
}

/// The object in a request's body: JSON, YAML or protobuf by its content type.
///
/// # Errors
/// 400 with the real server's text, 415 for another content type.
pub fn body(
    content_type: &str,
    bytes: &[u8],
    kind: &Kind,
    mode: FieldValidation,
) -> Result<Decoded, Problem> {
    let _ = (content_type, bytes, kind, mode);
    Err(Problem::internal("not yet"))
}

/// The configuration in a server-side apply's body, YAML or JSON: as it was written, only checked.
///
/// # Errors
/// 400 for what is no object of this kind; the real server's 500 for a field that the kind does not have.
pub fn applied(bytes: &[u8], kind: &Kind) -> Result<Value, Problem> {
    let _ = (bytes, kind);
    Err(Problem::internal("not yet"))
}
