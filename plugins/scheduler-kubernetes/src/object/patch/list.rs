//! Lists under a strategic merge: by key or as sets, with their directives.

use serde_json::Value;

use super::directive::{self, Unfit};
use super::{order, strategic};
use crate::object::schema::{Field, Merge};

/// A list after its patch, in the order that the real server gives it: what only the patch has stands before what
/// only the list had.
pub(super) fn merged(current: &[Value], patch: &[Value], field: Option<&Field>) -> Result<Vec<Value>, Unfit> {
    let key = key_of(field);
    let (merged, from_patch) = match key {
        None => {
            if patch.iter().any(Value::is_object) {
                return Err(Unfit::Other("cannot merge lists without merge key".to_owned()));
            }
            let mut merged = current.to_vec();
            for item in patch {
                if !merged.contains(item) {
                    merged.push(item.clone());
                }
            }
            (merged, patch.to_vec())
        }
        Some(key) => by_key(current, patch, key, field)?,
    };
    Ok(order::arranged(merged, &from_patch, current, key))
}

fn key_of(field: Option<&Field>) -> Option<&'static str> {
    match field.map(|field| field.merge) {
        Some(Merge::ByKey(key)) => Some(key),
        Some(Merge::Plain | Merge::Replace | Merge::Primitives) | None => None,
    }
}

/// The merged items, not yet in order, and those of the patch that are no directives.
fn by_key(
    current: &[Value],
    patch: &[Value],
    key: &str,
    field: Option<&Field>,
) -> Result<(Vec<Value>, Vec<Value>), Unfit> {
    let mut merged = current.to_vec();
    let mut items = Vec::new();
    let mut replaced = false;
    for item in patch {
        match item.get(directive::PATCH).and_then(Value::as_str) {
            None => items.push(item.clone()),
            Some("replace") => replaced = true,
            Some("delete") => {
                let value = item.get(key).ok_or_else(|| directive::no_key(item, key))?;
                merged.retain(|kept| kept.get(key) != Some(value));
            }
            Some(other) => return Err(Unfit::Other(format!("unknown patch type: {other} in list"))),
        }
    }
    if replaced {
        return Ok((items.clone(), items));
    }
    let message = field.and_then(Field::message);
    for item in &items {
        let (Value::Object(change), Some(value)) = (item, item.get(key)) else {
            return Err(directive::no_key(item, key));
        };
        match merged.iter_mut().find(|kept| kept.get(key) == Some(value)) {
            Some(Value::Object(kept)) => *kept = strategic::object(kept, change, message)?,
            Some(_) | None => merged.push(directive::plain(item)),
        }
    }
    Ok((merged, items))
}

/// A list after its patch (if there is one) in the order that the patch asks for; `None` if there is no list.
pub(super) fn ordered(
    current: Option<&Value>,
    patch: Option<&Value>,
    wanted: &Value,
    field: Option<&Field>,
) -> Result<Option<Value>, Unfit> {
    let Value::Array(wanted) = wanted else {
        return Err(directive::BAD_SET_ORDER);
    };
    let key = key_of(field);
    if let (Some(key), Some(item)) = (
        key,
        wanted
            .iter()
            .find(|item| key.is_some_and(|key| item.get(key).is_none())),
    ) {
        return Err(directive::no_key(item, key));
    }
    let current_items = current.and_then(Value::as_array);
    let list = match (current_items, patch.and_then(Value::as_array)) {
        (None, None) => return Ok(None),
        (Some(current), None) => current.clone(),
        (None, Some(patch)) => {
            follows(patch, wanted, key)?;
            directive::plain(&Value::Array(patch.clone()))
                .as_array()
                .cloned()
                .unwrap_or_default()
        }
        (Some(current), Some(patch)) => {
            follows(patch, wanted, key)?;
            if matches!(
                field.map(|field| field.merge),
                Some(Merge::ByKey(_) | Merge::Primitives)
            ) {
                merged(current, patch, field)?
            } else {
                patch.clone()
            }
        }
    };
    let none = Vec::new();
    Ok(Some(Value::Array(order::arranged(
        list,
        wanted,
        current_items.unwrap_or(&none),
        key,
    ))))
}

/// The items of the patch must stand in the order that it asks for.
fn follows(patch: &[Value], wanted: &[Value], key: Option<&str>) -> Result<(), Unfit> {
    let mut at = 0;
    for item in patch.iter().filter(|item| item.get(directive::PATCH).is_none()) {
        match wanted[at..]
            .iter()
            .position(|other| order::same(item, other, key))
        {
            Some(found) => at += found,
            None => {
                let shown = |items: &[Value]| super::document::go_map(&Value::Array(items.to_vec()));
                return Err(Unfit::Other(format!(
                    "The order in patch list:\n{}\n doesn't match $setElementOrder list:\n{}\n",
                    shown(patch),
                    shown(wanted)
                )));
            }
        }
    }
    Ok(())
}
