//! One object as of one revision, kept as the bytes that lists and watches send, with the few values by which it
//! is selected.

use bytes::Bytes;
use serde::ser::{SerializeMap, Serializer};
use serde_json::{Map, Value};

/// What of a kind is needed to keep its objects: which words stand at the head, which fields may be selected.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// `v1`, `apps/v1`.
    pub api_version: &'static str,
    /// `Pod`.
    pub kind: &'static str,
    /// Paths (with dots) of fields that selectors may name, beside metadata's name, namespace and labels.
    pub selectable: &'static [&'static str],
}

/// One object as of one revision.
#[derive(Debug)]
pub struct Object {
    shape: Shape,
    revision: u64,
    /// JSON without `apiVersion` and `kind`, as items of lists are.
    bare: Bytes,
    selectable: Value,
}

impl Object {
    /// Keeps `value`, which gets `revision` as its resource version.
    #[must_use]
    pub fn new(shape: Shape, mut value: Value, revision: u64) -> Self {
        value["metadata"]["resourceVersion"] = Value::String(revision.to_string());
        Self::preview(shape, value, revision)
    }

    /// Shows `value`, which was only tried, as it is: it keeps the resource version that it has, if any.
    #[must_use]
    pub fn preview(shape: Shape, value: Value, revision: u64) -> Self {
        Self {
            shape,
            revision,
            bare: bare(&value),
            selectable: selectable(shape, &value),
        }
    }

    /// The revision of its last write (of its deletion, once deleted).
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The same object with another resource version.
    #[must_use]
    pub fn at(&self, revision: u64) -> Self {
        Self::new(self.shape, self.value(), revision)
    }

    /// As JSON bytes without `apiVersion` and `kind`.
    #[must_use]
    pub fn bare(&self) -> &Bytes {
        &self.bare
    }

    /// As JSON bytes, whole, between these.
    #[must_use]
    pub fn full_between(&self, before: &str, after: &str) -> Bytes {
        let shape = self.shape;
        let head = format!(
            "{before}{{\"kind\":\"{}\",\"apiVersion\":\"{}\",",
            shape.kind, shape.api_version
        );
        let mut full = Vec::with_capacity(head.len() + self.bare.len() + after.len());
        full.extend_from_slice(head.as_bytes());
        // Metadata is always there, so that what follows the brace is a member.
        full.extend_from_slice(self.bare.get(1..).unwrap_or_default());
        full.extend_from_slice(after.as_bytes());
        Bytes::from(full)
    }

    /// As JSON bytes, whole.
    #[must_use]
    pub fn full(&self) -> Bytes {
        self.full_between("", "")
    }

    /// As a value, whole.
    #[must_use]
    pub fn value(&self) -> Value {
        // The bytes were made from a value by this module.
        let mut value: Value = serde_json::from_slice(&self.bare).unwrap_or_default();
        value["apiVersion"] = Value::String(self.shape.api_version.to_owned());
        value["kind"] = Value::String(self.shape.kind.to_owned());
        value
    }

    /// The object cut down to what selectors may ask for: name, namespace, labels, and the selectable fields.
    #[must_use]
    pub fn selectable(&self) -> &Value {
        &self.selectable
    }
}

fn selectable(shape: Shape, value: &Value) -> Value {
    let mut kept = serde_json::json!({ "metadata": {} });
    for field in ["name", "namespace", "labels", "uid"] {
        if let Some(found) = value["metadata"].get(field) {
            kept["metadata"][field] = found.clone();
        }
    }
    for path in shape.selectable {
        copy(path, value, &mut kept);
    }
    kept
}

fn copy(path: &str, from: &Value, to: &mut Value) {
    let pointer = format!("/{}", path.replace('.', "/"));
    let Some(found) = from.pointer(&pointer) else {
        return;
    };
    let mut at = to;
    for part in path.split('.') {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        at = &mut at[part];
    }
    *at = found.clone();
}

struct Bare<'a>(&'a Map<String, Value>);

impl serde::Serialize for Bare<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in self.0 {
            if key != "apiVersion" && key != "kind" {
                map.serialize_entry(key, value)?;
            }
        }
        map.end()
    }
}

/// An object's JSON without its head.
pub(super) fn bare(value: &Value) -> Bytes {
    let empty = Map::new();
    let map = value.as_object().unwrap_or(&empty);
    Bytes::from(serde_json::to_vec(&Bare(map)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SHAPE: Shape = Shape {
        api_version: "v1",
        kind: "Pod",
        selectable: &["spec.nodeName", "status.phase"],
    };

    #[test]
    fn an_object_is_kept_without_its_head_and_given_back_whole() {
        let value =
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"nodeName": "n"}});
        let object = Object::new(SHAPE, value.clone(), 7);
        let bare: Value = serde_json::from_slice(object.bare()).unwrap();
        assert_eq!(
            bare,
            json!({"metadata": {"name": "a", "resourceVersion": "7"}, "spec": {"nodeName": "n"}})
        );
        let full: Value = serde_json::from_slice(&object.full()).unwrap();
        assert_eq!(full, object.value());
        assert_eq!(full["kind"], "Pod");
        assert_eq!(object.at(9).value()["metadata"]["resourceVersion"], "9");
    }

    #[test]
    fn what_selectors_ask_for_is_kept_beside_the_bytes() {
        let value =
            json!({"metadata": {"name": "a", "labels": {"x": "y"}}, "spec": {"nodeName": "n", "more": 1}});
        let object = Object::new(SHAPE, value, 7);
        let kept = json!({"metadata": {"name": "a", "labels": {"x": "y"}}, "spec": {"nodeName": "n"}});
        assert_eq!(object.selectable(), &kept);
    }
}
