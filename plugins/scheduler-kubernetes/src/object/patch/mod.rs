//! Changes of an object that are given as a patch: JSON patch, merge patch, strategic merge patch.

mod directive;
mod document;
mod list;
mod order;
mod strategic;
mod touched;

use json_patch::Patch;
use serde_json::Value;

use super::decode::{self, Decoded, FieldValidation};
use super::field_error::FieldError;
use super::problem::{Details, Problem, Reason};
use super::schema::Kind;

/// The forms of patch, without server-side apply, which is in `apply`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchType {
    Json,
    Merge,
    Strategic,
}

/// A JSON patch may have no more steps.
const MOST_STEPS: usize = 10_000;

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
    // `said` is what a refusal shows, if not the outcome.
    let (patched, said, mut complaints) = match patch_type {
        PatchType::Json => (json(current, patch)?, None, Vec::new()),
        PatchType::Merge => return merged(current, patch, kind, mode),
        PatchType::Strategic => {
            let (patch, complaints) = document::read(patch)?;
            let Value::Object(changes) = &patch else {
                return Err(Problem::bad_request("invalid JSON document"));
            };
            (
                strategic::merge(current, changes, kind.root())?,
                Some(patch),
                complaints,
            )
        }
    };
    let refuse = |why: String| {
        let shown = said
            .as_ref()
            .map_or_else(|| patched.to_string(), document::go_map);
        refused(&shown, why)
    };
    let (object, unknown) = decode::value(&patched, kind).map_err(|why| refuse(why.to_string()))?;
    complaints.extend(unknown);
    let warnings = told(complaints, mode).map_err(refuse)?;
    Ok(Decoded { object, warnings })
}

/// A merge patch: only what it touches is understood anew.
fn merged(current: &Value, patch: &[u8], kind: &Kind, mode: FieldValidation) -> Result<Decoded, Problem> {
    let (patch, mut complaints) = document::read(patch)?;
    let refuse = |why: String| {
        let mut patched = current.clone();
        json_patch::merge(&mut patched, &patch);
        refused(&patched.to_string(), why)
    };
    let mut part = touched::part(current, &patch);
    json_patch::merge(&mut part, &patch);
    let (mut object, unknown) = decode::value(&part, kind).map_err(|why| refuse(why.to_string()))?;
    touched::complete(&mut object, current, &patch);
    complaints.extend(unknown);
    let warnings = told(complaints, mode).map_err(refuse)?;
    Ok(Decoded { object, warnings })
}

fn refused(shown: &str, why: String) -> Problem {
    Problem::invalid("", "", "", &[FieldError::invalid("patch", shown, why)])
}

/// What the answer warns of; why there is none.
fn told(complaints: Vec<String>, mode: FieldValidation) -> Result<Vec<String>, String> {
    match mode {
        FieldValidation::Strict if !complaints.is_empty() => Err(decode::strict(&complaints).to_string()),
        FieldValidation::Warn => Ok(complaints),
        FieldValidation::Strict | FieldValidation::Ignore => Ok(Vec::new()),
    }
}

fn json(current: &Value, patch: &[u8]) -> Result<Value, Problem> {
    let patch: Patch = serde_json::from_slice(patch)
        .map_err(|error| Problem::bad_request(format!("error decoding patch: {error}")))?;
    if patch.0.len() > MOST_STEPS {
        let text = format!(
            "The allowed maximum operations in a JSON patch is {MOST_STEPS}, got {}",
            patch.0.len()
        );
        return Err(Problem::new(Reason::RequestEntityTooLarge, text));
    }
    let mut patched = current.clone();
    json_patch::patch(&mut patched, &patch.0).map_err(|_| unfit())?;
    Ok(patched)
}

/// A patch that does not fit the object.
fn unfit() -> Problem {
    let text = "the server rejected our request due to an error in our request";
    Problem::new(Reason::Invalid, text).with(Details::default())
}

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod tests;
