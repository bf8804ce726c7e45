//! In which order the items of a merged list stand.

use serde_json::Value;

/// Whether two items are the same one: by the key, or by value if there is none.
pub(super) fn same(one: &Value, other: &Value, key: Option<&str>) -> bool {
    match key {
        Some(key) => one.get(key).is_some() && one.get(key) == other.get(key),
        None => one == other,
    }
}

/// The items in order: those that `patch` has as it has them, the others as `live` has them; where both were in
/// `live`, its order says which comes first, else the patch's.
pub(super) fn arranged(items: Vec<Value>, patch: &[Value], live: &[Value], key: Option<&str>) -> Vec<Value> {
    let place = |item: &Value, among: &[Value]| among.iter().position(|other| same(item, other, key));
    let (mut ours, mut others): (Vec<_>, Vec<_>) =
        items.into_iter().partition(|item| place(item, patch).is_some());
    ours.sort_by_key(|item| place(item, patch).unwrap_or(usize::MAX));
    others.sort_by_key(|item| place(item, live).unwrap_or(usize::MAX));
    let mut arranged = Vec::with_capacity(ours.len() + others.len());
    let (mut ours, mut others) = (ours.into_iter().peekable(), others.into_iter().peekable());
    loop {
        let other_first = match (others.peek(), ours.peek()) {
            (None, None) => return arranged,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(other), Some(our)) => match (place(other, live), place(our, live)) {
                (Some(other), Some(our)) => other < our,
                _ => false,
            },
        };
        arranged.extend(if other_first { others.next() } else { ours.next() });
    }
}
