//! One object as of one revision, kept as the bytes that lists and watches send, with the few values by which it
//! is selected.

use crate::apiserver::cell::Cell;
use crate::object::selector::Selectable;
use bytes::Bytes;
use serde::ser::Serializer;
use serde_json::{Map, Value};
use std::sync::{Arc, OnceLock};

/// What of a kind is needed to keep its objects: which words stand at the head, which fields may be selected.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// `v1`, `apps/v1`.
    pub api_version: &'static str,
    /// `Pod`.
    pub kind: &'static str,
    /// Fields (with dots) that selectors may name, beside metadata's name, namespace and labels.
    pub selectable: &'static [&'static str],
}

/// An object written down: JSON whose first member is the metadata, without `apiVersion`, `kind` and resource
/// version, with the few values by which it is selected. Made once, whoever needs the bytes; cloned for nothing.
#[derive(Debug, Clone)]
pub(super) struct Written {
    bytes: Bytes,
    /// Where the metadata ends in the bytes.
    metadata_end: usize,
    selectable: Arc<Selectable>,
}

/// How the bytes of every object begin.
const HEAD: &[u8] = b"{\"metadata\":{";
/// More bytes than the head and the resource version of any object have.
const HEAD_ROOM: usize = 160;

impl Written {
    pub(super) fn of(shape: Shape, value: &Value) -> Self {
        let (bytes, metadata_end) = written(value);
        Self {
            bytes,
            metadata_end,
            selectable: Arc::new(Selectable::of(value, shape.selectable)),
        }
    }

    pub(super) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The object as it was written at `revision`.
    pub(super) fn at(&self, shape: Shape, revision: u64) -> Object {
        self.versioned(shape, revision, Some(revision.to_string()))
    }

    fn versioned(&self, shape: Shape, revision: u64, version: Option<String>) -> Object {
        Object {
            shape,
            revision,
            version,
            written: self.clone(),
            row: OnceLock::new(),
        }
    }
}

/// One object as of one revision.
#[derive(Debug)]
pub struct Object {
    shape: Shape,
    revision: u64,
    /// Its resource version; none for one that was only tried.
    version: Option<String>,
    written: Written,
    /// Its row in tables, once one was asked for.
    row: OnceLock<Box<[Cell]>>,
}

impl Object {
    /// Keeps `value`, which gets `revision` as its resource version.
    #[must_use]
    pub fn new(shape: Shape, value: &Value, revision: u64) -> Self {
        Written::of(shape, value).at(shape, revision)
    }

    /// Shows `value`, which was only tried, as it is: it keeps the resource version that it has, if any.
    #[must_use]
    pub fn preview(shape: Shape, value: &Value, revision: u64) -> Self {
        let version = value["metadata"]["resourceVersion"].as_str();
        Written::of(shape, value).versioned(shape, revision, version.map(str::to_owned))
    }

    /// The revision of its last write (of its deletion, once deleted).
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The same object with another resource version.
    #[must_use]
    pub fn at(&self, revision: u64) -> Self {
        self.written.at(self.shape, revision)
    }

    /// How many bytes it has without what stands at its head.
    #[must_use]
    pub fn size(&self) -> usize {
        self.written.bytes.len()
    }

    /// Its row in tables, worked out by `make` unless it was already.
    pub fn row(&self, make: impl FnOnce(&Value) -> Vec<Cell>) -> &[Cell] {
        self.row.get_or_init(|| make(&self.value()).into())
    }

    /// Writes it as JSON without `apiVersion` and `kind`, as items of lists are.
    pub fn write_bare(&self, to: &mut Vec<u8>) {
        to.push(b'{');
        self.write_members(self.written.bytes.len(), to);
    }

    /// Writes it as JSON, whole.
    pub fn write_full(&self, to: &mut Vec<u8>) {
        let Shape {
            kind, api_version, ..
        } = self.shape;
        write_head(kind, api_version, to);
        self.write_members(self.written.bytes.len(), to);
    }

    /// Writes its metadata alone, as JSON; `version` is that of the form.
    pub fn write_metadata(&self, version: &str, to: &mut Vec<u8>) {
        write_head("PartialObjectMetadata", version, to);
        self.write_members(self.written.metadata_end, to);
        to.push(b'}');
    }

    /// Its members up to this place in the bytes, the resource version among them.
    fn write_members(&self, end: usize, to: &mut Vec<u8>) {
        to.extend_from_slice(HEAD.get(1..).unwrap_or_default());
        let rest = self.written.bytes.get(HEAD.len()..end).unwrap_or_default();
        if let Some(version) = &self.version {
            let more = if rest.starts_with(b"}") { "" } else { "," };
            to.extend_from_slice(format!("\"resourceVersion\":{}{more}", Value::from(&**version)).as_bytes());
        }
        to.extend_from_slice(rest);
    }

    /// As JSON bytes, whole, between these.
    #[must_use]
    pub fn full_between(&self, before: &str, after: &str) -> Bytes {
        let mut all = Vec::with_capacity(self.size() + HEAD_ROOM);
        all.extend_from_slice(before.as_bytes());
        self.write_full(&mut all);
        all.extend_from_slice(after.as_bytes());
        Bytes::from(all)
    }

    /// As JSON bytes, its metadata alone, between these; `version` is that of the form.
    #[must_use]
    pub fn metadata_between(&self, before: &str, version: &str, after: &str) -> Bytes {
        let mut all = Vec::with_capacity(self.written.metadata_end + HEAD_ROOM);
        all.extend_from_slice(before.as_bytes());
        self.write_metadata(version, &mut all);
        all.extend_from_slice(after.as_bytes());
        Bytes::from(all)
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
        let mut value: Value = serde_json::from_slice(&self.written.bytes).unwrap_or_default();
        value["apiVersion"] = Value::from(self.shape.api_version);
        value["kind"] = Value::from(self.shape.kind);
        if let Some(version) = &self.version {
            value["metadata"]["resourceVersion"] = Value::from(&**version);
        }
        value
    }

    /// What selectors may ask for.
    #[must_use]
    pub fn selectable(&self) -> &Selectable {
        &self.written.selectable
    }
}

/// What stands before the members of an object.
fn write_head(kind: &str, api_version: &str, to: &mut Vec<u8>) {
    for part in ["{\"kind\":\"", kind, "\",\"apiVersion\":\"", api_version, "\","] {
        to.extend_from_slice(part.as_bytes());
    }
}

/// Some members of a map.
struct Without<'a>(&'a Map<String, Value>, &'a [&'a str]);

impl serde::Serialize for Without<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kept = self.0.iter().filter(|(key, _)| !self.1.contains(&key.as_str()));
        serializer.collect_map(kept)
    }
}

/// Most objects have no more bytes: they are written without growing.
const MOST_OBJECTS: usize = 8192;

/// An object's JSON as it is kept, and where its metadata ends.
fn written(value: &Value) -> (Bytes, usize) {
    let empty = Map::new();
    let map = value.as_object().unwrap_or(&empty);
    let metadata = map.get("metadata").and_then(Value::as_object).unwrap_or(&empty);
    let mut bytes = Vec::with_capacity(MOST_OBJECTS);
    bytes.extend_from_slice(b"{\"metadata\":");
    // Values with text keys always serialise, and a vector takes all.
    let _ = serde_json::to_writer(&mut bytes, &Without(metadata, &["resourceVersion"]));
    let end = bytes.len();
    let rest = Without(map, &["apiVersion", "kind", "metadata"]);
    let _ = serde_json::to_writer(&mut bytes, &rest);
    match bytes.get(end + 1) {
        Some(b'}') | None => {
            bytes.remove(end);
        }
        Some(_) => bytes[end] = b',',
    }
    // They are kept for long, so nothing is left over.
    (Bytes::from(bytes.into_boxed_slice()), end)
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

    fn bare(object: &Object) -> Value {
        let mut bytes = Vec::new();
        object.write_bare(&mut bytes);
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn an_object_is_kept_without_its_head_and_given_back_whole() {
        let value =
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"nodeName": "n"}});
        let object = Object::new(SHAPE, &value, 7);
        let bare = bare(&object);
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
    fn metadata_is_given_alone_from_the_same_bytes() {
        let value = json!({"data": {"a": "b"}, "metadata": {"name": "a", "labels": {"x": "}"}}});
        let object = Object::new(SHAPE, &value, 7);
        let frame = object.metadata_between("[", "meta.k8s.io/v1", "]");
        let shown: Value = serde_json::from_slice(&frame).unwrap();
        let metadata = json!({"name": "a", "labels": {"x": "}"}, "resourceVersion": "7"});
        assert_eq!(
            shown,
            json!([{"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}])
        );
    }

    #[test]
    fn what_has_little_is_kept_too_and_what_was_tried_keeps_its_version() {
        for value in [
            json!({"metadata": {}}),
            json!({}),
            json!({"metadata": {}, "spec": 1}),
        ] {
            let back = bare(&Object::new(SHAPE, &value, 7));
            assert_eq!(back["metadata"], json!({"resourceVersion": "7"}));
            assert_eq!(back.get("spec"), value.get("spec"));
            let tried = bare(&Object::preview(SHAPE, &value, 0));
            assert_eq!(tried["metadata"], json!({}));
        }
        let value = json!({"metadata": {"resourceVersion": "5"}});
        assert_eq!(
            Object::preview(SHAPE, &value, 0).value()["metadata"]["resourceVersion"],
            "5"
        );
    }

    #[test]
    fn its_row_is_worked_out_once() {
        let object = Object::new(SHAPE, &json!({"metadata": {"name": "a"}}), 7);
        let name = |value: &Value| vec![Cell::from(value["metadata"]["name"].as_str().unwrap())];
        assert_eq!(object.row(name), [Cell::from("a")]);
        assert_eq!(object.row(|_| Vec::new()), [Cell::from("a")]);
    }

    #[test]
    fn what_selectors_ask_for_is_kept_beside_the_bytes() {
        let value =
            json!({"metadata": {"name": "a", "labels": {"x": "y"}}, "spec": {"nodeName": "n", "more": 1}});
        let object = Object::new(SHAPE, &value, 7);
        let kept = object.selectable();
        assert_eq!(
            (kept.name(), kept.label("x"), kept.label("y")),
            ("a", Some("y"), None)
        );
        assert_eq!(
            (kept.field("spec.nodeName"), kept.field("status.phase")),
            ("n", "")
        );
    }
}
