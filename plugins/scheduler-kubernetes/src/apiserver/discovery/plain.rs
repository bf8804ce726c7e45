//! Discovery in lists: versions, groups, and the resources of a group's version.

use super::{group_version, group_versions, kinds_of, questions_of, under, verbs};
use serde_json::{Value, json};

/// What `/api` says.
#[must_use]
pub fn versions(address: &str) -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{ "clientCIDR": "0.0.0.0/0", "serverAddress": address }],
    })
}

/// What `/apis` says, or `/apis/GROUP` of one group.
#[must_use]
pub fn groups(one: Option<&str>) -> Option<Value> {
    let group = |(group, version): (&str, &str)| {
        let version = json!({ "groupVersion": group_version(group, version), "version": version });
        json!({ "name": group, "versions": [version], "preferredVersion": version })
    };
    let named = group_versions().into_iter().filter(|(name, _)| !name.is_empty());
    let Some(one) = one else {
        let groups: Vec<Value> = named.map(group).collect();
        return Some(json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups }));
    };
    let mut found = group(named.into_iter().find(|(name, _)| *name == one)?);
    found["kind"] = json!("APIGroup");
    found["apiVersion"] = json!("v1");
    Some(found)
}

/// What `/api/v1` and `/apis/GROUP/VERSION` say.
#[must_use]
pub fn resources(group: &str, version: &str) -> Option<Value> {
    if !group_versions().contains(&(group, version)) {
        return None;
    }
    let mut resources = Vec::new();
    for kind in kinds_of(group, version) {
        let mut one = json!({
            "name": kind.plural,
            "singularName": kind.singular,
            "namespaced": kind.is_namespaced(),
            "kind": kind.kind,
            "verbs": verbs(kind),
            "storageVersionHash": &super::hash(kind.qualified.as_bytes())[..12],
        });
        if !kind.short_names.is_empty() {
            one["shortNames"] = json!(kind.short_names);
        }
        if !kind.categories.is_empty() {
            one["categories"] = json!(kind.categories);
        }
        resources.push(one);
        for subresource in kind.subresources {
            let (verbs, other) = under(*subresource);
            let mut one = json!({
                "name": format!("{}/{}", kind.plural, subresource.name()),
                "singularName": "",
                "namespaced": kind.is_namespaced(),
                "kind": kind.kind,
                "verbs": verbs,
            });
            if let Some((of, version, named)) = other {
                one["kind"] = json!(named);
                if of != group {
                    one["group"] = json!(of);
                    one["version"] = json!(version);
                }
            }
            resources.push(one);
        }
    }
    for question in questions_of(group, version) {
        resources.push(json!({
            "name": question.plural(),
            "singularName": question.kind().to_ascii_lowercase(),
            "namespaced": false,
            "kind": question.kind(),
            "verbs": ["create"],
        }));
    }
    let group_version = group_version(group, version);
    Some(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources,
    }))
}
