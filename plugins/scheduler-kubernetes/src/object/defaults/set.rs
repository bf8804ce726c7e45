//! The few steps that all defaults are made of.

use serde_json::Value;

/// Puts a value where none is.
pub(super) fn put(object: &mut Value, name: &str, value: Value) {
    if let Value::Object(fields) = object {
        let place = fields.entry(name).or_insert(Value::Null);
        if place.is_null() {
            *place = value;
        }
    }
}

/// Puts several values where none are.
pub(super) fn put_all<const N: usize>(object: &mut Value, values: [(&str, Value); N]) {
    for (name, value) in values {
        put(object, name, value);
    }
}

/// Does it to the object in this field, if there is one.
pub(super) fn within(object: &mut Value, name: &str, change: impl FnOnce(&mut Value)) {
    if let Some(inner @ Value::Object(_)) = object.get_mut(name) {
        change(inner);
    }
}

/// Does it to each item of the list in this field.
pub(super) fn each(object: &mut Value, name: &str, change: impl FnMut(&mut Value)) {
    if let Some(Value::Array(items)) = object.get_mut(name) {
        items.iter_mut().for_each(change);
    }
}
