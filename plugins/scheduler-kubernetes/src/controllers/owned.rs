//! Who owns what. An object has at most one controller, named by uid; one without a controller that is selected
//! is adopted, one that is no longer selected is let go.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use kube::Resource;
use kube::core::{Selector, SelectorExt};
use kube::runtime::reflector::ObjectRef;
use serde_json::{Value, json};

/// The controller of an object.
pub(super) fn controller_of(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    let owners = metadata.owner_references.as_deref().unwrap_or_default();
    owners.iter().find(|owner| owner.controller == Some(true))
}

/// The controller of an object, if it is of this kind.
pub(super) fn controller_ref<K: Resource<DynamicType = ()>>(metadata: &ObjectMeta) -> Option<ObjectRef<K>> {
    let owner = controller_of(metadata)?;
    if owner.kind != K::kind(&()) || owner.api_version != K::api_version(&()) {
        return None;
    }
    Some(ObjectRef::new(&owner.name).within(metadata.namespace.as_deref()?))
}

/// Whether the selector takes an object with these labels. An empty one takes all, a bad one none.
pub(super) fn selects(selector: &LabelSelector, metadata: &ObjectMeta) -> bool {
    let empty = std::collections::BTreeMap::new();
    let labels = metadata.labels.as_ref().unwrap_or(&empty);
    Selector::try_from(selector.clone()).is_ok_and(|selector| selector.matches(labels))
}

/// How an object stands to somebody who may be its controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is its own.
    Own,
    /// It belongs to nobody and is selected.
    Free,
    /// It is its own and no longer selected.
    Lost,
    /// It is somebody else's, or not meant.
    Foreign,
}

/// How `metadata` stands to the owner with this uid and selector.
pub(super) fn standing(metadata: &ObjectMeta, owner: &ObjectMeta, selector: &LabelSelector) -> Standing {
    if metadata.namespace != owner.namespace {
        return Standing::Foreign;
    }
    // The selector, which is dear, only of those that it decides.
    let selected = || selects(selector, metadata);
    match controller_of(metadata) {
        Some(by) if Some(&by.uid) == owner.uid.as_ref() => {
            if metadata.deletion_timestamp.is_some() || selected() {
                Standing::Own
            } else {
                Standing::Lost
            }
        }
        Some(_) => Standing::Foreign,
        None if metadata.deletion_timestamp.is_none() && owner.deletion_timestamp.is_none() && selected() => {
            Standing::Free
        }
        None => Standing::Foreign,
    }
}

/// The reference that makes `owner` the controller.
pub(super) fn reference<K: Resource<DynamicType = ()>>(owner: &K) -> OwnerReference {
    let metadata = owner.meta();
    OwnerReference {
        api_version: K::api_version(&()).into_owned(),
        kind: K::kind(&()).into_owned(),
        name: metadata.name.clone().unwrap_or_default(),
        uid: metadata.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// The merge patch that adopts `metadata`, as it is now, for `owner`.
pub(super) fn adoption<K: Resource<DynamicType = ()>>(owner: &K, metadata: &ObjectMeta) -> Value {
    let mut owners = metadata.owner_references.clone().unwrap_or_default();
    owners.push(reference(owner));
    patch_owners(metadata, &owners)
}

/// The merge patch that takes the reference to `owner` away.
pub(super) fn release(metadata: &ObjectMeta, owner_uid: &str) -> Value {
    let mut owners = metadata.owner_references.clone().unwrap_or_default();
    owners.retain(|owner| owner.uid != owner_uid);
    patch_owners(metadata, &owners)
}

/// The uid stands for the object that was seen: another one of the same name is left alone.
fn patch_owners(metadata: &ObjectMeta, owners: &[OwnerReference]) -> Value {
    json!({ "metadata": {
        "uid": metadata.uid,
        "resourceVersion": metadata.resource_version,
        "ownerReferences": owners,
    } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(text: Value) -> ObjectMeta {
        serde_json::from_value(text).expect("metadata")
    }

    #[test]
    fn an_object_is_adopted_kept_let_go_or_left_alone() {
        let owner = metadata(json!({"namespace": "a", "name": "o", "uid": "1"}));
        let selector: LabelSelector =
            serde_json::from_value(json!({"matchLabels": {"app": "x"}})).expect("a selector");
        let by = |uid: &str| json!([{"apiVersion": "v1", "kind": "K", "name": "o", "uid": uid, "controller": true}]);
        let cases = [
            (json!({"namespace": "a", "labels": {"app": "x"}}), Standing::Free),
            (json!({"namespace": "a"}), Standing::Foreign),
            (
                json!({"namespace": "b", "labels": {"app": "x"}}),
                Standing::Foreign,
            ),
            (
                json!({"namespace": "a", "labels": {"app": "x"}, "ownerReferences": by("1")}),
                Standing::Own,
            ),
            (
                json!({"namespace": "a", "ownerReferences": by("1")}),
                Standing::Lost,
            ),
            (
                json!({"namespace": "a", "labels": {"app": "x"}, "ownerReferences": by("2")}),
                Standing::Foreign,
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(
                standing(&metadata(text.clone()), &owner, &selector),
                expected,
                "{text}"
            );
        }
    }
}
