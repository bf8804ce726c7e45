//! JSON as Go reads it: names of fields match in any case, `null` means absent, unknown fields are nobody's
//! business. A [`Names`] says how the fields of one kind of request are written; below a field that is a map
//! of users' own keys nothing is touched.

use crate::error::ApiError;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How the fields of one kind of request are written.
#[derive(Debug, Clone, Default)]
pub struct Names {
    canonical: BTreeMap<String, &'static str>,
    maps: &'static [&'static str],
}

impl Names {
    /// These names; `maps` are those whose value is a map with keys of the user's own.
    #[must_use]
    pub fn new(names: &[&'static str], maps: &'static [&'static str]) -> Self {
        let canonical = names
            .iter()
            .chain(maps)
            .map(|n| (n.to_ascii_lowercase(), *n))
            .collect();
        Self { canonical, maps }
    }

    /// The same value with every known name as it is written and no nulls in objects.
    #[must_use]
    pub fn normalise(&self, value: Value) -> Value {
        match value {
            Value::Object(fields) => Value::Object(self.object(fields)),
            Value::Array(items) => Value::Array(items.into_iter().map(|i| self.normalise(i)).collect()),
            other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
        }
    }

    fn object(&self, fields: Map<String, Value>) -> Map<String, Value> {
        let mut out = Map::new();
        for (key, value) in fields {
            if value.is_null() {
                continue;
            }
            let known = self.canonical.get(&key.to_ascii_lowercase()).copied();
            let name = known.map_or(key, str::to_owned);
            let opaque = self.maps.contains(&name.as_str());
            let value = if opaque { value } else { self.normalise(value) };
            out.insert(name, value);
        }
        out
    }

    /// Reads a body; an empty one is an empty object.
    ///
    /// # Errors
    /// 400 with what the parser says.
    pub fn read<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, ApiError> {
        let bad = |e: serde_json::Error| ApiError::bad(format!("invalid JSON: {e}"));
        let value = if body.iter().all(u8::is_ascii_whitespace) {
            Value::Object(Map::new())
        } else {
            serde_json::from_slice(body).map_err(bad)?
        };
        serde_json::from_value(self.normalise(value)).map_err(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_match_in_any_case_and_maps_keep_their_keys() {
        let names = Names::new(&["Name", "TaskTemplate"], &["Labels"]);
        let given = json!({"name": "a", "taskTEMPLATE": {"NAME": null, "other": 1}, "labels": {"Name": "x", "name": "y"}});
        let expected =
            json!({"Name": "a", "TaskTemplate": {"other": 1}, "Labels": {"Name": "x", "name": "y"}});
        assert_eq!(names.normalise(given), expected);
        assert_eq!(names.read::<Value>(b" \n").unwrap(), json!({}));
        assert!(names.read::<Value>(b"{").is_err());
    }
}
