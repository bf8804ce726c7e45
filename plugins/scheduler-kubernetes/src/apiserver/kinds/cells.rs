//! Cells that tables of several kinds have in common.

use crate::apiserver::cell::Cell;
use serde_json::Value;

const NONE: &str = "<none>";

/// The text at a path such as `/spec/nodeName`; empty if there is none.
#[must_use]
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The same; `<none>` if there is none.
#[must_use]
pub fn text_or_none(object: &Value, pointer: &str) -> Cell {
    text_or(object, pointer, NONE)
}

/// The same; `otherwise` if there is none.
#[must_use]
pub fn text_or(object: &Value, pointer: &str, otherwise: &str) -> Cell {
    match text(object, pointer) {
        "" => otherwise.into(),
        found => found.into(),
    }
}

/// The whole number at a path; 0 if there is none.
#[must_use]
pub fn number(object: &Value, pointer: &str) -> i64 {
    object
        .pointer(pointer)
        .and_then(Value::as_i64)
        .unwrap_or_default()
}

/// The items of the list at a path.
pub fn items<'a>(object: &'a Value, pointer: &str) -> std::slice::Iter<'a, Value> {
    object
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or([].iter(), |list| list.iter())
}

/// The name of the object.
#[must_use]
pub fn name(object: &Value) -> Cell {
    text(object, "/metadata/name").into()
}

/// How long ago the object was created.
#[must_use]
pub fn age(object: &Value) -> Cell {
    since(text(object, "/metadata/creationTimestamp"))
}

/// How long ago a time was; `<unknown>` without one.
#[must_use]
pub fn since(time: &str) -> Cell {
    time.parse().map_or_else(|_| Cell::from("<unknown>"), Cell::since)
}

/// The names and the images of a list of containers.
#[must_use]
pub fn containers(object: &Value, pointer: &str) -> (Cell, Cell) {
    let joined = |field: &str| {
        let values: Vec<&str> = items(object, pointer)
            .map(|c| c[field].as_str().unwrap_or_default())
            .collect();
        Cell::from(values.join(","))
    };
    (joined("name"), joined("image"))
}

/// A label selector on one line.
#[must_use]
pub fn selector(selector: Option<&Value>) -> String {
    let Some(selector) = selector else {
        return NONE.to_owned();
    };
    let mut parts = Vec::new();
    for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        parts.push(format!("{key}={}", value.as_str().unwrap_or_default()));
    }
    for expression in items(selector, "/matchExpressions") {
        let key = text(expression, "/key");
        let mut values: Vec<&str> = items(expression, "/values").filter_map(Value::as_str).collect();
        values.sort_unstable();
        let values = values.join(",");
        parts.push(match text(expression, "/operator") {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    parts.sort_unstable();
    if parts.is_empty() {
        return NONE.to_owned();
    }
    parts.join(",")
}

/// Whether a condition of this type is true.
#[must_use]
pub fn has_condition(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|condition| condition["status"] == "True")
}

/// The condition of this type.
#[must_use]
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    items(object, "/status/conditions").find(|condition| condition["type"] == kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_selector_is_one_line() {
        let given = json!({
            "matchLabels": {"b": "2", "a": "1"},
            "matchExpressions": [{"key": "c", "operator": "In", "values": ["y", "x"]}, {"key": "d", "operator": "DoesNotExist"}],
        });
        assert_eq!(selector(Some(&given)), "!d,a=1,b=2,c in (x,y)");
        assert_eq!(selector(None), "<none>");
    }
}
