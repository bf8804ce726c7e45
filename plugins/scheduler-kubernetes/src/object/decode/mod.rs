//! Reads request bodies: JSON, YAML and protobuf become one kind of object, in the form that the real server would
//! keep: amounts and times in their canonical form, what is empty left out, what is always there put in.

mod identity;
mod outcome;
mod protobuf;
mod scalar;
mod settle;
#[cfg(test)]
mod tests;
mod text;
mod typed;

use serde::de::DeserializeSeed;
use serde_json::Value;

use super::problem::{Problem, Reason};
use super::schema::Kind;
use identity::Identity;
use outcome::Mismatch;
use typed::{Reading, Slot};

pub(crate) use outcome::{Typed, strict};
pub use settle::settle;

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

/// The media types of bodies.
const ACCEPTED: [&str; 3] = [
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
];

/// The object in a request's body: JSON, YAML or protobuf by its content type; none is JSON.
///
/// # Errors
/// 400 with the real server's text, 415 for another content type.
pub fn body(
    content_type: &str,
    bytes: &[u8],
    kind: &Kind,
    mode: FieldValidation,
) -> Result<Decoded, Problem> {
    let media = content_type.split(';').next().unwrap_or_default().trim();
    let (identity, typed) = match media {
        "" | "application/json" => {
            let identity = Identity::of_json(bytes).map_err(|why| unrecognized(kind, &why, bytes))?;
            identity.check(kind)?;
            (identity, json(bytes, kind))
        }
        "application/yaml" | "application/x-yaml" | "text/yaml" => {
            let identity = Identity::of_yaml(bytes).map_err(|why| unrecognized(kind, &why, bytes))?;
            identity.check(kind)?;
            (identity, yaml(bytes, kind))
        }
        "application/vnd.kubernetes.protobuf" => {
            let (identity, raw) = protobuf::envelope(bytes).map_err(|why| unrecognized(kind, &why, bytes))?;
            identity.check(kind)?;
            (
                identity,
                protobuf::message(raw, kind.root()).map(|object| (object, Vec::new())),
            )
        }
        _ => return Err(Problem::unsupported_media_type(&ACCEPTED)),
    };
    let (mut object, complaints) = typed.map_err(|why| cannot_be_handled(&identity, kind, &why))?;
    let warnings = match mode {
        FieldValidation::Strict if !complaints.is_empty() => {
            return Err(cannot_be_handled(&identity, kind, &strict(&complaints)));
        }
        FieldValidation::Warn => complaints,
        FieldValidation::Strict | FieldValidation::Ignore => Vec::new(),
    };
    settle(kind, &mut object);
    Ok(Decoded { object, warnings })
}

/// An object that is there as JSON already, understood as one of its kind; unknown fields are dropped and told.
pub(crate) fn value(object: &Value, kind: &Kind) -> Typed {
    let reading = Reading::default();
    let read = Slot::root(&reading, kind).deserialize(object);
    let (mut object, complaints) = reading.result(read.map_err(|error| error.to_string()))?;
    settle(kind, &mut object);
    Ok((object, complaints))
}

/// The configuration in a server-side apply's body, YAML or JSON: as it was written, only checked. Where it names no
/// namespace, `namespace` is what a refusal names.
///
/// # Errors
/// 400 for what is no object of this kind; the real server's 500 for a field that the kind does not have.
pub fn applied(bytes: &[u8], kind: &Kind, namespace: &str) -> Result<Value, Problem> {
    let object = text::plain_yaml(bytes)?;
    let identity = Identity::of(&object);
    identity.check(kind)?;
    let reading = Reading::plain();
    let read = Slot::root(&reading, kind).deserialize(&object);
    let mut written = object.clone();
    if written["metadata"].is_object() && written["metadata"]["namespace"].is_null() {
        written["metadata"]["namespace"] = Value::from(namespace);
    }
    let failed = |why: &str| untyped(&written, kind, why);
    let (object, complaints) = reading
        .result(read.map_err(|error| error.to_string()))
        .map_err(|why| failed(&why.0))?;
    let undeclared: Vec<_> = complaints
        .iter()
        .filter_map(|complaint| typed::undeclared(complaint))
        .collect();
    match undeclared.as_slice() {
        [] => Ok(object),
        [one] => Err(failed(one)),
        many => Err(failed(&format!("errors:\n  {}", many.join("\n  ")))),
    }
}

/// The real server's refusal of an applied configuration that does not fit the schema; it has no reason there either.
pub(crate) fn untyped(applied: &Value, kind: &Kind, why: &str) -> Problem {
    let name = applied["metadata"]["name"].as_str().unwrap_or_default();
    let namespace = applied["metadata"]["namespace"].as_str().unwrap_or_default();
    // The core group is the empty one before the slash.
    let slash = if kind.group.is_empty() { "/" } else { "" };
    let text = format!(
        "failed to create typed patch object ({namespace}/{name}; {slash}{}, Kind={}): {why}",
        kind.api_version(),
        kind.kind
    );
    Problem::new(Reason::Unknown, text)
}

fn cannot_be_handled(identity: &Identity, kind: &Kind, why: &Mismatch) -> Problem {
    let said = if identity.kind.is_empty() {
        kind.kind
    } else {
        &identity.kind
    };
    let version = kind.version;
    Problem::bad_request(format!(
        "{said} in version {version:?} cannot be handled as a {}: {why}",
        kind.kind
    ))
}

fn unrecognized(kind: &Kind, why: &str, bytes: &[u8]) -> Problem {
    let text = format!(
        "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error: \
         {why} ({})",
        kind.kind,
        text::summary(bytes)
    );
    Problem::bad_request(text)
}

fn json(bytes: &[u8], kind: &Kind) -> Typed {
    let reading = Reading::default();
    let read = Slot::root(&reading, kind).deserialize(&mut serde_json::Deserializer::from_slice(bytes));
    reading.result(read.map_err(|error| error.to_string()))
}

fn yaml(bytes: &[u8], kind: &Kind) -> Typed {
    let reading = Reading::default();
    let read = Slot::root(&reading, kind).deserialize(serde_yaml_ng::Deserializer::from_slice(bytes));
    reading.result(read.map_err(|error| format!("yaml: {error}")))
}
