//! Walks over objects: which fields one has, what differs between two, and taking fields away.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::form::Form;
use super::path::Step;
use super::set::Set;
use crate::object::schema::Shape;

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

fn is_known(message: &crate::object::schema::Message, step: &Step) -> bool {
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
        let (Some(before), Some(after)) = (form.parts(old), form.parts(new)) else {
            return self.leaf(old, new, path);
        };
        if before.is_empty() && after.is_empty() {
            // Both empty: as one thing, so that empty and absent stay apart.
            return self.leaf(old, new, path);
        }
        let mut parts: BTreeMap<Step, (Option<&Value>, Option<&Value>)> = BTreeMap::new();
        for (step, part) in before {
            parts.entry(step).or_default().0 = Some(part);
        }
        for (step, part) in after {
            parts.entry(step).or_default().1 = Some(part);
        }
        for (step, (before, after)) in parts {
            let inner = form.below(&step);
            let was_null = before.is_none() && old.is_some() && always_list(form, &step);
            path.push(step);
            self.walk(before.or(was_null.then_some(&Value::Null)), after, inner, path);
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

/// A list that the real server writes even when there is none, as null: it was there before its first item.
fn always_list(form: Form, step: &Step) -> bool {
    let (Form::Object(message), Step::Field(name)) = (form, step) else {
        return false;
    };
    message
        .field(name)
        .is_some_and(|field| field.always && matches!(field.shape, Shape::List(_)))
}

/// The value without these fields and items; `None` if nothing is left of what had parts.
pub(super) fn without(value: &Value, gone: &Set, form: Form) -> Option<Value> {
    match (form, value) {
        (Form::Object(_) | Form::Map(_), Value::Object(fields)) => {
            let mut kept = Map::new();
            for (name, part) in fields {
                let step = Step::field(name);
                if let Some(part) = part_without(part, gone, form, &step) {
                    kept.insert(name.clone(), part);
                }
            }
            (!kept.is_empty() || fields.is_empty()).then_some(Value::Object(kept))
        }
        (Form::Set | Form::Keyed(..), Value::Array(items)) => {
            let kept: Vec<_> = items
                .iter()
                .enumerate()
                .filter_map(|(at, item)| part_without(item, gone, form, &form.step(at, item)))
                .collect();
            (!kept.is_empty() || items.is_empty()).then_some(Value::Array(kept))
        }
        _ => Some(value.clone()),
    }
}

fn part_without(part: &Value, gone: &Set, form: Form, step: &Step) -> Option<Value> {
    if gone.members.contains(step) {
        return None;
    }
    match gone.children.get(step) {
        Some(child) => without(part, child, form.below(step)),
        None => Some(part.clone()),
    }
}
