//! Sets of nodes as bits, by their number in the ledger. All sets grow on demand; a bit never set is clear. A second
//! level says which words of 64 nodes have any, so that a set with few members costs as few looks.

use crate::fact::NodeIx;

/// A set of nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bits {
    words: Vec<u64>,
    /// Bit n: word n is not empty.
    some: Vec<u64>,
    len: usize,
}

impl Bits {
    /// Whether the node is in the set.
    #[must_use]
    pub fn has(&self, ix: NodeIx) -> bool {
        self.word(ix.at() / 64) & (1 << (ix.at() % 64)) != 0
    }

    /// Puts the node in or takes it out.
    pub fn put(&mut self, ix: NodeIx, within: bool) {
        let (at, bit) = (ix.at() / 64, 1_u64 << (ix.at() % 64));
        if at >= self.words.len() {
            if !within {
                return;
            }
            self.words.resize(at + 1, 0);
            self.some.resize(at / 64 + 1, 0);
        }
        let word = &mut self.words[at];
        if (*word & bit != 0) == within {
            return;
        }
        *word ^= bit;
        self.len = if within { self.len + 1 } else { self.len - 1 };
        let mark = 1_u64 << (at % 64);
        if *word == 0 {
            self.some[at / 64] &= !mark;
        } else {
            self.some[at / 64] |= mark;
        }
    }

    /// 64 nodes at once; beyond the end all are out.
    #[must_use]
    pub fn word(&self, i: usize) -> u64 {
        self.words.get(i).copied().unwrap_or(0)
    }

    /// Which of 64 words have any node; beyond the end none.
    #[must_use]
    pub fn some(&self, i: usize) -> u64 {
        self.some.get(i).copied().unwrap_or(0)
    }

    /// How many words of words there are.
    #[must_use]
    pub fn spans(&self) -> usize {
        self.some.len()
    }

    /// Takes out those that are in `other`.
    pub fn without(&mut self, other: &Self) {
        for (at, word) in self.words.iter_mut().enumerate() {
            *word &= !other.word(at);
        }
        self.mark();
    }

    /// Puts in those that are in `other`.
    pub fn join(&mut self, other: &Self) {
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        for (word, more) in self.words.iter_mut().zip(&other.words) {
            *word |= more;
        }
        self.mark();
    }

    fn mark(&mut self) {
        let mark = |words: &[u64]| {
            let bits = words.iter().enumerate();
            bits.fold(0, |span, (bit, word)| span | u64::from(*word != 0) << bit)
        };
        self.some.clear();
        self.some.extend(self.words.chunks(64).map(mark));
        self.len = self.words.iter().map(|w| w.count_ones() as usize).sum();
    }

    /// Whether one is in both.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        let words = self.some.iter().zip(&other.some).enumerate();
        words
            .flat_map(|(i, (a, b))| each(a & b).map(move |bit| i * 64 + bit))
            .any(|at| self.words[at] & other.words[at] != 0)
    }

    /// Whether one is in `a` and in `b` but not in `c`.
    #[must_use]
    pub fn any_of(a: &Self, b: &Self, c: &Self) -> bool {
        let words = a.some.iter().zip(&b.some).enumerate();
        words
            .flat_map(|(i, (x, y))| each(x & y).map(move |bit| i * 64 + bit))
            .any(|at| a.words[at] & b.words[at] & !c.word(at) != 0)
    }

    /// Whether none is in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many are in.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// How many are in this set and in another.
    #[must_use]
    pub fn len_within(&self, other: &Self) -> usize {
        let both = self.words.iter().zip(&other.words);
        both.map(|(a, b)| (a & b).count_ones() as usize).sum()
    }

    /// Those in the set, in order.
    pub fn iter(&self) -> impl Iterator<Item = NodeIx> + '_ {
        self.words
            .iter()
            .enumerate()
            .flat_map(|(i, word)| nodes(i, *word))
    }
}

/// The bits of a word that are set, from the lowest.
pub fn each(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        if word == 0 {
            return None;
        }
        let bit = word.trailing_zeros() as usize;
        word &= word - 1;
        Some(bit)
    })
}

/// The nodes of word `i`.
pub fn nodes(i: usize, word: u64) -> impl Iterator<Item = NodeIx> {
    each(word).map(move |bit| NodeIx(u32::try_from(i * 64 + bit).unwrap_or(u32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in_and_lists_it_in_order() {
        let mut bits = Bits::default();
        for i in [20_000, 200, 3, 64, 63] {
            bits.put(NodeIx(i), true);
        }
        bits.put(NodeIx(64), false);
        bits.put(NodeIx(9_999), false);
        assert_eq!(bits.iter().map(|n| n.0).collect::<Vec<_>>(), [3, 63, 200, 20_000]);
        assert_eq!(bits.len(), 4);
        assert!(bits.has(NodeIx(63)) && !bits.has(NodeIx(64)) && !bits.has(NodeIx(100_000)));
        let mut other = Bits::default();
        assert!(!bits.meets(&other) && other.is_empty());
        other.put(NodeIx(20_000), true);
        assert!(bits.meets(&other) && Bits::any_of(&bits, &other, &Bits::default()));
        assert!(!Bits::any_of(&bits, &other, &bits));
        other.put(NodeIx(20_000), false);
        assert!(other.is_empty() && !bits.meets(&other));
    }
}
