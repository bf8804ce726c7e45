//! Where in an object a check is, and the small checks that all are made of.

use std::fmt;

use serde_json::Value;

use crate::object::field_error::FieldError;
use crate::object::names::Checked;

/// A path such as `spec.containers[0].name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct At(String);

impl At {
    /// A field of the object itself.
    pub(super) fn root(name: &str) -> Self {
        Self(name.to_owned())
    }

    pub(super) fn child(&self, name: &str) -> Self {
        Self(format!("{}.{name}", self.0))
    }

    pub(super) fn index(&self, at: usize) -> Self {
        Self(format!("{}[{at}]", self.0))
    }

    pub(super) fn key(&self, key: &str) -> Self {
        Self(format!("{}[{key}]", self.0))
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<At> for String {
    fn from(at: At) -> Self {
        at.0
    }
}

impl From<&At> for String {
    fn from(at: &At) -> Self {
        at.0.clone()
    }
}

/// What was found.
pub(super) type Errors = Vec<FieldError>;

/// The text in a field; empty if there is none.
pub(super) fn text<'v>(object: &'v Value, name: &str) -> &'v str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The items of a list; none if there is none.
pub(super) fn items<'v>(object: &'v Value, name: &str) -> &'v [Value] {
    object
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The entries of a map of texts.
pub(super) fn entries<'v>(object: &'v Value, name: &str) -> impl Iterator<Item = (&'v str, &'v str)> {
    let map = object.get(name).and_then(Value::as_object);
    map.into_iter()
        .flatten()
        .map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()))
}

/// The object in a field, if there is one.
pub(super) fn part<'v>(object: &'v Value, name: &str) -> Option<&'v Value> {
    object.get(name).filter(|value| value.is_object())
}

/// Each text that a check of form gives is an error of its own.
pub(super) fn formed(checked: Checked, value: &str, at: &At, errors: &mut Errors) {
    for why in checked.err().unwrap_or_default() {
        errors.push(FieldError::invalid(at, value, why));
    }
}

/// A text that must be there.
pub(super) fn required(object: &Value, name: &str, at: &At, errors: &mut Errors) {
    if text(object, name).is_empty() {
        errors.push(FieldError::required(at.child(name), ""));
    }
}

/// A number that may not be below zero.
pub(super) fn not_negative(object: &Value, name: &str, at: &At, errors: &mut Errors) {
    if let Some(value) = object
        .get(name)
        .and_then(Value::as_i64)
        .filter(|value| *value < 0)
    {
        errors.push(FieldError::invalid(
            at.child(name),
            value,
            "must be greater than or equal to 0",
        ));
    }
}

/// A text that, if there is one, is one of these.
pub(super) fn one_of(object: &Value, name: &str, known: &[&str], at: &At, errors: &mut Errors) {
    if let Some(value) = object.get(name).and_then(Value::as_str)
        && !known.contains(&value)
    {
        errors.push(FieldError::not_supported(at.child(name), value, known));
    }
}

/// A number of a port.
pub(super) fn port_number(port: i64, at: &At, errors: &mut Errors) {
    if !(1..=65_535).contains(&port) {
        errors.push(FieldError::invalid(
            at,
            port,
            "must be between 1 and 65535, inclusive",
        ));
    }
}

/// A value that may not change; absent and empty are the same.
pub(super) fn immutable(old: &Value, new: &Value, at: &At, errors: &mut Errors) {
    let empty = |value: &Value| value.is_null() || *value == "";
    if old != new && !(empty(old) && empty(new)) {
        errors.push(FieldError::invalid(at, new.clone(), IMMUTABLE));
    }
}

/// What is said of a field that may not change.
pub(super) const IMMUTABLE: &str = "field is immutable";
