//! Config maps and secrets.

use serde_json::{Map, Value, json};

use super::place::{At, Errors, IMMUTABLE, formed, text};
use crate::object::field_error::FieldError;
use crate::object::names;

/// All data of one object together is no longer.
const MOST_BYTES: usize = 1024 * 1024;

fn map<'v>(object: &'v Value, name: &str) -> Option<&'v Map<String, Value>> {
    object.get(name).and_then(Value::as_object)
}

/// How long the value is that this base64 text stands for.
fn decoded_length(value: &Value) -> usize {
    let text = value.as_str().unwrap_or_default();
    let padding = text.bytes().rev().take_while(|&byte| byte == b'=').count();
    (text.len() / 4 * 3).saturating_sub(padding)
}

pub(super) fn config_map(object: &Value, errors: &mut Errors) {
    let mut bytes = 0;
    for (key, value) in map(object, "data").into_iter().flatten() {
        let at = At::root("data").key(key);
        formed(names::data_key(key), key, &at, errors);
        if map(object, "binaryData").is_some_and(|binary| binary.contains_key(key)) {
            errors.push(FieldError::invalid(
                at,
                key.as_str(),
                "duplicate of key present in binaryData",
            ));
        }
        bytes += value.as_str().map_or(0, str::len);
    }
    for (key, value) in map(object, "binaryData").into_iter().flatten() {
        formed(
            names::data_key(key),
            key,
            &At::root("binaryData").key(key),
            errors,
        );
        bytes += decoded_length(value);
    }
    if bytes > MOST_BYTES {
        // The real server blames no field.
        errors.push(FieldError::too_long("[]", MOST_BYTES));
    }
}

pub(super) fn secret(object: &Value, errors: &mut Errors) {
    let data = At::root("data");
    let mut bytes = 0;
    for (key, value) in map(object, "data").into_iter().flatten() {
        formed(names::data_key(key), key, &data.key(key), errors);
        bytes += decoded_length(value);
    }
    if bytes > MOST_BYTES {
        errors.push(FieldError::too_long(&data, MOST_BYTES));
    }
    let has = |key: &str| map(object, "data").is_some_and(|data| data.contains_key(key));
    let mut require = |key: &str| {
        if !has(key) {
            errors.push(FieldError::required(data.key(key), ""));
        }
    };
    match text(object, "type") {
        "kubernetes.io/service-account-token" => {
            let annotation = "kubernetes.io/service-account.name";
            if text(&object["metadata"]["annotations"], annotation).is_empty() {
                let at = At::root("metadata").child("annotations").key(annotation);
                errors.push(FieldError::required(at, ""));
            }
        }
        "kubernetes.io/dockercfg" => require(".dockercfg"),
        "kubernetes.io/dockerconfigjson" => require(".dockerconfigjson"),
        "kubernetes.io/ssh-auth" => require("ssh-privatekey"),
        "kubernetes.io/tls" => {
            require("tls.crt");
            require("tls.key");
        }
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => {
            require("username");
            require("password");
        }
        _ => {}
    }
}

/// What is immutable stays as it is, that it is immutable too.
fn frozen(old: &Value, new: &Value, fields: &[&str], errors: &mut Errors) {
    const WHY: &str = "field is immutable when `immutable` is set";
    if old["immutable"] != true {
        return;
    }
    if new["immutable"] != true {
        errors.push(FieldError::forbidden("immutable", WHY));
    }
    let none = json!({});
    for name in fields {
        if old.get(name).unwrap_or(&none) != new.get(name).unwrap_or(&none) {
            errors.push(FieldError::forbidden(*name, WHY));
        }
    }
}

pub(super) fn config_map_update(old: &Value, new: &Value, errors: &mut Errors) {
    frozen(old, new, &["data", "binaryData"], errors);
}

pub(super) fn secret_update(old: &Value, new: &Value, errors: &mut Errors) {
    if old["type"] != new["type"] {
        errors.push(FieldError::invalid("type", new["type"].clone(), IMMUTABLE));
    }
    frozen(old, new, &["data"], errors);
}
