//! Ids as Docker writes them: 25 characters of base 36 for swarm objects, 64 hexadecimal digits for
//! containers. Those of tasks, their containers and nodes are functions of Plenum's own ids, so they are the
//! same after any restart.

use plenum_model::ids::{NodeId, TaskId};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Characters of a swarm id: 36^25 is just above 2^128.
const LENGTH: usize = 25;
/// Odd, so that multiplying by it permutes the 128-bit numbers; the digits of pi and e after the point.
const MIX: u128 = 0x243f_6a88_85a3_08d3_b7e1_5162_8aed_2a6b;

/// A fresh swarm id.
#[must_use]
pub fn random() -> String {
    base36(uuid::Uuid::new_v4().as_u128())
}

/// A fresh container or exec id.
#[must_use]
pub fn random_hex() -> String {
    format!(
        "{}{}",
        uuid::Uuid::new_v4().simple(),
        uuid::Uuid::new_v4().simple()
    )
}

/// The swarm id of a task. Attempts of a slot differ in their last bytes only and clients show 12 characters,
/// so the bits are mixed; the mixing permutes, so two tasks never share an id.
#[must_use]
pub fn task(id: TaskId) -> String {
    let mut x = u128::from_be_bytes(id.0);
    for _ in 0..2 {
        x = x.wrapping_mul(MIX);
        x ^= x >> 61;
    }
    base36(x)
}

/// The id of the container of a task.
#[must_use]
pub fn container(id: TaskId) -> String {
    hex(&derived("container", &id.0))
}

/// The swarm id of a node.
#[must_use]
pub fn node(id: &NodeId) -> String {
    let digest = derived("node", id.as_str().as_bytes());
    let mut first = [0_u8; 16];
    first.copy_from_slice(&digest[..16]);
    base36(u128::from_be_bytes(first))
}

/// 64 hexadecimal digits that are a function of this text.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes).into())
}

fn derived(kind: &str, bytes: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(kind.as_bytes());
    hash.update([0]);
    hash.update(bytes);
    hash.finalize().into()
}

fn hex(bytes: &[u8; 32]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(64), |mut out, b| {
        let _ = write!(out, "{b:02x}"); // writing to a string cannot fail
        out
    })
}

fn base36(mut x: u128) -> String {
    let mut out = [b'0'; LENGTH];
    for place in out.iter_mut().rev() {
        *place = b"0123456789abcdefghijklmnopqrstuvwxyz"[(x % 36) as usize];
        x /= 36;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// What a reference means among things with ids and names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<T> {
    /// This one.
    One(T),
    /// Nothing.
    None,
    /// So many have ids that begin so.
    Ambiguous(usize),
}

/// Resolves a full id, then a name, then a prefix of an id.
pub fn resolve<T>(reference: &str, all: impl IntoIterator<Item = (String, String, T)>) -> Found<T> {
    let mut by_name = None;
    let mut by_prefix: BTreeMap<String, T> = BTreeMap::new();
    for (id, name, item) in all {
        if id == reference {
            return Found::One(item);
        }
        if name == reference && by_name.is_none() {
            by_name = Some(item);
        } else if !reference.is_empty() && id.starts_with(reference) {
            by_prefix.insert(id, item);
        }
    }
    if let Some(item) = by_name {
        return Found::One(item);
    }
    match by_prefix.len() {
        0 => Found::None,
        1 => by_prefix
            .into_values()
            .next()
            .map_or(Found::None, |item| Found::One(item)),
        n => Found::Ambiguous(n),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_model::ids::SchedulerId;
    use std::collections::BTreeSet;

    #[test]
    fn attempts_of_a_slot_differ_in_the_characters_that_clients_show() {
        let s = SchedulerId::new("swarm").unwrap();
        let ids: Vec<String> = (0..1000)
            .map(|attempt| task(TaskId::derive(&s, "web", 1, attempt)))
            .collect();
        let shown: BTreeSet<&str> = ids.iter().map(|id| &id[..12]).collect();
        assert_eq!(shown.len(), 1000);
        let ok = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        assert!(ids.iter().all(|id| id.len() == 25 && id.chars().all(ok)));
        assert_eq!(ids[7], task(TaskId::derive(&s, "web", 1, 7)));
        assert_eq!(container(TaskId::derive(&s, "web", 1, 7)).len(), 64);
    }

    #[test]
    fn a_reference_is_an_id_then_a_name_then_a_prefix() {
        let all = || {
            [("abc", "web"), ("abd", "ab"), ("xyz", "abc")]
                .map(|(id, name)| (id.to_owned(), name.to_owned(), id))
        };
        assert_eq!(resolve("abc", all()), Found::One("abc"));
        assert_eq!(resolve("ab", all()), Found::One("abd"));
        assert_eq!(resolve("a", all()), Found::Ambiguous(2));
        assert_eq!(resolve("x", all()), Found::One("xyz"));
        assert_eq!(resolve("", all()), Found::None);
    }
}
