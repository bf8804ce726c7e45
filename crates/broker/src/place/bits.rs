//! Sets of nodes as bits, by their number in the ledger. All sets grow on demand; a bit never set is clear.

use crate::fact::NodeIx;

/// A set of nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bits(Vec<u64>);

impl Bits {
    /// Whether the node is in the set.
    #[must_use]
    pub fn has(&self, ix: NodeIx) -> bool {
        self.word(ix.at() / 64) & (1 << (ix.at() % 64)) != 0
    }

    /// Puts the node in or takes it out.
    pub fn put(&mut self, ix: NodeIx, within: bool) {
        let (word, bit) = (ix.at() / 64, 1_u64 << (ix.at() % 64));
        if word >= self.0.len() {
            if !within {
                return;
            }
            self.0.resize(word + 1, 0);
        }
        if within {
            self.0[word] |= bit;
        } else {
            self.0[word] &= !bit;
        }
    }

    /// 64 nodes at once; beyond the end all are out.
    #[must_use]
    pub fn word(&self, i: usize) -> u64 {
        self.0.get(i).copied().unwrap_or(0)
    }

    /// Keeps those that are in `other`, too.
    pub fn keep(&mut self, other: &Self) {
        for (i, word) in self.0.iter_mut().enumerate() {
            *word &= other.word(i);
        }
    }

    /// Takes out those that are in `other`.
    pub fn without(&mut self, other: &Self) {
        for (i, word) in self.0.iter_mut().enumerate() {
            *word &= !other.word(i);
        }
    }

    /// Puts in those that are in `other`.
    pub fn join(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }

    /// Whether one is in both.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a & b != 0)
    }

    /// Whether one is in `a` and in `b` but not in `c`.
    #[must_use]
    pub fn any_of(a: &Self, b: &Self, c: &Self) -> bool {
        (0..a.0.len().min(b.0.len())).any(|i| a.0[i] & b.0[i] & !c.word(i) != 0)
    }

    /// Whether none is in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|w| *w == 0)
    }

    /// How many are in.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// Those in the set, in order.
    pub fn iter(&self) -> impl Iterator<Item = NodeIx> + '_ {
        self.0.iter().enumerate().flat_map(|(i, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                if rest == 0 {
                    return None;
                }
                let bit = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                Some(NodeIx(u32::try_from(i * 64 + bit).unwrap_or(u32::MAX)))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in_and_lists_it_in_order() {
        let mut bits = Bits::default();
        for i in [200, 3, 64, 63] {
            bits.put(NodeIx(i), true);
        }
        bits.put(NodeIx(64), false);
        bits.put(NodeIx(9_999), false);
        assert_eq!(bits.iter().map(|n| n.0).collect::<Vec<_>>(), [3, 63, 200]);
        assert_eq!(bits.count(), 3);
        assert!(bits.has(NodeIx(63)) && !bits.has(NodeIx(64)) && !bits.has(NodeIx(100_000)));
    }
}
