//! How an object is written down: JSON without its head and without its resource version, which is the revision
//! of the write and not known before. What does not fit one value of the store lies in parts beside it, written
//! in the same transaction.

use super::Key;
use bytes::Bytes;
use plenum_contract::state_store::{MAX_VALUE, Write};
use serde_json::Value;

/// Everything that clients see lies under this, and what the server keeps for itself.
pub(super) const ROOT: &str = "api/";
const OBJECTS: &str = "api/objects/";
const PARTS: &str = "api/parts/";
/// What the server keeps for itself.
pub(super) const PRIVATE: &str = "api/private/";

/// What a key of the store names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// An object: its resource (`deployments.apps`) and key.
    Object(String, Key),
    /// A part of an object that is too large for one value.
    Part,
    /// Something else.
    Other,
}

/// The key under which an object lies.
pub(super) fn object_key(resource: &str, key: &Key) -> String {
    format!("{OBJECTS}{resource}/{}", key.as_str())
}

/// Everything of one resource lies under this.
pub(super) fn resource_prefix(resource: &str) -> String {
    format!("{OBJECTS}{resource}/")
}

/// The parts of one object lie under this.
pub(super) fn parts_prefix(resource: &str, key: &Key) -> String {
    format!("{PARTS}{resource}/{}/", key.as_str())
}

/// What a key names.
pub(super) fn place(key: &str) -> Place {
    if key.starts_with(PARTS) {
        return Place::Part;
    }
    let object = key.strip_prefix(OBJECTS).and_then(|rest| rest.split_once('/'));
    object.map_or(Place::Other, |(resource, key)| {
        Place::Object(resource.to_owned(), Key::from_text(key))
    })
}

/// The writes that put an object down; `before` is how many parts it had.
pub(super) fn put(resource: &str, key: &Key, bytes: &Bytes, before: usize) -> Vec<Write> {
    let parts = parts(bytes.len());
    let mut writes = Vec::with_capacity(1 + parts.max(before));
    if parts == 0 {
        writes.push(Write::Put(object_key(resource, key), bytes.clone()));
    } else {
        let head = format!("{{\"parts\":{parts}}}");
        writes.push(Write::Put(object_key(resource, key), head.into()));
        for (i, start) in (0..bytes.len()).step_by(MAX_VALUE).enumerate() {
            let end = bytes.len().min(start + MAX_VALUE);
            writes.push(Write::Put(part(resource, key, i), bytes.slice(start..end)));
        }
    }
    writes.extend((parts..before).map(|i| Write::Delete(part(resource, key, i))));
    writes
}

/// The writes that remove an object of so many parts.
pub(super) fn delete(resource: &str, key: &Key, parts: usize) -> Vec<Write> {
    let object = Write::Delete(object_key(resource, key));
    let parts = (0..parts).map(|i| Write::Delete(part(resource, key, i)));
    std::iter::once(object).chain(parts).collect()
}

/// In how many parts an object of these bytes lies.
pub(super) fn parts(bytes: usize) -> usize {
    if bytes <= MAX_VALUE {
        0
    } else {
        bytes.div_ceil(MAX_VALUE)
    }
}

/// What a stored value is: an object, or the number of parts in which it lies.
pub(super) enum Read {
    Whole(Value),
    InParts(usize),
}

/// Reads a stored value back; none when it is not an object.
pub(super) fn read(bytes: &[u8]) -> Option<Read> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    if value.get("metadata").is_some_and(Value::is_object) {
        return Some(Read::Whole(value));
    }
    let parts = value.get("parts")?.as_u64()?;
    usize::try_from(parts).ok().map(Read::InParts)
}

fn part(resource: &str, key: &Key, i: usize) -> String {
    // Ordered as text: an object has at most a handful of parts.
    format!("{}{i:03}", parts_prefix(resource, key))
}

#[cfg(test)]
mod tests {
    use super::super::Shape;
    use super::super::object::Written;
    use super::*;
    use serde_json::json;

    const SHAPE: Shape = Shape {
        api_version: "v1",
        kind: "ConfigMap",
        selectable: &[],
    };

    #[test]
    fn what_is_too_large_for_one_value_lies_in_parts() {
        let key = Key::new("ns", "a");
        let value =
            json!({"metadata": {"name": "a", "resourceVersion": "5"}, "data": {"x": "y".repeat(MAX_VALUE)}});
        let written = Written::of(SHAPE, &value);
        let writes = put("configmaps", &key, written.bytes(), 3);
        let mut whole = Vec::new();
        for write in &writes[1..3] {
            let Write::Put(key, bytes) = write else {
                panic!("{write:?}")
            };
            assert_eq!(place(key), Place::Part);
            whole.extend_from_slice(bytes);
        }
        let Some(Read::Whole(back)) = read(&whole) else {
            panic!("parts do not join")
        };
        assert_eq!(back["data"], value["data"]);
        assert_eq!(back["metadata"], json!({"name": "a"}));
        assert_eq!(writes[3], Write::Delete("api/parts/configmaps/ns/a/002".into()));
        assert!(matches!(&writes[0], Write::Put(_, head) if matches!(read(head), Some(Read::InParts(2)))));
    }

    #[test]
    fn keys_name_objects() {
        let named = place(&object_key("deployments.apps", &Key::new("ns", "a")));
        assert_eq!(
            named,
            Place::Object("deployments.apps".into(), Key::new("ns", "a"))
        );
        assert_eq!(place("api/other"), Place::Other);
    }
}
