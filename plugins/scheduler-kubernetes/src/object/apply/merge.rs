//! An applied configuration over a live object: what it says wins, what it does not say stays.

use std::collections::BTreeSet;

use serde_json::Value;

use super::form::Form;
use super::path::Step;

/// The live value with what the configuration says.
pub(super) fn merge(live: &Value, applied: &Value, form: Form) -> Value {
    match (form, live, applied) {
        (Form::Object(_) | Form::Map(_), Value::Object(live), Value::Object(applied)) => {
            let mut merged = live.clone();
            for (name, part) in applied {
                let value = match live.get(name) {
                    Some(live) => merge(live, part, form.below(&Step::field(name))),
                    None => part.clone(),
                };
                merged.insert(name.clone(), value);
            }
            Value::Object(merged)
        }
        (Form::Set | Form::Keyed(..), Value::Array(_), Value::Array(_)) => list(live, applied, form),
        _ => applied.clone(),
    }
}

/// Two lists: the configuration's order where it has one, the live items in between where they were.
fn list(live: &Value, applied: &Value, form: Form) -> Value {
    let live = form.parts(Some(live)).unwrap_or_default();
    let applied = form.parts(Some(applied)).unwrap_or_default();
    let find = |list: &[(Step, &Value)], step: &Step| list.iter().position(|(other, _)| other == step);
    let together = |step: &Step, part: &Value| match find(&live, step) {
        Some(at) => merge(live[at].1, part, form.below(step)),
        None => part.clone(),
    };
    let shared: Vec<&Step> = applied
        .iter()
        .map(|(step, _)| step)
        .filter(|step| find(&live, step).is_some())
        .collect();
    let mut shared = shared.into_iter();
    let mut next_shared = shared.next();
    let mut done: BTreeSet<&Step> = BTreeSet::new();
    let mut merged = Vec::new();
    let (mut left, mut right) = (0, 0);
    while left < live.len() || right < applied.len() {
        if let (Some((step, _)), Some((wanted, part))) = (live.get(left), applied.get(right)) {
            if step == wanted {
                done.insert(step);
                merged.push(together(step, part));
                left += 1;
                right += 1;
                next_shared = shared.next();
                continue;
            }
            if find(&applied, step).is_some() && next_shared.is_some_and(|next| next != step) {
                // Shared, but not the one whose turn it is.
                left += 1;
                continue;
            }
        }
        if let Some((step, part)) = live.get(left) {
            if find(&applied, step).is_none() {
                merged.push((*part).clone());
                left += 1;
                continue;
            }
            if done.contains(step) {
                left += 1;
            }
        }
        if let Some((step, part)) = applied.get(right) {
            done.insert(step);
            merged.push(together(step, part));
            right += 1;
            if next_shared == Some(step) {
                next_shared = shared.next();
            }
        }
    }
    Value::Array(merged)
}
