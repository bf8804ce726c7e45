//! Walks over objects: which fields one has, what differs between two, and taking fields away.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::form::Form;
use super::path::Step;
use super::set::Set;
use crate::object::schema::{Field, Message, Shape, Type};

/// The fields that an applied configuration names: its leaves, the entries of its maps, the items of its lists.
pub(super) fn fields(value: &Value, form: Form) -> Set {
    let mut set = Set::default();
    for (step, part) in form.parts(Some(value)).unwrap_or_default() {
        let inner = form.below(&step);
        let below = fields(part, inner);
        let named = matches!(form, Form::Object(message) if is_known(message, &step));
        let empty = part.is_null() || part.as_object().is_some_and(Map::is_empty);
        if !named || empty || matches!(inner, Form::Leaf) {
            set.members.insert(step.clone());
        }
        if !below.is_empty() {
            set.children.insert(step, below);
        }
    }
    set
}

fn is_known(message: &Message, step: &Step) -> bool {
    matches!(step, Step::Field(name) if message.field(name).is_some())
}

/// The set with the fields of objects that lead to its members: to own `a.b` of an object is to own `a`.
pub(super) fn with_named(set: &Set, form: Form) -> Set {
    let mut named = Set {
        members: set.members.clone(),
        children: BTreeMap::new(),
    };
    for (step, child) in &set.children {
        if matches!(form, Form::Object(message) if is_known(message, step)) {
            named.members.insert(step.clone());
        }
        named
            .children
            .insert(step.clone(), with_named(child, form.below(step)));
    }
    named
}

/// What differs between two objects.
#[derive(Debug, Default)]
pub(super) struct Difference {
    pub(super) added: Set,
    pub(super) removed: Set,
    pub(super) modified: Set,
}

impl Difference {
    pub(super) fn of(old: &Value, new: &Value, form: Form) -> Self {
        let mut difference = Self::default();
        difference.walk(Some(old), Some(new), form, &mut Vec::new());
        difference
    }

    /// What was set anew, changed or not there before.
    pub(super) fn written(&self) -> Set {
        self.added.union(&self.modified)
    }

    fn walk(&mut self, old: Option<&Value>, new: Option<&Value>, form: Form, path: &mut Vec<Step>) {
        if old == new {
            // Most of an object stays as it is at each write.
            return;
        }
        let (Some(before), Some(after)) = (compared(old, form), compared(new, form)) else {
            return self.leaf(old, new, path);
        };
        if before.is_empty() && after.is_empty() {
            // Both empty: as one thing, so that empty and absent stay apart.
            return self.leaf(old, new, path);
        }
        let mut parts: BTreeMap<Step, (Vec<&Value>, Vec<&Value>)> = BTreeMap::new();
        for (step, part) in before {
            parts.entry(step).or_default().0.push(part);
        }
        for (step, part) in after {
            parts.entry(step).or_default().1.push(part);
        }
        for (step, (before, after)) in parts {
            let inner = form.below(&step);
            path.push(step);
            match (before.as_slice(), after.as_slice()) {
                ([] | [_], [] | [_]) => {
                    self.walk(before.first().copied(), after.first().copied(), inner, path)
                }
                // Several items of one key are one thing.
                _ if before == after => {}
                ([], _) => self.added.insert(path),
                (_, []) => self.removed.insert(path),
                _ => self.modified.insert(path),
            }
            path.pop();
        }
        match (old, new) {
            (None, _) => self.added.insert(path),
            (_, None) => self.removed.insert(path),
            (Some(_), Some(_)) => {}
        }
    }

    fn leaf(&mut self, old: Option<&Value>, new: Option<&Value>, path: &[Step]) {
        match (old, new) {
            (None, _) => self.added.insert(path),
            (_, None) => self.removed.insert(path),
            (Some(old), Some(new)) if old != new => self.modified.insert(path),
            (Some(_), Some(_)) => {}
        }
    }
}

/// The parts of a value as they are compared: with those that the real server writes as null when there are none.
fn compared(value: Option<&Value>, form: Form) -> Option<Vec<(Step, &Value)>> {
    let mut parts = form.all_parts(value)?;
    if let (Form::Object(message), Some(Value::Object(fields))) = (form, value) {
        let absent = message.fields().iter().filter(|field| is_null_when_absent(field));
        let absent = absent.filter(|field| !fields.contains_key(field.name));
        parts.extend(absent.map(|field| (Step::field(field.name), &Value::Null)));
    }
    Some(parts)
}

fn is_null_when_absent(field: &Field) -> bool {
    match field.shape {
        Shape::One(Type::Time | Type::MicroTime) if !field.pointer => true,
        Shape::One(_) => field.always && field.pointer,
        Shape::List(_) | Shape::Map(_) | Shape::MapOfLists(_) => field.always,
    }
}

/// The value without these fields and items. Where nothing is left of what had parts stands null: it was emptied, not
/// taken away, which makes a difference to who owns it.
pub(super) fn without(value: &Value, gone: &Set, form: Form) -> Value {
    match (form, value) {
        (Form::Object(_) | Form::Map(_), Value::Object(fields)) => {
            let mut kept = Map::new();
            for (name, part) in fields {
                let step = Step::field(name);
                if let Some(part) = part_without(part, gone, form, &step) {
                    kept.insert(name.clone(), part);
                }
            }
            if kept.is_empty() {
                Value::Null
            } else {
                Value::Object(kept)
            }
        }
        (Form::Set | Form::Keyed(..), Value::Array(items)) => {
            let steps = items
                .iter()
                .enumerate()
                .map(|(at, item)| (form.step(at, item), item));
            let kept: Vec<_> = steps
                .filter_map(|(step, item)| part_without(item, gone, form, &step))
                .collect();
            if kept.is_empty() {
                Value::Null
            } else {
                Value::Array(kept)
            }
        }
        _ => value.clone(),
    }
}

fn part_without(part: &Value, gone: &Set, form: Form, step: &Step) -> Option<Value> {
    if gone.members.contains(step) {
        return None;
    }
    Some(match gone.children.get(step) {
        Some(child) => without(part, child, form.below(step)),
        None => part.clone(),
    })
}
