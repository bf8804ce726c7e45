//! Strategic merge: objects are merged field by field, lists as the schema says.

use serde_json::{Map, Value};

use super::directive::{self, Unfit};
use super::list;
use crate::object::schema::{Field, Merge, Message};

/// The object after the patch.
pub(super) fn merge(current: &Value, patch: &Map<String, Value>, root: &Message) -> Result<Value, Unfit> {
    let empty = Map::new();
    let current = current.as_object().unwrap_or(&empty);
    Ok(Value::Object(object(current, patch, Some(root))?))
}

/// An object after its patch; without a message it is a map or unknown, and merged entry by entry.
pub(super) fn object(
    current: &Map<String, Value>,
    patch: &Map<String, Value>,
    message: Option<&Message>,
) -> Result<Map<String, Value>, Unfit> {
    match patch.get(directive::PATCH) {
        None => {}
        Some(Value::String(how)) if how == "replace" => {
            return Ok(patch
                .iter()
                .filter(|(name, _)| *name != directive::PATCH)
                .map(owned)
                .collect());
        }
        Some(Value::String(how)) if how == "delete" => return Ok(Map::new()),
        Some(other) => {
            let text = format!("unknown patch type: {} in map", super::document::go_map(other));
            return Err(Unfit::Other(text));
        }
    }
    let mut merged = current.clone();
    if let Some(kept) = patch.get(directive::RETAIN_KEYS) {
        retain(&mut merged, patch, kept)?;
    }
    for (name, order) in patch
        .iter()
        .filter_map(|(name, v)| Some((name.strip_prefix(directive::SET_ORDER)?, v)))
    {
        let field = message.and_then(|message| message.field(name));
        if let Some(ordered) = list::ordered(merged.get(name), patch.get(name), order, field)? {
            merged.insert(name.to_owned(), ordered);
        }
    }
    for (name, values) in patch
        .iter()
        .filter_map(|(name, v)| Some((name.strip_prefix(directive::DELETE_FROM)?, v)))
    {
        let Value::Array(values) = values else {
            return Err(directive::BAD_PRIMITIVES);
        };
        if let Some(Value::Array(list)) = merged.get_mut(name) {
            list.retain(|item| !values.contains(item));
        }
    }
    for (name, change) in patch {
        if name.starts_with('$') || patch.contains_key(&format!("{}{name}", directive::SET_ORDER)) {
            continue;
        }
        if change.is_null() {
            merged.remove(name);
            continue;
        }
        let field = message.and_then(|message| message.field(name));
        let value = match merged.get(name) {
            None => directive::plain(change),
            Some(current) => value(current, change, field)?,
        };
        if value.is_null() {
            merged.remove(name);
        } else {
            merged.insert(name.clone(), value);
        }
    }
    Ok(merged)
}

fn owned((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}

fn value(current: &Value, change: &Value, field: Option<&Field>) -> Result<Value, Unfit> {
    let merge = field.map_or(Merge::Plain, |field| field.merge);
    match (current, change, merge) {
        (_, _, Merge::Replace) => Ok(directive::plain(change)),
        (Value::Object(current), Value::Object(change), _) => {
            Ok(Value::Object(object(current, change, message_of(field))?))
        }
        (Value::Array(current), Value::Array(change), Merge::Primitives | Merge::ByKey(_)) => {
            list::merged(current, change, field).map(Value::Array)
        }
        _ => Ok(change.clone()),
    }
}

/// The message of the field itself; the entries of a map have none of their own here.
fn message_of(field: Option<&Field>) -> Option<&'static Message> {
    field
        .filter(|field| matches!(field.shape, crate::object::schema::Shape::One(_)))
        .and_then(Field::message)
}

/// Keeps only the keys that the patch names, which must be all of its own.
fn retain(merged: &mut Map<String, Value>, patch: &Map<String, Value>, kept: &Value) -> Result<(), Unfit> {
    let Value::Array(kept) = kept else {
        return Err(directive::BAD_RETAIN_KEYS);
    };
    let is_kept = |name: &str| kept.iter().any(|key| key.as_str() == Some(name));
    if patch
        .iter()
        .any(|(name, value)| !name.starts_with('$') && !value.is_null() && !is_kept(name))
    {
        return Err(directive::BAD_RETAIN_KEYS);
    }
    merged.retain(|name, _| is_kept(name));
    Ok(())
}
