//! What an object must be like to be kept.

use serde_json::Value;

use super::schema::Kind;

pub use super::field_error::FieldError;

/// What is wrong with a new object (defaults filled in).
pub fn create(kind: &Kind, object: &Value) -> Vec<FieldError> {
    let _ = (kind, object);
    Vec::new()
}

/// What is wrong with this change of an object (defaults filled in).
pub fn update(kind: &Kind, old: &Value, new: &Value) -> Vec<FieldError> {
    let _ = (kind, old, new);
    Vec::new()
}
