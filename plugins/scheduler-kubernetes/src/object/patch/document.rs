//! A patch as a document: read with an eye on keys that stand twice, and shown in messages.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::object::problem::Problem;

/// The document and what is to be said about keys that stand twice.
pub(super) fn read(bytes: &[u8]) -> Result<(Value, Vec<String>), Problem> {
    let mut complaints = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let place = Place {
        path: String::new(),
        complaints: &mut complaints,
    };
    let read = place
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    let value = read.map_err(|error| Problem::bad_request(format!("error decoding patch: {error}")))?;
    if !value.is_object() {
        let text = "json: cannot unmarshal array into Go value of type map[string]interface {}";
        return Err(Problem::bad_request(format!("error decoding patch: {text}")));
    }
    Ok((value, complaints))
}

struct Place<'c> {
    path: String,
    complaints: &'c mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let path = format!("{}[{}]", self.path, list.len());
            match items.next_element_seed(Place {
                path,
                complaints: &mut *self.complaints,
            })? {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let path = if self.path.is_empty() {
                key.clone()
            } else {
                format!("{}.{key}", self.path)
            };
            if object.contains_key(&key) {
                self.complaints.push(format!("duplicate field {path:?}"));
            }
            let value = map.next_value_seed(Place {
                path,
                complaints: &mut *self.complaints,
            })?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

/// The document as the real server prints a map: `map[spec:map[replicas:2]]`.
pub(super) fn go_map(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(go_map).collect::<Vec<_>>().join(" ")),
        Value::Object(entries) => {
            let entries: Vec<_> = entries
                .iter()
                .map(|(key, value)| format!("{key}:{}", go_map(value)))
                .collect();
            format!("map[{}]", entries.join(" "))
        }
    }
}
