//! Tables that are looked up all the time, by keys of a few bytes. Task ids are digests already, and who makes the rest
//! is a scheduler that was let in, so nothing is paid for protection from strangers. Nobody walks such a table in its own
//! order: that would be another one after a restart.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// A table with a quick hash.
pub type Table<K, V> = HashMap<K, V, BuildHasherDefault<Fold>>;

/// Folds eight bytes at a time: both halves of a product with an odd constant.
#[derive(Debug, Default, Clone, Copy)]
pub struct Fold(u64);

impl Fold {
    fn fold(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word ^ 0x9e37_79b9_7f4a_7c15) * 0xa076_1d64_78bd_642f;
        let [low, high] = [product, product >> 64].map(|half| u64::try_from(half & u128::from(u64::MAX)));
        self.0 = low.unwrap_or(0) ^ high.unwrap_or(0).rotate_left(32);
    }
}

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.fold(u64::from_le_bytes(*word)));
        if !rest.is_empty() {
            let mut last = [0_u8; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.fold(u64::from_le_bytes(last));
        }
    }

    fn write_u8(&mut self, n: u8) {
        self.fold(n.into());
    }

    fn write_u32(&mut self, n: u32) {
        self.fold(n.into());
    }

    fn write_u64(&mut self, n: u64) {
        self.fold(n);
    }

    fn write_usize(&mut self, n: usize) {
        self.fold(n as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The hash of something, the same in every run of this build.
pub fn hash_of(what: &impl Hash) -> u64 {
    let mut fold = Fold::default();
    what.hash(&mut fold);
    fold.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn neighbours_differ_in_the_bits_that_tables_look_at() {
        let low: BTreeSet<u64> = (0_u64..4_096).map(|n| hash_of(&n) & 0xffff).collect();
        let high: BTreeSet<u64> = (0_u64..4_096).map(|n| hash_of(&n) >> 57).collect();
        assert!(low.len() > 3_700, "{}", low.len());
        assert_eq!(high.len(), 128);
        assert_ne!(hash_of(&"a"), hash_of(&"b"));
        assert_ne!(hash_of(&("ab", "c")), hash_of(&("a", "bc")));
    }
}
