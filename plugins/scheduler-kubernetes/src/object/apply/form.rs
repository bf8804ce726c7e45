//! How server-side apply looks at a value: as one thing, or as parts with owners of their own.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::path::Step;
use crate::object::schema::{Field, ListKind, Message, Shape, Type};

type Keys = &'static [(&'static str, Option<&'static str>)];

/// The form of a value by its place in the schema.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// One thing: a scalar, or what is atomic.
    Leaf,
    /// Fields of their own, by the message.
    Object(&'static Message),
    /// Entries of their own.
    Map(Type),
    /// Values of their own.
    Set,
    /// Items of their own, by their keys.
    Keyed(Keys, Type),
}

impl Form {
    /// Of a field of a message.
    pub(super) fn of(field: &'static Field) -> Self {
        if field.atomic {
            return Self::Leaf;
        }
        match (field.shape, &field.list) {
            (Shape::One(item), _) => Self::of_item(item),
            (Shape::Map(item), _) => Self::Map(item),
            (Shape::MapOfLists(_), _) => Self::Map(Type::Any),
            (Shape::List(_), ListKind::Atomic) => Self::Leaf,
            (Shape::List(_), ListKind::Set) => Self::Set,
            (Shape::List(item), ListKind::Keys(keys)) => Self::Keyed(keys, item),
        }
    }

    /// Of an item of a list or an entry of a map.
    pub(super) fn of_item(item: Type) -> Self {
        match item.message() {
            Some(message) if !message.atomic => Self::Object(message),
            Some(_) | None => Self::Leaf,
        }
    }

    /// Of the part that this step leads to.
    pub(super) fn below(self, step: &Step) -> Self {
        match (self, step) {
            (Self::Object(message), Step::Field(name)) => message.field(name).map_or(Self::Leaf, Self::of),
            (Self::Map(item) | Self::Keyed(_, item), _) => Self::of_item(item),
            (Self::Leaf | Self::Set | Self::Object(_), _) => Self::Leaf,
        }
    }

    /// The parts of a value with the steps to them; `None` if it is one thing. Where two items have the same keys, the
    /// first is the one that is meant.
    pub(super) fn parts(self, value: Option<&Value>) -> Option<Vec<(Step, &Value)>> {
        let mut parts = self.all_parts(value)?;
        let mut seen = BTreeSet::new();
        parts.retain(|(step, _)| seen.insert(step.clone()));
        Some(parts)
    }

    /// The parts of a value, with all items that have the same keys.
    pub(super) fn all_parts(self, value: Option<&Value>) -> Option<Vec<(Step, &Value)>> {
        match (self, value) {
            (Self::Leaf, _) => None,
            (_, None | Some(Value::Null)) => Some(Vec::new()),
            (Self::Object(_) | Self::Map(_), Some(Value::Object(fields))) => {
                let parts = fields.iter().map(|(name, value)| (Step::field(name), value));
                Some(parts.collect())
            }
            (Self::Set | Self::Keyed(..), Some(Value::Array(items))) => {
                let parts = items
                    .iter()
                    .enumerate()
                    .map(|(at, item)| (self.step(at, item), item));
                Some(parts.collect())
            }
            _ => None,
        }
    }

    /// The step to an item of a list.
    pub(super) fn step(self, at: usize, item: &Value) -> Step {
        match self {
            Self::Set => Step::Value(item.to_string()),
            Self::Keyed(keys, _) => {
                let mut found = Map::new();
                for &(key, absent) in keys {
                    match item.get(key).filter(|value| !value.is_null()) {
                        Some(value) => found.insert(key.to_owned(), value.clone()),
                        None => match absent {
                            Some(absent) => found.insert(key.to_owned(), Value::from(absent)),
                            None => return Step::Index(at),
                        },
                    };
                }
                Step::Key(Value::Object(found).to_string())
            }
            Self::Leaf | Self::Object(_) | Self::Map(_) => Step::Index(at),
        }
    }
}
