//! The three forms of patch, and their refusals.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::object::schema::lookup;

fn deployment() -> &'static Kind {
    lookup("apps", "v1", "Deployment").expect("kind")
}

fn pod() -> &'static Kind {
    lookup("", "v1", "Pod").expect("kind")
}

fn patched(kind: &Kind, patch_type: PatchType, current: &Value, patch: &Value) -> Result<Value, Problem> {
    let bytes = patch.to_string();
    apply(
        patch_type,
        current,
        bytes.as_bytes(),
        kind,
        FieldValidation::Strict,
    )
    .map(|decoded| decoded.object)
}

/// A pod whose one container has these environment variables.
fn with_env(names: &[&str]) -> Value {
    let env: Vec<_> = names
        .iter()
        .map(|name| json!({"name": name, "value": "v"}))
        .collect();
    json!({"spec": {"containers": [{"name": "c", "env": env}]}})
}

fn env_of(pod: &Value) -> Vec<String> {
    let env = pod["spec"]["containers"][0]["env"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    env.iter()
        .map(|var| var["name"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn lists_are_merged_by_key_and_new_items_come_first() {
    let current = with_env(&["A", "B"]);
    let change = |env: Value| json!({"spec": {"containers": [{"name": "c", "env": env}]}});
    for (env, want) in [
        (json!([{"name": "C", "value": "x"}]), vec!["C", "A", "B"]),
        (json!([{"name": "B", "value": "x"}]), vec!["A", "B"]),
        (json!([{"name": "A", "$patch": "delete"}]), vec!["B"]),
        (json!([{"$patch": "replace"}, {"name": "Z"}]), vec!["Z"]),
        (json!([]), vec!["A", "B"]),
    ] {
        let result = patched(pod(), PatchType::Strategic, &current, &change(env.clone())).expect("patched");
        assert_eq!(env_of(&result), want, "{env}");
    }
}

#[test]
fn the_order_that_a_patch_asks_for_is_given() {
    let current = with_env(&["A", "B", "S"]);
    let container = json!({
        "name": "c",
        "$setElementOrder/env": [{"name": "B"}, {"name": "A"}, {"name": "N"}],
        "env": [{"name": "N", "value": "1"}],
    });
    let change = json!({"spec": {"$setElementOrder/containers": [{"name": "c"}], "containers": [container]}});
    let result = patched(pod(), PatchType::Strategic, &current, &change).expect("patched");
    assert_eq!(env_of(&result), ["B", "A", "N", "S"]);
    let wrong =
        json!({"spec": {"$setElementOrder/containers": [{"name": "d"}], "containers": [{"name": "c"}]}});
    assert_eq!(
        patched(pod(), PatchType::Strategic, &current, &wrong)
            .expect_err("order")
            .code,
        500
    );
}

#[test]
fn taints_are_replaced_as_a_whole() {
    let node = lookup("", "v1", "Node").expect("kind");
    let current = json!({"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}});
    let change = json!({"spec": {"taints": [{"key": "b", "effect": "NoSchedule"}]}});
    let result = patched(node, PatchType::Strategic, &current, &change).expect("patched");
    assert_eq!(
        result["spec"]["taints"],
        json!([{"key": "b", "effect": "NoSchedule"}])
    );
}

#[test]
fn finalizers_are_a_set_from_which_can_be_deleted() {
    let current = json!({"metadata": {"finalizers": ["a", "b"]}});
    let change = json!({"metadata": {"finalizers": ["c"], "$deleteFromPrimitiveList/finalizers": ["a"]}});
    let result = patched(pod(), PatchType::Strategic, &current, &change).expect("patched");
    assert_eq!(result["metadata"]["finalizers"], json!(["c", "b"]));
}

#[test]
fn only_the_keys_to_retain_stay() {
    let current = json!({"spec": {"selector": {}, "template": {}, "strategy": {
        "type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1},
    }}});
    let change = json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}});
    let result = patched(deployment(), PatchType::Strategic, &current, &change).expect("patched");
    assert_eq!(result["spec"]["strategy"], json!({"type": "Recreate"}));
    let change = json!({"spec": {"strategy": {"$retainKeys": ["x"], "type": "Recreate"}}});
    assert_eq!(
        patched(deployment(), PatchType::Strategic, &current, &change)
            .expect_err("keys")
            .code,
        400
    );
}

#[test]
fn maps_lose_what_is_null_and_objects_can_be_replaced() {
    let current =
        json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"paused": true, "replicas": 3}});
    for (change, labels, spec) in [
        (
            json!({"metadata": {"labels": {"a": null, "c": "3"}}}),
            json!({"b": "2", "c": "3"}),
            json!(3),
        ),
        (
            json!({"metadata": {"labels": {"$patch": "replace", "z": "1"}}}),
            json!({"z": "1"}),
            json!(3),
        ),
        (
            json!({"spec": {"$patch": "delete"}}),
            json!({"a": "1", "b": "2"}),
            Value::Null,
        ),
    ] {
        let result = patched(deployment(), PatchType::Strategic, &current, &change).expect("patched");
        assert_eq!(result["metadata"]["labels"], labels, "{change}");
        assert_eq!(result["spec"]["replicas"], spec, "{change}");
    }
}

#[test]
fn a_failed_json_patch_says_only_that_it_failed() {
    let current = json!({"metadata": {"name": "a"}});
    for patch in [
        json!([{"op": "test", "path": "/metadata/name", "value": "b"}]),
        json!([{"op": "remove", "path": "/metadata/labels"}]),
    ] {
        let problem = patched(pod(), PatchType::Json, &current, &patch).expect_err("fails");
        assert_eq!(problem.code, 422);
        assert_eq!(
            problem.message,
            "the server rejected our request due to an error in our request"
        );
    }
    let good = json!([{"op": "replace", "path": "/metadata/name", "value": "b"}]);
    assert_eq!(
        patched(pod(), PatchType::Json, &current, &good).expect("good")["metadata"]["name"],
        "b"
    );
    assert_eq!(
        patched(pod(), PatchType::Json, &current, &json!({"op": "x"}))
            .expect_err("form")
            .code,
        400
    );
}

#[test]
fn an_unknown_field_in_a_patch_is_told_as_the_real_server_tells_it() {
    let current = json!({"metadata": {"name": "a"}, "spec": {"replicas": 1}});
    let change = json!({"spec": {"bogus": 1}});
    let problem = patched(deployment(), PatchType::Strategic, &current, &change).expect_err("strict");
    assert_eq!(problem.code, 422);
    assert_eq!(
        problem.message,
        " \"\" is invalid: patch: Invalid value: \"map[spec:map[bogus:1]]\": strict decoding error: unknown field \
         \"spec.bogus\""
    );
    assert_eq!(problem.to_json()["details"]["causes"][0]["field"], "patch");
    let bytes = change.to_string();
    let warned = apply(
        PatchType::Merge,
        &current,
        bytes.as_bytes(),
        deployment(),
        FieldValidation::Warn,
    );
    assert_eq!(warned.expect("warned").warnings, ["unknown field \"spec.bogus\""]);
    let twice = br#"{"spec":{"replicas":1,"replicas":2}}"#;
    let warned = apply(
        PatchType::Merge,
        &current,
        twice,
        deployment(),
        FieldValidation::Warn,
    )
    .expect("twice");
    assert_eq!(warned.warnings, ["duplicate field \"spec.replicas\""]);
}

proptest! {
    #[test]
    fn a_merge_patch_twice_is_a_merge_patch_once(
        labels in proptest::collection::btree_map("[a-c]", proptest::option::of("[x-z]"), 0..4),
        before in proptest::collection::btree_map("[a-c]", "[x-z]", 0..4),
    ) {
        let current = json!({"metadata": {"labels": before}});
        let change = json!({"metadata": {"labels": labels}});
        for patch_type in [PatchType::Merge, PatchType::Strategic] {
            let once = patched(pod(), patch_type, &current, &change).expect("once");
            let twice = patched(pod(), patch_type, &once, &change).expect("twice");
            prop_assert_eq!(&once, &twice);
        }
    }

    #[test]
    fn a_patch_with_the_whole_order_gives_that_order(
        before in proptest::collection::btree_set("[A-F]", 0..5).prop_shuffle_names(),
        after in proptest::collection::btree_set("[A-F]", 1..5).prop_shuffle_names(),
    ) {
        let names: Vec<&str> = before.iter().map(String::as_str).collect();
        let current = with_env(&names);
        let order: Vec<_> = after.iter().map(|name| json!({"name": name})).collect();
        let gone = before.iter().filter(|name| !after.contains(name)).map(|name| json!({"name": name, "$patch": "delete"}));
        let env: Vec<_> = after.iter().map(|name| json!({"name": name, "value": "v"})).chain(gone).collect();
        let change = json!({"spec": {"containers": [{"name": "c", "env": env, "$setElementOrder/env": order}]}});
        let result = patched(pod(), PatchType::Strategic, &current, &change).expect("patched");
        prop_assert_eq!(env_of(&result), after);
    }

    #[test]
    fn no_patch_makes_it_panic(bytes in "[\\[\\]{}:,\"a-z$/0-9]{0,60}") {
        for patch_type in [PatchType::Json, PatchType::Merge, PatchType::Strategic] {
            let _ = apply(patch_type, &with_env(&["A"]), bytes.as_bytes(), pod(), FieldValidation::Strict);
        }
    }
}

/// Names in any order.
trait ShuffleNames: Strategy<Value = std::collections::BTreeSet<String>> + Sized {
    fn prop_shuffle_names(self) -> impl Strategy<Value = Vec<String>> {
        self.prop_map(|names| names.into_iter().collect::<Vec<_>>())
            .prop_shuffle()
    }
}

impl<S: Strategy<Value = std::collections::BTreeSet<String>>> ShuffleNames for S {}
