//! The table against types that others keep: an object in which every field is set survives both.

use k8s_openapi::api;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{Message, Shape, Type, lookup};

/// An object of this message in which every field is set.
fn full(message: &Message) -> Map<String, Value> {
    let entry = |field: &super::Field| {
        let item = one(field.shape.item());
        let value = match field.shape {
            Shape::One(_) => item,
            Shape::List(_) => json!([item]),
            Shape::Map(_) => json!({"k": item}),
            Shape::MapOfLists(_) => json!({"k": [item]}),
        };
        (field.name.to_owned(), value)
    };
    message.fields().iter().map(entry).collect()
}

fn one(item: Type) -> Value {
    match item {
        Type::String(_) => json!("text"),
        Type::Bool => json!(true),
        Type::Int32 | Type::Int64 => json!(7),
        Type::Float => json!(0.5),
        Type::Bytes => json!("AQID"),
        Type::Quantity => json!("1500m"),
        Type::IntOrString => json!("25%"),
        Type::Time => json!("2020-01-02T03:04:05Z"),
        Type::MicroTime => json!("2020-01-02T03:04:05.000006Z"),
        Type::Any => json!({"f:a": {}}),
        Type::Message(id) => Value::Object(full(id.get())),
    }
}

fn survives<T: Serialize + DeserializeOwned>(group: &str, kind: &str) {
    let kind = lookup(group, "v1", kind).expect("kind");
    let mut object = full(kind.root());
    object.insert("apiVersion".to_owned(), json!(kind.api_version()));
    object.insert("kind".to_owned(), json!(kind.kind));
    let object = Value::Object(object);
    let typed: T = serde_json::from_value(object.clone()).expect(kind.kind);
    let back = serde_json::to_value(&typed).expect(kind.kind);
    for (name, want) in object.as_object().expect("object") {
        assert_eq!(&back[name], want, "{} {name}", kind.kind);
    }
    assert_eq!(back, object, "{}", kind.kind);
}

#[test]
fn every_field_of_every_kind_is_one_that_others_know() {
    survives::<api::core::v1::Namespace>("", "Namespace");
    survives::<api::core::v1::Node>("", "Node");
    survives::<api::core::v1::Pod>("", "Pod");
    survives::<api::core::v1::ConfigMap>("", "ConfigMap");
    survives::<api::core::v1::Secret>("", "Secret");
    survives::<api::core::v1::ServiceAccount>("", "ServiceAccount");
    survives::<api::core::v1::Event>("", "Event");
    survives::<api::core::v1::Binding>("", "Binding");
    survives::<api::apps::v1::Deployment>("apps", "Deployment");
    survives::<api::apps::v1::ReplicaSet>("apps", "ReplicaSet");
    survives::<api::batch::v1::Job>("batch", "Job");
    survives::<api::autoscaling::v1::Scale>("autoscaling", "Scale");
    survives::<api::coordination::v1::Lease>("coordination.k8s.io", "Lease");
    survives::<api::events::v1::Event>("events.k8s.io", "Event");
    survives::<api::policy::v1::Eviction>("policy", "Eviction");
    survives::<api::authentication::v1::TokenRequest>("authentication.k8s.io", "TokenRequest");
    survives::<api::authentication::v1::TokenReview>("authentication.k8s.io", "TokenReview");
    survives::<api::authentication::v1::SelfSubjectReview>("authentication.k8s.io", "SelfSubjectReview");
    survives::<api::authorization::v1::SelfSubjectAccessReview>(
        "authorization.k8s.io",
        "SelfSubjectAccessReview",
    );
    survives::<api::authorization::v1::SelfSubjectRulesReview>(
        "authorization.k8s.io",
        "SelfSubjectRulesReview",
    );
    survives::<api::authorization::v1::SubjectAccessReview>("authorization.k8s.io", "SubjectAccessReview");
}

#[test]
fn a_full_pod_is_read_without_a_word() {
    let kind = lookup("", "v1", "Pod").expect("kind");
    let object = Value::Object(full(kind.root()));
    let (_, complaints) = crate::object::decode::value(&object, kind).expect("fits");
    assert_eq!(complaints, Vec::<String>::new());
}
