//! Server-side apply and the managed fields of all writes.

use jiff::Timestamp;
use serde_json::Value;

use super::problem::Problem;
use super::schema::Kind;

/// Who writes, through what, when.
#[derive(Debug, Clone, Copy)]
pub struct Writer<'a> {
    pub manager: &'a str,
    /// `status`, `scale`, or empty for the object itself.
    pub subresource: &'a str,
    pub now: Timestamp,
}

/// The object after `applied` is applied to it, with its managed fields. The caller fills in defaults and keeps
/// the resource version if the result equals `current`.
///
/// # Errors
/// 409 with a cause for each field that another manager owns, unless forced; 400 if the configuration holds managed
/// fields itself.
pub fn apply(
    current: Option<&Value>,
    applied: &Value,
    by: Writer<'_>,
    force: bool,
    kind: &Kind,
) -> Result<Value, Problem> {
    let _ = (current, applied, by, force, kind);
    Err(Problem::internal("not yet"))
}

/// Brings the managed fields of `new` up to date after a create, update or patch (defaults filled in already).
/// Managed fields in `new` that differ from those of `old` are taken as the client's will.
pub fn track_update(old: Option<&Value>, new: &mut Value, by: Writer<'_>, kind: &Kind) {
    let _ = (old, new, by, kind);
}
