//! Objects on their way into the store: when the store tells of the write, what it wrote need not be read back from
//! bytes, and what is deleted is known as it was decided last.

use bytes::Bytes;
use parking_lot::Mutex;
use plenum_contract::state_store::Write;
use serde_json::Value;
use std::collections::BTreeMap;

/// One object on its way.
#[derive(Debug)]
struct One {
    ticket: u64,
    /// What is written; none for a deletion.
    bytes: Option<Bytes>,
    value: Value,
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
    pub(super) fn note(&self, write: &Write, parts: bool, value: Value) -> Option<Ticket> {
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
        let one = One { ticket, bytes, value };
        inner.by_key.entry(key.clone()).or_default().push(one);
        Some(Ticket { key, number: ticket })
    }

    /// The object that these bytes are, or that was deleted.
    pub(super) fn take(&self, key: &str, bytes: Option<&Bytes>) -> Option<Value> {
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

    fn remove(&self, key: &str, is_it: impl Fn(&One) -> bool) -> Option<Value> {
        let mut inner = self.0.lock();
        let of_key = inner.by_key.get_mut(key)?;
        let at = of_key.iter().position(is_it)?;
        let one = of_key.swap_remove(at);
        if of_key.is_empty() {
            inner.by_key.remove(key);
        }
        Some(one.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_object_is_known_by_its_bytes_once() {
        let pending = Pending::default();
        let put = |text: &'static str| Write::Put("k".into(), Bytes::from_static(text.as_bytes()));
        let first = pending.note(&put("1"), false, json!(1)).unwrap();
        pending.note(&put("2"), false, json!(2)).unwrap();
        pending.note(&Write::Delete("k".into()), false, json!(3)).unwrap();
        assert_eq!(pending.take("k", Some(&Bytes::from_static(b"2"))), Some(json!(2)));
        assert_eq!(pending.take("k", Some(&Bytes::from_static(b"2"))), None);
        assert_eq!(pending.take("k", None), Some(json!(3)));
        pending.forget(&first);
        assert!(pending.0.lock().by_key.is_empty());
        assert!(pending.note(&put("parts"), true, json!(4)).is_none());
    }
}
