//! Reading an object as Go does: names in any case, null is absent, unknown names are ignored.

use crate::error::{ApiError, ApiResult};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// An object of a request.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(Option<&'a Map<String, Value>>);

impl<'a> Fields<'a> {
    /// The object of a value; null and absent are an empty one.
    pub(super) fn of(value: Option<&'a Value>, place: &str) -> ApiResult<Self> {
        match value {
            None | Some(Value::Null) => Ok(Self(None)),
            Some(Value::Object(map)) => Ok(Self(Some(map))),
            Some(_) => Err(wrong(place, "an object")),
        }
    }

    /// An object without fields.
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// The value of a field, unless it is null.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        let map = self.0?;
        let exact = map.get(name);
        let any = || {
            map.iter()
                .find(|(k, _)| k.eq_ignore_ascii_case(name))
                .map(|(_, v)| v)
        };
        exact.or_else(any).filter(|v| !v.is_null())
    }

    pub(super) fn object(&self, name: &str) -> ApiResult<Self> {
        Self::of(self.get(name), name)
    }

    /// Text; empty when absent.
    pub(super) fn text(&self, name: &str) -> ApiResult<&'a str> {
        self.get(name)
            .map_or(Ok(""), |v| v.as_str().ok_or_else(|| wrong(name, "a string")))
    }

    /// Text, unless it is empty.
    pub(super) fn maybe_text(&self, name: &str) -> ApiResult<Option<String>> {
        Ok(Some(self.text(name)?)
            .filter(|t| !t.is_empty())
            .map(str::to_owned))
    }

    pub(super) fn flag(&self, name: &str) -> ApiResult<bool> {
        self.get(name).map_or(Ok(false), |v| {
            v.as_bool().ok_or_else(|| wrong(name, "true or false"))
        })
    }

    /// A number; zero when absent.
    pub(super) fn number(&self, name: &str) -> ApiResult<i64> {
        self.get(name)
            .map_or(Ok(0), |v| v.as_i64().ok_or_else(|| wrong(name, "a whole number")))
    }

    /// A number that must not be negative; zero when absent.
    pub(super) fn amount(&self, name: &str) -> ApiResult<u64> {
        u64::try_from(self.number(name)?).map_err(|_| wrong(name, "a number that is not negative"))
    }

    /// Strings; one string alone counts as a list of itself, as Docker reads `Cmd` and `Entrypoint`.
    pub(super) fn list(&self, name: &str) -> ApiResult<Option<Vec<String>>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(one)) => Ok(Some(vec![one.clone()])),
            Some(Value::Array(items)) => items
                .iter()
                .map(|i| {
                    i.as_str()
                        .map(str::to_owned)
                        .ok_or_else(|| wrong(name, "a list of strings"))
                })
                .collect::<ApiResult<_>>()
                .map(Some),
            Some(_) => Err(wrong(name, "a list of strings")),
        }
    }

    /// A map of strings.
    pub(super) fn map(&self, name: &str) -> ApiResult<BTreeMap<String, String>> {
        let fields = self.object(name)?;
        fields
            .entries()
            .map(|(k, v)| {
                let text = v.as_str().ok_or_else(|| wrong(name, "a map of strings"))?;
                Ok((k.clone(), text.to_owned()))
            })
            .collect()
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.0.into_iter().flatten()
    }

    /// The values of a list.
    pub(super) fn items(&self, name: &str) -> ApiResult<&'a [Value]> {
        match self.get(name) {
            None => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(wrong(name, "a list")),
        }
    }
}

/// Whether a value says nothing: what Docker has when a field is left out.
pub(super) fn is_default(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(s) => s.is_empty(),
        Value::Array(items) => items.iter().all(is_default),
        Value::Object(map) => map.values().all(is_default),
    }
}

fn wrong(name: &str, wanted: &str) -> ApiError {
    ApiError::bad(format!("invalid value of {name}: it must be {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_match_in_any_case_and_null_is_absent() {
        let value = json!({"image": "a", "CMD": "x", "Env": null, "Tty": true});
        let fields = Fields::of(Some(&value), "body").unwrap();
        assert_eq!(fields.text("Image").unwrap(), "a");
        assert_eq!(fields.list("Cmd").unwrap(), Some(vec!["x".to_owned()]));
        assert_eq!(fields.list("Env").unwrap(), None);
        assert!(fields.flag("Tty").unwrap() && fields.text("Tty").is_err());
        assert!(is_default(&json!({"a": [0, 0], "b": {}, "c": ""})) && !is_default(&json!([1])));
    }
}
