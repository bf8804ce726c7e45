//! The `filters` of a query: JSON in either of the two encodings that clients send.

use crate::error::ApiError;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What a list is filtered by: for every key that is named, one of its values must match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters(BTreeMap<String, BTreeSet<String>>);

impl Filters {
    /// Reads the text of the query; only `known` keys are taken.
    ///
    /// # Errors
    /// 400 for what is no JSON, has another shape, or names an unknown key.
    pub fn parse(text: Option<&str>, known: &[&str]) -> Result<Self, ApiError> {
        let text = text.unwrap_or_default();
        if text.is_empty() {
            return Ok(Self::default());
        }
        let bad = || ApiError::bad(format!("invalid filter `{text}`"));
        let Value::Object(keys) = serde_json::from_str(text).map_err(|_| bad())? else {
            return Err(bad());
        };
        let mut out = BTreeMap::new();
        for (key, values) in keys {
            if !known.contains(&key.as_str()) {
                return Err(ApiError::bad(format!("Invalid filter '{key}'")));
            }
            let values: BTreeSet<String> = match values {
                Value::Object(set) => set
                    .into_iter()
                    .filter(|(_, on)| on.as_bool() != Some(false))
                    .map(|(v, _)| v)
                    .collect(),
                Value::Array(list) => list
                    .into_iter()
                    .map(|v| v.as_str().map(str::to_owned).ok_or_else(bad))
                    .collect::<Result<_, _>>()?,
                Value::Null => BTreeSet::new(),
                Value::Bool(_) | Value::Number(_) | Value::String(_) => return Err(bad()),
            };
            if !values.is_empty() {
                out.insert(key, values);
            }
        }
        Ok(Self(out))
    }

    /// The values of a key; none if it is not named.
    pub fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.get(key).into_iter().flatten().map(String::as_str)
    }

    /// Whether the key is named.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Whether the key is not named, or one of its values passes.
    pub fn any(&self, key: &str, mut passes: impl FnMut(&str) -> bool) -> bool {
        self.0
            .get(key)
            .is_none_or(|values| values.iter().any(|v| passes(v)))
    }

    /// Whether the value is among those of the key, or begins with one of them.
    #[must_use]
    pub fn prefix(&self, key: &str, value: &str) -> bool {
        self.any(key, |v| value.starts_with(v))
    }

    /// Whether all of the key's `k` and `k=v` are among these labels.
    #[must_use]
    pub fn labels(&self, key: &str, labels: &BTreeMap<String, String>) -> bool {
        self.values(key).all(|wanted| match wanted.split_once('=') {
            Some((k, v)) => labels.get(k).is_some_and(|have| have == v),
            None => labels.contains_key(wanted),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_encodings_mean_the_same_and_nonsense_is_refused() {
        let known = ["service", "label"];
        let set = Filters::parse(Some(r#"{"service":{"a":true,"b":true}}"#), &known).unwrap();
        let list = Filters::parse(Some(r#"{"service":["a","b"]}"#), &known).unwrap();
        assert_eq!(set, list);
        assert!(set.any("service", |v| v == "b") && !set.any("service", |v| v == "c"));
        assert!(set.any("label", |_| false), "what is not named passes");
        for bad in [
            "{",
            "[]",
            r#"{"bogus":["a"]}"#,
            r#"{"service":"a"}"#,
            r#"{"service":[1]}"#,
        ] {
            assert!(Filters::parse(Some(bad), &known).is_err(), "{bad}");
        }
        let labels = [("k".to_owned(), "v".to_owned())].into();
        let f = |text| {
            Filters::parse(Some(text), &known)
                .unwrap()
                .labels("label", &labels)
        };
        assert!(f(r#"{"label":["k","k=v"]}"#) && !f(r#"{"label":["k=x"]}"#) && f("{}"));
    }
}
