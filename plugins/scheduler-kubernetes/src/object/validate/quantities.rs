//! Amounts of resources.

use serde_json::Value;

use super::place::{At, Errors, entries};
use crate::object::field_error::FieldError;
use crate::object::int_or_string;
use crate::object::names;
use crate::object::quantity::Quantity;

const NEGATIVE: &str = "must be greater than or equal to 0";

/// A number or a percentage, neither below zero.
pub(super) fn int_or_percent(value: &Value, at: &At, errors: &mut Errors) {
    match value {
        Value::String(text) if int_or_string::percent(text).is_none() => {
            let why = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or \
                       '93%', regex used for validation is '[0-9]+%')";
            errors.push(FieldError::invalid(at, text.as_str(), why));
        }
        Value::Number(number) if number.as_i64().is_some_and(|number| number < 0) => {
            errors.push(FieldError::invalid(at, value.clone(), NEGATIVE));
        }
        _ => {}
    }
}

/// The requests and limits of one container.
pub(super) fn requirements(resources: &Value, at: &At, errors: &mut Errors) {
    for (name, amount) in entries(resources, "limits") {
        let at = at.child("limits").key(name);
        resource(name, &at, errors);
        quantity(name, amount, &at, errors);
    }
    for (name, amount) in entries(resources, "requests") {
        let at_request = at.child("requests").key(name);
        resource(name, &at_request, errors);
        quantity(name, amount, &at_request, errors);
        let limit = resources["limits"][name].as_str();
        match (limit, overcommits(name)) {
            (None, false) => {
                let what = "Limit must be set for non overcommitable resources";
                errors.push(FieldError::required(at.child("limits"), what));
            }
            (None, true) => {}
            (Some(limit), overcommits) => {
                let (Ok(request), Ok(most)) = (Quantity::parse(amount), Quantity::parse(limit)) else {
                    continue;
                };
                let at = at.child("requests");
                if !overcommits && request != most {
                    let why = format!("must be equal to {name} limit of {limit}");
                    errors.push(FieldError::invalid(at, amount, why));
                } else if request > most {
                    let why = format!("must be less than or equal to {name} limit of {limit}");
                    errors.push(FieldError::invalid(at, amount, why));
                }
            }
        }
    }
}

fn is_standard(name: &str) -> bool {
    matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-")
}

/// Whether more may be promised than there is: of the native resources only, and not of huge pages.
fn overcommits(name: &str) -> bool {
    matches!(name, "cpu" | "memory" | "ephemeral-storage")
}

fn resource(name: &str, at: &At, errors: &mut Errors) {
    for why in names::key(name).err().unwrap_or_default() {
        errors.push(FieldError::invalid(at, name, why));
    }
    if !name.contains('/') {
        if !is_standard(name) {
            errors.push(FieldError::invalid(
                at,
                name,
                "must be a standard resource for containers",
            ));
        }
    } else if name.starts_with("requests.") {
        errors.push(FieldError::invalid(
            at,
            name,
            "doesn't follow extended resource name standard",
        ));
    }
}

fn quantity(name: &str, amount: &str, at: &At, errors: &mut Errors) {
    let Ok(parsed) = Quantity::parse(amount) else {
        return;
    };
    if parsed.is_negative() {
        errors.push(FieldError::invalid(at, amount, NEGATIVE));
    }
    if !is_standard(name) && !parsed.is_whole() {
        errors.push(FieldError::invalid(at, amount, "must be an integer"));
    }
}
