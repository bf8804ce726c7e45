//! Cells that tables of several kinds have in common.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

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
pub fn text_or_none(object: &Value, pointer: &str) -> Value {
    text_or(object, pointer, NONE)
}

/// The same; `otherwise` if there is none.
#[must_use]
pub fn text_or(object: &Value, pointer: &str, otherwise: &str) -> Value {
    match text(object, pointer) {
        "" => json!(otherwise),
        found => json!(found),
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
pub fn name(object: &Value) -> Value {
    json!(text(object, "/metadata/name"))
}

/// How long ago the object was created.
#[must_use]
pub fn age(object: &Value, now: Timestamp) -> Value {
    json!(since(text(object, "/metadata/creationTimestamp"), now))
}

/// How long ago a time was; `<unknown>` without one.
#[must_use]
pub fn since(time: &str, now: Timestamp) -> String {
    match time.parse::<Timestamp>() {
        Ok(then) => human(now.duration_since(then)),
        Err(_) => "<unknown>".to_owned(),
    }
}

/// A duration as people read it, with two units at most.
#[must_use]
pub fn human(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    let two = |big: i64, unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{big}{unit}"),
        small => format!("{big}{unit}{small}{small_unit}"),
    };
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let days = hours / 24;
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1..=0 => "0s".to_owned(),
        1..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, "y", days % 365, "d"),
        252_288_000.. => format!("{}y", days / 365),
    }
}

/// The names and the images of a list of containers.
#[must_use]
pub fn containers(object: &Value, pointer: &str) -> (Value, Value) {
    let joined = |field: &str| {
        let values: Vec<&str> = items(object, pointer)
            .map(|c| c[field].as_str().unwrap_or_default())
            .collect();
        json!(values.join(","))
    };
    (joined("name"), joined("image"))
}

/// A label selector on one line.
#[must_use]
pub fn selector(selector: Option<&Value>) -> Value {
    let Some(selector) = selector else {
        return json!(NONE);
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
        return json!(NONE);
    }
    json!(parts.join(","))
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

    #[test]
    fn durations_have_the_units_that_people_know_from_kubectl() {
        let table = [
            (-5, "<invalid>"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (185, "3m5s"),
            (3600, "60m"),
            (10_799, "179m"),
            (10_860, "3h1m"),
            (30_000, "8h"),
            (176_400, "2d1h"),
            (864_000, "10d"),
            (70_000_000, "2y80d"),
            (400_000_000, "12y"),
        ];
        for (seconds, shown) in table {
            assert_eq!(human(SignedDuration::from_secs(seconds)), shown, "{seconds}");
        }
    }

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
