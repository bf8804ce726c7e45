//! Changes of an object that are given as a patch.

use serde_json::Value;

use super::decode::{Decoded, FieldValidation};
use super::problem::Problem;
use super::schema::Kind;

/// The forms of patch, without server-side apply, which is in `apply`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchType {
    Json,
    Merge,
    Strategic,
}

impl PatchType {
    /// By the content type, its parameters ignored.
    pub fn of(content_type: &str) -> Option<Self> {
        match content_type.split(';').next().unwrap_or_default().trim() {
            "application/json-patch+json" => Some(Self::Json),
            "application/merge-patch+json" => Some(Self::Merge),
            "application/strategic-merge-patch+json" => Some(Self::Strategic),
            _ => None,
        }
    }
}

/// The patched object, understood anew as one of its kind. Defaults are not filled in.
///
/// # Errors
/// 400 for a patch that is none, 422 for one that does not fit the object or leaves one that the kind does not
/// know.
pub fn apply(
    patch_type: PatchType,
    current: &Value,
    patch: &[u8],
    kind: &Kind,
    mode: FieldValidation,
) -> Result<Decoded, Problem> {
    let _ = (patch_type, current, patch, kind, mode);
    Err(Problem::internal("not yet"))
}
