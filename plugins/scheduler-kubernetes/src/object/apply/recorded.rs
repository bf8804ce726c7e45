//! Writes one after the other (applies and updates by several managers) that the real machinery (structured-merge-diff
//! of API version 1.33) was given: random configurations, and the object or the refusal after each, one case a line.
//! Times are left out, and entries stand in order of operation and manager.

use serde_json::Value;

use super::{Writer, apply, track_update};
use crate::object::decode;
use crate::object::problem::Problem;
use crate::object::schema::{Kind, lookup};

fn step(live: Option<&Value>, step: &Value, kind: &Kind) -> Result<Value, Problem> {
    let by = Writer {
        manager: step["manager"].as_str().expect("manager"),
        subresource: "",
        now: jiff::Timestamp::UNIX_EPOCH,
    };
    let text = step["obj"].to_string();
    if step["op"] == "apply" {
        let applied = decode::applied(text.as_bytes(), kind, "")?;
        return apply(live, &applied, by, step["force"] == true, kind);
    }
    let (mut object, _) = decode::value(&step["obj"], kind).expect("fits");
    track_update(live, &mut object, by, kind);
    Ok(object)
}

/// As the cases have it.
fn comparable(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(Value::Array(entries)) = object.pointer_mut("/metadata/managedFields") {
        for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
            entry.remove("time");
        }
        entries.sort_by_key(|entry| format!("{}{}", entry["operation"], entry["manager"]));
    }
    object
}

#[test]
fn what_the_real_machinery_makes_of_writes_is_what_comes_out() {
    let mut seen = 0;
    for line in include_str!("recorded/cases.jsonl").lines() {
        let case: Value = serde_json::from_str(line).expect("a case");
        let (group, kind) = case["kind"]
            .as_str()
            .expect("kind")
            .split_once('/')
            .expect("group/kind");
        let kind = lookup(group, "v1", kind).expect("known kind");
        let mut live: Option<Value> = None;
        let steps = case["steps"].as_array().expect("steps");
        for (at, write) in steps.iter().enumerate() {
            let got = match step(live.as_ref(), write, kind) {
                Ok(object) => {
                    live = Some(object.clone());
                    comparable(&object)
                }
                Err(problem) => Value::from(problem.message),
            };
            assert_eq!(got, case["want"][at], "step {at} of {line}");
            seen += 1;
        }
    }
    assert!(seen > 200, "{seen} writes");
}
