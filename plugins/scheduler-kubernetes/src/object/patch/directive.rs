//! The directives of a strategic merge patch, and what is wrong with one.

use serde_json::Value;

use crate::object::problem::{Details, Problem, Reason};

pub(super) const PATCH: &str = "$patch";
pub(super) const RETAIN_KEYS: &str = "$retainKeys";
pub(super) const SET_ORDER: &str = "$setElementOrder/";
pub(super) const DELETE_FROM: &str = "$deleteFromPrimitiveList/";

/// Why a strategic merge patch cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    /// The patch itself is malformed.
    #[error("{0}")]
    Format(&'static str),
    #[error("{0}")]
    Other(String),
}

pub(super) const BAD_RETAIN_KEYS: Unfit = Unfit::Format("invalid patch format of retainKeys");
pub(super) const BAD_SET_ORDER: Unfit = Unfit::Format("invalid patch format of setElementOrder list");
pub(super) const BAD_PRIMITIVES: Unfit = Unfit::Format("invalid patch format of primitive list");

impl From<Unfit> for Problem {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Format(text) => Self::bad_request(text),
            // The real server gives these no reason either.
            Unfit::Other(text) => Self::new(Reason::Unknown, text).with(Details::default()),
        }
    }
}

/// An item has not the key by which its list is merged.
pub(super) fn no_key(item: &Value, key: &str) -> Unfit {
    Unfit::Other(format!(
        "map: {} does not contain declared merge key: {key}",
        super::document::go_map(item)
    ))
}

/// The value without directives and nulls: what a patch leaves where there was nothing. An object with a directive of
/// its own leaves nothing, which is null.
pub(super) fn plain(value: &Value) -> Value {
    match value {
        Value::Object(fields) if fields.contains_key(PATCH) => Value::Null,
        Value::Object(fields) => {
            let named = fields.iter().filter(|(name, _)| !name.starts_with('$'));
            let plain = named.map(|(name, value)| (name.clone(), plain(value)));
            plain.filter(|(_, value)| !value.is_null()).collect()
        }
        Value::Array(items) => {
            let set = |item: &&Value| item.get(PATCH).is_none();
            items.iter().filter(set).map(plain).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}
