//! Ownership: who has what after applies and updates, who may take it, what goes when it is no longer applied.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::object::defaults;
use crate::object::schema::lookup;

fn kind(group: &str, kind: &str) -> &'static Kind {
    lookup(group, "v1", kind).expect("kind")
}

fn by(manager: &str) -> Writer<'_> {
    Writer {
        manager,
        subresource: "",
        now: Timestamp::from_second(1_700_000_000).expect("time"),
    }
}

fn later(manager: &str) -> Writer<'_> {
    Writer {
        now: Timestamp::from_second(1_700_000_100).expect("time"),
        ..by(manager)
    }
}

fn deployment(spec: &Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec})
}

fn container(env: &Value) -> Value {
    json!({"template": {"spec": {"containers": [{"name": "c", "image": "i:1", "env": env}]}}})
}

/// The fields of the one manager of this name.
fn fields_of(object: &Value, manager: &str) -> Value {
    let entries = object["metadata"]["managedFields"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let found = entries.into_iter().find(|entry| entry["manager"] == manager);
    found.map_or(Value::Null, |entry| entry["fieldsV1"].clone())
}

fn updated(old: Option<&Value>, new: &Value, by: Writer<'_>, kind: &Kind) -> Value {
    let mut new = new.clone();
    decode::settle(kind, &mut new);
    defaults::fill(kind, &mut new);
    track_update(old, &mut new, by, kind);
    new
}

#[test]
fn an_applied_object_is_owned_as_the_real_server_writes_it() {
    let kind = kind("apps", "Deployment");
    let mut config = deployment(&container(&json!([{"name": "X", "value": "1"}])));
    config["metadata"]["labels"] = json!({"a": "b"});
    config["spec"]["selector"] = json!({"matchLabels": {"a": "b"}});
    let object = apply(None, &config, by("m"), false, kind).expect("created");
    let entry = &object["metadata"]["managedFields"][0];
    assert_eq!(entry["operation"], "Apply");
    assert_eq!(entry["time"], "2023-11-14T22:13:20Z");
    assert_eq!(
        entry["fieldsV1"],
        json!({
            "f:metadata": {"f:labels": {"f:a": {}}},
            "f:spec": {
                "f:selector": {},
                "f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {
                    ".": {},
                    "f:env": {"k:{\"name\":\"X\"}": {".": {}, "f:name": {}, "f:value": {}}},
                    "f:image": {},
                    "f:name": {},
                }}}},
            },
        })
    );
}

#[test]
fn a_created_object_is_owned_as_the_real_server_writes_it() {
    let kind = kind("apps", "Deployment");
    let mut object = deployment(&container(&json!([])));
    object["metadata"]["labels"] = json!({"app": "web"});
    object["spec"]["selector"] = json!({"matchLabels": {"app": "web"}});
    object["spec"]["template"]["metadata"] = json!({"labels": {"app": "web"}});
    object["spec"]["template"]["spec"]["containers"][0]["ports"] = json!([{"containerPort": 80}]);
    object["status"] = json!({"replicas": 3});
    let object = updated(None, &object, by("kubectl-create"), kind);
    assert_eq!(
        fields_of(&object, "kubectl-create"),
        json!({
            "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
            "f:spec": {
                "f:progressDeadlineSeconds": {},
                "f:replicas": {},
                "f:revisionHistoryLimit": {},
                "f:selector": {},
                "f:strategy": {
                    "f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}},
                    "f:type": {},
                },
                "f:template": {
                    "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                    "f:spec": {
                        "f:containers": {"k:{\"name\":\"c\"}": {
                            ".": {},
                            "f:image": {},
                            "f:imagePullPolicy": {},
                            "f:name": {},
                            "f:ports": {
                                ".": {},
                                "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {
                                    ".": {}, "f:containerPort": {}, "f:protocol": {},
                                },
                            },
                            "f:resources": {},
                            "f:terminationMessagePath": {},
                            "f:terminationMessagePolicy": {},
                        }},
                        "f:dnsPolicy": {},
                        "f:restartPolicy": {},
                        "f:schedulerName": {},
                        "f:securityContext": {},
                        "f:terminationGracePeriodSeconds": {},
                    },
                },
            },
        })
    );
}

#[test]
fn conflicts_are_told_in_the_real_servers_words() {
    let kind = kind("apps", "Deployment");
    let with = |replicas: i64, value: &str| {
        let mut spec = container(&json!([{"name": "X", "value": value}]));
        spec["replicas"] = json!(replicas);
        deployment(&spec)
    };
    let object = apply(None, &with(1, "a"), by("m1"), false, kind).expect("created");
    let problem = apply(Some(&object), &with(2, "b"), by("m2"), false, kind).expect_err("conflict");
    assert_eq!(problem.code, 409);
    assert_eq!(
        problem.message,
        "Apply failed with 2 conflicts: conflicts with \"m1\":\n- .spec.replicas\n- \
         .spec.template.spec.containers[name=\"c\"].env[name=\"X\"].value"
    );
    let causes = &problem.to_json()["details"]["causes"];
    assert_eq!(
        causes[0],
        json!({"reason": "FieldManagerConflict", "message": "conflict with \"m1\"", "field": ".spec.replicas"})
    );

    let mut changed = object.clone();
    changed["spec"]["replicas"] = json!(5);
    let changed = updated(Some(&object), &changed, by("hand"), kind);
    let problem = apply(Some(&changed), &with(1, "a"), by("m1"), false, kind).expect_err("conflict");
    assert_eq!(
        problem.message,
        "Apply failed with 1 conflict: conflict with \"hand\" using apps/v1: .spec.replicas"
    );
    let forced = apply(Some(&changed), &with(1, "a"), by("m1"), true, kind).expect("forced");
    assert_eq!(forced["spec"]["replicas"], 1);
    assert!(fields_of(&forced, "hand")["f:spec"].get("f:replicas").is_none());
}

#[test]
fn what_is_no_longer_applied_goes_unless_somebody_else_owns_it() {
    let kind = kind("", "ConfigMap");
    let config = |data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data});
    let object = apply(None, &config(json!({"a": "1", "b": "2"})), by("m1"), false, kind).expect("created");
    let object = apply(Some(&object), &config(json!({"b": "2"})), by("m2"), false, kind).expect("shared");
    let mut changed = object.clone();
    changed["data"]["c"] = json!("3");
    let object = updated(Some(&object), &changed, by("hand"), kind);
    let object = apply(Some(&object), &config(json!({})), by("m1"), false, kind).expect("fewer");
    assert_eq!(object["data"], json!({"b": "2", "c": "3"}));
    let object = apply(Some(&object), &config(json!({})), by("m2"), false, kind).expect("fewer");
    assert_eq!(object["data"], json!({"c": "3"}));
    let mut only = config(json!({}));
    only.as_object_mut().expect("object").remove("data");
    let mine = apply(None, &config(json!({"a": "1"})), by("m1"), false, kind).expect("created");
    let mine = apply(Some(&mine), &only, by("m1"), false, kind).expect("none");
    assert!(mine.get("data").is_none(), "{mine}");
}

#[test]
fn a_list_item_goes_with_its_owner_and_others_stay() {
    let kind = kind("apps", "Deployment");
    let env = |names: &[&str]| {
        let list: Vec<_> = names
            .iter()
            .map(|name| json!({"name": name, "value": "v"}))
            .collect();
        deployment(&container(&json!(list)))
    };
    let object = apply(None, &env(&["A", "B"]), by("m1"), false, kind).expect("created");
    let object = apply(Some(&object), &env(&["C"]), by("m2"), false, kind).expect("second");
    let object = apply(Some(&object), &env(&["B"]), by("m1"), false, kind).expect("fewer");
    let names: Vec<_> = object["spec"]["template"]["spec"]["containers"][0]["env"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|item| item["name"].clone())
        .collect();
    assert_eq!(json!(names), json!(["B", "C"]));
}

#[test]
fn the_same_configuration_again_changes_nothing() {
    let kind = kind("apps", "Deployment");
    let config = deployment(&container(&json!([{"name": "A"}])));
    let mut object = apply(None, &config, by("m"), false, kind).expect("created");
    defaults::fill(kind, &mut object);
    let again = apply(Some(&object), &config, later("m"), false, kind).expect("again");
    assert_eq!(object, again);
    let other = apply(Some(&object), &config, later("n"), false, kind).expect("other");
    assert_eq!(
        other["metadata"]["managedFields"].as_array().map(Vec::len),
        Some(2)
    );
}

#[test]
fn an_update_that_changes_nothing_leaves_the_owners() {
    let kind = kind("", "ConfigMap");
    let object =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}});
    let object = updated(None, &object, by("one"), kind);
    let same = updated(Some(&object), &object, later("two"), kind);
    assert_eq!(object, same);
    let mut gone = object.clone();
    gone["metadata"]
        .as_object_mut()
        .expect("object")
        .remove("managedFields");
    assert_eq!(updated(Some(&object), &gone, later("two"), kind), object);
}

#[test]
fn cleared_owners_stay_cleared_until_the_next_apply() {
    let kind = kind("", "ConfigMap");
    let object =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}});
    let tracked = updated(None, &object, by("one"), kind);
    let mut cleared = tracked.clone();
    cleared["metadata"]["managedFields"] = json!([{}]);
    let cleared = updated(Some(&tracked), &cleared, by("two"), kind);
    assert!(cleared["metadata"].get("managedFields").is_none());
    let config =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "2"}});
    let problem = apply(Some(&cleared), &config, by("m"), false, kind).expect_err("conflict");
    assert_eq!(
        problem.message,
        "Apply failed with 1 conflict: conflict with \"before-first-apply\" using v1: .data.a"
    );
}

#[test]
fn a_status_write_owns_only_the_status() {
    let kind = kind("apps", "Deployment");
    let object = apply(None, &deployment(&json!({"replicas": 1})), by("m"), false, kind).expect("created");
    let mut seen = object.clone();
    seen["status"] = json!({"replicas": 1, "conditions": [{"type": "Available", "status": "True"}]});
    let writer = Writer {
        subresource: "status",
        ..by("controller")
    };
    track_update(Some(&object), &mut seen, writer, kind);
    let entry = &seen["metadata"]["managedFields"][1];
    assert_eq!(entry["subresource"], "status");
    // The times are written as null, and so are set.
    let condition =
        json!({".": {}, "f:lastTransitionTime": {}, "f:lastUpdateTime": {}, "f:status": {}, "f:type": {}});
    let conditions = json!({".": {}, "k:{\"type\":\"Available\"}": condition});
    assert_eq!(
        entry["fieldsV1"],
        json!({"f:status": {"f:conditions": conditions, "f:replicas": {}}})
    );
}

#[test]
fn kubectl_takes_over_what_its_own_apply_had_set() {
    let kind = kind("", "ConfigMap");
    let applied =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}});
    let mut object = applied.clone();
    object["metadata"]["annotations"] = json!({LAST_APPLIED: applied.to_string()});
    let object = updated(None, &object, by("kubectl-client-side-apply"), kind);
    let mut config = applied;
    config["data"]["a"] = json!("2");
    assert_eq!(
        apply(Some(&object), &config, by("other"), false, kind)
            .expect_err("other")
            .code,
        409
    );
    let taken = apply(Some(&object), &config, by("kubectl"), false, kind).expect("kubectl");
    assert_eq!(taken["data"]["a"], "2");
    assert_eq!(
        taken["metadata"]["annotations"][LAST_APPLIED],
        format!("{config}\n")
    );
    let untouched = apply(Some(&object), &config, by("other"), true, kind).expect("forced");
    assert_eq!(
        untouched["metadata"]["annotations"],
        object["metadata"]["annotations"]
    );
}

#[test]
fn a_configuration_with_managed_fields_or_without_keys_is_refused() {
    let kind = kind("apps", "Deployment");
    let mut config = deployment(&json!({}));
    config["metadata"]["managedFields"] = json!([]);
    let problem = apply(None, &config, by("m"), false, kind).expect_err("managed");
    assert_eq!(
        (problem.code, problem.message.as_str()),
        (400, "metadata.managedFields must be nil")
    );
    let config = deployment(&container(&json!([{"value": "x"}])));
    let problem = apply(None, &config, by("m"), false, kind).expect_err("key");
    assert_eq!(problem.code, 500);
    assert!(
        problem.message.contains("omits key field \"name\""),
        "{}",
        problem.message
    );
}

fn config_maps() -> impl Strategy<Value = Value> {
    proptest::collection::btree_map("[a-d]", "[x-z]", 1..4).prop_map(
        |data| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data}),
    )
}

proptest! {
    #[test]
    fn what_was_applied_last_is_there_and_owned(configs in proptest::collection::vec((config_maps(), 0u8..3), 1..6)) {
        let kind = kind("", "ConfigMap");
        let mut object: Option<Value> = None;
        for (config, who) in configs {
            let manager = format!("m{who}");
            let next = apply(object.as_ref(), &config, by(&manager), true, kind).expect("forced");
            for (key, value) in config["data"].as_object().expect("data") {
                prop_assert_eq!(&next["data"][key], value);
                let owned = fields_of(&next, &manager)["f:data"].get(format!("f:{key}")).is_some();
                prop_assert!(owned);
            }
            let again = apply(Some(&next), &config, later(&manager), false, kind).expect("again");
            prop_assert_eq!(&again, &next);
            // Whatever is there has an owner.
            for key in next["data"].as_object().into_iter().flatten().map(|(key, _)| key) {
                let owned = (0..3).any(|who| {
                    fields_of(&next, &format!("m{who}"))["f:data"].get(format!("f:{key}")).is_some()
                });
                prop_assert!(owned, "{} of {}", key, next);
            }
            object = Some(next);
        }
    }
}
