//! Objects on their way into the store: when the store tells of the write, what it wrote need not be read back from
//! bytes, and what is deleted is known as it was decided last.

use super::object::Written;
use bytes::Bytes;
use parking_lot::Mutex;
use plenum_contract::state_store::Write;
use std::collections::BTreeMap;

/// One object on its way.
#[derive(Debug)]
struct One {
    ticket: u64,
    /// What is written; none for a deletion.
    bytes: Option<Bytes>,
    object: Written,
}

/// Objects on their way, by their keys in the store.
#[derive(Debug, Default)]
pub(super) struct Pending(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    by_key: BTreeMap<String, Vec<One>>,
}

/// Which object on its way.
#[derive(Debug)]
pub(super) struct Ticket {
    key: String,
    number: u64,
}

impl Pending {
    /// Notes the object of this write; none where it lies in parts, which look alike.
    pub(super) fn note(&self, write: &Write, parts: bool, object: Written) -> Option<Ticket> {
        if parts {
            return None;
        }
        let (key, bytes) = match write {
            Write::Put(key, bytes) => (key.clone(), Some(bytes.clone())),
            Write::Delete(key) => (key.clone(), None),
        };
        let mut inner = self.0.lock();
        inner.next += 1;
        let ticket = inner.next;
        let one = One {
            ticket,
            bytes,
            object,
        };
        inner.by_key.entry(key.clone()).or_default().push(one);
        Some(Ticket { key, number: ticket })
    }

    /// The object that these bytes are, or that was deleted.
    pub(super) fn take(&self, key: &str, bytes: Option<&Bytes>) -> Option<Written> {
        self.remove(key, |one| one.bytes.as_ref() == bytes)
    }

    /// Forgets an object that did not go in, or was told of already.
    pub(super) fn forget(&self, ticket: &Ticket) {
        self.remove(&ticket.key, |one| one.ticket == ticket.number);
    }

    /// Forgets all: what was told in between is read anew.
    pub(super) fn clear(&self) {
        self.0.lock().by_key.clear();
    }

    fn remove(&self, key: &str, is_it: impl Fn(&One) -> bool) -> Option<Written> {
        let mut inner = self.0.lock();
        let of_key = inner.by_key.get_mut(key)?;
        let at = of_key.iter().position(is_it)?;
        let one = of_key.swap_remove(at);
        if of_key.is_empty() {
            inner.by_key.remove(key);
        }
        Some(one.object)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Shape;
    use super::*;
    use serde_json::{Value, json};

    const SHAPE: Shape = Shape {
        api_version: "v1",
        kind: "ConfigMap",
        selectable: &[],
    };

    #[test]
    fn an_object_is_known_by_its_bytes_once() {
        let pending = Pending::default();
        let put = |text: &'static str| Write::Put("k".into(), Bytes::from_static(text.as_bytes()));
        let object = |name: &str| Written::of(SHAPE, &json!({"metadata": {"name": name}}));
        let name = |taken: Option<Written>| -> Option<Value> {
            taken.map(|object| object.at(SHAPE, 1).value()["metadata"]["name"].clone())
        };
        let first = pending.note(&put("1"), false, object("one")).unwrap();
        pending.note(&put("2"), false, object("two")).unwrap();
        pending
            .note(&Write::Delete("k".into()), false, object("three"))
            .unwrap();
        let bytes = Bytes::from_static(b"2");
        assert_eq!(name(pending.take("k", Some(&bytes))), Some(json!("two")));
        assert_eq!(name(pending.take("k", Some(&bytes))), None);
        assert_eq!(name(pending.take("k", None)), Some(json!("three")));
        pending.forget(&first);
        assert!(pending.0.lock().by_key.is_empty());
        assert!(pending.note(&put("parts"), true, object("four")).is_none());
    }
}
