//! The part of an object that a merge patch touches. The rest stays as it is; it was understood when it was written,
//! so that only the part has to be understood anew.

use serde_json::{Map, Value};

/// So deep it is told apart what is touched and what is not: the members of an object, and those of its metadata, its
/// spec and its status. What is touched below is touched as a whole.
const DEPTH: usize = 2;

/// The members of an object that this patch names.
pub(super) fn part(object: &Value, patch: &Value) -> Value {
    part_to(object, patch, DEPTH)
}

fn part_to(object: &Value, patch: &Value, depth: usize) -> Value {
    let (true, Value::Object(fields), Value::Object(named)) = (depth > 0, object, patch) else {
        return object.clone();
    };
    let both = fields
        .iter()
        .filter_map(|(name, value)| Some((name, value, named.get(name)?)));
    let part = both.map(|(name, value, patch)| (name.clone(), part_to(value, patch, depth - 1)));
    Value::Object(part.collect())
}

/// Adds the members of `object` that this patch does not name to what became of the others.
pub(super) fn complete(part: &mut Value, object: &Value, patch: &Value) {
    complete_to(part, object, patch, DEPTH);
}

fn complete_to(part: &mut Value, object: &Value, patch: &Value, depth: usize) {
    let (true, Value::Object(fields), Value::Object(named)) = (depth > 0, object, patch) else {
        return;
    };
    for (name, value) in fields {
        let Some(patch) = named.get(name) else {
            members(part).insert(name.clone(), value.clone());
            continue;
        };
        if let (Value::Object(_), Value::Object(_)) = (value, patch) {
            let mut below = members(part).remove(name).unwrap_or_default();
            complete_to(&mut below, value, patch, depth - 1);
            if !below.is_null() {
                members(part).insert(name.clone(), below);
            }
        }
    }
}

/// What was left out because nothing of it was touched is there all the same.
fn members(part: &mut Value) -> &mut Map<String, Value> {
    if !part.is_object() {
        *part = Value::Object(Map::new());
    }
    part.as_object_mut().expect("it was just made one")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::decode;
    use crate::object::schema::lookup;
    use proptest::prelude::*;
    use serde_json::json;

    fn pod() -> Value {
        let pod = json!({
            "metadata": {"name": "a", "labels": {"x": "1", "y": "2"}, "annotations": {"k": "v"}},
            "spec": {"containers": [{"name": "c", "image": "i"}], "nodeSelector": {"d": "s"}},
            "status": {"phase": "Pending", "podIP": "10.0.0.1"},
        });
        decode::value(&pod, lookup("", "v1", "Pod").unwrap()).unwrap().0
    }

    fn patches() -> impl Strategy<Value = Value> {
        let texts = || prop_oneof![Just(Value::Null), Just(json!("z"))];
        let maps = move || {
            prop_oneof![
                Just(Value::Null),
                Just(json!({})),
                (texts(), texts()).prop_map(|(x, y)| json!({"x": x, "y": y}))
            ]
        };
        let one = move |name: &'static str, value: BoxedStrategy<Value>| {
            proptest::option::of(value).prop_map(move |value| value.map(|value| (name.to_owned(), value)))
        };
        let object = |members: BoxedStrategy<Vec<Option<(String, Value)>>>| {
            members.prop_map(|m| Value::Object(m.into_iter().flatten().collect()))
        };
        let metadata = object(
            vec![
                one("labels", maps().boxed()),
                one("annotations", maps().boxed()),
                one("generateName", texts().boxed()),
            ]
            .boxed(),
        );
        let spec = object(
            vec![
                one("nodeSelector", maps().boxed()),
                one("nodeName", texts().boxed()),
            ]
            .boxed(),
        );
        let status = object(vec![one("phase", texts().boxed()), one("podIP", texts().boxed())].boxed());
        let or_null = |it: BoxedStrategy<Value>| prop_oneof![9 => it, 1 => Just(Value::Null)].boxed();
        object(
            vec![
                one("metadata", metadata.boxed()),
                one("spec", or_null(spec.boxed())),
                one("status", or_null(status.boxed())),
            ]
            .boxed(),
        )
    }

    proptest! {
        #[test]
        fn what_comes_out_is_what_the_whole_object_would_have_come_to(patch in patches()) {
            let kind = lookup("", "v1", "Pod").unwrap();
            let current = pod();
            let mut whole = current.clone();
            json_patch::merge(&mut whole, &patch);
            let (whole, _) = decode::value(&whole, kind).unwrap();
            let mut touched = part(&current, &patch);
            json_patch::merge(&mut touched, &patch);
            let (mut touched, _) = decode::value(&touched, kind).unwrap();
            complete(&mut touched, &current, &patch);
            prop_assert_eq!(touched, whole);
        }
    }
}
